/* python_json.h - JSON as Python writes it, with numbers that JSON does not have. */
#ifndef MOE_PYTHON_JSON_H
#define MOE_PYTHON_JSON_H

#include "core/status.h"

#include <jansson.h>

/* As json_loadb; NaN, Infinity and -Infinity become texts of these letters, so that whoever wants a
 * number there says so, and all others do not mind. */
json_t *moe_python_json(const char *text, size_t size, json_error_t *error);

/* The same of a file. NULL, with `error` filled in, where it is no JSON or cannot be read. */
json_t *moe_python_json_file(const char *path, json_error_t *error);

#endif

/* buffer.h - text that grows. */
#ifndef GEN_BUFFER_H
#define GEN_BUFFER_H

#include "core/status.h"

/* Starts as {0}; `data` is NUL-terminated once something was added. When memory runs out, `failed`
 * is set and further additions are dropped, so one check at the end is enough. */
typedef struct gen_buffer {
    char *data;
    size_t size, room; /* bytes used, without the NUL; bytes allocated */
    bool failed;
} gen_buffer;

void gen_buffer_add(gen_buffer *buffer, const char *data, size_t size);
void gen_buffer_format(gen_buffer *buffer, const char *format, ...) MOE_PRINTF(2, 3);
void gen_buffer_free(gen_buffer *buffer);

#endif

/* file.h - one file of a template folder, read whole. */
#ifndef GEN_FILE_H
#define GEN_FILE_H

#include "host.h"

enum { GEN_NAME_SIZE = 33, GEN_STEM_SIZE = GEN_NAME_SIZE - 4 }; /* with and without ".lua" */

typedef struct gen_file {
    char name[GEN_NAME_SIZE];   /* file name: "mma.cuh" */
    char label[GEN_LABEL_SIZE]; /* in messages and #line marks: "templates/include/mma.cuh" */
    char *text;                 /* NUL-terminated */
    size_t size;
    char *lua;                  /* a body's translation; NULL for a .lua file */
    size_t lua_size;
} gen_file;

/* Reads folder/name; a body (.cu, .cuh) is translated as well. MOE_E_IO, MOE_E_TEMPLATE. */
moe_status gen_file_open(const char *folder, const char *label, const char *name, bool body,
                         gen_file *out);
void gen_file_close(gen_file *file);

#endif

/* folder.h - template folders made for one test, called "templates" so that messages are fixed. */
#ifndef TEST_FOLDER_H
#define TEST_FOLDER_H

#include "gen.h"

#include <stddef.h>

typedef struct folder {
    char root[64];  /* a new folder of its own */
    char path[96];  /* root/templates */
} folder;

/* Each fails the test if the disk does. */
void folder_make(folder *f);
void folder_write(const folder *f, const char *name, const char *text);
void folder_write_bytes(const folder *f, const char *name, const void *data, size_t size);
void folder_remove(folder *f);

/* A sound NAME.lua whose `default` starts with the statements in `code`, and whose other entries
 * can be replaced: those of `entries` win. */
void folder_write_lua(const folder *f, const char *name, const char *code, const char *entries);

/* Facts of a made-up sm_80 device, and an op by its text. */
moe_facts test_facts(void);
moe_op test_op(const char *text);
moe_config test_config(const char *text);

/* Fails the test with the message of the last failure unless `status` is MOE_OK. */
#define CHECK(call) test_check((call), #call, __FILE__, __LINE__)
void test_check(moe_status status, const char *call, const char *file, int line);

#endif

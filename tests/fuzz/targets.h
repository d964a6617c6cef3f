/* targets.h - everything that reads text or files of others, as functions of bytes.
 *
 * A target may refuse its input with any status and a one-line message; it must not crash, hang,
 * leak, or accept what it cannot print and read again. */
#ifndef FUZZ_TARGETS_H
#define FUZZ_TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_target {
    const char *name; /* also of its folder in tests/fuzz/corpus */
    size_t limit;     /* bytes that an input is worth */
    int mutations;    /* of each input of the corpus that the replay tries */
    /* True where the input was accepted. `data` ends in a NUL that `size` does not count. */
    bool (*run)(const char *data, size_t size);
    /* (optional) An input that is made, not kept; the bytes are to be freed. */
    char *(*make)(size_t *size);
} fuzz_target;

extern const fuzz_target fuzz_targets[]; /* the last has no name */

/* The target called `name`, or NULL. */
const fuzz_target *fuzz_target_find(const char *name);

/* Ends the process with the message where `holds` is false. */
void fuzz_check(bool holds, const char *message, const char *input);

/* A folder of this process, removed at its end, and a file in it with these bytes: its path, until
 * the next call. */
const char *fuzz_folder(void);
const char *fuzz_file(const char *name, const char *data, size_t size);

/* The targets that take more than a few lines: target_database.c, target_template.c. */
bool fuzz_database(const char *data, size_t size);
char *fuzz_database_make(size_t *size);
bool fuzz_template(const char *data, size_t size);

#endif

/* seeded.h - bugs put into the text of shipped templates, each of which the tuner's verdict must
 * find.
 *
 * A case is an op, a template and a config on a simulated GPU without its checks, so that what
 * finds a bug is what would find it on a real one. The template as it is must pass; then each bug
 * is put into a copy of it, compiled and tried on the same case as `moetune tune` tries a
 * candidate.
 *
 *     static const seeded_bug bugs[] = {
 *         {"the last chunk of y stays unwritten", "combine.cu", "chunk_at >= CHUNKS",
 *          "chunk_at >= CHUNKS - 1", "y["},
 *     };
 *     SEEDED_TRY("sim:a100,checks=0", "combine", "", "combine t=5 d=64 k=2", bugs);
 *
 * A bug is added by a row. Whatever is not as it should be fails the running test: a text that is
 * not found exactly once, a bug that passes, another verdict than the one that names it. */
#ifndef TESTS_SEEDED_H
#define TESTS_SEEDED_H

#include "judge/layer_case.h"
#include "judge/op_case.h"

typedef struct seeded_bug {
    const char *what;    /* what is wrong */
    const char *file;    /* of templates/ */
    const char *right;   /* found in it exactly once, */
    const char *wrong;   /* and replaced by this */
    const char *verdict; /* part of the text that must come */
} seeded_bug;

/* Tries a config (parts of it, or "" for the default) of a template on an op. */
void seeded_try(const char *device, const char *template, const char *config, const char *op,
                const seeded_bug *bugs, int count);
#define SEEDED_TRY(device, template, config, op, bugs)                                             \
    seeded_try(device, template, config, op, bugs, (int)(sizeof(bugs) / sizeof *(bugs)))

/* The same for a whole layer step by step, from default configs. */
void seeded_try_layer(const char *device, const char *layer, int64_t tokens, moe_entry entry,
                      const seeded_bug *bugs, int count);
#define SEEDED_TRY_LAYER(device, layer, tokens, entry, bugs)                                       \
    seeded_try_layer(device, layer, tokens, entry, bugs, (int)(sizeof(bugs) / sizeof *(bugs)))

/* Calls use() with the trial of one bug, for tests of how it is judged. */
void seeded_use(const char *device, const char *template, const char *config, const char *op,
                const seeded_bug *bug, void (*use)(moe_device *device, moe_trial *trial));

#endif

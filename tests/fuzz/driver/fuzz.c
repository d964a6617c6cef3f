/* fuzz.c - the targets under libFuzzer: MOE_FUZZ=layer build-fuzz/fuzz CORPUS [OPTIONS].
 *
 *     MOE_FUZZ=database build-fuzz/fuzz --make FILE      writes the input that is made, not kept
 *
 * scripts/fuzz.sh runs all of them. */
#include "targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const fuzz_target *target;

static void make(const char *path) {
    size_t size;
    char *data = target->make ? target->make(&size) : NULL;
    FILE *file = data ? fopen(path, "wb") : NULL;
    bool good = !data || (file && fwrite(data, 1, size, file) == size);
    if (file) good = !fclose(file) && good;
    free(data);
    exit(good ? 0 : 3);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    const char *name = getenv("MOE_FUZZ");
    target = fuzz_target_find(name ? name : "");
    if (!target) {
        fprintf(stderr, "fuzz: set MOE_FUZZ to one of:");
        for (const fuzz_target *t = fuzz_targets; t->name; t++) fprintf(stderr, " %s", t->name);
        fprintf(stderr, "\n");
        exit(2);
    }
    if (*argc == 3 && !strcmp((*argv)[1], "--make")) make((*argv)[2]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > target->limit) return -1;
    char *text = malloc(size + 1);
    if (!text) return -1;
    memcpy(text, data, size);
    text[size] = '\0';
    target->run(text, size);
    free(text);
    return 0;
}

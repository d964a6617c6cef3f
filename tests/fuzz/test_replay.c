/* label: unit
 * test_replay.c - every target on its corpus, then on a few thousand damaged inputs that are the
 * same in every run. Meant for the sanitizer build; scripts/fuzz.sh searches for more. */
#include "targets.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t state;

static size_t below(size_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % limit);
}

/* An input under mutation. */
typedef struct input {
    char *data; /* `room` bytes and a NUL */
    size_t size, room;
} input;

static void replace(input *in, size_t at, size_t length, const char *by, size_t size) {
    if (in->size - length + size > in->room) return;
    memmove(in->data + at + size, in->data + at + length, in->size - at - length);
    memcpy(in->data + at, by, size);
    in->size += size - length;
}

/* Numbers and signs that programs tend to mind. */
static const char *const words[] = {
    "0", "-1", "1", "2147483648", "9223372036854775807", "18446744073709551615", "1e999", "nan",
    "null", "{}", "[]", "\"\"", "\\u0000", ",", ":", "=", "(", ")", ">", " ", "\n", "%", "$(", "|",
};

static void mutate(input *in) {
    char byte = (char)below(256);
    size_t at = below(in->size + 1), left = in->size - at,
           few = left ? below(left < 16 ? left : 16) : 0;
    const char *word = words[below(sizeof words / sizeof *words)];
    switch (below(6)) {
    case 0: replace(in, at, left ? 1 : 0, &byte, 1); break;
    case 1: replace(in, at, few, "", 0); break;
    case 2: replace(in, at, few, word, strlen(word)); break;
    case 3: replace(in, at, 0, word, strlen(word)); break;
    case 4: if (left) in->data[at] = (char)(in->data[at] ^ 1 << below(8)); break;
    default: in->size = at; /* cut off */
    }
}

static bool run(const fuzz_target *target, input *in) {
    in->data[in->size] = '\0';
    return target->run(in->data, in->size);
}

/* One input as it is, then damaged. Returns how many were accepted. */
static int try_input(const fuzz_target *target, const char *data, size_t size) {
    input in = {.room = target->limit};
    in.data = malloc(in.room + 1);
    assert_non_null(in.data);
    assert_true(size <= in.room);
    int accepted = 0;
    for (int trial = 0; trial <= target->mutations; trial++) {
        memcpy(in.data, data, in.size = size);
        state = (uint64_t)(trial + 1) * 0x9e3779b97f4a7c15;
        for (size_t n = trial ? 1 + below(4) : 0; n > 0; n--) mutate(&in);
        accepted += run(target, &in);
    }
    free(in.data);
    return accepted;
}

static int try_file(const fuzz_target *target, const char *path) {
    char *data = malloc(target->limit + 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(data);
    size_t size = fread(data, 1, target->limit + 1, file);
    fclose(file);
    int accepted = try_input(target, data, size);
    free(data);
    return accepted;
}

/* Files of the corpus in the order of their names, so that a run says the same every time. */
static int try_corpus(const fuzz_target *target, int *files) {
    char folder[256], path[600];
    struct dirent **entry;
    int accepted = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", target->name);
    int count = scandir(folder, &entry, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.') accepted += try_file(target, path), ++*files;
        free(entry[i]);
    }
    if (count >= 0) free(entry);
    return accepted;
}

/* Some inputs are accepted, or a target would see no more than its first check; some are not. */
static void every_target(void **unused) {
    (void)unused;
    for (const fuzz_target *target = fuzz_targets; target->name; target++) {
        int inputs = 0, accepted = try_corpus(target, &inputs);
        size_t size;
        if (target->make) {
            char *made = target->make(&size);
            accepted += try_input(target, made, size);
            free(made);
            inputs++;
        }
        int trials = inputs * (target->mutations + 1);
        print_message("%-12s %3d inputs, %6d runs, %6d accepted\n", target->name, inputs, trials,
                      accepted);
        assert_true(accepted > 0 && accepted < trials);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_target)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

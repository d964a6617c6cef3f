/* label: sim */
/* test_bugs.c - seeded bugs: each file of bugs/ is wrong with the macro BUG and right without.
 *
 * The wrong kernel must be reported: a fault whose text has the file's expect="..." and every line
 * that carries a `// BUG` mark. The right one must run clean, with equal results, under 20
 * schedules. A bug is added by adding a file. Its second line holds the launch:
 *
 *     // grid=2 block=64 smem=256 n=130 raw=1 free=1 arch=90 cluster=2 expect="out of bounds"
 *
 * Kernels are k(const int *in, int *out, int n), n words each (128 unless given), in from 0 to 100
 * and out zeroed, or never written if raw=1. free=1: the host frees `in` before the wrong
 * launch. arch=90: for sm_90a instead of sm_80. */
#include "core/status.h"
#include "nvrtc_for_tests.h"
#include "rig.h"

#include <ctype.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS = 1024, SCHEDULES = 20, BUG_SCHEDULES = 4 };

typedef struct bug {
    const char *path;
    char *source;
    uint32_t grid, block, smem, n, arch, cluster;
    bool raw, freed;
    char expect[64];
} bug;

/* ------------------------------------------------------------------------------- reading files */

static uint32_t number_after(const char *line, const char *key, uint32_t otherwise) {
    const char *at = strstr(line, key);

    return at ? (uint32_t)strtoul(at + strlen(key), NULL, 10) : otherwise;
}

static void bug_read(bug *b, const char *path) {
    const char *expect;
    char line[256];

    *b = (bug){.path = path, .source = text_file(path)};
    snprintf(line, sizeof line, "%s", strchr(b->source, '\n') + 1);
    line[strcspn(line, "\n")] = 0;
    b->grid = number_after(line, "grid=", 0);
    b->block = number_after(line, "block=", 0);
    b->smem = number_after(line, "smem=", 0);
    b->n = number_after(line, " n=", 128);
    b->arch = number_after(line, "arch=", 80);
    b->cluster = number_after(line, "cluster=", 1);
    b->raw = number_after(line, "raw=", 0) != 0;
    b->freed = number_after(line, "free=", 0) != 0;
    expect = strstr(line, "expect=\"");
    if (!b->grid || !b->block || b->n > WORDS || !expect) fail_msg("%s: bad line 2", path);
    snprintf(b->expect, sizeof b->expect, "%s", expect + strlen("expect=\""));
    b->expect[strcspn(b->expect, "\"")] = 0;
}

/* --------------------------------------------------------------------------------- running them */

static moe_status bug_run(const bug *b, const char *ptx, int seed, bool freed, int32_t *out) {
    struct {
        moe_ptr in, out;
        int32_t n;
    } args = {.n = (int32_t)b->n};
    int32_t in[WORDS];
    char options[64];
    moe_status status;
    sim_rig rig;

    for (int i = 0; i < WORDS; i++) in[i] = i * 37 % 101;
    snprintf(options, sizeof options, "%s,seed=%d", b->arch == 90 ? "h100" : "a100", seed);
    rig_open(&rig, options);
    rig.cluster = b->cluster;
    args.in = rig_buffer(&rig, in, b->n * sizeof *in);
    args.out = rig_buffer(&rig, NULL, b->n * sizeof *out);
    if (!b->raw) rig_zero(&rig, args.out, b->n * sizeof *out);
    if (freed && moe_device_sim.free(rig.self, args.in) != MOE_OK) fail_msg("cannot free");
    rig_load(&rig, ptx, "k");
    status = rig_try(&rig, b->grid, b->block, b->smem, &args, 20);
    if (status == MOE_OK) rig_read(&rig, out, args.out, b->n * sizeof *out);
    rig_close(&rig);
    return status;
}

/* Every marked line is named as file:line. */
static bool names_marks(const bug *b, const char *text) {
    const char *file = strrchr(b->path, '/') + 1;
    bool good = true;
    int line = 1, marks = 0;

    for (const char *at = b->source; *at; line++) {
        size_t length = strcspn(at, "\n");
        if (length >= 6 && strncmp(at + length - 6, "// BUG", 6) == 0) {
            char place[128];
            snprintf(place, sizeof place, "%s:%d", file, line);
            const char *found = strstr(text, place);
            good = good && found && !isdigit((unsigned char)found[strlen(place)]);
            marks++;
        }
        at += length + (at[length] == '\n');
    }
    return good && marks > 0;
}

/* The finding that names the bug, as the reader of the log wants to see it. */
static void print_finding(const bug *b, const char *text) {
    char kind[sizeof b->expect + 1];
    const char *found;

    snprintf(kind, sizeof kind, "%s:", b->expect); /* not a file of that name */
    found = strstr(text, kind);
    if (!found) found = strstr(text, b->expect);
    print_message("  %-28s %.*s\n", strrchr(b->path, '/') + 1, (int)strcspn(found, "\n"), found);
}

static bool is_caught(const bug *b, const char *ptx) {
    int32_t out[WORDS];

    for (int seed = 0; seed < BUG_SCHEDULES; seed++) {
        moe_status status = bug_run(b, ptx, seed, b->freed, out);
        const char *text = status == MOE_OK ? "nothing" : moe_error_text();
        if (status == MOE_E_FAULT &&
            (seed > 0 || (strstr(text, b->expect) && names_marks(b, text)))) {
            if (seed == 0) print_finding(b, text);
            continue;
        }
        print_error("%s, seed %d: expected \"%s\" at the marked lines, got %s\n", b->path, seed,
                    b->expect, text);
        return false;
    }
    return true;
}

static bool twin_is_clean(const bug *b, const char *ptx) {
    int32_t first[WORDS], out[WORDS];

    for (int seed = 0; seed < SCHEDULES; seed++) {
        if (bug_run(b, ptx, seed, false, seed ? out : first) != MOE_OK) {
            print_error("%s, right, seed %d: %s\n", b->path, seed, moe_error_text());
            return false;
        }
        if (seed && memcmp(first, out, b->n * sizeof *out) != 0) {
            print_error("%s, right, seed %d: other results\n", b->path, seed);
            return false;
        }
    }
    return true;
}

static int failures(const char *path) {
    bug b;
    const char *arch;
    char *wrong, *right;
    int failed;

    bug_read(&b, path);
    arch = b.arch == 90 ? "compute_90a" : "compute_80";
    wrong = nvrtc_ptx(b.source, path, arch, "BUG");
    right = nvrtc_ptx(b.source, path, arch, NULL);
    failed = !is_caught(&b, wrong) + !twin_is_clean(&b, right);
    free(wrong);
    free(right);
    free(b.source);
    return failed;
}

static void seeded_bugs(void **state) {
    glob_t files;
    int failed = 0;

    (void)state;
    if (glob("tests/sim/bugs/*.cu", 0, NULL, &files) != 0) fail_msg("no tests/sim/bugs/*.cu");
    for (size_t i = 0; i < files.gl_pathc; i++) failed += failures(files.gl_pathv[i]);
    print_message("%zu seeded bugs\n", files.gl_pathc);
    assert_true(files.gl_pathc >= 40);
    globfree(&files);
    if (failed) fail_msg("%d failed", failed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeded_bugs)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

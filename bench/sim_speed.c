/* sim_speed.c - how fast the simulated GPU runs kernels on this machine.
 *
 *     bench_sim_speed [--json] [--runs N] [FILE.cu]      FILE: bench/sim_speed.cu
 *
 * Rates are warp instructions a second, or FLOPs a second of matrix tiles, each with all checks and
 * without, on one thread and on two. Median and best of N runs (7). Run it in the source folder. */
#include "compile/compile.h"
#include "core/status.h"
#include "machine/sim.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_RUNS = 99, BYTES = 4 << 20, SIDE = 256 };

/* Parameters as the kernels take them; unused ones are not passed. */
typedef struct speed_args {
    uint64_t pointer[3];
    int32_t number[2];
} speed_args;

typedef struct speed_case {
    const char *name, *entry;
    uint32_t grid, block, smem;
    int pointers, numbers;
    int32_t number[2];
    double flops; /* of the whole launch; 0: count warp instructions */
    bool sm_90;   /* of an H100, else of an A100 */
} speed_case;

/* The code of all kernels that a chip can run. */
typedef struct speed_code {
    moe_facts facts;
    moe_compiled compiled;
} speed_code;

#define GEMM_FLOPS (2.0 * SIDE * SIDE * SIDE)
static const speed_case cases[] = {
    {"ALU loop", "alu", 8, 256, 0, 1, 1, {4000, 0}, 0, false},
    {"shared loads", "shared_loads", 8, 256, 0, 1, 1, {4000, 0}, 0, false},
    {"global copy", "global_copy", 16, 256, 0, 2, 1, {BYTES / 4, 0}, 0, false},
    {"divergent Collatz", "collatz", 16, 256, 0, 1, 1, {10000, 0}, 0, false},
    {"mma tile 64x64x32", "gemm64", 16, 128, 3 * 128 * 80, 3, 2, {SIDE, SIDE}, GEMM_FLOPS, false},
    {"mma tile 128x128x32", "gemm128", 4, 256, 3 * 256 * 80, 3, 2, {SIDE, SIDE}, GEMM_FLOPS, false},
    {"wgmma tile 128x128x64", "gemm_wgmma", 4, 256, 65536, 3, 2, {SIDE, SIDE}, GEMM_FLOPS, true},
};
enum { CASES = sizeof cases / sizeof *cases };

typedef struct speed_result {
    double median, best; /* a second; of the load: milliseconds */
} speed_result;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Lays the parameters out one behind the other, as PTX does. */
static size_t pack(const speed_case *c, const uint64_t *buffer, unsigned char *args) {
    size_t used = 0;
    for (int i = 0; i < c->pointers; i++, used += 8) memcpy(args + used, &buffer[i], 8);
    for (int i = 0; i < c->numbers; i++, used += 4) memcpy(args + used, &c->number[i], 4);
    return used;
}

/* Three buffers: two of ones in bf16, and one of zeros. */
static moe_status fill_buffers(sim_context *gpu, uint64_t *buffer) {
    uint16_t *ones = malloc(BYTES);
    moe_status status = ones ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory for the benchmark");
    for (int i = 0; ones && i < BYTES / 2; i++) ones[i] = 0x3f80;
    for (int i = 0; i < 3 && status == MOE_OK; i++) {
        status = sim_alloc(gpu, BYTES, &buffer[i]);
        if (status == MOE_OK) status = sim_copy_in(gpu, buffer[i], ones, BYTES);
    }
    free(ones);
    return status;
}

/* Ones times ones: every element of the product is the depth. */
static moe_status check_product(sim_context *gpu, uint64_t at) {
    float c[SIDE];
    MOE_TRY(sim_copy_out(gpu, c, at, sizeof c));
    for (int i = 0; i < SIDE; i++)
        if (c[i] != SIDE) return moe_fail(MOE_E_FAULT, "the tile is wrong: %g", (double)c[i]);
    return MOE_OK;
}

static moe_status time_launches(sim_context *gpu, sim_module *module, const speed_case *c,
                                const uint64_t *buffer, int runs, speed_result *out) {
    moe_dims dims = {.grid = {c->grid, 1, 1}, .block = {c->block, 1, 1}, .cluster = 1,
                     .smem = c->smem};
    double rate[MAX_RUNS];
    unsigned char args[64];
    size_t size = pack(c, buffer, args);
    int entry;
    MOE_TRY(sim_find_entry(module, c->entry, &entry));
    for (int run = -1; run < runs; run++) { /* the first warms up */
        double start = seconds();
        MOE_TRY(sim_launch(gpu, module, entry, &dims, args, size));
        double work = c->flops > 0 ? c->flops
                                   : (double)sim_counters_instr(sim_last_counters(gpu));
        if (run >= 0) rate[run] = work / (seconds() - start);
    }
    if (c->flops > 0) MOE_TRY(check_product(gpu, buffer[2]));
    qsort(rate, (size_t)runs, sizeof *rate, ascending);
    *out = (speed_result){rate[runs / 2], rate[runs - 1]};
    return MOE_OK;
}

static moe_status run_case(const speed_code *code, const speed_case *c, bool checks, int threads,
                           int runs, speed_result *out) {
    sim_context *gpu;
    sim_module *module = NULL;
    uint64_t buffer[3];
    const char *ptx = code->compiled.ptx;
    MOE_TRY(sim_open(&code->facts, &(sim_options){.checks = checks, .threads = threads}, &gpu));
    moe_status status = sim_load(gpu, ptx, strlen(ptx), &module);
    if (status == MOE_OK) status = fill_buffers(gpu, buffer);
    if (status == MOE_OK) status = time_launches(gpu, module, c, buffer, runs, out);
    if (module) sim_unload(gpu, module);
    sim_close(gpu);
    return status;
}

/* Parses a module and decodes every entry. */
static moe_status load_all(sim_context *gpu, const char *ptx, sim_module **out) {
    int entry;
    MOE_TRY(sim_load(gpu, ptx, strlen(ptx), out));
    for (int i = 0; i < sim_entry_count(*out); i++)
        MOE_TRY(sim_find_entry(*out, sim_entry_name(*out, i), &entry));
    return MOE_OK;
}

static moe_status time_loads(const speed_code *code, int runs, speed_result *out) {
    sim_context *gpu;
    double ms[MAX_RUNS];
    moe_status status = MOE_OK;
    const char *ptx = code->compiled.ptx;
    MOE_TRY(sim_open(&code->facts, &(sim_options){.checks = true}, &gpu));
    for (int run = 0; run < runs && status == MOE_OK; run++) {
        sim_module *module = NULL;
        double start = seconds();
        status = load_all(gpu, ptx, &module);
        ms[run] = 1e3 * (seconds() - start);
        sim_unload(gpu, module);
    }
    sim_close(gpu);
    if (status != MOE_OK) return status;
    qsort(ms, (size_t)runs, sizeof *ms, ascending);
    *out = (speed_result){ms[runs / 2], ms[0]};
    return MOE_OK;
}

static void print_row(bool json, const char *name, const char *unit, double scale, int checks,
                      int threads, const speed_result *r) {
    static bool more;
    if (json)
        printf("%s\n  {\"case\": \"%s\", \"unit\": \"%s\", \"checks\": %s, \"threads\": %d, "
               "\"median\": %.4g, \"best\": %.4g}",
               more ? "," : "", name, unit, checks ? "true" : "false", threads, r->median / scale,
               r->best / scale);
    else
        printf("%-20s  checks %-3s  threads %d  %10.2f  (best %.2f) %s\n", name,
               checks ? "on" : "off", threads, r->median / scale, r->best / scale, unit);
    more = true;
    fflush(stdout);
}

/* code[0] for an A100, code[1] for an H100 */
static moe_status run_all(const speed_code *code, bool json, int runs) {
    speed_result result;
    if (json) printf("{\"bench\": \"sim_speed\", \"runs\": %d, \"rows\": [", runs);
    for (int i = 0; i < CASES; i++)
        for (int checks = 1; checks >= 0; checks--)
            for (int threads = 1; threads <= 2; threads++) {
                const speed_case *c = &cases[i];
                MOE_TRY(run_case(&code[c->sm_90], c, checks, threads, runs, &result));
                print_row(json, c->name, c->flops > 0 ? "GFLOP/s" : "M warp instructions/s",
                          c->flops > 0 ? 1e9 : 1e6, checks, threads, &result);
            }
    MOE_TRY(time_loads(&code[0], runs, &result));
    print_row(json, "load, all 6 kernels", "ms", 1, 1, 1, &result);
    if (json) printf("\n]}\n");
    return MOE_OK;
}

static moe_status read_text(const char *path, char **out) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return moe_fail(MOE_E_NOT_FOUND, "%s: cannot be read; run me in the sources", path);
    size_t size = 1 << 20, used;
    char *text = malloc(size);
    if (!text) {
        fclose(file);
        return moe_fail(MOE_E_MEMORY, "no memory for %s", path);
    }
    used = fread(text, 1, size - 1, file);
    text[used] = 0;
    fclose(file);
    *out = text;
    return MOE_OK;
}

static moe_status compile(const char *path, const char *text, const char *chip, speed_code *out) {
    char arch[16];
    MOE_TRY(moe_facts_parse(sim_chip_facts(chip), &out->facts));
    snprintf(arch, sizeof arch, "%s", out->facts.arch);
    MOE_TRY(moe_compile_text(path, text, arch, &out->compiled));
    if (out->compiled.outcome != MOE_OUTCOME_OK)
        return moe_fail(MOE_E_COMPILE, "%s: %s", path, out->compiled.reason);
    return MOE_OK;
}

static moe_status bench(const char *path, bool json, int runs) {
    speed_code code[2];
    char *text = NULL;
    memset(code, 0, sizeof code);
    MOE_TRY(read_text(path, &text));
    moe_status status = compile(path, text, "a100", &code[0]);
    if (status == MOE_OK) status = compile(path, text, "h100", &code[1]);
    free(text);
    if (status == MOE_OK) status = run_all(code, json, runs);
    for (int i = 0; i < 2; i++) moe_compiled_free(&code[i].compiled);
    return status;
}

int main(int argc, char **argv) {
    const char *path = "bench/sim_speed.cu";
    bool json = false;
    int runs = 7;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json")) json = true;
        else if (!strcmp(argv[i], "--runs") && i + 1 < argc) runs = atoi(argv[++i]);
        else if (argv[i][0] != '-') path = argv[i];
        else runs = 0;
    }
    if (runs < 1 || runs > MAX_RUNS) {
        fprintf(stderr, "usage: bench_sim_speed [--json] [--runs 1..%d] [FILE.cu]\n", MAX_RUNS);
        return 2;
    }
    if (bench(path, json, runs) == MOE_OK) return 0;
    fprintf(stderr, "bench_sim_speed: %s\n", moe_error_text());
    return 3;
}

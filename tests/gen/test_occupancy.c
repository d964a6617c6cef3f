/* label: unit
 * Whoever asks how many blocks share an SM hears the same: the library, templates before and after
 * a kernel is compiled, and the simulated GPU. The numbers are by hand, from CUDA's rules: a warp's
 * registers come in 256s from one of an SM's four parts, shared memory in 128s, and 1 KB of a
 * block's is the system's. */
#include "core/occupancy.h"
#include "folder.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
    const char *chip;
    int64_t block, regs, smem, blocks;
} cases[] = {
    {"a100", 128, 32, 0, 16},      /* 2048 threads */
    {"a100", 96, 80, 0, 8},        /* 3 warps; 16384 / 2560 = 6 of them in each of four parts */
    {"a100", 160, 80, 0, 4},       /* 5 of these 24 warps; registers in one heap would hold 5 */
    {"a100", 256, 64, 55296, 2},   /* shared memory: 167936 / 56320 */
    {"a100", 256, 64, 54912, 3},   /* 167936 / 55936 */
    {"l40s", 32, 32, 0, 24},       /* block slots */
    {"l40s", 256, 40, 0, 6},       /* 1536 threads */
    {"l40s", 288, 64, 0, 3},       /* 32 warps of 2048 registers, 9 a block */
    {"l40s", 128, 64, 33024, 3},   /* 102400 / 34048 */
    {"l40s", 128, 64, 101377, 0},  /* a byte more than a block may have */
    {"h100", 384, 168, 0, 1},      /* 12 warps of 5376 */
    {"h100", 192, 168, 0, 2},
    {"h100", 320, 96, 0, 2},       /* 20 warps of 3072 */
    {"h100", 128, 64, 115712, 2},  /* 233472 / 116736 */
    {"h100", 128, 64, 115720, 1},  /* a word too many, as it comes in 128s */
    {"h100", 1024, 72, 0, 0},      /* 73728 registers */
    {"b200", 64, 255, 0, 4},       /* 8 warps of 8192 */
    {"b200", 128, 64, 232448, 1},
};
enum { CASES = sizeof cases / sizeof *cases };

static moe_facts chip_of(int at) {
    moe_facts facts;
    CHECK(moe_facts_parse(sim_chip_facts(cases[at].chip), &facts));
    return facts;
}

static moe_kernel kernel_of(int at) {
    return (moe_kernel){.block = cases[at].block, .regs = cases[at].regs, .smem = cases[at].smem};
}

static void expect(const char *who, int at, int64_t got) {
    if (got != cases[at].blocks)
        fail_msg("%s, %s, %lld threads of %lld registers and %lld bytes: %lld blocks, not %lld",
                 who, cases[at].chip, (long long)cases[at].block, (long long)cases[at].regs,
                 (long long)cases[at].smem, (long long)got, (long long)cases[at].blocks);
}

static void the_library(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        const moe_kernel kernel = kernel_of(i);
        const moe_facts facts = chip_of(i);
        expect("library", i, moe_occupancy(&kernel, &facts));
    }
}

static void the_simulated_gpu(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        const moe_kernel kernel = {.regs = cases[i].regs};
        const moe_dims dims = {.grid = {1, 1, 1}, .block = {(uint32_t)cases[i].block, 1, 1},
                               .cluster = 1, .smem = (uint32_t)cases[i].smem};
        const moe_facts facts = chip_of(i);
        expect("simulated GPU", i, sim_occupancy(&kernel, &dims, &facts));
    }
}

/* A template with this cost function, asked about each case: the case's number is the op's t. */
static void ask_templates(const char *who, const char *ns, bool built) {
    char entries[4096];
    moe_text text = moe_text_start(entries, sizeof entries);
    folder f;
    moe_gen *gen;
    moe_text_add(&text, "cost = function(p, c, d, b) local asked = ({");
    for (int i = 0; i < CASES; i++)
        moe_text_add(&text, "{%lld,%lld,%lld},", (long long)cases[i].block,
                     (long long)cases[i].regs, (long long)cases[i].smem);
    moe_text_add(&text, "})[p.t] return {flops = 0, bytes = 0, ns = %s} end", ns);
    folder_make(&f);
    folder_write(&f, "x.cu", "body\n");
    folder_write_lua(&f, "x", "", entries);
    CHECK(moe_gen_open(f.path, &gen));
    for (int i = 0; i < CASES; i++) {
        const moe_facts facts = chip_of(i);
        const moe_launch launch = {.kernels = 1, .kernel = {kernel_of(i)}};
        const moe_config config = test_config("n=1");
        moe_op op = test_op("combine t=1 d=8 k=1");
        moe_cost cost;
        op.t = i + 1;
        CHECK(moe_template_cost(moe_gen_at(gen, 0), &op, &facts, &config, built ? &launch : NULL,
                                &cost));
        expect(who, i, (int64_t)cost.ns);
    }
    moe_gen_close(gen);
    folder_remove(&f);
}

static void templates_before_a_kernel_is_compiled(void **state) {
    (void)state;
    ask_templates("template", "moe.occupancy(d, asked[1], asked[2], asked[3])", false);
}

static void templates_after_that(void **state) {
    (void)state;
    ask_templates("template of a compiled kernel", "b.blocks[1]", true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_library),
        cmocka_unit_test(the_simulated_gpu),
        cmocka_unit_test(templates_before_a_kernel_is_compiled),
        cmocka_unit_test(templates_after_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

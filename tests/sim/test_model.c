/* label: unit */
/* test_model.c - the time model's parts: chips, occupancy, bank conflicts, sectors, the schedule,
 * and that more work of each kind never takes less time. */
#include "model/model.h"
#include "model/reuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static moe_facts chip(const char *name) {
    moe_facts facts;
    const char *line = sim_chip_facts(name);

    assert_non_null(line);
    if (moe_facts_parse(line, &facts) != MOE_OK) fail_msg("%s", moe_error_text());
    return facts;
}

static void every_chip_has_facts(void **state) {
    static const char *const needed[] = {"h100", "h200", "a100", "l40s", "b200"};

    (void)state;
    for (int i = 0; i < 5; i++) chip(needed[i]);
    assert_null(sim_chip_facts("z80"));
    for (int i = 0; sim_chip_names[i]; i++) {
        moe_facts facts = chip(sim_chip_names[i]);
        char text[512];
        moe_facts_print(&facts, text, sizeof text);
        assert_string_equal(text, sim_chip_facts(sim_chip_names[i]));
        assert_true(facts.simulated == 1 && strncmp(facts.name, "sim:", 4) == 0);
    }
}

/* Dense bf16 TFLOP/s of the data sheets, within the difference of boost and maximum clock. */
static void tensor_rates_give_the_data_sheets_peaks(void **state) {
    static const struct {
        const char *name;
        double tflops;
    } sheets[] = {{"h100", 989}, {"h200", 989}, {"a100", 312}, {"l40s", 362}, {"b200", 2250}};

    (void)state;
    for (int i = 0; i < 5; i++) {
        moe_facts f = chip(sheets[i].name);
        double peak = (double)f.tensor_rate * (double)f.sms * (double)f.clock * 1e-6;
        assert_true(peak > 0.95 * sheets[i].tflops && peak < 1.1 * sheets[i].tflops);
    }
}

/* --------------------------------------------------------------------------------- occupancy */

static int64_t occupancy(const char *name, uint32_t block, int64_t regs, uint32_t smem) {
    moe_facts facts = chip(name);
    moe_kernel kernel = {.regs = regs};
    moe_dims dims = {.grid = {1, 1, 1}, .block = {block, 1, 1}, .cluster = 1, .smem = smem};

    return sim_occupancy(&kernel, &dims, &facts);
}

/* By hand, after the occupancy tables of the CUDA programming guide. */
static void occupancy_follows_each_limit(void **state) {
    (void)state;
    assert_int_equal(occupancy("h100", 128, 32, 0), 16);       /* 2048 threads */
    assert_int_equal(occupancy("h100", 32, 32, 0), 32);        /* block slots */
    assert_int_equal(occupancy("l40s", 256, 32, 0), 6);        /* 1536 threads */
    assert_int_equal(occupancy("h100", 256, 255, 0), 1);       /* registers: 65536 / 65536 */
    assert_int_equal(occupancy("h100", 128, 168, 0), 3);       /* 65536 / 21504 */
    assert_int_equal(occupancy("h100", 128, 32, 100 * 1024), 2); /* 228 KB */
    assert_int_equal(occupancy("a100", 128, 32, 80 * 1024), 2);  /* 164 KB */
    assert_int_equal(occupancy("h100", 128, 32, 227 * 1024), 1);
    assert_int_equal(occupancy("h100", 128, 32, 228 * 1024), 0); /* more than a block may have */
    assert_int_equal(occupancy("h100", 100, 32, 0), 16);         /* whole warps */
}

/* ------------------------------------------------------------------------------ memory access */

static unsigned wavefronts(uint32_t stride, unsigned bytes, uint32_t active) {
    uint32_t offset[32];

    for (uint32_t lane = 0; lane < 32; lane++) offset[lane] = lane * stride;
    return sim_wavefronts(offset, active, bytes);
}

static void bank_conflicts(void **state) {
    (void)state;
    assert_int_equal(wavefronts(4, 4, ~0u), 1);
    assert_int_equal(wavefronts(0, 4, ~0u), 1);    /* broadcast */
    assert_int_equal(wavefronts(8, 4, ~0u), 2);
    assert_int_equal(wavefronts(128, 4, ~0u), 32); /* one bank */
    assert_int_equal(wavefronts(132, 4, ~0u), 1);  /* padded */
    assert_int_equal(wavefronts(128, 4, 0xff), 8);
    assert_int_equal(wavefronts(2, 2, ~0u), 1);    /* two lanes a word */
    assert_int_equal(wavefronts(8, 8, ~0u), 2);    /* 256 bytes */
    assert_int_equal(wavefronts(16, 16, ~0u), 4);  /* 512 bytes */
    assert_int_equal(wavefronts(128, 16, ~0u), 32);
    assert_int_equal(wavefronts(4, 4, 0), 0);
}

static unsigned sectors(uint64_t start, uint64_t stride, unsigned bytes) {
    uint64_t address[32];

    for (uint64_t lane = 0; lane < 32; lane++) address[lane] = start + lane * stride;
    return sim_sectors(address, ~0u, bytes);
}

static void coalescing(void **state) {
    (void)state;
    assert_int_equal(sectors(0, 4, 4), 4);
    assert_int_equal(sectors(4, 4, 4), 5); /* shifted by a word */
    assert_int_equal(sectors(0, 0, 4), 1);
    assert_int_equal(sectors(0, 2, 2), 2);
    assert_int_equal(sectors(0, 16, 16), 16);
    assert_int_equal(sectors(0, 32, 4), 32);
    assert_int_equal(sectors(0, 4096, 16), 32);
}

/* ---------------------------------------------------------------------------------- schedule */

static sim_schedule_op op(sim_class class, uint32_t in, uint32_t out) {
    return (sim_schedule_op){.class = (uint8_t)class, .inputs = 1, .outputs = 1, .in = {in},
                             .out = {out}};
}

static uint64_t cycles(const sim_schedule_op *ops, size_t count) {
    uint16_t stall[16], load = sim_class_latency[SIM_CLASS_load_global];
    uint64_t sum = 0;

    assert_true(sim_schedule(ops, count, 16, load, stall));
    for (size_t i = 0; i < count; i++) sum += stall[i];
    return sum;
}

static void schedule_overlaps_what_is_independent(void **state) {
    uint64_t load = sim_class_latency[SIM_CLASS_load_global];
    sim_schedule_op chain[] = {op(SIM_CLASS_load_global, 0, 1), op(SIM_CLASS_load_global, 1, 2),
                               op(SIM_CLASS_integer, 2, 3)};
    sim_schedule_op apart[] = {op(SIM_CLASS_load_global, 0, 1), op(SIM_CLASS_load_global, 0, 2),
                               op(SIM_CLASS_integer, 2, 3)};
    sim_schedule_op moved[] = {op(SIM_CLASS_load_global, 0, 1), op(SIM_CLASS_move, 1, 2),
                               op(SIM_CLASS_integer, 2, 3)};

    (void)state;
    assert_int_equal(cycles(chain, 3), 1 + 2 * load);
    assert_int_equal(cycles(apart, 3), 1 + load);
    assert_int_equal(cycles(moved, 3), 1 + load); /* the move itself waits for nothing */
}

/* load, add, load, add: the assembler moves the second load up, but not over a label or a store. */
static void schedule_reorders_within_a_stretch(void **state) {
    uint64_t load = sim_class_latency[SIM_CLASS_load_global];
    uint64_t add = sim_class_latency[SIM_CLASS_integer];
    sim_schedule_op sums[] = {op(SIM_CLASS_load_global, 0, 1), op(SIM_CLASS_integer, 1, 2),
                              op(SIM_CLASS_load_global, 0, 3), op(SIM_CLASS_integer, 3, 2)};
    sim_schedule_op stored[] = {op(SIM_CLASS_load_global, 0, 1), op(SIM_CLASS_store_global, 1, 4),
                                op(SIM_CLASS_load_global, 0, 3), op(SIM_CLASS_integer, 3, 2)};

    (void)state;
    assert_int_equal(cycles(sums, 4), 1 + load);
    assert_int_equal(cycles(stored, 4), 1 + 2 * load);
    sums[2].leader = true;
    assert_int_equal(cycles(sums, 4), 2 + 2 * load);
    sums[2].leader = false;
    sums[3].in[0] = 2; /* the second sum needs the first */
    assert_int_equal(cycles(sums, 4), 1 + load + add);
}

/* A value that is loaded ahead of a loop is waited for there, once; one that an iteration hands to
 * the next is waited for in each. */
static void loops_wait_for_what_they_carry(void **state) {
    uint64_t load = sim_class_latency[SIM_CLASS_load_global];
    sim_schedule_op hoisted[] = {op(SIM_CLASS_load_global, 0, 1), op(SIM_CLASS_fp32, 1, 2),
                                 op(SIM_CLASS_branch, 3, 4)};
    sim_schedule_op chase[] = {op(SIM_CLASS_integer, 0, 1), op(SIM_CLASS_load_global, 1, 1),
                               op(SIM_CLASS_branch, 3, 4)};
    uint16_t stall[3];

    (void)state;
    hoisted[1].leader = chase[1].leader = true;
    hoisted[1].loop = chase[1].loop = 3;
    assert_true(sim_schedule(hoisted, 3, 16, (uint16_t)load, stall));
    assert_true(stall[0] + 10u > load && stall[1] + stall[2] < 40);
    assert_true(sim_schedule(chase, 3, 16, (uint16_t)load, stall));
    uint64_t step = (uint64_t)stall[1] + stall[2];
    assert_true(stall[0] < 40 && step + 10 > load && step < load + 40);
}

/* A loop in a loop: the inner one's first wait belongs to an iteration of the outer one. */
static void loops_nest(void **state) {
    uint64_t load = sim_class_latency[SIM_CLASS_load_global];
    sim_schedule_op ops[] = {op(SIM_CLASS_integer, 0, 1), op(SIM_CLASS_load_global, 1, 2),
                             op(SIM_CLASS_fp32, 2, 3), op(SIM_CLASS_branch, 5, 6),
                             op(SIM_CLASS_branch, 5, 6)};
    uint16_t stall[5];

    (void)state;
    ops[1].leader = ops[2].leader = true;
    ops[1].loop = 5;
    ops[2].loop = 4;
    assert_true(sim_schedule(ops, 5, 16, (uint16_t)load, stall));
    assert_true(stall[0] < 40 && stall[1] + 10u > load && stall[2] + stall[3] < 40);
}

/* ------------------------------------------------------------------------------------- reuse */

enum { PAGES = 256, PAGE_BYTES = 4096 };

/* Of `pages`, as many in each of the launch's rounds, from the first or where the last round
 * stopped; and one that all rounds use. Half a page for half of it. */
static uint64_t missed(uint32_t rounds, uint32_t pages, bool on, uint64_t capacity) {
    sim_uses page[PAGES] = {{.epochs = 0}};
    sim_epochs e = sim_epochs_of(rounds, 1);

    for (uint32_t r = 0; r < rounds; r++) {
        for (uint32_t i = 0; i < pages; i++)
            sim_uses_add(&page[1 + (on ? r * pages + i : i)], &e, sim_epoch_first(&e, r), 0);
        sim_uses_add(&page[0], &e, sim_epoch_first(&e, r), 0);
    }
    for (int i = 0; i < PAGES; i++) page[i].sectors = PAGE_BYTES / 32;
    return sim_reuse_missed(page, PAGES, &e, capacity);
}

/* Pages that come around are missed if more than fits was used meanwhile, a hot one never. */
static void the_l2_keeps_what_was_used_last(void **state) {
    (void)state;
    assert_int_equal(missed(4, 100, false, 99 * PAGE_BYTES), 3 * 101 * PAGE_BYTES);
    assert_int_equal(missed(4, 100, false, 101 * PAGE_BYTES), 0);
    assert_int_equal(missed(5, 50, true, 60 * PAGE_BYTES), 0);
    assert_int_equal(missed(200, 1, true, 10 * PAGE_BYTES), 0);
}

/* One block walks over all pages twice; the slices grow with its cycles, and no order matters. */
static void slices_grow_with_a_block(void **state) {
    enum { STEP = 100000 };
    sim_epochs e = sim_epochs_of(1, 132);
    sim_uses page[2][PAGES] = {{{.epochs = 0}}};

    (void)state;
    for (uint64_t i = 0; i < 2 * PAGES; i++) {
        uint64_t back = 2 * PAGES - 1 - i;
        sim_uses_add(&page[0][i % PAGES], &e, 0, i * STEP);
        sim_uses_add(&page[1][back % PAGES], &e, 0, back * STEP);
    }
    for (int order = 0; order < 2; order++) {
        for (int i = 0; i < PAGES; i++) page[order][i].sectors = PAGE_BYTES / 32;
        assert_int_equal(sim_reuse_missed(page[order], PAGES, &e, PAGES / 2 * PAGE_BYTES),
                         PAGES * PAGE_BYTES);
        assert_int_equal(sim_reuse_missed(page[order], PAGES, &e, PAGES * PAGE_BYTES), 0);
    }
}

/* -------------------------------------------------------------------------------------- time */

static const sim_counters some_work = {
    .blocks = 264,
    .warps = 264 * 8,
    .instr = {[SIM_CLASS_integer] = 900000, [SIM_CLASS_fp32] = 900000, [SIM_CLASS_mma] = 100000,
              [SIM_CLASS_load_global] = 40000},
    .mma_flops = {[SIM_MMA_F16] = 400000000},
    .load_sectors = 3000000,
    .store_sectors = 1000000,
    .unique_bytes = 60000000,
    .shared_wavefronts = 900000,
    .block_cycles = 264 * 20000,
    .block_cycles_max = 20000,
};

static double time_of(const sim_counters *counters, int64_t regs, uint32_t smem) {
    moe_facts facts = chip("h100");
    moe_kernel kernel = {.regs = regs};
    moe_dims dims = {.grid = {264, 1, 1}, .block = {256, 1, 1}, .cluster = 1, .smem = smem};

    return sim_model_ns(counters, &kernel, &dims, &facts);
}

/* Each counter alone, made 100 times as large, costs time. */
static void more_work_takes_longer(void **state) {
    static const size_t members[] = {
        offsetof(sim_counters, instr[SIM_CLASS_fp32]), offsetof(sim_counters, mma_flops),
        offsetof(sim_counters, load_sectors), offsetof(sim_counters, store_sectors),
        offsetof(sim_counters, unique_bytes), offsetof(sim_counters, shared_wavefronts),
    };
    double base = time_of(&some_work, 64, 0);

    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        sim_counters more = some_work;
        *(uint64_t *)((char *)&more + members[i]) *= 100;
        assert_true(time_of(&more, 64, 0) > 2 * base);
    }
}

/* Of 264 blocks one touches what is scattered: its SM's port is all that it has. */
static void one_block_has_one_port(void **state) {
    sim_counters even = some_work, uneven = some_work;

    (void)state;
    even.block_scattered_max = some_work.store_sectors / some_work.blocks;
    uneven.block_scattered_max = some_work.store_sectors;
    assert_true(time_of(&even, 64, 0) < 1.001 * time_of(&some_work, 64, 0));
    assert_true(time_of(&uneven, 64, 0) > 32e6 / 64 / 1.98);
}

static void an_empty_launch_is_overhead(void **state) {
    sim_counters none = {.blocks = 0}, idle = {.blocks = 1, .warps = 1, .block_cycles = 10,
                                               .block_cycles_max = 10};
    double nothing = time_of(&none, 32, 0);

    (void)state;
    assert_true(nothing > 500 && nothing < 5000);
    assert_true(time_of(&idle, 32, 0) < 2 * nothing);
}

/* 264 blocks of latency alone: two on an SM take one round, one on an SM takes two. */
static void occupancy_hides_latency(void **state) {
    sim_counters latency = {.blocks = 264, .warps = 2112, .block_cycles = 264 * 100000,
                            .block_cycles_max = 100000};

    (void)state;
    assert_true(time_of(&latency, 64, 150000) > 1.8 * time_of(&latency, 64, 0));
    assert_true(time_of(&latency, 255, 0) > 1.8 * time_of(&latency, 64, 0));
}

/* One block more than SMs costs a second round on one of them. */
static void a_tail_wave_costs(void **state) {
    sim_counters full = {.blocks = 132, .warps = 1056, .instr = {[SIM_CLASS_fp32] = 132 * 400000},
                         .block_cycles = 132 * 1000, .block_cycles_max = 1000};
    sim_counters tail = {.blocks = 133, .warps = 1064, .instr = {[SIM_CLASS_fp32] = 133 * 400000},
                         .block_cycles = 133 * 1000, .block_cycles_max = 1000};

    (void)state;
    assert_true(time_of(&tail, 64, 0) > 1.8 * time_of(&full, 64, 0));
}

/* A padded grid whose further blocks end at once is not much slower than the blocks that work. */
static void idle_blocks_are_cheap(void **state) {
    sim_counters packed = {.blocks = 100, .warps = 800, .instr = {[SIM_CLASS_fp32] = 40000000},
                           .block_cycles = 100 * 50000, .block_cycles_max = 50000};
    sim_counters padded = packed;

    (void)state;
    padded.blocks = 500;
    padded.block_cycles += 400 * 20;
    assert_true(time_of(&padded, 64, 0) < 1.3 * time_of(&packed, 64, 0));
    assert_true(time_of(&padded, 64, 0) > 0.98 * time_of(&packed, 64, 0));
}

static void resident_data_spares_dram(void **state) {
    sim_counters cold = {.blocks = 1320, .warps = 10560, .load_sectors = 1000000,
                         .unique_bytes = 32000000, .block_cycles = 1320 * 2000,
                         .block_cycles_max = 2000};
    sim_counters warm = cold;

    (void)state;
    warm.resident_bytes = warm.unique_bytes;
    assert_true(time_of(&warm, 32, 0) < time_of(&cold, 32, 0));
}

/* Bytes that are read once take no less time than the fastest reader that was published needs for
 * them (the sum of 2^30 numbers on an H100, fast.cu: 3.24 TB/s; else the data sheet), and no more
 * than the fastest MoE kernels do (3.0 TB/s on an H100, 4.3 on an H200). */
static void streams_are_as_fast_as_measured_ones(void **state) {
    static const struct {
        const char *name;
        double least, most; /* TB/s */
    } measured[] = {{"h100", 3.0, 3.24}, {"h200", 4.3, 4.8}};
    const sim_counters stream = {.blocks = 1320, .warps = 10560, .load_sectors = 1 << 27,
                                 .unique_bytes = (uint64_t)1 << 32};
    const moe_dims dims = {.grid = {1320, 1, 1}, .block = {256, 1, 1}, .cluster = 1};
    const moe_kernel kernel = {.regs = 32};

    (void)state;
    for (int i = 0; i < 2; i++) {
        moe_facts facts = chip(measured[i].name);
        sim_time time;
        sim_model_explain(&stream, &kernel, &dims, &facts, &time);
        double rate = (double)stream.unique_bytes / time.dram * 1e-3;
        if (rate < measured[i].least || rate > measured[i].most)
            fail_msg("%s reads %.3f TB/s from DRAM", measured[i].name, rate);
    }
}

/* wgmma is no slower than the best published bf16 GEMM on an H100 (fast.cu: 808 TFLOP/s), and no
 * faster than nine tenths of the data sheet's 989. */
static void products_stay_below_the_data_sheet(void **state) {
    const sim_counters products = {.blocks = 132, .warps = 1056,
                                   .mma_flops = {[SIM_MMA_WARPGROUP] = (uint64_t)1 << 40}};
    const moe_dims dims = {.grid = {132, 1, 1}, .block = {256, 1, 1}, .cluster = 1};
    const moe_kernel kernel = {.regs = 168};
    moe_facts facts = chip("h100");
    sim_time time;

    (void)state;
    sim_model_explain(&products, &kernel, &dims, &facts, &time);
    double tflops = (double)products.mma_flops[SIM_MMA_WARPGROUP] / time.tensor * 1e-3;
    assert_true(tflops > 808 && tflops <= 0.901 * 989.4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chip_has_facts),
        cmocka_unit_test(tensor_rates_give_the_data_sheets_peaks),
        cmocka_unit_test(occupancy_follows_each_limit),
        cmocka_unit_test(bank_conflicts),
        cmocka_unit_test(coalescing),
        cmocka_unit_test(schedule_overlaps_what_is_independent),
        cmocka_unit_test(schedule_reorders_within_a_stretch),
        cmocka_unit_test(loops_wait_for_what_they_carry),
        cmocka_unit_test(loops_nest),
        cmocka_unit_test(the_l2_keeps_what_was_used_last),
        cmocka_unit_test(slices_grow_with_a_block),
        cmocka_unit_test(more_work_takes_longer),
        cmocka_unit_test(one_block_has_one_port),
        cmocka_unit_test(an_empty_launch_is_overhead),
        cmocka_unit_test(occupancy_hides_latency),
        cmocka_unit_test(a_tail_wave_costs),
        cmocka_unit_test(idle_blocks_are_cheap),
        cmocka_unit_test(resident_data_spares_dram),
        cmocka_unit_test(streams_are_as_fast_as_measured_ones),
        cmocka_unit_test(products_stay_below_the_data_sheet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

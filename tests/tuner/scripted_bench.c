/* scripted_bench.c - the whole tuner on a scripted device. */
#include "scripted_bench.h"

#include "workbench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char simulated[] = "sim:a100", arch[] = "sm_80", templates[] = "tests/tuner/scripted";
enum { LIMIT = 100, SECONDS = 120, BATCH = 64 };

const char scripted_layer[] = "d=8 f=8 e=4 k=2 act=relu x=f32 w=f32 router=given";
const char *const scripted_steps[] = {
    "permute t=4 e=4 k=2", "gemm_up t=4 d=8 f=8 e=4 k=2 act=relu x=f32 w=f32",
    "gemm_down t=4 d=8 f=8 e=4 k=2 x=f32 w=f32", "combine t=4 d=8 e=4 k=2 x=f32"};

static void need(moe_status status) {
    if (status) fail_msg("%s", moe_error_text());
}

moe_op scripted_op(const char *text) {
    moe_op op;
    need(moe_op_parse(text, &op));
    return op;
}

/* ------------------------------------------------------------------------------- what is shared */

static int render_all(const scripted_shop *shop, const moe_facts *facts, const char *text,
                      moe_source *out) {
    const moe_op op = scripted_op(text);
    const moe_template *t = moe_gen_find(shop->gen, "paced");
    moe_space *space;
    moe_config config;
    assert_non_null(t);
    need(moe_space_open(t, &op, facts, &space));
    int count = (int)moe_space_count(space);
    for (int i = 0; i < count; i++) {
        need(moe_space_config(space, i, &config));
        need(moe_render(t, &op, facts, &config, false, &out[i]));
    }
    moe_space_close(space);
    return count;
}

void scripted_shop_open(scripted_shop *shop, const char *const *ops, int count) {
    moe_source sources[BATCH];
    int used = 0;
    script *any = script_new(simulated);
    need(moe_compile_pool_open(2, 30, &shop->pool));
    need(moe_gen_open(templates, &shop->gen));
    need(moe_builder_open(arch, NULL, shop->pool, &shop->builder));
    for (int i = 0; i < count; i++)
        used += render_all(shop, &any->facts, ops[i], sources + used);
    need(moe_builder_prefetch(shop->builder, sources, used));
    script_free(any);
}

void scripted_shop_close(scripted_shop *shop) {
    moe_builder_close(shop->builder);
    moe_gen_close(shop->gen);
    moe_compile_pool_close(shop->pool);
}

/* -------------------------------------------------------------------------------------- a bench */

void scripted_bench_make(scripted_bench *bench, scripted_shop *shop) {
    *bench = (scripted_bench){.shop = shop, .script = script_new(simulated)};
    workbench_folder(bench->folder);
    snprintf(bench->db, sizeof bench->db, "%s/t.db", bench->folder);
}

void scripted_bench_remove(scripted_bench *bench) {
    workbench_remove(bench->folder);
    script_free(bench->script);
}

void scripted_bench_open(scripted_bench *bench, moe_heart *heart) {
    moe_tuner *tuner = &bench->tuner;
    need(moe_storage_open(bench->db, &bench->storage));
    bench->device = scripted_open(bench->script);
    bench->script->patience = heart ? &heart->patience : NULL;
    *tuner = (moe_tuner){
        .device = bench->device, .facts = moe_device_facts(bench->device), .gen = bench->shop->gen,
        .store = bench->storage, .pool = bench->shop->pool, .builder = bench->shop->builder,
        .limit = LIMIT, .workers = 2, .seed = 1, .flop_rate = 2e9, .heart = heart,
        .progress = moe_progress_start(true), .meter = {bench->device, MOE_TIMER_EVENTS, ""}};
    need(moe_storage_device(bench->storage, tuner->facts, &tuner->device_row));
    moe_tuner_provenance(bench->device, "13.0", &tuner->provenance);
    if (!heart) need(moe_storage_bulk_begin(bench->storage));
}

void scripted_bench_close(scripted_bench *bench) {
    if (!bench->tuner.heart) need(moe_storage_bulk_end(bench->storage));
    moe_storage_close(bench->storage);
    moe_device_close(bench->device);
    bench->storage = NULL;
    bench->device = NULL;
}

/* --------------------------------------------------------------------------------- a candidate */

scripted_kernel *scripted_candidate(const scripted_bench *bench, const char *text, int64_t n) {
    const moe_op op = scripted_op(text);
    const moe_config config = {1, {{"n", n}}};
    moe_source source;
    need(moe_render(moe_gen_find(bench->shop->gen, "paced"), &op, &bench->script->facts, &config,
                    false, &source));
    scripted_kernel *kernel = script_kernel(bench->script, source.launch.kernel[0].symbol);
    moe_source_free(&source);
    return kernel;
}

void scripted_takes(const scripted_bench *bench, const char *op, int64_t n, double ns) {
    scripted_kernel *kernel = scripted_candidate(bench, op, n);
    kernel->cold = kernel->warm = ns;
}

moe_record scripted_row(const scripted_bench *bench, const char *op, int64_t n, char *image) {
    moe_record record = {.op = scripted_op(op), .config = {1, {{"n", n}}}};
    char hash[MOE_HASH_SIZE];
    bool found;
    snprintf(record.template_id, sizeof record.template_id, "%s",
             moe_template_id(moe_gen_find(bench->shop->gen, "paced")));
    need(moe_storage_find(bench->storage, bench->tuner.device_row, &record, image ? image : hash,
                          &found));
    if (!found) fail_msg("no row of %s n=%d", op, (int)n);
    return record;
}

moe_op_result scripted_tune(scripted_bench *bench, const char *text) {
    const moe_op op = scripted_op(text);
    moe_op_result result;
    need(moe_tune_op(&bench->tuner, &op, LIMIT, moe_seconds() + SECONDS, &result));
    return result;
}

moe_session scripted_session(scripted_bench *bench, moe_cache cache, bool ops_only) {
    moe_goal goal = {.layers = 1, .tokens = {4}, .token_count = 1, .routings = 1, .cache = cache,
                     .budget = SECONDS, .left = SECONDS};
    moe_session session;
    need(moe_layer_parse(scripted_layer, &goal.layer[0]));
    for (int i = 0; i < SCRIPTED_STEPS && ops_only; i++)
        goal.ops |= 1u << scripted_op(scripted_steps[i]).kind;
    need(moe_session_run(&bench->tuner, &goal, &session));
    return session;
}

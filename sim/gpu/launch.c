/* launch.c - a grid: blocks handed out in order to host threads, results brought together.
 *
 * Blocks start in order, so a block may wait for flags of earlier ones. A block that only polls is
 * set aside and the next one is started, up to what the chip could hold at once, so that blocks may
 * also wait for later ones. When every block in flight has polled for long and nothing has happened
 * anywhere, nobody will set the flag. */
#include "order/async.h"

#include "core/occupancy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { QUANTUM = 1 << 18, STALLED_ROUNDS = 40 };
/* Another worker may be busy with one long turn. */
static const double STALLED_SECONDS = 0.3;

/* ------------------------------------------------------------------------------------ blocks */

static sim_block *take_block(sim_context *context) {
    pthread_mutex_lock(&context->pool_lock);
    sim_block *block = context->pool;
    if (block) context->pool = block->next;
    pthread_mutex_unlock(&context->pool_lock);
    return block ? block : calloc(1, sizeof *block);
}

static void give_block(sim_context *context, sim_block *block) {
    pthread_mutex_lock(&context->pool_lock);
    block->next = context->pool;
    context->pool = block;
    pthread_mutex_unlock(&context->pool_lock);
}

static moe_status start_block(sim_worker *worker, uint32_t number) {
    sim_launch_state *launch = worker->launch;
    sim_block *block = take_block(launch->context);

    if (!block) return moe_fail(MOE_E_MEMORY, "out of host memory for a simulated block");
    moe_status status = sim_block_start(block, worker, number);
    if (status != MOE_OK) {
        give_block(launch->context, block);
        return status;
    }
    block->next = worker->running;
    worker->running = block;
    worker->in_flight++;
    return MOE_OK;
}

/* The blocks that have just been started are a cluster; the last one stands first. */
static void join_cluster(sim_worker *worker, uint32_t size) {
    sim_block *peer[SIM_MAX_CLUSTER], *at = worker->running;

    for (uint32_t i = 0; i < size; i++, at = at->next) peer[at->rank] = at;
    for (uint32_t i = 0; i < size; i++)
        memcpy(peer[i]->cluster, peer, size * sizeof *peer);
}

/* Starts the next block of the grid, or the blocks of the next cluster; false when there are none
 * left or none may be added. */
static moe_status start_next(sim_worker *worker, bool *started) {
    sim_launch_state *launch = worker->launch;
    uint32_t size = launch->cluster_size;

    *started = false;
    if (worker->in_flight >= launch->resident) return MOE_OK;
    uint32_t index = __atomic_fetch_add(&launch->next_block, size, __ATOMIC_RELAXED);
    if (index >= launch->blocks) {
        __atomic_store_n(&launch->next_block, launch->blocks, __ATOMIC_RELAXED);
        return MOE_OK;
    }
    for (uint32_t i = 0; i < size; i++) MOE_TRY(start_block(worker, index + i));
    join_cluster(worker, size);
    *started = true;
    return MOE_OK;
}

static void retire(sim_worker *worker, sim_block *block) {
    sim_block **at = &worker->running;

    while (*at != block) at = &(*at)->next;
    *at = block->next;
    for (int i = 0; i < SIM_MAX_CLUSTER; i++)
        if (block->cluster[i]) block->cluster[i]->cluster[block->rank] = NULL;
    worker->in_flight--;
    give_block(worker->launch->context, block);
}

static void report_spinning(const sim_block *block) {
    char text[SIM_FINDING_TEXT - 120];
    sim_warp *warp = &block->warp[0];

    for (uint32_t w = 0; w < block->warps; w++)
        if (block->warp[w].state == SIM_WARP_READY) warp = &block->warp[w];
    sim_block_describe(block, text, sizeof text);
    sim_mbarrier_describe(block, text, sizeof text);
    sim_find(warp, SIM_FINDING_deadlock,
             &block->kernel->code[warp->pc < block->kernel->count ? warp->pc : 0], UINT32_MAX,
             "block %u spins on memory that nobody changes: %s", block->index, text);
}

static double seconds(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Short enough for a limit to be met at about its number. */
static uint64_t quantum_of(const sim_launch_state *launch) {
    uint64_t most = launch->context->options.most_instructions;

    return most && most < QUANTUM ? most : QUANTUM;
}

static void watch_limit(const sim_block *block, uint64_t executed, sim_block_state state) {
    sim_launch_state *launch = block->launch;
    const sim_options *o = &launch->context->options;
    uint64_t all = __atomic_add_fetch(&launch->executed, executed, __ATOMIC_RELAXED);

    if (state == SIM_BLOCK_DONE) return;
    if ((o->most_instructions && all >= o->most_instructions) ||
        (o->most_seconds > 0 && seconds() - launch->start > o->most_seconds))
        sim_report_limit(block);
}

/* Runs every block of the worker once; *moved: something other than polling has happened. */
static void run_round(sim_worker *worker, bool *moved) {
    *moved = false;
    for (sim_block *block = worker->running, *next; block; block = next) {
        next = block->next;
        sim_block_state state;
        do {
            uint64_t before = block->progress, executed = block->executed;
            state = sim_block_run(block, quantum_of(worker->launch));
            watch_limit(block, block->executed - executed, state);
            if (state != SIM_BLOCK_STALLED || block->progress != before) *moved = true;
        } while (state == SIM_BLOCK_RUNNING);
        if (state == SIM_BLOCK_DONE) retire(worker, block);
    }
}

static moe_status work(sim_worker *worker) {
    sim_launch_state *launch = worker->launch;
    uint64_t progress = 0;
    unsigned stalled = 0;
    double idle = 0;
    bool started, moved;

    while (!__atomic_load_n(&launch->abort, __ATOMIC_RELAXED)) {
        MOE_TRY(start_next(worker, &started));
        if (!worker->running) break;
        run_round(worker, &moved);
        uint64_t now = __atomic_load_n(&launch->progress, __ATOMIC_RELAXED);
        if (started || moved || now != progress) stalled = 0;
        else if (stalled++ == 0) idle = seconds();
        progress = now;
        if (stalled < STALLED_ROUNDS || seconds() - idle < STALLED_SECONDS) continue;
        report_spinning(worker->running);
        __atomic_store_n(&launch->abort, 1, __ATOMIC_RELAXED);
    }
    return MOE_OK;
}

/* A worker that stops early leaves no block behind. */
static void abandon(sim_worker *worker) {
    while (worker->running) {
        sim_block *block = worker->running;
        for (uint32_t w = 0; w < block->warps; w++) {
            free(block->warp[w].copy);
            free(block->warp[w].lane_seen);
        }
        sim_async_free(block);
        retire(worker, block);
    }
}

/* ----------------------------------------------------------------------------------- counters */

static const struct {
    uint16_t op;
    uint8_t type;
    uint32_t flops;
} mma_work[] = {
    {SIM_OP_mma_m16n8k16_f32, SIM_MMA_F16, 4096},  {SIM_OP_mma_m16n8k16_f16, SIM_MMA_F16, 4096},
    {SIM_OP_mma_m16n8k8_f32, SIM_MMA_F16, 2048},   {SIM_OP_mma_m16n8k8_f16, SIM_MMA_F16, 2048},
    {SIM_OP_mma_m16n8k8_tf32, SIM_MMA_TF32, 2048}, {SIM_OP_mma_m16n8k4_tf32, SIM_MMA_TF32, 1024},
};

/* Turns executions by instruction into counts by class. */
static void count_classes(sim_counters *c, const sim_kernel *k, const uint64_t *hits) {
    for (uint32_t i = 0; i < k->count; i++) {
        c->instr[sim_op_class[k->code[i].op]] += hits[i];
        c->far_cycles += hits[i] * k->far[i];
        for (unsigned m = 0; m < sizeof mma_work / sizeof *mma_work; m++)
            if (mma_work[m].op == k->code[i].op)
                c->mma_flops[mma_work[m].type] += hits[i] * mma_work[m].flops;
    }
}

/* What fits into the L2 stays there. */
static uint64_t missed_bytes(const sim_context *context, const sim_launch_state *launch) {
    uint64_t l2 = (uint64_t)context->facts.l2;

    if (context->counters.unique_bytes <= l2) return 0;
    return sim_memory_missed(&context->memory, launch->number, &launch->epochs, l2);
}

static void collect(sim_context *context, const sim_kernel *k, sim_worker *workers, int count) {
    context->counters = (sim_counters){0};
    for (int w = 0; w < count; w++) {
        sim_counters_merge(&context->counters, &workers[w].counters);
        for (uint32_t i = 0; i < k->count; i++) context->hits[i] += workers[w].hits[i];
    }
    count_classes(&context->counters, k, context->hits);
    context->counters.missed_bytes = missed_bytes(context, workers->launch);
    context->last_kernel = k;
}

/* ------------------------------------------------------------------------------------ launching */

static moe_status check_dims(const sim_context *context, const sim_kernel *k, const moe_dims *d,
                             size_t args_size) {
    const moe_facts *f = &context->facts;
    uint64_t threads = (uint64_t)d->block[0] * d->block[1] * d->block[2];
    uint64_t blocks = (uint64_t)d->grid[0] * d->grid[1] * d->grid[2];

    if (!threads || threads > 1024 || d->block[2] > 64)
        return moe_fail(MOE_E_INVALID,
                        "kernel %s: a block of %ux%ux%u threads (1 to 1024 are possible)", k->name,
                        d->block[0], d->block[1], d->block[2]);
    if (d->grid[1] > 65535 || d->grid[2] > 65535 || blocks > INT32_MAX)
        return moe_fail(MOE_E_INVALID, "kernel %s: a grid of %ux%ux%u blocks is too large", k->name,
                        d->grid[0], d->grid[1], d->grid[2]);
    if (args_size < k->args_size)
        return moe_fail(MOE_E_INVALID, "kernel %s takes %u bytes of arguments, %zu were given",
                        k->name, k->args_size, args_size);
    if ((uint64_t)k->shared_bytes + d->smem > (uint64_t)f->smem)
        return moe_fail(
            MOE_E_INVALID,
            "kernel %s wants %u static + %u dynamic bytes of shared memory, a block has %lld",
            k->name, k->shared_bytes, d->smem, (long long)f->smem);
    return MOE_OK;
}

/* What the kernel's .maxntid and .reqntid demand of the block. */
static moe_status check_block(const sim_kernel *k, const moe_dims *d) {
    const uint32_t *most = k->demands->max_block, *exact = k->demands->block;
    uint64_t threads = (uint64_t)d->block[0] * d->block[1] * d->block[2];

    if (most[0] && threads > (uint64_t)most[0] * most[1] * most[2])
        return moe_fail(MOE_E_INVALID,
                        "kernel %s: a block of %ux%ux%u threads, but it was compiled for at most "
                        "%llu (.maxntid, __launch_bounds__)",
                        k->name, d->block[0], d->block[1], d->block[2],
                        (unsigned long long)most[0] * most[1] * most[2]);
    if (exact[0] && memcmp(exact, d->block, sizeof d->block) != 0)
        return moe_fail(MOE_E_INVALID,
                        "kernel %s: a block of %ux%ux%u threads, but it demands %ux%ux%u "
                        "(.reqntid)",
                        k->name, d->block[0], d->block[1], d->block[2], exact[0], exact[1],
                        exact[2]);
    return MOE_OK;
}

/* The launch's cluster: what the caller asks for, or what the kernel demands. */
static moe_status find_cluster(sim_launch_state *launch) {
    const sim_kernel *k = launch->kernel;
    const moe_dims *d = &launch->dims;
    const uint32_t *demanded = k->demands->cluster;
    const uint32_t asked[3] = {d->cluster > 1 ? d->cluster : 1, d->cluster_y > 1 ? d->cluster_y : 1,
                               d->cluster_z > 1 ? d->cluster_z : 1};
    bool asks = asked[0] * (uint64_t)asked[1] * asked[2] > 1;

    if (asks && demanded[0] && memcmp(asked, demanded, sizeof asked) != 0)
        return moe_fail(MOE_E_INVALID,
                        "kernel %s: a cluster of %ux%ux%u blocks, but it demands %ux%ux%u "
                        "(.reqnctapercluster)",
                        k->name, asked[0], asked[1], asked[2], demanded[0], demanded[1],
                        demanded[2]);
    if (!asks && !demanded[0] && k->demands->clustered)
        return moe_fail(MOE_E_INVALID,
                        "kernel %s: .explicitcluster demands clusters of the launch", k->name);
    launch->clustered = asks || demanded[0];
    memcpy(launch->cluster, demanded[0] ? demanded : asked, sizeof launch->cluster);
    return MOE_OK;
}

static moe_status check_cluster(sim_launch_state *launch) {
    const uint32_t *size = launch->cluster, *grid = launch->dims.grid;
    const sim_kernel *k = launch->kernel;
    uint64_t blocks = (uint64_t)size[0] * size[1], most = k->demands->max_cluster;
    bool whole = true;

    for (int i = 0; i < 3; i++) whole = whole && size[i] && grid[i] % size[i] == 0;
    blocks = blocks > SIM_MAX_CLUSTER ? blocks : blocks * size[2];
    launch->cluster_size = (uint32_t)blocks;
    if (blocks == 1) return MOE_OK;
    if (launch->context->facts.sm < 90 || !whole || blocks > SIM_MAX_CLUSTER)
        return moe_fail(MOE_E_INVALID,
                        "kernel %s: clusters of %ux%ux%u blocks in a grid of %ux%ux%u (sm_90 has "
                        "them, of up to %d blocks, and a grid is made of whole ones)",
                        k->name, size[0], size[1], size[2], grid[0], grid[1], grid[2],
                        SIM_MAX_CLUSTER);
    if (most && blocks > most)
        return moe_fail(MOE_E_INVALID,
                        "kernel %s: clusters of %llu blocks, but .maxclusterrank allows %llu",
                        k->name, (unsigned long long)blocks, (unsigned long long)most);
    return MOE_OK;
}

/* Blocks that the chip could hold, as far as is known without the compiler's log. */
static uint64_t resident_blocks(const moe_facts *f, const moe_dims *d, uint32_t shared) {
    const moe_kernel kernel = {.block = (int64_t)d->block[0] * d->block[1] * d->block[2],
                               .smem = shared};
    int64_t one_sm = moe_occupancy(&kernel, f);

    return (uint64_t)(one_sm > 1 ? one_sm : 1) * (uint64_t)f->sms;
}

static moe_status fault_text(const sim_launch_state *launch) {
    const sim_report *r = &launch->report;
    char text[SIM_MAX_FINDINGS * (SIM_FINDING_TEXT + 4)];
    size_t at = 0;

    for (uint32_t i = 0; i < r->kept && at + 1 < sizeof text; i++) {
        int more = snprintf(text + at, sizeof text - at, "%s%s", i ? "\n" : "", r->finding[i].text);
        if (more < 0) break;
        at += (size_t)more;
    }
    return moe_fail(MOE_E_FAULT, "kernel %s misbehaved, %llu times:\n%s", launch->kernel->name,
                    (unsigned long long)r->total, text);
}

/* A worker's host thread. */
static void *worker_main(void *argument) {
    sim_worker *worker = argument;

    worker->status = work(worker);
    if (worker->status != MOE_OK) __atomic_store_n(&worker->launch->abort, 1, __ATOMIC_RELAXED);
    abandon(worker);
    return NULL;
}

/* The calling thread is the first worker. Where a thread cannot be made, the others do its work. */
static void run_workers(sim_worker *workers, int count) {
    bool *made = calloc((size_t)count, sizeof *made);

    for (int w = 1; made && w < count; w++)
        made[w] = pthread_create(&workers[w].thread, NULL, worker_main, &workers[w]) == 0;
    worker_main(&workers[0]);
    for (int w = 1; made && w < count; w++)
        if (made[w]) pthread_join(workers[w].thread, NULL);
    free(made);
}

static int worker_count(const sim_context *context, uint32_t blocks) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int threads = context->options.threads > 0 ? context->options.threads
                  : cores > 0                  ? (int)cores
                                               : 1;

    return (uint32_t)threads > blocks ? (int)blocks : threads;
}

static moe_status run_grid(sim_launch_state *launch, const void *args) {
    sim_context *context = launch->context;
    const sim_kernel *k = launch->kernel;
    int count = worker_count(context, launch->blocks);
    sim_worker *workers = calloc((size_t)count, sizeof *workers);
    moe_status status = MOE_OK;
    bool ready = workers != NULL;

    free(context->hits);
    context->hits = calloc(k->count + 1u, sizeof *context->hits);
    launch->args = calloc(1, k->args_size + 16u);
    launch->fence_log = calloc(launch->blocks, sizeof *launch->fence_log);
    launch->slots = (uint32_t)resident_blocks(&context->facts, &launch->dims, launch->shared_bytes);
    launch->epochs = sim_epochs_of(launch->blocks, launch->slots);
    launch->resident = launch->slots > (uint32_t)count ? launch->slots / (uint32_t)count : 1;
    ready = ready && context->hits && launch->args && launch->fence_log;
    for (int w = 0; ready && w < count; w++) {
        workers[w].launch = launch;
        workers[w].hits = calloc(k->count + 1u, sizeof *workers[w].hits);
        workers[w].idle = calloc(k->count + 1u, sizeof *workers[w].idle);
        ready = workers[w].hits && workers[w].idle;
    }
    if (ready) {
        if (k->args_size) memcpy(launch->args, args, k->args_size);
        launch->parallel = count > 1;
        run_workers(workers, count);
        collect(context, k, workers, count);
    } else {
        status = moe_fail(MOE_E_MEMORY, "out of host memory to launch %s", k->name);
    }
    for (int w = 0; w < count && ready; w++)
        if (workers[w].status != MOE_OK)
            status = moe_fail(workers[w].status, "out of host memory while running %s", k->name);
    for (uint32_t b = 0; launch->fence_log && b < launch->blocks; b++) free(launch->fence_log[b]);
    for (int w = 0; workers && w < count; w++) {
        free(workers[w].hits);
        free(workers[w].idle);
    }
    free(launch->flags.flag);
    free(launch->fence_log);
    free(launch->args);
    free(workers);
    return status;
}

moe_status sim_launch_kernel(sim_context *context, const sim_kernel *k, const moe_dims *dims,
                             const void *args, size_t args_size) {
    sim_launch_state launch = {
        .context = context, .kernel = k, .memory = &context->memory, .dims = *dims};

    MOE_TRY(check_dims(context, k, dims, args_size));
    MOE_TRY(check_block(k, dims));
    MOE_TRY(find_cluster(&launch));
    MOE_TRY(check_cluster(&launch));
    launch.start = seconds();
    launch.number = ++context->launches;
    launch.chain = dims->overlap ? context->chain : launch.number;
    launch.blocks = dims->grid[0] * dims->grid[1] * dims->grid[2];
    launch.checks = context->options.checks && launch.blocks < SIM_MAX_CHECKED_BLOCKS;
    launch.shared_bytes = k->shared_bytes + dims->smem;
    context->counters = (sim_counters){0};
    context->last_kernel = NULL;
    if (!launch.blocks) return MOE_OK;
    pthread_mutex_init(&launch.report.lock, NULL);
    pthread_mutex_init(&launch.flags.lock, NULL);
    moe_status status = run_grid(&launch, args);
    /* A launch that waited before it let the next one start has seen those ahead of it end. */
    context->chain = launch.hasty ? launch.chain : launch.number;
    pthread_mutex_destroy(&launch.report.lock);
    pthread_mutex_destroy(&launch.flags.lock);
    if (status != MOE_OK) return status;
    return launch.report.total ? fault_text(&launch) : MOE_OK;
}

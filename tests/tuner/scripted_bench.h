/* scripted_bench.h - the whole tuner on a scripted device, with kernels of which the script says
 * how long they take: tests/tuner/scripted/. */
#ifndef TESTS_SCRIPTED_BENCH_H
#define TESTS_SCRIPTED_BENCH_H

#include "scripted_device.h"
#include "tune/session.h"

/* What the tests of a program share: code is compiled once. */
typedef struct scripted_shop {
    moe_gen *gen;
    moe_compile_pool *pool;
    moe_builder *builder;
} scripted_shop;

/* Compiles every candidate of some ops. */
void scripted_shop_open(scripted_shop *shop, const char *const *ops, int count);
void scripted_shop_close(scripted_shop *shop);

/* A tuner with a GPU and a database of its own. */
typedef struct scripted_bench {
    scripted_shop *shop;
    script *script;
    char folder[64], db[128];
    moe_tuner tuner;     /* works while it is open: */
    moe_device *device;
    moe_storage *storage;
} scripted_bench;

void scripted_bench_make(scripted_bench *bench, scripted_shop *shop);
void scripted_bench_remove(scripted_bench *bench);

/* Opens device and database as a process does at its start, and closes them as at its end. Where no
 * heart says that the process may die, a disk is waited for at its end alone. */
void scripted_bench_open(scripted_bench *bench, moe_heart *heart);
void scripted_bench_close(scripted_bench *bench);

/* What the script says of candidate number n of an op. */
scripted_kernel *scripted_candidate(const scripted_bench *bench, const char *op, int64_t n);

/* Gives it a time, whether the caches are warm or cold. */
void scripted_takes(const scripted_bench *bench, const char *op, int64_t n, double ns);

/* The row of candidate number n; fails the test where there is none. `image` (MOE_HASH_SIZE bytes)
 * may be NULL. */
moe_record scripted_row(const scripted_bench *bench, const char *op, int64_t n, char *image);

moe_op scripted_op(const char *text);

/* Tunes an op, all its candidates, and fails the test on an error of the tools. */
moe_op_result scripted_tune(scripted_bench *bench, const char *op);

/* The layer whose steps paced serves, and its steps' ops, three candidates each. */
extern const char scripted_layer[];
enum { SCRIPTED_STEPS = 4 };
extern const char *const scripted_steps[SCRIPTED_STEPS];

/* Tunes the layer at the ops' token count; `ops_only`: not as a whole. */
moe_session scripted_session(scripted_bench *bench, moe_cache cache, bool ops_only);

#endif

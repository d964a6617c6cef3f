/* compile_pool.h - NVRTC in parallel, in processes of its own.
 *
 * A candidate may crash the compiler, hang it or eat its memory; none of that may take the tuner
 * along. Each worker is a process that forks a fresh child for every source: the child has a
 * deadline, and its death is an outcome. Open the pool before threads are started and before large
 * buffers are allocated. A pool belongs to one thread. */
#ifndef MOE_COMPILE_POOL_H
#define MOE_COMPILE_POOL_H

#include "compile/compile.h"

typedef struct moe_compile_pool moe_compile_pool;

/* Workers to use on this machine: as many as cores, fewer where memory is short. */
int moe_compile_pool_size(void);

/* `deadline` is in seconds a source. MOE_E_LIBRARY (no NVRTC), MOE_E_IO, MOE_E_MEMORY. */
moe_status moe_compile_pool_open(int workers, int deadline, moe_compile_pool **out);
void moe_compile_pool_close(moe_compile_pool *pool);

/* Workers with nothing to do, and workers that compile or hold a result. */
int moe_compile_pool_idle(const moe_compile_pool *pool);
int moe_compile_pool_busy(const moe_compile_pool *pool);

/* Hands a source to an idle worker (there must be one). `ticket` comes back with the result. */
moe_status moe_compile_pool_submit(moe_compile_pool *pool, const moe_source *source,
                                   const char *arch, int64_t ticket);

/* Waits for a result of any busy worker (there must be one). Crash and timeout are outcomes; a
 * failure of moe_compile itself is returned as it was. `*ticket` is set in every case. */
moe_status moe_compile_pool_take(moe_compile_pool *pool, int64_t *ticket, moe_compiled *out);

#endif

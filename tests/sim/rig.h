/* rig.h - a simulated GPU on a test bench: one device, one kernel at a time, some buffers.
 *
 * Everything goes through the device class, as the runtime does it. Functions without a status
 * fail the running test. */
#ifndef RIG_H
#define RIG_H

#include "gpu/sim_device.h"

typedef struct sim_rig {
    void *self;   /* of the device class */
    void *module; /* loaded, or NULL */
    uint32_t cluster; /* blocks of a cluster, of launches to come; rig_open: 1 */
} sim_rig;

/* `options` as behind "sim:", for example "h100,seed=3". */
void rig_open(sim_rig *rig, const char *options);
void rig_close(sim_rig *rig);

/* Loads a kernel in place of the last one. The PTX text need not outlive the call. */
void rig_load(sim_rig *rig, const char *ptx, const char *entry);
moe_status rig_try_load(sim_rig *rig, const char *ptx, const char *entry);

/* Compiles CUDA text and loads its kernel `k`. */
void rig_cuda(sim_rig *rig, const char *source, const char *arch);

/* Device memory with these contents; NULL: never written. Freed with the device. */
moe_ptr rig_buffer(sim_rig *rig, const void *data, size_t bytes);
void rig_zero(sim_rig *rig, moe_ptr at, size_t bytes);
void rig_read(sim_rig *rig, void *data, moe_ptr from, size_t bytes);

/* Runs the kernel with the packed parameters `args`, and waits for it. */
moe_status rig_try(sim_rig *rig, uint32_t grid, uint32_t block, uint32_t smem, const void *args,
                   size_t size);
void rig_run(sim_rig *rig, uint32_t grid, uint32_t block, uint32_t smem, const void *args,
             size_t size);

/* rig_run between time_begin and time_end: model time in nanoseconds. */
double rig_time(sim_rig *rig, uint32_t grid, uint32_t block, uint32_t smem, const void *args,
                size_t size);

#endif

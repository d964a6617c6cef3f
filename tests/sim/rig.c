/* rig.c - drives the simulated device class for tests. */
#include "rig.h"

#include "core/status.h"
#include "nvrtc_for_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const moe_device_class *const sim = &moe_device_sim;

static void require(moe_status status) {
    if (status != MOE_OK) fail_msg("%s: %s", moe_status_text(status), moe_error_text());
}

void rig_open(sim_rig *rig, const char *options) {
    *rig = (sim_rig){.cluster = 1};
    require(sim->open(options, &rig->self));
}

static void rig_unload(sim_rig *rig) {
    if (rig->module) sim->unload(rig->self, rig->module);
    rig->module = NULL;
}

void rig_close(sim_rig *rig) {
    rig_unload(rig);
    sim->close(rig->self);
    rig->self = NULL;
}

moe_status rig_try_load(sim_rig *rig, const char *ptx, const char *entry) {
    moe_image image = {.launch.kernels = 1, .ptx = ptx, .ptx_size = strlen(ptx)};

    rig_unload(rig);
    snprintf(image.arch, sizeof image.arch, "%s", sim->facts(rig->self)->arch);
    snprintf(image.launch.kernel[0].symbol, MOE_SYMBOL_SIZE, "%s", entry);
    return sim->load(rig->self, &image, &rig->module);
}

void rig_load(sim_rig *rig, const char *ptx, const char *entry) {
    require(rig_try_load(rig, ptx, entry));
}

void rig_cuda(sim_rig *rig, const char *source, const char *arch) {
    char *ptx = nvrtc_ptx(source, "test.cu", arch, NULL);
    moe_status status = rig_try_load(rig, ptx, "k");

    free(ptx);
    require(status);
}

moe_ptr rig_buffer(sim_rig *rig, const void *data, size_t bytes) {
    moe_ptr address;

    require(sim->alloc(rig->self, bytes, &address));
    if (data) require(sim->copy_in(rig->self, address, data, bytes));
    return address;
}

void rig_zero(sim_rig *rig, moe_ptr at, size_t bytes) {
    require(sim->fill(rig->self, at, 0, bytes, NULL));
}

void rig_read(sim_rig *rig, void *data, moe_ptr from, size_t bytes) {
    require(sim->copy_out(rig->self, data, from, bytes));
}

moe_status rig_try(sim_rig *rig, uint32_t grid, uint32_t block, uint32_t smem, const void *args,
                   size_t size) {
    moe_dims dims = {.grid = {grid, 1, 1}, .block = {block, 1, 1},
                     .cluster = rig->cluster, .smem = smem};

    MOE_TRY(sim->launch(rig->self, rig->module, 0, &dims, args, size, NULL));
    return sim->sync(rig->self, NULL);
}

void rig_run(sim_rig *rig, uint32_t grid, uint32_t block, uint32_t smem, const void *args,
             size_t size) {
    require(rig_try(rig, grid, block, smem, args, size));
}

double rig_time(sim_rig *rig, uint32_t grid, uint32_t block, uint32_t smem, const void *args,
                size_t size) {
    double nanoseconds;

    require(sim->time_begin(rig->self));
    rig_run(rig, grid, block, smem, args, size);
    require(sim->time_end(rig->self, &nanoseconds));
    return nanoseconds;
}

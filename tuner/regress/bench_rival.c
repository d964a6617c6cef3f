/* bench_rival.c - the pipeline of library GEMMs that a layer is timed against. */
#include "regress/bench_rival.h"

#include "cublas_pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXTS = 8 };

struct moe_bench_rival {
    moe_device *device;
    moe_cublas library;
    moe_gemm gemm;
    moe_cublas_pipeline *pipeline;
    moe_pipeline_io io;
    bool routes;
    moe_compiled compiled[MAX_TEXTS]; /* the pipeline's own kernels, until it is made */
    int texts;
};

static moe_status compile(void *self, const char *name, const char *text, const char *arch,
                          moe_image *out) {
    moe_bench_rival *rival = self;
    if (rival->texts == MAX_TEXTS)
        return moe_fail(MOE_E_UNSUPPORTED, "the pipeline has more than %d texts", MAX_TEXTS);
    moe_compiled *compiled = &rival->compiled[rival->texts];
    MOE_TRY(moe_compile_text(name, text, arch, compiled));
    rival->texts++;
    if (compiled->outcome != MOE_OUTCOME_OK)
        return moe_fail(MOE_E_COMPILE, "%s: %s", name, compiled->reason);
    *out = compiled->image;
    return MOE_OK;
}

static moe_ptr address(const void *pointer) { return (moe_ptr)(uintptr_t)pointer; }

static moe_pipeline_io pipeline_io(const moe_io *io) {
    return (moe_pipeline_io){
        .x = address(io->x), .router_weight = address(io->router_weight),
        .router_bias = address(io->router_bias), .logits = address(io->logits),
        .up = address(io->up), .up_bias = address(io->up_bias), .down = address(io->down),
        .down_bias = address(io->down_bias), .ids = address(io->ids),
        .weights = address(io->weights), .y = address(io->y),
    };
}

static moe_status make(moe_bench_rival *rival, const moe_layer *layer, int64_t tokens,
                       const moe_layer_case *c) {
    const moe_io io = moe_layer_case_io(c);
    const moe_text_compiler compiler = {rival, compile};
    size_t bytes = (size_t)(tokens * layer->k) * sizeof(int);
    int *ids = malloc(bytes + 1);
    if (!ids) return moe_fail(MOE_E_MEMORY, "no memory for ids");
    rival->io = pipeline_io(&io);
    moe_status status = moe_device_copy_out(rival->device, ids, io.ids, bytes);
    if (!status) status = moe_cublas_open(&rival->library);
    if (!status) status = moe_gemm_cublas(&rival->library, rival->device, &rival->gemm);
    if (!status)
        status = moe_cublas_pipeline_create(rival->device, layer, tokens, ids, &rival->gemm,
                                            &compiler, &rival->pipeline);
    free(ids);
    return status;
}

/* The result of one run. */
static moe_status judge(moe_bench_rival *rival, moe_layer_case *c, moe_bench_row *row) {
    moe_layer_verdict verdict;
    MOE_TRY(moe_bench_rival_run(rival));
    MOE_TRY(moe_device_sync(rival->device, NULL));
    MOE_TRY(moe_layer_case_judge_y(c, &verdict));
    row->good = verdict.ok;
    row->rel_l2 = verdict.rel_l2;
    row->max_over_rms = verdict.error;
    snprintf(row->text, sizeof row->text, "%s", verdict.text);
    return MOE_OK;
}

moe_status moe_bench_rival_open(moe_device *device, const moe_layer *layer, int64_t tokens,
                                moe_layer_case *c, bool routes, moe_bench_rival **out,
                                moe_bench_row *row) {
    *out = NULL;
    if (moe_device_facts(device)->simulated) return MOE_OK;
    moe_bench_rival *rival = calloc(1, sizeof *rival);
    if (!rival) return moe_fail(MOE_E_MEMORY, "no memory for a pipeline");
    rival->device = device;
    rival->routes = routes;
    snprintf(row->system, sizeof row->system, "cublas");
    snprintf(row->what, sizeof row->what, "one GEMM an expert");
    moe_status status = make(rival, layer, tokens, c);
    if (!status) status = judge(rival, c, row);
    if (!status) {
        *out = rival;
        return MOE_OK;
    }
    moe_bench_rival_close(rival);
    return status == MOE_E_LIBRARY || status == MOE_E_UNSUPPORTED ? MOE_OK : status;
}

void moe_bench_rival_close(moe_bench_rival *rival) {
    if (!rival) return;
    moe_cublas_pipeline_destroy(rival->pipeline);
    if (rival->gemm.close) rival->gemm.close(rival->gemm.self);
    for (int i = 0; i < rival->texts; i++) moe_compiled_free(&rival->compiled[i]);
    free(rival);
}

moe_status moe_bench_rival_run(void *context) {
    const moe_bench_rival *rival = context;
    return moe_cublas_pipeline_run(rival->pipeline, &rival->io, rival->routes, NULL);
}

/* pipeline_case.c - the library pipeline on any device against the reference. */
#include "pipeline_case.h"

#include "compile/compile.h"
#include "tolerance.h"
#include "workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static moe_device *device;
static const moe_gemm *gemm;

void pipeline_case_use(moe_device *on, const moe_gemm *by) {
    device = on;
    gemm = by;
}

void *pipeline_copy_out(moe_ptr from, int64_t n, moe_dtype dtype) {
    size_t bytes = (size_t)n * moe_dtype_size(dtype);
    void *host = malloc(bytes);
    assert_int_equal(moe_device_copy_out(device, host, (void *)(uintptr_t)from, bytes), MOE_OK);
    return host;
}

static moe_status compile(void *self, const char *name, const char *text, const char *arch,
                          moe_image *out) {
    moe_compiled *compiled = self;
    MOE_TRY(moe_compile_text(name, text, arch, compiled));
    if (compiled->outcome != MOE_OUTCOME_OK) return moe_fail(MOE_E_COMPILE, "%s", compiled->reason);
    *out = compiled->image;
    return MOE_OK;
}

/* A layer with its inputs on the host and on the device. */
typedef struct batch {
    moe_layer layer;
    int64_t tokens;
    moe_workload workload;
    moe_host_layer in;
    int *ids;
    double *weights, *want, *rounded;
    moe_pipeline_io io;
    moe_cublas_pipeline *pipeline;
    moe_compiled compiled;
} batch;

static moe_ptr upload(const void *host, int64_t n, size_t element) {
    void *memory = NULL;
    if (!host) return 0;
    assert_int_equal(moe_device_alloc(device, (size_t)n * element, &memory), MOE_OK);
    assert_int_equal(moe_device_copy_in(device, memory, host, (size_t)n * element), MOE_OK);
    return (moe_ptr)(uintptr_t)memory;
}

static void upload_inputs(batch *b, bool logits) {
    const moe_layer_sizes n = moe_layer_elements(&b->layer, b->tokens);
    size_t element = moe_dtype_size(b->layer.x);
    const moe_workload *w = &b->workload;
    float *weights = malloc((size_t)n.ids * sizeof *weights + 1);
    for (int64_t s = 0; s < n.ids; s++) weights[s] = (float)b->weights[s];
    b->io = (moe_pipeline_io){
        .x = upload(w->x, n.x, element),
        .router_weight = upload(w->router_weight, n.router_weight, element),
        .router_bias = upload(w->router_bias, n.router_bias, sizeof(float)),
        .logits = logits ? upload(w->logits, n.logits, sizeof(float)) : 0,
        .up = upload(w->up, n.up, element),
        .up_bias = upload(w->up_bias, n.up_bias, element),
        .down = upload(w->down, n.down, element),
        .down_bias = upload(w->down_bias, n.down_bias, element),
        .ids = upload(b->ids, n.ids, sizeof(int)),
        .weights = upload(weights, n.ids, sizeof(float)),
    };
    void *y;
    assert_int_equal(moe_device_alloc(device, (size_t)n.y * element, &y), MOE_OK);
    b->io.y = (moe_ptr)(uintptr_t)y;
    free(weights);
}

static void reference(batch *b) {
    const moe_layer *l = &b->layer;
    size_t slots = (size_t)(b->tokens * l->k), outputs = (size_t)(b->tokens * l->d);
    double *logits = malloc((size_t)(b->tokens * l->e) * sizeof *logits + 1);
    unsigned char *kept = malloc(slots + 1);
    b->ids = malloc(slots * sizeof *b->ids + 1);
    b->weights = malloc(slots * sizeof *b->weights + 1);
    b->want = malloc(outputs * sizeof *b->want + 1);
    b->rounded = malloc(outputs * sizeof *b->rounded + 1);
    moe_ref_logits(l, b->tokens, &b->in, logits);
    moe_ref_route(l, b->tokens, logits, b->workload.router_bias, b->ids, b->weights, NULL, NULL);
    moe_ref_capacity(l, b->tokens, b->ids, NULL, kept);
    moe_ref_layer(l, b->tokens, &b->in, b->ids, b->weights, kept, NULL, b->tokens, b->want);
    moe_ref_rounded_layer(l, b->tokens, &b->in, b->ids, b->weights, kept, NULL, b->tokens,
                          b->rounded);
    free(logits);
    free(kept);
}

static void make(batch *b, const char *text, int64_t tokens, moe_routing routing, bool logits) {
    *b = (batch){.tokens = tokens};
    uint64_t set = logits ? MOE_MAKE_ALL : MOE_MAKE_ALL & ~MOE_MAKE_LOGITS;
    assert_int_equal(moe_layer_parse(text, &b->layer), MOE_OK);
    assert_int_equal(moe_workload_init(&b->workload, &b->layer, tokens, routing, 3, set), MOE_OK);
    b->in = moe_workload_host(&b->workload);
    reference(b);
    upload_inputs(b, logits);
    const moe_text_compiler compiler = {&b->compiled, compile};
    if (moe_cublas_pipeline_create(device, &b->layer, tokens, b->ids, gemm, &compiler,
                                   &b->pipeline))
        fail_msg("%s: %s", text, moe_error_text());
}

static void destroy(batch *b) {
    const moe_ptr memory[] = {
        b->io.x,    b->io.router_weight, b->io.router_bias, b->io.logits,  b->io.up, b->io.up_bias,
        b->io.down, b->io.down_bias,     b->io.ids,         b->io.weights, b->io.y};
    moe_cublas_pipeline_destroy(b->pipeline);
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        if (memory[i]) moe_device_free(device, (void *)(uintptr_t)memory[i]);
    moe_compiled_free(&b->compiled);
    moe_workload_free(&b->workload);
    free(b->ids);
    free(b->weights);
    free(b->want);
    free(b->rounded);
}

static moe_error_stats y_error(const batch *b) {
    int64_t n = b->tokens * b->layer.d;
    void *y = pipeline_copy_out(b->io.y, n, b->layer.x);
    double *got = malloc((size_t)n * sizeof *got);
    for (int64_t i = 0; i < n; i++) got[i] = moe_load(b->layer.x, y, i);
    moe_error_stats stats = moe_compare(got, b->want, n);
    free(y);
    free(got);
    return stats;
}

/* Twice the yardstick, since this pipeline also rounds the sums before the activation. The
 * yardstick of a few elements is a matter of luck: there the tolerance takes its place. */
static void assert_right(const batch *b, const char *text) {
    int64_t n = b->tokens * b->layer.d;
    moe_error_stats stats = y_error(b), yard = moe_compare(b->rounded, b->want, n);
    double limit = 2 * (n < 100 ? moe_layer_tolerance_l2(&b->layer) : yard.rel_l2);
    if (!(stats.rel_l2 <= limit && stats.max_over_rms < moe_layer_tolerance(&b->layer, stats.peak)))
        fail_msg("%s: rel_l2 %g (limit %g), max %g", text, stats.rel_l2, limit, stats.max_over_rms);
}

static const char *const layers[] = {
    "d=24 f=40 e=4 k=2 act=swiglu",
    "d=64 f=48 e=5 k=3 act=relu x=f16 w=f16 capacity=0.6",
    "d=8 f=56 e=3 k=1 act=relu2 x=f32 w=f32 router=softmax>topk",
    "d=32 f=16 e=6 k=2 act=gelu bias=up,down",
    "d=16 f=16 e=4 k=4 act=gelu_tanh x=f16 w=f16 bias=up",
    "d=40 f=24 e=7 k=2 act=silu x=f32 w=f32 bias=down router=topk>softmax",
    "d=56 f=8 e=40 k=6 act=geglu bias=router,up,down capacity=1.25",
    "d=8 f=8 e=9 k=5 act=geglu_tanh x=f32 w=f32",
    "d=48 f=48 e=4 k=2 act=swiglu_clamp(7,1.702) bias=router,up,down router=topk>softmax",
    "d=40 f=8 e=64 k=6 router=sigmoid+bias>groups(8,3,sum2)>topk>renorm>scale(2.5)",
    "d=40 f=8 e=30 k=4 router=softmax>groups(5,2,max)>topk>scale(16)",
    "d=40 f=8 e=12 k=2 router=topk>sparsemixer(0.05)",
    "d=40 f=8 e=36 k=6 router=sqrtsoftplus+bias>groups(3,1,sum2,zero)>topk>renorm",
    "d=40 f=8 e=9 k=2 router=topk>sigmoid>scale(0.5)",
    "d=40 f=8 e=33 k=3 router=softmax+bias>topk>renorm",
    "d=48 f=24 e=4 k=2 act=swiglu_clamp(7,1.702) bias=up,down layout=interleaved",
    "d=24 f=40 e=4 k=2 act=swiglu bias=up layout=up_gate x=f16",
    "d=24 f=40 e=4 k=1 act=swiglu router=topk>softmax>input",
};

void pipeline_experts_agree(void **state) {
    (void)state;
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
        for (int64_t tokens = 1; tokens < 40; tokens += 36) {
            batch b;
            make(&b, layers[l], tokens, (moe_routing)(l % MOE_ROUTING_COUNT), true);
            if (moe_cublas_pipeline_run(b.pipeline, &b.io, false, NULL))
                fail_msg("%s: %s", layers[l], moe_error_text());
            assert_int_equal(moe_device_sync(device, NULL), MOE_OK);
            assert_right(&b, layers[l]);
            destroy(&b);
        }
    }
}

/* The kernel's own ids and weights, over router GEMM and given logits. */
void pipeline_routing_agrees(void **state) {
    (void)state;
    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
        bool logits = l % 2;
        batch b;
        make(&b, layers[l], 19, MOE_ROUTING_UNIFORM, logits);
        int64_t slots = 19 * b.layer.k;
        size_t bytes = (size_t)slots * sizeof(int);
        assert_int_equal(device->class->poison(device->self, b.io.ids, bytes), MOE_OK);
        assert_int_equal(device->class->poison(device->self, b.io.weights, bytes), MOE_OK);
        if (moe_cublas_pipeline_run(b.pipeline, &b.io, true, NULL))
            fail_msg("%s: %s", layers[l], moe_error_text());
        int *ids = pipeline_copy_out(b.io.ids, slots, MOE_F32);
        float *weights = pipeline_copy_out(b.io.weights, slots, MOE_F32);
        assert_memory_equal(ids, b.ids, (size_t)slots * sizeof *ids);
        for (int64_t s = 0; s < slots; s++)
            assert_float_equal(weights[s], (float)b.weights[s], 1e-5f);
        assert_right(&b, layers[l]);
        free(ids);
        free(weights);
        destroy(&b);
    }
}

void pipeline_empty_batch(void **state) {
    (void)state;
    batch b;
    make(&b, layers[0], 0, MOE_ROUTING_UNIFORM, true);
    assert_int_equal(moe_cublas_pipeline_run(b.pipeline, &b.io, true, NULL), MOE_OK);
    destroy(&b);
    moe_cublas_pipeline_destroy(NULL);
}

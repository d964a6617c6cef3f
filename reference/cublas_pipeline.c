/* cublas_pipeline.c - a whole layer on a device by library GEMMs. */
#include "cublas_pipeline.h"

#include "core/router.h"
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Entries of pipeline.cu and pipeline_route.cu, in the order of their image. */
enum { GATHER, ACTIVATE, COMBINE, ROUTE, ENTRIES };
static const char *const symbols[ENTRIES] = {"moe_pipeline_gather", "moe_pipeline_activate",
                                             "moe_pipeline_combine", "moe_pipeline_route"};

enum { BLOCK = 256, WARP = 32, PACK_BYTES = 16, TEXT_SIZE = 1 << 16 };

static const char cuda_text[] =
#include "pipeline.inc"
    ;

/* What pipeline.cu and pipeline_route.cu have texts for; others are not served. */
static const char *const activated[MOE_ACT_COUNT] = {
    [MOE_ACT_RELU] = "fmaxf(g, 0)",
    [MOE_ACT_RELU2] = "fmaxf(g, 0) * fmaxf(g, 0)",
    [MOE_ACT_GELU] = "gelu(g)",
    [MOE_ACT_GELU_TANH] = "gelu_tanh(g)",
    [MOE_ACT_SILU] = "g * sigmoid(g)",
    [MOE_ACT_SWIGLU] = "g * sigmoid(g) * u",
    [MOE_ACT_GEGLU] = "gelu(g) * u",
    [MOE_ACT_GEGLU_TANH] = "gelu_tanh(g) * u",
    [MOE_ACT_SWIGLU_CLAMP] = "swiglu_clamp(g, u)",
};

static const char *const scores[MOE_SCORE_COUNT] = {
    [MOE_SCORE_LOGIT] = "logit",
    [MOE_SCORE_SOFTMAX] = "expf(logit - t.most) / t.sum",
    [MOE_SCORE_SIGMOID] = "sigmoid(logit)",
    [MOE_SCORE_SQRTSOFTPLUS] = "sqrtf(fmaxf(logit, 0) + log1pf(expf(-fabsf(logit))))",
};

static const char *const weights[MOE_WEIGH_COUNT] = {
    [MOE_WEIGH_SCORE] = "score(t, logit)",
    [MOE_WEIGH_SOFTMAX] = "expf(logit - most)",
    [MOE_WEIGH_SIGMOID] = "sigmoid(logit)",
    [MOE_WEIGH_SPARSEMIXER] = "sparsemixer(t, ids, j)",
};

/* Device buffers between the steps. */
enum {
    ROWS_X,      /* [R,d] gathered rows */
    SUMS,        /* [R,up rows] */
    H,           /* [R,f] */
    Y_ROWS,      /* [R,d] */
    LOGITS,      /* [T,e] f32 */
    ROW_SLOTS,   /* [R] i32 */
    ROW_EXPERTS, /* [R] i32 */
    SLOT_ROWS,   /* [T,k] i32; -1 where dropped */
    BUFFERS
};

struct moe_cublas_pipeline {
    moe_device *device;
    moe_layer layer;
    int64_t tokens, rows;
    const moe_gemm *gemm;
    void *module;
    void *buffer[BUFFERS];
    int64_t *start; /* [e+1] first row of each expert, host */
};

/* The maps of a batch on the host. */
typedef struct host_maps {
    int *row_slots, *row_experts, *slot_rows;
    unsigned char *kept;
} host_maps;

static void host_maps_free(host_maps *maps) {
    free(maps->row_slots);
    free(maps->row_experts);
    free(maps->slot_rows);
    free(maps->kept);
}

/* Kept slots by expert, in slot order; fills p->start and p->rows. */
static moe_status host_maps_init(host_maps *maps, moe_cublas_pipeline *p, const int *ids) {
    size_t slots = (size_t)(p->tokens * p->layer.k);
    maps->row_slots = malloc((slots + 1) * sizeof *maps->row_slots);
    maps->row_experts = malloc((slots + 1) * sizeof *maps->row_experts);
    maps->slot_rows = malloc((slots + 1) * sizeof *maps->slot_rows);
    maps->kept = malloc(slots + 1);
    p->start = calloc((size_t)p->layer.e + 2, sizeof *p->start);
    if (!maps->row_slots || !maps->row_experts || !maps->slot_rows || !maps->kept || !p->start)
        return moe_fail(MOE_E_MEMORY, "no memory for %zu rows of the pipeline", slots);
    moe_ref_capacity(&p->layer, p->tokens, ids, NULL, maps->kept);
    for (size_t s = 0; s < slots; s++)
        if (maps->kept[s]) p->start[ids[s] + 2]++;
    for (int64_t e = 0; e < p->layer.e; e++) p->start[e + 2] += p->start[e + 1];
    for (size_t s = 0; s < slots; s++) {
        maps->slot_rows[s] = -1;
        if (!maps->kept[s]) continue;
        int64_t row = p->start[ids[s] + 1]++;
        maps->row_slots[row] = (int)s;
        maps->row_experts[row] = ids[s];
        maps->slot_rows[s] = (int)row;
    }
    p->rows = p->start[p->layer.e];
    return MOE_OK;
}

static moe_status make_buffers(moe_cublas_pipeline *p) {
    const moe_layer *l = &p->layer;
    int64_t element = (int64_t)moe_dtype_size(l->x), word = (int64_t)sizeof(int);
    const int64_t bytes[BUFFERS] = {
        [ROWS_X] = p->rows * l->d * element,
        [SUMS] = p->rows * moe_layer_up_rows(l) * element,
        [H] = p->rows * l->f * element,
        [Y_ROWS] = p->rows * l->d * element,
        [LOGITS] = p->tokens * l->e * (int64_t)sizeof(float),
        [ROW_SLOTS] = p->rows * word,
        [ROW_EXPERTS] = p->rows * word,
        [SLOT_ROWS] = p->tokens * l->k * word,
    };
    for (int b = 0; b < BUFFERS; b++)
        MOE_TRY(moe_device_alloc(p->device, (size_t)bytes[b], &p->buffer[b]));
    return MOE_OK;
}

static moe_status upload_maps(moe_cublas_pipeline *p, const host_maps *maps) {
    size_t rows = (size_t)p->rows * sizeof(int);
    size_t slots = (size_t)(p->tokens * p->layer.k) * sizeof(int);
    MOE_TRY(moe_device_copy_in(p->device, p->buffer[ROW_SLOTS], maps->row_slots, rows));
    MOE_TRY(moe_device_copy_in(p->device, p->buffer[ROW_EXPERTS], maps->row_experts, rows));
    return moe_device_copy_in(p->device, p->buffer[SLOT_ROWS], maps->slot_rows, slots);
}

static moe_status make_maps(moe_cublas_pipeline *p, const int *ids) {
    host_maps maps = {0};
    moe_status status = host_maps_init(&maps, p, ids);
    if (!status) status = make_buffers(p);
    if (!status) status = upload_maps(p, &maps);
    host_maps_free(&maps);
    return status;
}

/* The choices of pipeline_route.cu. */
static void define_router(const moe_router *r, moe_text *out) {
    const bool among = moe_router_among_chosen(r);
    const struct {
        const char *name;
        int64_t value;
    } choices[] = {
        {"OVER_ALL", moe_score_table[r->score].shares},
        {"KEY_BIAS", r->key_bias},
        {"GROUPS", r->groups},
        {"GROUPS_KEPT", r->groups_kept},
        {"GROUP_RULE", r->group_rule},
        {"ZERO_FILL", r->zero_fill},
        {"RENORM", r->renorm && !among},
        {"AMONG", among},
        {"BY_LOGITS", moe_router_selects_logits(r)},
    };
    moe_text_add(out, "#define SCORE (%s)\n#define WEIGHT (%s)\n", scores[r->score],
                 weights[r->weigh]);
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        moe_text_add(out, "#define %s %lld\n", choices[i].name, (long long)choices[i].value);
    moe_text_add(out, "#define JITTER ((float)%.9g)\n#define EPSILON ((float)%.9g)\n"
                      "#define SCALE ((float)%.9g)\n", r->jitter, r->epsilon, r->scale);
}

static moe_status make_module(moe_cublas_pipeline *p, const moe_text_compiler *compiler) {
    const moe_layer *l = &p->layer;
    moe_image image = {0};
    char *text = malloc(TEXT_SIZE);
    if (!text) return moe_fail(MOE_E_MEMORY, "no memory for the pipeline's text");
    moe_text out = moe_text_start(text, TEXT_SIZE);
    moe_text_add(&out, "#define D %lld\n#define F %lld\n#define E %lld\n#define K %lld\n",
                 (long long)l->d, (long long)l->f, (long long)l->e, (long long)l->k);
    moe_text_add(&out, "#define DTYPE %d\n#define ACTIVATED (%s)\n#define GATED %d\n", (int)l->x,
                 activated[l->act.kind], moe_layer_gated(l));
    moe_text_add(&out, "#define WEIGH_INPUT %d\n#define LAYOUT %d\n", l->router.input,
                 (int)l->layout);
    moe_text_add(&out, "#define LIMIT ((float)%.9g)\n#define ALPHA ((float)%.9g)\n", l->act.limit,
                 l->act.alpha);
    define_router(&l->router, &out);
    moe_text_add(&out, "%s", cuda_text);
    moe_status status = compiler->compile(compiler->self, "reference/pipeline.cu", text,
                                          moe_device_facts(p->device)->arch, &image);
    image.launch = (moe_launch){.kernels = ENTRIES, .align = 1, .deterministic = 1};
    for (int i = 0; i < ENTRIES; i++) {
        image.launch.kernel[i] = (moe_kernel){.block = BLOCK, .cluster = 1};
        snprintf(image.launch.kernel[i].symbol, MOE_SYMBOL_SIZE, "%s", symbols[i]);
    }
    if (!status) status = p->device->class->load(p->device->self, &image, &p->module);
    free(text);
    return status;
}

static moe_status check_texts(const moe_layer *l) {
    const char *what = !activated[l->act.kind]     ? moe_act_names[l->act.kind]
                       : !scores[l->router.score]  ? moe_score_table[l->router.score].name
                       : !weights[l->router.weigh] ? moe_weigh_table[l->router.weigh].name
                                                   : NULL;
    return what ? moe_fail(MOE_E_UNSUPPORTED, "the pipeline of library GEMMs has no %s", what)
                : MOE_OK;
}

moe_status moe_cublas_pipeline_create(moe_device *device, const moe_layer *layer, int64_t tokens,
                                      const int *ids, const moe_gemm *gemm,
                                      const moe_text_compiler *compiler,
                                      moe_cublas_pipeline **out) {
    if (layer->priority != MOE_PRIORITY_ORDER || layer->drop != MOE_DROP_PLAIN)
        return moe_fail(MOE_E_UNSUPPORTED, "the pipeline drops by order and renormalises nothing");
    if (moe_layer_neurons(layer))
        return moe_fail(MOE_E_UNSUPPORTED, "the pipeline of library GEMMs has no experts of f=1");
    if (moe_router_looks_up(&layer->router) || moe_router_draws(&layer->router))
        return moe_fail(MOE_E_UNSUPPORTED,
                        "the pipeline's router draws nothing and picks the k best");
    MOE_TRY(check_texts(layer));
    if (layer->shared.f || moe_layer_held(layer) < layer->e)
        return moe_fail(MOE_E_UNSUPPORTED, "the pipeline of library GEMMs has all experts of a "
                                           "layer, and no shared one");
    moe_cublas_pipeline *p = calloc(1, sizeof *p);
    if (!p) return moe_fail(MOE_E_MEMORY, "no memory for a pipeline");
    *p = (moe_cublas_pipeline){.device = device, .layer = *layer, .tokens = tokens, .gemm = gemm};
    moe_status status = make_maps(p, ids);
    if (!status) status = make_module(p, compiler);
    if (!status)
        *out = p;
    else
        moe_cublas_pipeline_destroy(p);
    return status;
}

void moe_cublas_pipeline_destroy(moe_cublas_pipeline *p) {
    if (!p) return;
    if (p->module) p->device->class->unload(p->device->self, p->module);
    for (int b = 0; b < BUFFERS; b++)
        if (p->buffer[b]) moe_device_free(p->device, p->buffer[b]);
    free(p->start);
    free(p);
}

/* ------------------------------------------------------------------------------------- runs */

static moe_ptr address(const moe_cublas_pipeline *p, int buffer) {
    return (moe_ptr)(uintptr_t)p->buffer[buffer];
}

static moe_status launch(const moe_cublas_pipeline *p, int entry, int64_t threads, const void *args,
                         size_t size, void *stream) {
    const moe_dims dims = {.grid = {(uint32_t)((threads + BLOCK - 1) / BLOCK), 1, 1},
                           .block = {BLOCK, 1, 1},
                           .cluster = 1};
    if (threads == 0) return MOE_OK;
    return p->device->class->launch(p->device->self, p->module, entry, &dims, args, size, stream);
}

/* Threads for `elements` of the layer's dtype, PACK_BYTES each. */
static int64_t packs(const moe_cublas_pipeline *p, int64_t elements) {
    return elements * (int64_t)moe_dtype_size(p->layer.x) / PACK_BYTES;
}

/* Argument structs: ORDER pipeline.cu, pipeline_route.cu. */

static moe_status run_gather(const moe_cublas_pipeline *p, const moe_pipeline_io *io,
                             void *stream) {
    const struct {
        moe_ptr x, row_slots, weights, out;
        int64_t rows;
    } args = {io->x, address(p, ROW_SLOTS), io->weights, address(p, ROWS_X), p->rows};
    return launch(p, GATHER, packs(p, p->rows * p->layer.d), &args, sizeof args, stream);
}

static moe_status run_activate(const moe_cublas_pipeline *p, const moe_pipeline_io *io,
                               void *stream) {
    const struct {
        moe_ptr sums, bias, row_experts, h;
        int64_t rows;
    } args = {address(p, SUMS), p->layer.bias & MOE_BIAS_UP ? io->up_bias : 0,
              address(p, ROW_EXPERTS), address(p, H), p->rows};
    return launch(p, ACTIVATE, packs(p, p->rows * p->layer.f), &args, sizeof args, stream);
}

static moe_status run_combine(const moe_cublas_pipeline *p, const moe_pipeline_io *io,
                              void *stream) {
    const struct {
        moe_ptr y_rows, bias, slot_rows, ids, weights, y;
        int64_t tokens;
    } args = {address(p, Y_ROWS),
              p->layer.bias & MOE_BIAS_DOWN ? io->down_bias : 0,
              address(p, SLOT_ROWS),
              io->ids,
              io->weights,
              io->y,
              p->tokens};
    return launch(p, COMBINE, packs(p, p->tokens * p->layer.d), &args, sizeof args, stream);
}

static moe_status run_router_gemm(const moe_cublas_pipeline *p, const moe_pipeline_io *io,
                                  void *stream) {
    const moe_layer *l = &p->layer;
    if (moe_layer_router_dtype(l) != l->x)
        return moe_fail(MOE_E_UNSUPPORTED, "no library GEMM takes %s x with f32 router weights; "
                                           "give it logits", moe_dtype_names[l->x]);
    const moe_gemm_call call = {.dtype = l->x,
                                .out_dtype = MOE_F32,
                                .rows = p->tokens,
                                .outputs = l->e,
                                .inputs = l->d,
                                .in = io->x,
                                .weight = io->router_weight,
                                .out = address(p, LOGITS)};
    return p->gemm->run(p->gemm->self, &call, stream);
}

static moe_status run_route(const moe_cublas_pipeline *p, const moe_pipeline_io *io, void *stream) {
    bool bias = p->layer.bias & MOE_BIAS_ROUTER && !io->logits;
    if (!io->logits && p->tokens) MOE_TRY(run_router_gemm(p, io, stream));
    const struct {
        moe_ptr logits, logit_bias, key_bias, ids, weights;
        int64_t tokens;
    } args = {io->logits ? io->logits : address(p, LOGITS), bias ? io->router_bias : 0,
              io->router_bias, io->ids, io->weights, p->tokens};
    return launch(p, ROUTE, p->tokens * WARP, &args, sizeof args, stream);
}

/* One product for each expert that has rows. */
static moe_status run_gemms(const moe_cublas_pipeline *p, moe_ptr in, int64_t inputs,
                            moe_ptr weight, moe_ptr out, int64_t outputs, void *stream) {
    uint64_t element = moe_dtype_size(p->layer.x);
    for (int64_t e = 0; e < p->layer.e; e++) {
        uint64_t first = (uint64_t)p->start[e];
        int64_t rows = p->start[e + 1] - p->start[e];
        if (rows == 0) continue;
        const moe_gemm_call call = {.dtype = p->layer.x,
                                    .out_dtype = p->layer.x,
                                    .rows = rows,
                                    .outputs = outputs,
                                    .inputs = inputs,
                                    .in = in + first * (uint64_t)inputs * element,
                                    .weight = weight + (uint64_t)e * (uint64_t)outputs *
                                                           (uint64_t)inputs * element,
                                    .out = out + first * (uint64_t)outputs * element};
        MOE_TRY(p->gemm->run(p->gemm->self, &call, stream));
    }
    return MOE_OK;
}

moe_status moe_cublas_pipeline_run(const moe_cublas_pipeline *p, const moe_pipeline_io *io,
                                   bool route, void *stream) {
    const moe_layer *l = &p->layer;
    if (route) MOE_TRY(run_route(p, io, stream));
    MOE_TRY(run_gather(p, io, stream));
    MOE_TRY(run_gemms(p, address(p, ROWS_X), l->d, io->up, address(p, SUMS), moe_layer_up_rows(l),
                      stream));
    MOE_TRY(run_activate(p, io, stream));
    MOE_TRY(run_gemms(p, address(p, H), l->f, io->down, address(p, Y_ROWS), l->d, stream));
    return run_combine(p, io, stream);
}

/* model_case.c - small models in files as families publish them, made of a workload's weights. */
#include "model_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZES "d=32 f=16 e=4 k=2 x=bf16 w=bf16 "
#define QWEN(of) "model.layers.1.mlp.experts.%d." of "_proj.weight"

const model_case model_cases[] = {
    {.name = "per expert", .type = "qwen3_moe", .layer = SIZES "router=softmax>topk>renorm",
     .router = "model.layers.1.mlp.gate.weight", .gate = QWEN("gate"), .up = QWEN("up"),
     .down = QWEN("down")},
    {.name = "per expert, key bias", .type = "deepseek_v3",
     .layer = SIZES "router=sigmoid+bias>topk>renorm>scale(2.5)",
     .router = "model.layers.1.mlp.gate.weight",
     .router_bias = "model.layers.1.mlp.gate.e_score_correction_bias", .gate = QWEN("gate"),
     .up = QWEN("up"), .down = QWEN("down")},
    {.name = "per expert, gated shared", .type = "qwen2_moe",
     .layer = SIZES "router=softmax>topk shared=32,gated",
     .router = "model.layers.1.mlp.gate.weight", .gate = QWEN("gate"), .up = QWEN("up"),
     .down = QWEN("down"), .shared_gate = "model.layers.1.mlp.shared_expert.gate_proj.weight",
     .shared_up = "model.layers.1.mlp.shared_expert.up_proj.weight",
     .shared_down = "model.layers.1.mlp.shared_expert.down_proj.weight",
     .shared_weight = "model.layers.1.mlp.shared_expert_gate.weight"},
    {.name = "input_linear, shared", .type = "granitemoeshared",
     .layer = SIZES "router=topk>softmax shared=16",
     .router = "model.layers.1.block_sparse_moe.router.layer.weight",
     .gate_up = "model.layers.1.block_sparse_moe.input_linear.weight",
     .down = "model.layers.1.block_sparse_moe.output_linear.weight",
     .shared_gate_up = "model.layers.1.shared_mlp.input_linear.weight",
     .shared_down = "model.layers.1.shared_mlp.output_linear.weight"},
    {.name = "w1 w3 w2", .type = "mixtral", .layer = SIZES "router=softmax>topk>renorm",
     .router = "model.layers.1.block_sparse_moe.gate.weight",
     .gate = "model.layers.1.block_sparse_moe.experts.%d.w1.weight",
     .up = "model.layers.1.block_sparse_moe.experts.%d.w3.weight",
     .down = "model.layers.1.block_sparse_moe.experts.%d.w2.weight"},
    {.name = "turned, alternating, biases", .type = "gpt_oss",
     .layer = SIZES "act=swiglu_clamp(7,1.702) router=topk>softmax bias=router,up,down",
     .router = "model.layers.1.mlp.router.weight", .router_bias = "model.layers.1.mlp.router.bias",
     .gate_up = "model.layers.1.mlp.experts.gate_up_proj",
     .up_bias = "model.layers.1.mlp.experts.gate_up_proj_bias",
     .down = "model.layers.1.mlp.experts.down_proj",
     .down_bias = "model.layers.1.mlp.experts.down_proj_bias", .turned = true,
     .turned_down = true, .alternating = true},
    {.name = "turned", .type = "qwen3_vl_moe_text", .layer = SIZES "router=softmax>topk>renorm",
     .router = "model.language_model.layers.1.mlp.gate.weight",
     .gate_up = "model.language_model.layers.1.mlp.experts.gate_up_proj",
     .down = "model.language_model.layers.1.mlp.experts.down_proj", .turned = true,
     .turned_down = true},
    {.name = "turned, shared", .type = "llama4_text",
     .layer = "d=32 f=16 e=4 k=1 x=bf16 w=bf16 router=topk>sigmoid>input shared=16",
     .shared_gate = "language_model.model.layers.1.feed_forward.shared_expert.gate_proj.weight",
     .shared_up = "language_model.model.layers.1.feed_forward.shared_expert.up_proj.weight",
     .shared_down = "language_model.model.layers.1.feed_forward.shared_expert.down_proj.weight",
     .router = "language_model.model.layers.1.feed_forward.router.weight",
     .gate_up = "language_model.model.layers.1.feed_forward.experts.gate_up_proj",
     .down = "language_model.model.layers.1.feed_forward.experts.down_proj", .turned = true,
     .turned_down = true},
    {.name = "fused", .type = "qwen3_5_moe_text", .layer = SIZES "router=softmax>topk>renorm",
     .router = "model.language_model.layers.1.mlp.gate.weight",
     .gate_up = "model.language_model.layers.1.mlp.experts.gate_up_proj",
     .down = "model.language_model.layers.1.mlp.experts.down_proj"},
    {.name = "fused, key bias, shared", .type = "deepseek_v3",
     .layer = SIZES "router=sigmoid+bias>topk>renorm>scale(2.5) shared=32",
     .router = "model.layers.1.mlp.gate.weight",
     .router_bias = "model.layers.1.mlp.gate.e_score_correction_bias",
     .gate_up = "model.layers.1.mlp.experts.gate_up_proj",
     .down = "model.layers.1.mlp.experts.down_proj",
     .shared_gate = "model.layers.1.mlp.shared_experts.gate_proj.weight",
     .shared_up = "model.layers.1.mlp.shared_experts.up_proj.weight",
     .shared_down = "model.layers.1.mlp.shared_experts.down_proj.weight"},
    {.name = "fused, router of another name", .type = "phimoe",
     .layer = SIZES "router=topk>sparsemixer(0.01)", .router = "model.layers.1.mlp.router.weight",
     .gate_up = "model.layers.1.mlp.experts.gate_up_proj",
     .down = "model.layers.1.mlp.experts.down_proj"},
    {.name = "w1 w3 w2 of another block", .type = "phimoe",
     .layer = SIZES "router=topk>sparsemixer(0.01)", .router = "model.layers.1.mlp.router.weight",
     .gate = "model.layers.1.mlp.experts.%d.w1.weight",
     .up = "model.layers.1.mlp.experts.%d.w3.weight",
     .down = "model.layers.1.mlp.experts.%d.w2.weight"},
    {.name = "w1 w3 w2, key bias", .type = "lfm2_moe",
     .layer = SIZES "router=sigmoid+bias>topk>renorm(1e-6)",
     .router = "model.layers.1.feed_forward.gate.weight",
     .router_bias = "model.layers.1.feed_forward.expert_bias",
     .gate = "model.layers.1.feed_forward.experts.%d.w1.weight",
     .up = "model.layers.1.feed_forward.experts.%d.w3.weight",
     .down = "model.layers.1.feed_forward.experts.%d.w2.weight"},
    {.name = "per expert, router in a room of its own, shared", .type = "afmoe",
     .layer = SIZES "router=sigmoid+bias>topk>renorm shared=16",
     .router = "model.layers.1.mlp.router.gate.weight",
     .router_bias = "model.layers.1.mlp.expert_bias", .gate = QWEN("gate"), .up = QWEN("up"),
     .down = QWEN("down"),
     .shared_gate = "model.layers.1.mlp.shared_experts.gate_proj.weight",
     .shared_up = "model.layers.1.mlp.shared_experts.up_proj.weight",
     .shared_down = "model.layers.1.mlp.shared_experts.down_proj.weight"},
    {.name = "w1 w3 w2, shared", .type = "minimax_m3",
     .layer = SIZES "router=sigmoid+bias>topk>renorm shared=16",
     .router = "language_model.model.layers.1.block_sparse_moe.gate.weight",
     .router_bias = "language_model.model.layers.1.block_sparse_moe.e_score_correction_bias",
     .gate = "language_model.model.layers.1.block_sparse_moe.experts.%d.w1.weight",
     .up = "language_model.model.layers.1.block_sparse_moe.experts.%d.w3.weight",
     .down = "language_model.model.layers.1.block_sparse_moe.experts.%d.w2.weight",
     .shared_gate =
         "language_model.model.layers.1.block_sparse_moe.shared_experts.gate_proj.weight",
     .shared_up = "language_model.model.layers.1.block_sparse_moe.shared_experts.up_proj.weight",
     .shared_down =
         "language_model.model.layers.1.block_sparse_moe.shared_experts.down_proj.weight"},
    {.name = "fused, no gate", .type = "nemotron_h",
     .layer = SIZES "act=relu2 router=sigmoid+bias>topk>renorm",
     .router = "model.layers.1.mixer.gate.weight",
     .router_bias = "model.layers.1.mixer.gate.e_score_correction_bias",
     .up = "model.layers.1.mixer.experts.up_proj",
     .down = "model.layers.1.mixer.experts.down_proj"},
    {.name = "input_linear", .type = "granitemoe", .layer = SIZES "router=topk>softmax",
     .router = "model.layers.1.block_sparse_moe.router.layer.weight",
     .gate_up = "model.layers.1.block_sparse_moe.input_linear.weight",
     .down = "model.layers.1.block_sparse_moe.output_linear.weight"},
    {.name = "stacked, down turned", .type = "dbrx", .layer = SIZES "router=softmax>topk>renorm",
     .router = "transformer.blocks.1.ffn.router.layer.weight",
     .gate = "transformer.blocks.1.ffn.experts.mlp.w1",
     .up = "transformer.blocks.1.ffn.experts.mlp.v1",
     .down = "transformer.blocks.1.ffn.experts.mlp.w2", .turned_down = true, .stacked = true},
    {.name = "no gate", .type = "nemotron_h",
     .layer = SIZES "act=relu2 router=sigmoid+bias>topk>renorm shared=32",
     .shared_up = "backbone.layers.1.mixer.shared_experts.up_proj.weight",
     .shared_down = "backbone.layers.1.mixer.shared_experts.down_proj.weight",
     .router = "backbone.layers.1.mixer.gate.weight",
     .router_bias = "backbone.layers.1.mixer.gate.e_score_correction_bias",
     .up = "backbone.layers.1.mixer.experts.%d.up_proj.weight",
     .down = "backbone.layers.1.mixer.experts.%d.down_proj.weight"},
    {.name = NULL},
};

enum { MAX_TENSORS = 64, NAME = 128 };

/* The tensors of a file under construction. */
typedef struct bundle {
    moe_tensor tensor[MAX_TENSORS];
    char name[MAX_TENSORS][NAME];
    int count;
} bundle;

static int64_t elements(const moe_tensor *t) {
    int64_t n = 1;
    for (int64_t i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

static uint16_t *add(bundle *b, const char *pattern, int expert, int64_t rank,
                     const int64_t *shape) {
    assert_true(b->count < MAX_TENSORS);
    moe_tensor *t = &b->tensor[b->count];
    snprintf(b->name[b->count], NAME, pattern, expert);
    *t = (moe_tensor){.name = b->name[b->count++], .type = MOE_TENSOR_BF16, .rank = rank};
    for (int64_t i = 0; i < rank; i++) t->shape[i] = shape[i];
    t->bytes = (size_t)elements(t) * 2;
    uint16_t *data = malloc(t->bytes);
    assert_non_null(data);
    t->data = data;
    return data;
}

/* Where row r of n (gate rows first) stands in the file. */
static int64_t place(const model_case *c, int64_t r, int64_t n) {
    return !c->alternating ? r : r < n / 2 ? 2 * r : 2 * (r - n / 2) + 1;
}

/* Copies [rows,columns] of every expert from `from`, which has `all` rows an expert and of these
 * the ones from `first` on. */
static void put(bundle *b, const model_case *c, const char *pattern, const uint16_t *from,
                int64_t experts, int64_t all, int64_t first, int64_t rows, int64_t columns,
                bool turned) {
    const bool each = strchr(pattern, '%');
    const int64_t shape[3] = {experts, turned ? columns : rows, turned ? rows : columns};
    const int64_t flat[2] = {experts * shape[1], shape[2]};
    uint16_t *to = NULL;
    for (int64_t e = 0; e < experts; e++) {
        if (each) to = add(b, pattern, (int)e, 2, shape + 1);
        else if (!to) to = c->stacked ? add(b, pattern, 0, 2, flat) : add(b, pattern, 0, 3, shape);
        uint16_t *piece = each ? to : to + e * rows * columns;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < columns; i++) {
                int64_t at = rows == all ? place(c, r, rows) : r;
                piece[turned ? i * rows + at : at * columns + i] =
                    from[(e * all + first + r) * columns + i];
            }
    }
}

static void put_vector(bundle *b, const model_case *c, const char *name, const uint16_t *from,
                       int64_t experts, int64_t n, bool rows) {
    const int64_t shape[2] = {experts, n};
    uint16_t *to = add(b, name, 0, 2, shape);
    for (int64_t e = 0; e < experts; e++)
        for (int64_t r = 0; r < n; r++)
            to[e * n + (rows ? place(c, r, n) : r)] = from[e * n + r];
}

static void put_experts(bundle *b, const model_case *c, const moe_workload *w) {
    const moe_layer *l = &w->layer;
    const int64_t up = moe_layer_up_rows(l), first = up - l->f;
    if (c->gate_up) put(b, c, c->gate_up, w->up, l->e, up, 0, up, l->d, c->turned);
    if (c->gate) put(b, c, c->gate, w->up, l->e, up, 0, l->f, l->d, false);
    if (c->up) put(b, c, c->up, w->up, l->e, up, first, l->f, l->d, false);
    const model_case straight = {.stacked = c->stacked};
    put(b, &straight, c->down, w->down, l->e, l->d, 0, l->d, l->f, c->turned_down);
    if (c->up_bias) put_vector(b, c, c->up_bias, w->up_bias, l->e, up, true);
    if (c->down_bias) put_vector(b, c, c->down_bias, w->down_bias, l->e, l->d, false);
}

/* A matrix that is one expert's: `rows` rows from row `first` on. */
static void put_matrix(bundle *b, const char *name, const uint16_t *from, int64_t first,
                       int64_t rows, int64_t columns) {
    const int64_t shape[2] = {rows, columns};
    if (!name) return;
    memcpy(add(b, name, 0, 2, shape), from + first * columns, (size_t)(rows * columns) * 2);
}

static void put_shared(bundle *b, const model_case *c, const moe_workload *w) {
    const moe_layer *l = &w->layer;
    const int64_t f = l->shared.f, up = moe_layer_gated(l) ? 2 * f : f;
    put_matrix(b, c->shared_gate_up, w->shared_up, 0, up, l->d);
    put_matrix(b, c->shared_gate, w->shared_up, 0, f, l->d);
    put_matrix(b, c->shared_up, w->shared_up, up - f, f, l->d);
    put_matrix(b, c->shared_down, w->shared_down, 0, l->d, f);
    put_matrix(b, c->shared_weight, w->shared_gate, 0, 1, l->d);
}

static void put_router(bundle *b, const model_case *c, const moe_workload *w) {
    const moe_layer *l = &w->layer;
    const int64_t shape[2] = {l->e, l->d};
    memcpy(add(b, c->router, 0, 2, shape), w->router_weight, (size_t)(l->e * l->d) * 2);
    if (!c->router_bias) return;
    moe_tensor *bias = &b->tensor[b->count];
    add(b, c->router_bias, 0, 2, (const int64_t[2]){1, 2 * l->e}); /* room for f32 */
    bias->type = MOE_TENSOR_F32;
    bias->shape[1] = l->e;
    memcpy((void *)(uintptr_t)bias->data, w->router_bias, bias->bytes);
}

/* Every second tensor is in the second file. */
static void write_shards(const bundle *b, const char *folder) {
    char path[256];
    moe_tensor half[MAX_TENSORS];
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    FILE *index = fopen(path, "w");
    assert_non_null(index);
    fprintf(index, "{\"metadata\":{},\"weight_map\":{");
    for (int i = 0; i < b->count; i++)
        fprintf(index, "%s\"%s\":\"part-%d.safetensors\"", i ? "," : "", b->tensor[i].name, i % 2);
    fprintf(index, "}}");
    assert_int_equal(fclose(index), 0);
    for (int part = 0; part < 2; part++) {
        int count = 0;
        for (int i = part; i < b->count; i += 2) half[count++] = b->tensor[i];
        snprintf(path, sizeof path, "%s/part-%d.safetensors", folder, part);
        assert_int_equal(moe_tensor_file_write(path, half, count), MOE_OK);
    }
}

void model_case_write(const model_case *c, const moe_workload *w, const char *folder,
                      bool shards) {
    static bundle b;
    char path[256];
    b.count = 0;
    put_router(&b, c, w);
    put_experts(&b, c, w);
    put_shared(&b, c, w);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (shards) write_shards(&b, folder);
    else assert_int_equal(moe_tensor_file_write(path, b.tensor, b.count), MOE_OK);
    for (int i = 0; i < b.count; i++) free((void *)(uintptr_t)b.tensor[i].data);
}

/* label: unit */
/* test_model_weights.c - every way in which families publish a layer comes out as the layer takes
 * it; and what is said of files that do not hold what they should. */
#include "model_case.h"
#include "models/model_weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char folder[] = "/tmp/moetune-weights-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int clear_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -f %s/*", folder);
    return system(command);
}

static int remove_folder(void **state) { return clear_folder(state) || remove(folder); }

static void make_workload(const model_case *c, const char *text, moe_workload *w) {
    moe_layer layer;
    if (moe_layer_parse(text, &layer)) fail_msg("%s: %s", c->name, moe_error_text());
    assert_int_equal(moe_workload_init(w, &layer, 1, MOE_ROUTING_UNIFORM, 11,
                                       MOE_MAKE_ROUTER | MOE_MAKE_UP | MOE_MAKE_DOWN |
                                           MOE_MAKE_GATE),
                     MOE_OK);
}

/* Where row r of up weights of width f, gate rows first, stands in the layer's layout. */
static int64_t row_of(const moe_layer *l, int64_t f, int64_t r) {
    const bool up = r >= f;
    if (!moe_layer_gated(l) || l->layout == MOE_LAYOUT_GATE_UP) return r;
    if (l->layout == MOE_LAYOUT_UP_GATE) return up ? r - f : r + f;
    return up ? 2 * (r - f) + 1 : 2 * r;
}

/* All pieces of all tensors that models have against the workload's arrays, byte for byte. */
static void assert_same(moe_model_weights *weights, const moe_workload *w, const char *name) {
    for (moe_arg tensor = 0; tensor < MOE_TENSORS; tensor++) {
        const char *want = moe_workload_array(w, tensor);
        if (!want || !moe_model_weights_hold(weights, tensor)) continue;
        const bool shared = tensor == MOE_ARG_shared_up;
        const bool up = shared || tensor == MOE_ARG_up || tensor == MOE_ARG_up_bias;
        const int64_t f = shared ? w->layer.shared.f : w->layer.f;
        const size_t bytes = moe_model_weights_bytes(weights, tensor);
        const int64_t rows = !up ? 1 : moe_layer_gated(&w->layer) ? 2 * f : f;
        const size_t row = bytes / (size_t)rows;
        char *got = malloc(bytes);
        assert_non_null(got);
        for (int64_t i = 0; i < moe_model_weights_pieces(weights, tensor); i++) {
            if (moe_model_weights_read(weights, tensor, i, got))
                fail_msg("%s: %s", name, moe_error_text());
            for (int64_t r = 0; r < rows; r++, want += row) {
                int64_t at = up ? row_of(&weights->layer, f, r) : r;
                if (memcmp(got + (size_t)at * row, want, row))
                    fail_msg("%s: tensor %d of expert %d differs in row %d", name, tensor, (int)i,
                             (int)r);
            }
        }
        free(got);
    }
}

static void publish_and_read(const model_case *c, bool shards, const char *type,
                             moe_layout layout) {
    moe_model_weights weights;
    moe_workload w;
    make_workload(c, c->layer, &w);
    model_case_write(c, &w, folder, shards);
    moe_layer layer = w.layer;
    layer.layout = layout;
    if (moe_model_weights_open(folder, type, &layer, 1, &weights))
        fail_msg("%s: %s", c->name, moe_error_text());
    assert_same(&weights, &w, c->name);
    moe_model_weights_close(&weights);
    moe_workload_free(&w);
    clear_folder(NULL);
}

static void every_way_of_publishing(void **state) {
    (void)state;
    for (const model_case *c = model_cases; c->name; c++) {
        for (int layout = 0; layout < MOE_LAYOUT_COUNT; layout++)
            publish_and_read(c, false, c->type, (moe_layout)layout);
        publish_and_read(c, true, c->type, MOE_LAYOUT_GATE_UP);
        publish_and_read(c, true, NULL, MOE_LAYOUT_GATE_UP); /* of a family not known */
    }
}

static const model_case *case_of(const char *type) {
    const model_case *c = model_cases;
    while (strcmp(c->type, type) != 0) c++;
    return c;
}

/* Opens layer `index` of a model as a family and a layer that it may not be. */
static moe_status open_as(const char *type, const char *text, int64_t index,
                          moe_model_weights *out) {
    moe_layer layer;
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    return moe_model_weights_open(folder, type, &layer, index, out);
}

static void write_case(const char *type, const char *text) {
    moe_workload w;
    make_workload(case_of(type), text, &w);
    model_case_write(case_of(type), &w, folder, false);
    moe_workload_free(&w);
}

static void layers_that_are_not_the_model_s(void **state) {
    (void)state;
    static const struct {
        const char *type, *as, *layer;
        int64_t index;
        moe_status status;
        const char *says;
    } cases[] = {
        {"mixtral", "mixtral", "d=32 f=16 e=4 k=2", 0, MOE_E_NOT_FOUND,
         "no experts of layer 0 by any name that is known; its tensors: none"},
        {"nemotron_h", "nemotron_h", "d=32 f=16 e=4 k=2 router=sigmoid+bias>topk>renorm shared=32",
         1, MOE_E_INVALID, "have no tensor"},
        {"qwen2_moe", "qwen2_moe", "d=32 f=16 e=4 k=2 router=softmax>topk", 1, MOE_E_INVALID,
         "shared_expert.down_proj.weight', for which the layer lacks shared=F"},
        {"qwen2_moe", "qwen2_moe", "d=32 f=16 e=4 k=2 router=softmax>topk shared=32", 1,
         MOE_E_INVALID, "shared_expert_gate.weight', for which the layer lacks shared=F,gated"},
        {"mixtral", "mixtral", "d=32 f=24 e=4 k=2", 1, MOE_E_INVALID,
         "w1.weight' is [16,32], should be [24,32]"},
        {"granitemoe", "granitemoe", "d=32 f=16 e=5 k=2 router=topk>softmax", 1, MOE_E_INVALID,
         "is [4,32,32], should be [5,32,32]"},
        {"mixtral", "mixtral", "d=32 f=16 e=5 k=2", 1, MOE_E_NOT_FOUND,
         "no tensor 'model.layers.1.block_sparse_moe.experts.4.w1.weight'"},
        {"mixtral", "mixtral", "d=32 f=16 e=4 k=2 act=relu", 1, MOE_E_INVALID,
         "lacks an activation with a gate"},
        {"mixtral", "mixtral", "d=32 f=16 e=4 k=2 bias=up", 1, MOE_E_INVALID, "have no tensor"},
        {"gpt_oss", "gpt_oss", "d=32 f=16 e=4 k=2 bias=router,up", 1, MOE_E_INVALID,
         "down_proj_bias', for which the layer lacks bias=down"},
        {"deepseek_v3", "deepseek_v3", "d=32 f=16 e=4 k=2", 1, MOE_E_INVALID,
         "e_score_correction_bias', for which the layer lacks +bias"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_model_weights weights;
        write_case(cases[i].type, case_of(cases[i].type)->layer);
        moe_status status = open_as(cases[i].as, cases[i].layer, cases[i].index, &weights);
        bool opened = !status;
        const moe_arg tensors[] = {MOE_ARG_up, MOE_ARG_up_bias, MOE_ARG_down, MOE_ARG_down_bias};
        for (int t = 0; t < 4 && !status; t++) {
            const moe_arg tensor = tensors[t];
            if (!moe_layer_has(&weights.layer, tensor)) continue;
            void *piece = malloc(moe_model_weights_bytes(&weights, tensor));
            for (int64_t e = 0; e < weights.layer.e && !status; e++)
                status = moe_model_weights_read(&weights, tensor, e, piece);
            free(piece);
        }
        if (status != cases[i].status || !strstr(moe_error_text(), cases[i].says))
            fail_msg("case %zu: status %d, '%s'", i, status, moe_error_text());
        if (opened) moe_model_weights_close(&weights);
    }
}

static void published_in_numbers_that_are_none(void **state) {
    (void)state;
    static const unsigned char bytes[512] = {0};
    static const char *const names[] = {"model.layers.1.mlp.gate.weight",
                                        "model.layers.1.mlp.experts.0.gate_proj.weight",
                                        "model.layers.1.mlp.experts.0.up_proj.weight",
                                        "model.layers.1.mlp.experts.0.down_proj.weight"};
    moe_tensor tensors[4];
    moe_model_weights weights;
    char path[128], piece[2048];
    for (int i = 0; i < 4; i++)
        tensors[i] = (moe_tensor){names[i], MOE_TENSOR_F8_E4M3, 2, {8, 8}, bytes, 64};
    tensors[0].shape[0] = 1;
    tensors[0].bytes = 8;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(moe_tensor_file_write(path, tensors, 4), MOE_OK);
    assert_int_equal(open_as("qwen3_moe", "d=8 f=8 e=1 k=1", 1, &weights), MOE_OK);
    assert_int_equal(moe_model_weights_read(&weights, MOE_ARG_up, 0, piece), MOE_E_UNSUPPORTED);
    assert_non_null(
        strstr(moe_error_text(), "F8_E4M3, which is quantised (FP8); convert the model"));
    moe_model_weights_close(&weights);
    const moe_tensor packed = {"model.layers.1.mlp.experts.0.up_proj.weight_packed", MOE_TENSOR_U8,
                               1, {8}, bytes, 8};
    assert_int_equal(moe_tensor_file_write(path, &packed, 1), MOE_OK);
    assert_int_equal(open_as("qwen3_moe", "d=8 f=8 e=1 k=1", 1, &weights), MOE_E_UNSUPPORTED);
    assert_non_null(strstr(moe_error_text(), "quantised ('model.layers.1.mlp.experts.0.up_proj"));
}

static void write_model(const moe_tensor *tensors, int count) {
    char path[128];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(moe_tensor_file_write(path, tensors, count), MOE_OK);
}

/* A piece of a layer in f32. */
static void read_f32(moe_model_weights *weights, moe_arg tensor, int64_t piece, float *out) {
    if (moe_model_weights_read(weights, tensor, piece, out)) fail_msg("%s", moe_error_text());
}

/* FP8 with a factor for each 128 x 128: what lies behind column and row 128 has the next one's. */
static void unpacked_from_fp8(void **state) {
    (void)state;
    enum { D = 136, F = 8 };
    static const float by_column[] = {0.5f, 4}, by_row[] = {2, 0.25f}, one = 3, none[D];
    /* 1, -1.5, the least, the least normal one, the largest */
    static const unsigned char bits[] = {0x38, 0xbc, 0x01, 0x08, 0x7e};
    static const float values[] = {1, -1.5f, 0x1p-9f, 0x1p-6f, 448};
    unsigned char bytes[D * F] = {0};
    float piece[2 * D * F];
#define EXPERT "model.layers.1.mlp.experts.0."
    moe_tensor tensors[] = {
        {"model.layers.1.mlp.gate.weight", MOE_TENSOR_F32, 2, {1, D}, none, sizeof none},
        {EXPERT "gate_proj.weight", MOE_TENSOR_F8_E4M3, 2, {F, D}, bytes, sizeof bytes},
        {EXPERT "gate_proj.weight_scale_inv", MOE_TENSOR_F32, 2, {1, 2}, by_column, 8},
        {EXPERT "up_proj.weight", MOE_TENSOR_F8_E4M3, 2, {F, D}, bytes, sizeof bytes},
        {EXPERT "up_proj.weight_scale_inv", MOE_TENSOR_F32, 2, {1, 2}, by_row, 8},
        {EXPERT "down_proj.weight", MOE_TENSOR_F8_E4M3, 2, {D, F}, bytes, sizeof bytes},
        {EXPERT "down_proj.weight_scale_inv", MOE_TENSOR_F32, 2, {2, 1}, by_row, 8},
    };
#undef EXPERT
    moe_model_weights weights;
    memcpy(bytes, bits, sizeof bits);
    memcpy(bytes + D + 126, bits, sizeof bits); /* across the blocks of columns, of gate and up */
    memcpy(bytes + 130 * F, bits, sizeof bits); /* in the second block of rows, of down */
    write_model(tensors, 7);
    assert_int_equal(open_as("deepseek_v3", "d=136 f=8 e=1 k=1 x=f32", 1, &weights), MOE_OK);
    read_f32(&weights, MOE_ARG_up, 0, piece);
    for (int i = 0; i < 5; i++) {
        assert_true(piece[i] == values[i] * 0.5f);
        assert_true(piece[D + 126 + i] == values[i] * (i < 2 ? 0.5f : 4));
        assert_true(piece[F * D + D + 126 + i] == values[i] * (i < 2 ? 2 : 0.25f));
    }
    read_f32(&weights, MOE_ARG_down, 0, piece);
    for (int i = 0; i < 5; i++) {
        assert_true(piece[i] == values[i] * 2);
        assert_true(piece[130 * F + i] == values[i] * 0.25f);
    }
    moe_model_weights_close(&weights);
    bytes[D + 3] = 0xff; /* a NaN, in gate and up */
    write_model(tensors, 7);
    assert_int_equal(open_as("deepseek_v3", "d=136 f=8 e=1 k=1 x=f32", 1, &weights), MOE_OK);
    assert_int_equal(moe_model_weights_read(&weights, MOE_ARG_up, 0, piece), MOE_E_CORRUPT);
    assert_non_null(strstr(moe_error_text(), "gate_proj.weight' holds a NaN: element 139"));
    moe_model_weights_close(&weights);
    bytes[D + 3] = 0;
    tensors[2].data = &one;
    tensors[2].shape[1] = 1;
    tensors[2].bytes = 4;
    write_model(tensors, 7);
    assert_int_equal(open_as("deepseek_v3", "d=136 f=8 e=1 k=1 x=f32", 1, &weights), MOE_OK);
    assert_int_equal(moe_model_weights_read(&weights, MOE_ARG_up, 0, piece), MOE_E_INVALID);
    assert_non_null(strstr(moe_error_text(), "gate_proj.weight_scale_inv' does not have"));
    moe_model_weights_close(&weights);
}

/* MXFP4 as gpt-oss has it: rows of gate and up in turn, two numbers a byte, 32 of them a scale. */
static void unpacked_from_mxfp4(void **state) {
    (void)state;
    enum { D = 64, F = 32, E = 2, UP = E * 2 * F * D, DOWN = E * D * F };
    static unsigned char up[UP / 2], up_scales[UP / 32], down[DOWN / 2], down_scales[DOWN / 32];
    static const uint16_t zeros[E * D];
    static float piece[2 * F * D];
#define EXPERTS "model.layers.1.mlp.experts."
    const moe_tensor tensors[] = {
        {"model.layers.1.mlp.router.weight", MOE_TENSOR_BF16, 2, {E, D}, zeros, E * D * 2},
        {"model.layers.1.mlp.router.bias", MOE_TENSOR_BF16, 1, {E}, zeros, E * 2},
        {EXPERTS "gate_up_proj_blocks", MOE_TENSOR_U8, 4, {E, 2 * F, D / 32, 16}, up, sizeof up},
        {EXPERTS "gate_up_proj_scales", MOE_TENSOR_U8, 3, {E, 2 * F, D / 32}, up_scales,
         sizeof up_scales},
        {EXPERTS "gate_up_proj_bias", MOE_TENSOR_BF16, 2, {E, 2 * F}, zeros, E * F * 4},
        {EXPERTS "down_proj_blocks", MOE_TENSOR_U8, 4, {E, D, F / 32, 16}, down, sizeof down},
        {EXPERTS "down_proj_scales", MOE_TENSOR_U8, 3, {E, D, F / 32}, down_scales,
         sizeof down_scales},
        {EXPERTS "down_proj_bias", MOE_TENSOR_BF16, 2, {E, D}, zeros, E * D * 2},
    };
#undef EXPERTS
    moe_model_weights weights;
    memset(up_scales, 127, sizeof up_scales);
    memset(down_scales, 127, sizeof down_scales);
    /* Expert 1, up row 2, columns 32 .. 35: 0.5, -6, 1.5 and -0.5, times 2^3. */
    const int row = 2 * F + 2 * 2 + 1;
    up[(row * D + 32) / 2] = 0xf1;
    up[(row * D + 34) / 2] = 0x93;
    up_scales[row * 2 + 1] = 130;
    /* Expert 0, down row 63, columns 30 and 31: 4 and 3, times 2^-7. */
    down[(63 * F + 30) / 2] = 0x56;
    down_scales[63] = 120;
    write_model(tensors, 8);
    assert_int_equal(open_as("gpt_oss", "d=64 f=32 e=2 k=1 act=swiglu_clamp(7,1.702) x=f32 "
                             "router=topk>softmax bias=router,up,down", 1, &weights), MOE_OK);
    read_f32(&weights, MOE_ARG_up, 1, piece);
    const float want[] = {4, -48, 12, -4};
    assert_memory_equal(piece + (F + 2) * D + 32, want, sizeof want); /* behind gate rows */
    for (int i = 0; i < 2 * F * D; i++)
        if (i / 4 != ((F + 2) * D + 32) / 4) assert_true(piece[i] == 0);
    read_f32(&weights, MOE_ARG_down, 0, piece);
    assert_true(piece[63 * F + 30] == 4 * 0x1p-7f && piece[63 * F + 31] == 3 * 0x1p-7f);
    moe_model_weights_close(&weights);
}

/* Weights of one dtype for a layer of another, and what f16 cannot hold. */
static void other_dtypes(void **state) {
    (void)state;
    float values[64];
    static const char *const names[] = {"model.layers.1.mlp.gate.weight",
                                        "model.layers.1.mlp.experts.0.gate_proj.weight",
                                        "model.layers.1.mlp.experts.0.up_proj.weight",
                                        "model.layers.1.mlp.experts.0.down_proj.weight"};
    moe_tensor tensors[4];
    moe_model_weights weights;
    char path[128];
    uint16_t piece[128];
    for (int i = 0; i < 64; i++) values[i] = i == 63 ? 70000 : (float)i / 4;
    for (int i = 0; i < 4; i++)
        tensors[i] = (moe_tensor){names[i], MOE_TENSOR_F32, 2, {8, 8}, values, sizeof values};
    tensors[0].shape[0] = 1;
    tensors[0].bytes /= 8;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(moe_tensor_file_write(path, tensors, 4), MOE_OK);
    assert_int_equal(open_as(NULL, "d=8 f=8 e=1 k=1 x=f32 w=f32", 1, &weights), MOE_OK);
    assert_null(weights.rounded);
    moe_model_weights_close(&weights);
    assert_int_equal(open_as(NULL, "d=8 f=8 e=1 k=1 x=bf16", 1, &weights), MOE_OK);
    assert_string_equal(weights.rounded, "F32");
    assert_int_equal(moe_model_weights_read(&weights, MOE_ARG_down, 0, piece), MOE_OK);
    assert_int_equal(piece[4], 0x3f80); /* 1 */
    assert_int_equal(piece[63], 0x4789); /* 70000, rounded */
    moe_model_weights_close(&weights);
    assert_int_equal(open_as(NULL, "d=8 f=8 e=1 k=1 x=f16", 1, &weights), MOE_OK);
    assert_int_equal(moe_model_weights_read(&weights, MOE_ARG_down, 0, piece), MOE_E_INVALID);
    assert_non_null(strstr(moe_error_text(), "holds 70000, which f16 does not"));
    moe_model_weights_close(&weights);
}

/* ------------------------------------------------------------------------ nothing in silence */

#define MLP "model.layers.1.mlp."

/* One expert of d = f = 8 as Qwen3 and DeepSeek call it, with a further tensor unless NULL. */
static void write_tiny(moe_tensor_type router, const void *values, const char *further) {
    static const uint16_t zeros[64];
    const moe_tensor tensors[] = {
        {MLP "gate.weight", router, 2, {1, 8}, values, 8 * moe_tensor_type_size(router)},
        {MLP "experts.0.gate_proj.weight", MOE_TENSOR_BF16, 2, {8, 8}, zeros, sizeof zeros},
        {MLP "experts.0.up_proj.weight", MOE_TENSOR_BF16, 2, {8, 8}, zeros, sizeof zeros},
        {MLP "experts.0.down_proj.weight", MOE_TENSOR_BF16, 2, {8, 8}, zeros, sizeof zeros},
        {further, MOE_TENSOR_BF16, 1, {8}, zeros, 16},
    };
    write_model(tensors, further ? 5 : 4);
}

/* A router in f32 is not rounded to the weights' dtype, nor one in theirs called f32; whatever the
 * family does, and whatever the text says. */
static void routers_keep_their_dtype(void **state) {
    (void)state;
    static const char *const layers[] = {"d=8 f=8 e=1 k=1", "d=8 f=8 e=1 k=1 router_dtype=f32"};
    float wide[8];
    uint16_t narrow[8];
    char piece[32];
    for (int i = 0; i < 8; i++) {
        wide[i] = 1 + (float)i * 0x1p-20f;
        narrow[i] = (uint16_t)(0x3f80 + i);
    }
    for (int i = 0; i < 2; i++) {
        moe_model_weights weights;
        write_tiny(MOE_TENSOR_F32, wide, NULL);
        assert_int_equal(open_as("qwen3_moe", layers[i], 1, &weights), MOE_OK);
        assert_int_equal(weights.layer.router_dtype, MOE_ROUTER_F32);
        assert_int_equal(moe_model_weights_bytes(&weights, MOE_ARG_router_weight), sizeof wide);
        read_f32(&weights, MOE_ARG_router_weight, 0, (float *)(void *)piece);
        assert_memory_equal(piece, wide, sizeof wide);
        moe_model_weights_close(&weights);
        write_tiny(MOE_TENSOR_BF16, narrow, NULL);
        assert_int_equal(open_as("hunyuan", layers[i], 1, &weights), MOE_OK);
        assert_int_equal(weights.layer.router_dtype, MOE_ROUTER_W);
        assert_int_equal(moe_model_weights_bytes(&weights, MOE_ARG_router_weight), sizeof narrow);
        read_f32(&weights, MOE_ARG_router_weight, 0, (float *)(void *)piece);
        assert_memory_equal(piece, narrow, sizeof narrow);
        moe_model_weights_close(&weights);
    }
}

static void what_nobody_reads_is_named(void **state) {
    (void)state;
    static const float router[8];
    static const struct {
        const char *further, *says; /* NULL: it is harmless */
    } cases[] = {
        {MLP "shared_experts.down_proj.bias", "it is a bias of a shared expert"},
        {MLP "experts.0.down_proj.bias", "it is of an expert, or a part of one"},
        {MLP "experts.1.down_proj.weight", "see its e"},
        {MLP "experts.0.down_proj.weight_scale_inv", "a scale of weights that have none"},
        {MLP "experts.0.down_proj.input_scale", "a scale of quantised weights"},
        {MLP "experts.0.down_proj.lora_A.weight", "merge it into the weights first"},
        {MLP "gate.per_expert_factor", "say --as FAMILY"},
        {MLP "experts._extra_state", NULL},
        {MLP "tokens_per_expert", NULL},
        {"model.layers.1.self_attn.q_proj.bias", NULL},
        {"model.layers.11.mlp.gate.bias", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_model_weights weights;
        write_tiny(MOE_TENSOR_F32, router, cases[i].further);
        moe_status status = open_as("qwen3_moe", "d=8 f=8 e=1 k=1", 1, &weights);
        if (status != (cases[i].says ? MOE_E_UNSUPPORTED : MOE_OK) ||
            (cases[i].says && (!strstr(moe_error_text(), cases[i].says) ||
                               !strstr(moe_error_text(), cases[i].further))))
            fail_msg("%s: status %d, '%s'", cases[i].further, status, moe_error_text());
        if (!status) moe_model_weights_close(&weights);
    }
}

/* A shared expert of a width that is no multiple of f is made up by zeros, wherever its rows go. */
static void shared_experts_of_any_width(void **state) {
    (void)state;
    enum { D = 8, F = 16, NARROW = 24, WIDE = 32 };
    static float gate[NARROW * D], up[NARROW * D], down[D * NARROW], zeros[F * D];
    static float piece[2 * WIDE * D];
    const moe_tensor tensors[] = {
        {MLP "gate.weight", MOE_TENSOR_F32, 2, {1, D}, zeros, D * 4},
        {MLP "experts.0.gate_proj.weight", MOE_TENSOR_F32, 2, {F, D}, zeros, sizeof zeros},
        {MLP "experts.0.up_proj.weight", MOE_TENSOR_F32, 2, {F, D}, zeros, sizeof zeros},
        {MLP "experts.0.down_proj.weight", MOE_TENSOR_F32, 2, {D, F}, zeros, sizeof zeros},
        {MLP "shared_expert.gate_proj.weight", MOE_TENSOR_F32, 2, {NARROW, D}, gate, sizeof gate},
        {MLP "shared_expert.up_proj.weight", MOE_TENSOR_F32, 2, {NARROW, D}, up, sizeof up},
        {MLP "shared_expert.down_proj.weight", MOE_TENSOR_F32, 2, {D, NARROW}, down, sizeof down},
    };
    for (int i = 0; i < NARROW * D; i++) {
        gate[i] = (float)(1 + i);
        up[i] = (float)(1000 + i);
        down[i] = (float)(2000 + i);
    }
    write_model(tensors, 7);
    for (int layout = 0; layout < MOE_LAYOUT_COUNT; layout++) {
        char text[128];
        moe_model_weights weights;
        snprintf(text, sizeof text, "d=8 f=16 e=1 k=1 x=f32 w=f32 shared=32 layout=%s",
                 moe_layout_names[layout]);
        assert_int_equal(open_as("qwen2_moe", text, 1, &weights), MOE_OK);
        assert_int_equal(moe_model_weights_bytes(&weights, MOE_ARG_shared_up), sizeof piece);
        read_f32(&weights, MOE_ARG_shared_up, 0, piece);
        for (int64_t r = 0; r < 2 * WIDE; r++)
            for (int64_t c = 0; c < D; c++) {
                const float *from = r < WIDE ? gate : up;
                const int64_t row = r % WIDE;
                const float got = piece[row_of(&weights.layer, WIDE, r) * D + c];
                assert_true(got == (row < NARROW ? from[row * D + c] : 0));
            }
        read_f32(&weights, MOE_ARG_shared_down, 0, piece);
        for (int64_t i = 0; i < D * WIDE; i++)
            assert_true(piece[i] ==
                        (i % WIDE < NARROW ? down[i / WIDE * NARROW + i % WIDE] : 0));
        moe_model_weights_close(&weights);
    }
}

/* Rows of gate and up in turn look like rows one after the other: without gpt-oss's biases, and of
 * no family that is known, nothing tells. Nor is a known family read by another one's names. */
static void layouts_are_not_guessed(void **state) {
    (void)state;
    static const model_case like_gpt_oss = {
        .name = "like gpt-oss", .type = "gpt_oss",
        .layer = "d=32 f=16 e=4 k=2 router=topk>softmax", .router = MLP "router.weight",
        .gate_up = MLP "experts.gate_up_proj", .down = MLP "experts.down_proj", .turned = true,
        .turned_down = true, .alternating = true};
    static const struct {
        const char *as, *says;
    } cases[] = {
        {NULL, "say --as FAMILY"},
        {"brand_new_moe", "'brand_new_moe' is no family that is known; say --as FAMILY"},
        {"llama4_text", "not called as llama4_text calls them, but as gpt_oss does"},
        {"gpt_oss", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_model_weights weights;
        moe_workload w;
        make_workload(&like_gpt_oss, like_gpt_oss.layer, &w);
        model_case_write(&like_gpt_oss, &w, folder, false);
        moe_status status = open_as(cases[i].as, like_gpt_oss.layer, 1, &weights);
        if (cases[i].says && (!status || !strstr(moe_error_text(), cases[i].says)))
            fail_msg("as %s: status %d, '%s'", cases[i].as, status, moe_error_text());
        if (cases[i].as && !strcmp(cases[i].as, "gpt_oss")) assert_same(&weights, &w, "gpt_oss");
        if (!status) moe_model_weights_close(&weights);
        moe_workload_free(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_way_of_publishing, clear_folder),
        cmocka_unit_test_teardown(layers_that_are_not_the_model_s, clear_folder),
        cmocka_unit_test_teardown(published_in_numbers_that_are_none, clear_folder),
        cmocka_unit_test_teardown(unpacked_from_fp8, clear_folder),
        cmocka_unit_test_teardown(unpacked_from_mxfp4, clear_folder),
        cmocka_unit_test_teardown(other_dtypes, clear_folder),
        cmocka_unit_test_teardown(routers_keep_their_dtype, clear_folder),
        cmocka_unit_test_teardown(what_nobody_reads_is_named, clear_folder),
        cmocka_unit_test_teardown(shared_experts_of_any_width, clear_folder),
        cmocka_unit_test_teardown(layouts_are_not_guessed, clear_folder),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* label: unit - what a layer's tensors are, against what DESIGN and moetune.h say, written out here
 * by hand: name, key in files, dtype, shape, needs by entry (N needed, o optional, - unused) and
 * alignment; and what the workspace keeps of its own. */
#include "check.h"

#include "core/tensor.h"

#include <stdio.h>
#include <string.h>

enum { T = 5, ALIGN = 16 };

#define BIASED "d=64 f=32 e=8 k=2 act=swiglu x=bf16 bias=router,up,down"
#define PLAIN "d=64 f=32 e=8 k=2 act=relu x=f32"
#define SHARED "d=64 f=32 e=8 k=2 x=f16 router_dtype=f32 shared=96,gated local=4"
#define KEYS "d=64 f=32 e=8 k=2 x=f16 router=sigmoid+bias>topk>renorm"
#define NOISY "d=64 f=32 e=8 k=2 router=noisy>topk>softmax"
#define HASH "d=64 f=32 e=8 k=2 router=sqrtsoftplus>hash>renorm"
#define NOISY_F32 "d=64 f=32 e=8 k=2 router=noisy>topk>softmax router_dtype=f32"
#define PEER "d=64 f=1 e=256 k=8 act=gelu router=peer(4,16,128)"
#define GIVEN "d=64 f=32 e=8 k=2 router=given"

static const struct {
    const char *layer, *line;
} rows[] = {
    {BIASED, "x x bf16 [5,64] NNN 16"},
    {BIASED, "router_weight router.weight bf16 [8,64] N-- 16"},
    {BIASED, "router_bias router.bias f32 [8] N-- 4"},
    {BIASED, "logits - f32 [5,8] -N- 4"},
    {BIASED, "up experts.gate_up bf16 [8,64,64] NNN 16"},
    {BIASED, "up_bias experts.gate_up.bias bf16 [8,64] NNN 16"},
    {BIASED, "down experts.down bf16 [8,64,32] NNN 16"},
    {BIASED, "down_bias experts.down.bias bf16 [8,64] NNN 16"},
    {BIASED, "y y bf16 [5,64] NNN 16"},
    {BIASED, "ids ids i32 [5,2] ooN 4"},
    {BIASED, "weights weights f32 [5,2] ooN 4"},
    {BIASED, "counts counts i32 [8] ooo 4"},
    {BIASED, "mean_probs mean_probs f32 [8] oo- 4"},
    {BIASED, "losses losses f32 [6] oo- 4"},
    {BIASED, "slot_rows - i32 [5,2] ooo 4"},
    {PLAIN, "up experts.up f32 [8,32,64] NNN 16"},
    {PLAIN, "router_weight router.weight f32 [8,64] N-- 16"},
    {PLAIN, "y y f32 [5,64] NNN 16"},
    {SHARED, "router_weight router.weight f32 [8,64] N-- 16"},
    {SHARED, "up experts.gate_up f16 [4,64,64] NNN 16"},
    {SHARED, "down experts.down f16 [4,64,32] NNN 16"},
    {SHARED, "shared_up shared.gate_up f16 [192,64] NNN 16"},
    {SHARED, "shared_down shared.down f16 [64,96] NNN 16"},
    {SHARED, "shared_gate shared_gate.weight f16 [1,64] NNN 16"},
    {SHARED, "counts counts i32 [8] ooo 4"},
    {KEYS, "router_bias router.bias f32 [8] NN- 4"},
    {KEYS, "next_router_bias next_router_bias f32 [8] oo- 4"},
    {NOISY, "router_noise router.noise bf16 [8,64] N-- 16"},
    {NOISY_F32, "router_noise router.noise f32 [8,64] N-- 16"},
    {NOISY, "seed - u64 [1] oo- 8"},
    {HASH, "token_ids token_ids i32 [5] NN- 4"},
    {HASH, "expert_table router.table i32 [-1,2] NN- 4"},
    {PEER, "router_weight router.weight bf16 [512,64] N-- 16"},
    {PEER, "router_keys router.keys bf16 [4,2,16,64] N-- 16"},
    {PEER, "logits - f32 [5,4,2,16] -N- 4"},
    {PEER, "up experts.up bf16 [256,1,64] NNN 16"},
    {GIVEN, "ids ids i32 [5,2] ooN 4"},
};

static void write_line(const moe_tensor_desc *d, char *line, size_t size) {
    static const char needs[] = "-oN";
    moe_text out = moe_text_start(line, size);
    moe_text_add(&out, "%s %s %s [", d->name, d->file ? d->file : "-", moe_dtype_text(d->dtype));
    for (int i = 0; i < d->rank; i++)
        moe_text_add(&out, "%s%lld", i ? "," : "", (long long)d->shape[i]);
    moe_text_add(&out, "] ");
    for (int i = 0; i < MOE_ENTRY_COUNT; i++) moe_text_add(&out, "%c", needs[d->need[i]]);
    moe_text_add(&out, " %u", d->align);
}

static moe_layer layer_of(const char *text) {
    moe_layer layer;
    if (moe_layer_parse(text, &layer)) fail_msg("%s: %s", text, moe_error_text());
    return layer;
}

/* The tensor of a layer whose name is the first word of `line`. */
static moe_tensor_desc find(const moe_layer *layer, const char *line) {
    moe_tensor_desc desc;
    const size_t length = strcspn(line, " ");
    for (int i = 0; moe_layer_tensor(layer, T, i, &desc) == MOE_OK; i++)
        if (strlen(desc.name) == length && !strncmp(desc.name, line, length)) return desc;
    fail_msg("no tensor %s", line);
    return desc;
}

static void test_lines(void **unused) {
    (void)unused;
    char line[128];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const moe_layer layer = layer_of(rows[i].layer);
        const moe_tensor_desc desc = find(&layer, rows[i].line);
        write_line(&desc, line, sizeof line);
        assert_true(desc.present);
        assert_string_equal(line, rows[i].line);
    }
}

/* What a layer has not. */
static void test_absent(void **unused) {
    (void)unused;
    const struct {
        const char *layer, *names;
    } table[] = {
        {PLAIN, "router_bias up_bias down_bias shared_up shared_down shared_gate router_keys "
                "router_noise token_ids expert_table seed next_router_bias"},
        {PLAIN " bias=up", "router_bias down_bias"},
        {PLAIN " bias=down", "router_bias up_bias"},
        {PLAIN " bias=router", "up_bias down_bias"},
        {GIVEN, "router_weight logits"},
        {PEER, "mean_probs losses slot_rows"},
    };
    char name[32];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const moe_layer layer = layer_of(table[i].layer);
        for (const char *at = table[i].names; moe_next_word(&at, name, sizeof name);) {
            const moe_tensor_desc desc = find(&layer, name);
            if (desc.present) fail_msg("%s has %s", table[i].layer, name);
            for (int e = 0; e < MOE_ENTRY_COUNT; e++)
                assert_int_equal(desc.need[e], MOE_NEED_UNUSED);
        }
    }
}

/* Bytes of what is the workspace's own: 10 slots, 8 experts with up to 15 rows of gap each. */
static void test_own(void **unused) {
    (void)unused;
    const int64_t ROWS = 10 + 8 * 15;
    const struct {
        moe_arg tensor;
        int64_t bytes;
    } table[] = {
        {MOE_ARG_prob_sums, 8 * 8},         {MOE_ARG_loss_sums, (3 * 8 + 2) * 8},
        {MOE_ARG_expert_start, 9 * 4},      {MOE_ARG_expert_rows, 8 * 4},
        {MOE_ARG_tile_start, 7 * 9 * 4},    {MOE_ARG_flags, 1024 * 4},
        {MOE_ARG_row_slots, ROWS * 4},      {MOE_ARG_h, ROWS * 32 * 2},
        {MOE_ARG_y_rows, ROWS * 64 * 2},    {MOE_ARG_jittered, 0},
    };
    const moe_layer layer = layer_of(BIASED);
    const moe_sizes sizes = moe_sizes_make(&layer, T, ALIGN);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const moe_tensor_desc desc = moe_tensor_describe(&sizes, table[i].tensor);
        assert_int_equal(moe_tensor_bytes_of(&desc), table[i].bytes);
    }
}

/* Every pointer of moe_io is one tensor's, and each tensor of callers has its own. */
static void test_pointers(void **unused) {
    (void)unused;
    const moe_layer layer = layer_of(BIASED);
    moe_tensor_desc one, other;
    int count = 0;
    for (; moe_layer_tensor(&layer, T, count, &one) == MOE_OK; count++)
        for (int i = 0; i < count; i++) {
            assert_int_equal(moe_layer_tensor(&layer, T, i, &other), MOE_OK);
            assert_int_not_equal(one.io_offset, other.io_offset);
        }
    /* The rest: size, first_expert, routing_given, vocab, bias_rate, workspace, workspace_size. */
    assert_true(sizeof(moe_io) <= ((size_t)count + 7) * sizeof(void *));
    assert_int_equal(moe_layer_tensor(&layer, T, -1, &one), MOE_E_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines), cmocka_unit_test(test_absent), cmocka_unit_test(test_own),
        cmocka_unit_test(test_pointers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

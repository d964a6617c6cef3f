/* label: sim
 * moetune run as a user runs it: safetensors in, safetensors out, against the reference. */
#include "reference.h"
#include "run_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* counts, losses and the next bias of the file against the reference for the file's own ids. */
static void judge_statistics(const moe_workload *w, const char *path) {
    const moe_layer *l = &w->layer;
    const moe_host_layer in = moe_workload_host(w);
    const int64_t slots = T * l->k, shape_e[] = {l->e}, shape_losses[] = {MOE_LOSS_COUNT};
    const moe_tensor *ids, *weights, *counts, *bias, *got;
    moe_tensor_file *file;
    double *logits = calloc((size_t)(T * l->e), sizeof *logits), exact[64], want[MOE_LOSS_COUNT];
    float next[64];
    int count[64] = {0};
    assert_true(l->e <= 64 && slots <= 64);
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    ids = moe_tensor_find(file, "ids"), weights = moe_tensor_find(file, "weights");
    assert_int_equal(moe_tensor_get(file, "counts", MOE_TENSOR_I32, 1, shape_e, &counts), MOE_OK);
    assert_int_equal(moe_tensor_get(file, "next_router_bias", MOE_TENSOR_F32, 1, shape_e, &bias),
                     MOE_OK);
    assert_int_equal(moe_tensor_get(file, "losses", MOE_TENSOR_F32, 1, shape_losses, &got), MOE_OK);
    assert_non_null(moe_tensor_find(file, "mean_probs"));
    for (int64_t s = 0; s < slots; s++) {
        exact[s] = ((const float *)weights->data)[s];
        count[((const int *)ids->data)[s]]++;
    }
    assert_memory_equal(counts->data, count, (size_t)l->e * sizeof *count);
    moe_ref_next_bias(l, T, count, 0.25f, w->router_bias, next);
    assert_memory_equal(bias->data, next, (size_t)l->e * sizeof *next);
    assert_int_equal(moe_ref_logits(l, T, &in, logits), MOE_OK);
    assert_int_equal(moe_ref_losses(l, T, logits, ids->data, exact, want), MOE_OK);
    for (int i = 0; i < MOE_LOSS_COUNT; i++)
        if (!(fabs(((const float *)got->data)[i] - want[i]) < 1e-3 * (1 + want[i])))
            fail_msg("losses[%d] is %g, should be %g", i, ((const float *)got->data)[i], want[i]);
    free(logits);
    moe_tensor_file_close(file);
}

static void a_layer_on_given_tensors(void **state) {
    (void)state;
    static const char *const layers[] = {
        "d=32 f=16 e=5 k=2 act=swiglu x=bf16 w=bf16 router=softmax>topk>renorm router_dtype=f32",
        "d=16 f=24 e=4 k=2 act=gelu x=f32 w=f32 router=softmax>topk capacity=0.5",
        "d=24 f=8 e=6 k=3 act=swiglu_clamp(7,1.702) x=f16 w=f16 router=topk>softmax "
        "bias=router,up,down",
        "d=24 f=1 e=64 k=6 act=relu x=f16 w=f16 router=peer(2,8,128) bias=router",
        "d=32 f=1 e=64 k=4 act=none x=bf16 w=bf16 router=peer(1,8,128)",
    };
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        moe_layer layer;
        moe_workload w;
        char text[4096], output[128];
        assert_int_equal(moe_layer_parse(layers[i], &layer), MOE_OK);
        assert_int_equal(
            moe_workload_init(&w, &layer, T, MOE_ROUTING_UNIFORM, 7 + i,
                              MOE_MAKE_ALL & ~MOE_MAKE_LOGITS), MOE_OK);
        run_input(&w, "in.safetensors");
        snprintf(output, sizeof output, "%s/out.safetensors", run_folder);
        int status = run_layer(layers[i], "in.safetensors", output, text, sizeof text);
        if (status) fail_msg("%s: exit status %d: %s", layers[i], status, text);
        run_judge(&w, output);
        moe_workload_free(&w);
    }
}

/* What a seed draws, and what a table has for token ids. */
static void routers_that_read_more(void **state) {
    static const char *const layers[] = {
        "d=32 f=16 e=5 k=2 router=noisy>topk>softmax",
        "d=32 f=16 e=6 k=3 router=sqrtsoftplus>hash>renorm>scale(1.5)",
        "d=32 f=16 e=5 k=2 router=jitter(0.1)>softmax>topk>renorm>second(paper)",
    };
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        moe_layer layer;
        moe_workload w;
        char text[4096], output[128], options[512];
        assert_int_equal(moe_layer_parse(layers[i], &layer), MOE_OK);
        assert_int_equal(moe_workload_init(&w, &layer, T, MOE_ROUTING_UNIFORM, 7,
                                           MOE_MAKE_ALL & ~MOE_MAKE_LOGITS), MOE_OK);
        run_input(&w, "in.safetensors");
        snprintf(output, sizeof output, "%s/out.safetensors", run_folder);
        snprintf(options, sizeof options,
                 "--layer '%s' --input %s/in.safetensors --output %s --seed 7", layers[i],
                 run_folder, output);
        int status = run_command(options, text, sizeof text);
        if (status) fail_msg("%s: exit status %d: %s", layers[i], status, text);
        run_judge(&w, output);
        moe_workload_free(&w);
    }
}

/* Ids and weights of the caller's: one of them twice, one that is no expert's. */
static void a_layer_without_a_router(void **state) {
    static const char text_of_layer[] = "d=32 f=16 e=5 k=2 router=given";
    int ids[2 * T] = {0, 1, 4, 4, 3, -1, 5, 2, 1, 0};
    float weights[2 * T] = {0.5f, 0.25f, 1, -1, 2, 7, 7, 0.125f, 0, 3};
    double wide[2 * T], want[T * 32];
    moe_layer layer;
    moe_workload w;
    char text[4096], path[128], output[128];
    moe_tensor tensors[MAX_TENSORS + 2];
    const moe_tensor *y;
    moe_tensor_file *file;
    (void)state;
    assert_int_equal(moe_layer_parse(text_of_layer, &layer), MOE_OK);
    assert_int_equal(moe_workload_init(&w, &layer, T, MOE_ROUTING_UNIFORM, 3,
                                       MOE_MAKE_X | MOE_MAKE_UP | MOE_MAKE_DOWN), MOE_OK);
    int64_t count = run_tensors(&w, tensors);
    tensors[count++] = (moe_tensor){"ids", MOE_TENSOR_I32, 2, {T, 2}, ids, sizeof ids};
    tensors[count++] = (moe_tensor){"weights", MOE_TENSOR_F32, 2, {T, 2}, weights, sizeof weights};
    snprintf(path, sizeof path, "%s/in.safetensors", run_folder);
    snprintf(output, sizeof output, "%s/out.safetensors", run_folder);
    assert_int_equal(moe_tensor_file_write(path, tensors, count), MOE_OK);
    int status = run_layer(text_of_layer, "in.safetensors", output, text, sizeof text);
    if (status) fail_msg("exit status %d: %s", status, text);
    assert_int_equal(moe_tensor_file_open(output, &file), MOE_OK);
    y = moe_tensor_find(file, "y");
    const moe_host_layer in = moe_workload_host(&w);
    for (int s = 0; s < 2 * T; s++) wide[s] = (double)weights[s];
    for (int s = 0; s < 2 * T; s++) ids[s] = ids[s] == 5 ? -1 : ids[s];
    assert_int_equal(moe_ref_layer(&layer, T, &in, ids, wide, NULL, NULL, T, want), MOE_OK);
    for (int i = 0; i < T * 32; i++)
        assert_true(fabs(moe_load(MOE_BF16, y->data, i) - want[i]) < 0.05 * (1 + fabs(want[i])));
    moe_tensor_file_close(file);
    moe_workload_free(&w);
}

static void statistics_on_request(void **state) {
    (void)state;
    static const char text_of_layer[] = "d=32 f=16 e=5 k=2 router=sigmoid+bias>topk>renorm";
    moe_layer layer;
    moe_workload w;
    char text[4096], options[512], output[128];
    assert_int_equal(moe_layer_parse(text_of_layer, &layer), MOE_OK);
    assert_int_equal(moe_workload_init(&w, &layer, T, MOE_ROUTING_UNIFORM, 3,
                                       MOE_MAKE_ALL & ~MOE_MAKE_LOGITS), MOE_OK);
    run_input(&w, "in.safetensors");
    snprintf(output, sizeof output, "%s/out.safetensors", run_folder);
    snprintf(options, sizeof options,
             "--layer '%s' --input %s/in.safetensors --output %s --statistics --bias-rate 0.25",
             text_of_layer, run_folder, output);
    int status = run_command(options, text, sizeof text);
    if (status) fail_msg("exit status %d: %s", status, text);
    judge_statistics(&w, output);
    moe_workload_free(&w);
}

/* The help names every tensor that files may hold, by all its names. */
static void help_lists_tensors(void **state) {
    (void)state;
    static char text[16384];
    assert_int_equal(run_command("--help", text, sizeof text), 0);
    const char *const layers[] = {"d=8 f=8 e=2 k=1", "d=8 f=8 e=2 k=1 act=relu"};
    for (int i = 0; i < 2 * MOE_CALLER_TENSORS; i++) {
        moe_layer layer;
        moe_tensor_desc desc;
        assert_int_equal(moe_layer_parse(layers[i % 2], &layer), MOE_OK);
        assert_int_equal(moe_layer_tensor(&layer, 1, i / 2, &desc), MOE_OK);
        if (desc.file && !strstr(text, desc.file)) fail_msg("no %s in\n%s", desc.file, text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_on_given_tensors),
        cmocka_unit_test(routers_that_read_more),
        cmocka_unit_test(a_layer_without_a_router),
        cmocka_unit_test(statistics_on_request),
        cmocka_unit_test(help_lists_tensors),
    };
    return cmocka_run_group_tests(tests, run_make_folder, run_remove_folder);
}

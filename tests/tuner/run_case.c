/* run_case.c - see run_case.h. */
#include "run_case.h"

#include "reference.h"
#include "tolerance.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

char run_folder[] = "/tmp/moetune-run-XXXXXX";

int run_command(const char *options, char *text, size_t size) {
    char command[2048];
    snprintf(command, sizeof command, "%s run --device sim:a100 %s 2>&1", getenv("MOETUNE_BINARY"),
             options);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    text[fread(text, 1, size - 1, pipe)] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int run_layer(const char *layer, const char *input, const char *output, char *text, size_t size) {
    char options[1024];
    snprintf(options, sizeof options, "--layer '%s' --input %s/%s --output %s", layer, run_folder,
             input, output);
    return run_command(options, text, size);
}

int64_t run_tensors(const moe_workload *w, moe_tensor *out) {
    const moe_layer *l = &w->layer;
    const moe_tensor_type x = moe_tensor_type_of(l->x);
    const int64_t up = moe_layer_up_rows(l);
    const bool gated = moe_layer_gated(l);
    const moe_tensor all[MAX_TENSORS] = {
        {"x", x, 2, {w->tokens, l->d}, w->x, 0},
        {"router.weight", moe_tensor_type_of(moe_layer_router_dtype(l)), 2,
         {moe_layer_queries(l), l->d}, w->router_weight, 0},
        {"router.keys", x, 4, {l->router.heads, 2, l->router.keys, l->router.key_width / 2},
         w->router_keys, 0},
        {gated ? "experts.gate_up" : "experts.up", x, 3, {l->e, up, l->d}, w->up, 0},
        {"experts.down", x, 3, {l->e, l->d, l->f}, w->down, 0},
        {"router.bias", MOE_TENSOR_F32, 1, {moe_layer_queries(l)}, w->router_bias, 0},
        {gated ? "experts.gate_up.bias" : "experts.up.bias", x, 2, {l->e, up}, w->up_bias, 0},
        {"experts.down.bias", x, 2, {l->e, l->d}, w->down_bias, 0},
        {"router.noise", moe_tensor_type_of(moe_layer_router_dtype(l)), 2, {l->e, l->d},
         w->router_noise, 0},
        {"token_ids", MOE_TENSOR_I32, 1, {w->tokens}, w->token_ids, 0},
        {"router.table", MOE_TENSOR_I32, 2, {MOE_WORKLOAD_VOCAB, l->k}, w->expert_table, 0},
    };
    int64_t count = 0;
    for (int i = 0; i < MAX_TENSORS; i++) {
        if (!all[i].data) continue;
        out[count] = all[i];
        out[count].bytes = moe_tensor_type_size(all[i].type);
        for (int64_t r = 0; r < all[i].rank; r++) out[count].bytes *= (size_t)all[i].shape[r];
        count++;
    }
    return count;
}

void run_input(const moe_workload *w, const char *name) {
    char path[128];
    moe_tensor tensors[MAX_TENSORS];
    int64_t count = run_tensors(w, tensors);
    snprintf(path, sizeof path, "%s/%s", run_folder, name);
    assert_int_equal(moe_tensor_file_write(path, tensors, count), MOE_OK);
}

void run_judge(const moe_workload *w, const char *path) {
    const moe_layer *l = &w->layer;
    const moe_host_layer in = moe_workload_host(w);
    const int64_t slots = T * l->k, shape_y[] = {T, l->d}, shape_slots[] = {T, l->k};
    const moe_tensor *y, *ids, *weights;
    moe_tensor_file *file;
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    assert_int_equal(moe_tensor_get(file, "y", moe_tensor_type_of(l->x), 2, shape_y, &y), MOE_OK);
    assert_int_equal(moe_tensor_get(file, "ids", MOE_TENSOR_I32, 2, shape_slots, &ids), MOE_OK);
    assert_int_equal(moe_tensor_get(file, "weights", MOE_TENSOR_F32, 2, shape_slots, &weights),
                     MOE_OK);

    double *logits = calloc((size_t)(T * moe_layer_logits(l)), sizeof *logits);
    double *want_weights = calloc((size_t)slots, sizeof *want_weights);
    double *want = calloc((size_t)(T * l->d), sizeof *want), *got = calloc((size_t)(T * l->d), 8);
    unsigned char *kept = calloc((size_t)slots, 1);
    assert_int_equal(moe_ref_logits(l, T, &in, logits), MOE_OK);
    moe_ref_weights(l, T, logits, ids->data, want_weights);
    moe_ref_capacity(l, T, ids->data, NULL, kept);
    for (int64_t s = 0; s < slots; s++) {
        double given = ((const float *)weights->data)[s];
        assert_true(kept[s] ? fabs(given - want_weights[s]) < 1e-2 : given == 0);
    }
    assert_int_equal(moe_ref_layer(l, T, &in, ids->data, want_weights, kept, NULL, T, want),
                     MOE_OK);
    for (int64_t i = 0; i < T * l->d; i++) got[i] = moe_load(l->x, y->data, i);
    moe_error_stats error = moe_compare(got, want, T * l->d);
    double tolerance = moe_layer_tolerance(l, error.peak);
    if (!(error.max_over_rms <= tolerance))
        fail_msg("error %g is beyond %g", error.max_over_rms, tolerance);
    free(logits);
    free(want_weights);
    free(want);
    free(got);
    free(kept);
    moe_tensor_file_close(file);
}

void run_empty(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/*", run_folder);
    assert_int_equal(system(command), 0);
}

int run_make_folder(void **state) {
    (void)state;
    char path[64];
    if (!mkdtemp(run_folder)) return -1;
    /* Keep the user's own database out of it. */
    snprintf(path, sizeof path, "%s", run_folder);
    return setenv("XDG_CACHE_HOME", path, 1) || unsetenv("MOETUNE_DB");
}

int run_remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", run_folder);
    return system(command);
}

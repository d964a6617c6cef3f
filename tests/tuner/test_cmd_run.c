/* label: sim
 * moetune run as a user runs it: safetensors in, safetensors out, against the reference; and what
 * it says of files that do not fit. */
#include "model_case.h"
#include "models/presets.h"
#include "models/safetensors.h"
#include "reference.h"
#include "tolerance.h"
#include "workload.h"

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

enum { T = 5, MAX_TENSORS = 12 };

static char folder[] = "/tmp/moetune-run-XXXXXX";

/* Runs the program with its messages in `text`; returns the exit status. */
static int run_with(const char *options, char *text, size_t size) {
    char command[2048];
    snprintf(command, sizeof command, "%s run --device sim:a100 %s 2>&1", getenv("MOETUNE_BINARY"),
             options);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    text[fread(text, 1, size - 1, pipe)] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int run(const char *layer, const char *input, const char *output, char *text, size_t size) {
    char options[1024];
    snprintf(options, sizeof options, "--layer '%s' --input %s/%s --output %s", layer, folder,
             input, output);
    return run_with(options, text, size);
}

/* The tensors of a workload by the names of the command. */
static int64_t list_tensors(const moe_workload *w, moe_tensor *out) {
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

static void write_input(const moe_workload *w, const char *name) {
    char path[128];
    moe_tensor tensors[MAX_TENSORS];
    int64_t count = list_tensors(w, tensors);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(moe_tensor_file_write(path, tensors, count), MOE_OK);
}

/* y, ids and weights of the file against the reference for the file's own ids. */
static void judge(const moe_workload *w, const char *path) {
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

static void remove_files(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/*", folder);
    assert_int_equal(system(command), 0);
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
        write_input(&w, "in.safetensors");
        snprintf(output, sizeof output, "%s/out.safetensors", folder);
        int status = run(layers[i], "in.safetensors", output, text, sizeof text);
        if (status) fail_msg("%s: exit status %d: %s", layers[i], status, text);
        judge(&w, output);
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
        write_input(&w, "in.safetensors");
        snprintf(output, sizeof output, "%s/out.safetensors", folder);
        snprintf(options, sizeof options,
                 "--layer '%s' --input %s/in.safetensors --output %s --seed 7", layers[i], folder,
                 output);
        int status = run_with(options, text, sizeof text);
        if (status) fail_msg("%s: exit status %d: %s", layers[i], status, text);
        judge(&w, output);
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
    int64_t count = list_tensors(&w, tensors);
    tensors[count++] = (moe_tensor){"ids", MOE_TENSOR_I32, 2, {T, 2}, ids, sizeof ids};
    tensors[count++] = (moe_tensor){"weights", MOE_TENSOR_F32, 2, {T, 2}, weights, sizeof weights};
    snprintf(path, sizeof path, "%s/in.safetensors", folder);
    snprintf(output, sizeof output, "%s/out.safetensors", folder);
    assert_int_equal(moe_tensor_file_write(path, tensors, count), MOE_OK);
    int status = run(text_of_layer, "in.safetensors", output, text, sizeof text);
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
    write_input(&w, "in.safetensors");
    snprintf(output, sizeof output, "%s/out.safetensors", folder);
    snprintf(options, sizeof options,
             "--layer '%s' --input %s/in.safetensors --output %s --statistics --bias-rate 0.25",
             text_of_layer, folder, output);
    int status = run_with(options, text, sizeof text);
    if (status) fail_msg("exit status %d: %s", status, text);
    judge_statistics(&w, output);
    moe_workload_free(&w);
}

static void files_that_do_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *layer, *input, *output;
        int status;
        const char *says;
    } cases[] = {
        {"d=32 f=16 e=5 k=2", "nowhere", "out", 3, "No such file"},
        {"d=32 f=16 e=5 k=2", "good", "/nowhere/out", 3, "/nowhere/out"},
        {"d=32 f=16 e=5 k=2", "good", "/dev/full", 3, "No space"},
        {"d=40 f=16 e=5 k=2", "good", "out", 2, "x"},
        {"d=32 f=16 e=6 k=2", "good", "out", 2, "router.weight"},
        {"d=32 f=16 e=5 k=2 x=f32", "good", "out", 2, "BF16"},
        {"d=32 f=16 e=5 k=2 act=relu", "good", "out", 3, "experts.up"},
        {"d=32 f=16 e=5 k=2 bias=down", "good", "out", 3, "experts.down.bias"},
        {"d=32 f=16 e=5 k=9", "good", "out", 2, "k=9"},
        {"d=32 f=16 e=5 k=2", "cut", "out", 3, "cut"},
    };
    moe_layer layer;
    moe_workload w;
    char path[128], cut[128], text[4096];
    assert_int_equal(moe_layer_parse("d=32 f=16 e=5 k=2", &layer), MOE_OK);
    assert_int_equal(moe_workload_init(&w, &layer, T, MOE_ROUTING_UNIFORM, 1,
                                       MOE_MAKE_ALL & ~MOE_MAKE_LOGITS), MOE_OK);
    write_input(&w, "good");
    write_input(&w, "cut");
    snprintf(cut, sizeof cut, "%s/cut", folder);
    assert_int_equal(truncate(cut, 700), 0);
    snprintf(path, sizeof path, "%s/out", folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *output = *cases[i].output == '/' ? cases[i].output : path;
        int status = run(cases[i].layer, cases[i].input, output, text, sizeof text);
        if (status != cases[i].status || !strstr(text, cases[i].says))
            fail_msg("case %zu: exit status %d, should be %d with '%s': %s", i, status,
                     cases[i].status, cases[i].says, text);
    }
    moe_workload_free(&w);
}

/* ------------------------------------------------------------------------- published weights */

/* The keys that make a case's layer of its family. */
static const struct {
    const char *type, *config;
    const char *options;
} published[] = {
    {"mixtral", "{\"model_type\":\"mixtral\",\"hidden_size\":32,\"intermediate_size\":16,"
                "\"num_local_experts\":4,\"num_experts_per_tok\":2,\"num_hidden_layers\":2}", ""},
    {"qwen2_moe", "{\"model_type\":\"qwen2_moe\",\"hidden_size\":32,\"num_experts\":4,"
                  "\"moe_intermediate_size\":16,\"shared_expert_intermediate_size\":32,"
                  "\"num_experts_per_tok\":2,\"num_hidden_layers\":2}", ""},
    {"gpt_oss", "{\"model_type\":\"gpt_oss\",\"hidden_size\":32,\"intermediate_size\":16,"
                "\"num_local_experts\":4,\"num_experts_per_tok\":2,\"num_hidden_layers\":2}", ""},
    {"gpt_oss", "{\"model_type\":\"brand_new\",\"hidden_size\":32,\"intermediate_size\":16,"
                "\"num_local_experts\":4,\"num_experts_per_tok\":2,\"num_hidden_layers\":2}",
     "--as gpt_oss"},
};

static void write_model(const char *type, const char *config, moe_workload *w) {
    const model_case *c = model_cases;
    moe_layer layer;
    char path[128];
    while (strcmp(c->type, type) != 0) c++;
    assert_int_equal(moe_layer_parse(c->layer, &layer), MOE_OK);
    assert_int_equal(moe_workload_init(w, &layer, T, MOE_ROUTING_UNIFORM, 3,
                                       MOE_MAKE_ALL & ~MOE_MAKE_LOGITS), MOE_OK);
    model_case_write(c, w, folder, !strcmp(type, "mixtral"));
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(config, file);
    assert_int_equal(fclose(file), 0);
}

static void a_layer_of_a_published_model(void **state) {
    (void)state;
    char options[1024], text[4096], output[128];
    snprintf(output, sizeof output, "%s/out.safetensors", folder);
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        moe_workload w;
        write_model(published[i].type, published[i].config, &w);
        write_input(&w, "in.safetensors");
        snprintf(options, sizeof options,
                 "--weights %s --moe-layer 1 --input %s/in.safetensors --output %s %s", folder,
                 folder, output, published[i].options);
        int status = run_with(options, text, sizeof text);
        if (status) fail_msg("%s: exit status %d: %s", published[i].type, status, text);
        judge(&w, output);
        moe_workload_free(&w);
        remove_files();
    }
}

static void models_that_do_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *options;
        int status;
        const char *says;
    } cases[] = {
        {"--moe-layer 0", 3, "no experts of layer 0 by any name"},
        {"--moe-layer 2", 2, "layer 2 is not in 0..1"},
        {"--moe-layer -1", 2, "no number from 0 on"},
        {"", 2, "--weights and --moe-layer need each other"},
        {"--moe-layer 1 --layer 'd=32 f=16 e=4 k=2 bias=up'", 2, "have no tensor"},
        {"--moe-layer 1 --as gpt_oss", 2, "not called as gpt_oss calls them, but as mixtral does"},
        {"--moe-layer 1 --as nothing", 2, "'nothing' is none of mixtral"},
        {"--moe-layer 1 --layer 'd=32 f=24 e=4 k=2'", 2, "is [16,32], should be [24,32]"},
    };
    moe_workload w;
    char options[1024], text[4096];
    write_model(published[0].type, published[0].config, &w);
    write_input(&w, "in.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(options, sizeof options, "--weights %s --input %s/in.safetensors --output %s/o %s",
                 folder, folder, folder, cases[i].options);
        int status = run_with(options, text, sizeof text);
        if (status != cases[i].status || !strstr(text, cases[i].says))
            fail_msg("case %zu: exit status %d: %s", i, status, text);
    }
    snprintf(options, sizeof options,
             "--layer 'd=8 f=8 e=1 k=1' --as mixtral --input x --output y");
    assert_int_equal(run_with(options, text, sizeof text), 2);
    assert_non_null(strstr(text, "--as says how to read --weights"));
    snprintf(options, sizeof options, "--weights /nowhere --moe-layer 1 --input x --output y");
    assert_int_equal(run_with(options, text, sizeof text), 3);
    assert_non_null(strstr(text, "--layer is not given, and beside the weights: "));
    moe_workload_free(&w);
    remove_files();
}

/* Weights of a form that nobody here unpacks are not taken for one that is. */
static void models_in_unknown_numbers(void **state) {
    (void)state;
    static const char config[] =
        "{\"model_type\":\"mixtral\",\"hidden_size\":32,\"intermediate_size\":16,"
        "\"num_local_experts\":4,\"num_experts_per_tok\":2,\"num_hidden_layers\":2,"
        "\"quantization_config\":{\"quant_method\":\"brand_new\"}}";
    char options[1024], text[4096];
    moe_workload w;
    write_model("mixtral", config, &w);
    write_input(&w, "in.safetensors");
    snprintf(options, sizeof options,
             "--weights %s --moe-layer 1 --input %s/in.safetensors --output %s/o", folder, folder,
             folder);
    assert_int_not_equal(run_with(options, text, sizeof text), 0);
    assert_non_null(strstr(text, "quant_method 'brand_new' is not one that run --weights unpacks"));
    moe_workload_free(&w);
    remove_files();
}

static int make_folder(void **state) {
    (void)state;
    char path[64];
    if (!mkdtemp(folder)) return -1;
    /* Keep the user's own database out of it. */
    snprintf(path, sizeof path, "%s", folder);
    return setenv("XDG_CACHE_HOME", path, 1) || unsetenv("MOETUNE_DB");
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* The help names every tensor that files may hold, by all its names. */
static void help_lists_tensors(void **state) {
    (void)state;
    static char text[16384];
    assert_int_equal(run_with("--help", text, sizeof text), 0);
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
        cmocka_unit_test(files_that_do_not_fit),
        cmocka_unit_test(a_layer_of_a_published_model),
        cmocka_unit_test(models_that_do_not_fit),
        cmocka_unit_test(models_in_unknown_numbers),
        cmocka_unit_test(help_lists_tensors),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

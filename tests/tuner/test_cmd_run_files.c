/* label: sim
 * moetune run on the files of published models, and what it says of files that do not fit. */
#include "model_case.h"
#include "models/presets.h"
#include "run_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

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
    run_input(&w, "good");
    run_input(&w, "cut");
    snprintf(cut, sizeof cut, "%s/cut", run_folder);
    assert_int_equal(truncate(cut, 700), 0);
    snprintf(path, sizeof path, "%s/out", run_folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *output = *cases[i].output == '/' ? cases[i].output : path;
        int status = run_layer(cases[i].layer, cases[i].input, output, text, sizeof text);
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
    model_case_write(c, w, run_folder, !strcmp(type, "mixtral"));
    snprintf(path, sizeof path, "%s/config.json", run_folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(config, file);
    assert_int_equal(fclose(file), 0);
}

static void a_layer_of_a_published_model(void **state) {
    (void)state;
    char options[1024], text[4096], output[128];
    snprintf(output, sizeof output, "%s/out.safetensors", run_folder);
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        moe_workload w;
        write_model(published[i].type, published[i].config, &w);
        run_input(&w, "in.safetensors");
        snprintf(options, sizeof options,
                 "--weights %s --moe-layer 1 --input %s/in.safetensors --output %s %s", run_folder,
                 run_folder, output, published[i].options);
        int status = run_command(options, text, sizeof text);
        if (status) fail_msg("%s: exit status %d: %s", published[i].type, status, text);
        run_judge(&w, output);
        moe_workload_free(&w);
        run_empty();
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
    run_input(&w, "in.safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(options, sizeof options, "--weights %s --input %s/in.safetensors --output %s/o %s",
                 run_folder, run_folder, run_folder, cases[i].options);
        int status = run_command(options, text, sizeof text);
        if (status != cases[i].status || !strstr(text, cases[i].says))
            fail_msg("case %zu: exit status %d: %s", i, status, text);
    }
    snprintf(options, sizeof options,
             "--layer 'd=8 f=8 e=1 k=1' --as mixtral --input x --output y");
    assert_int_equal(run_command(options, text, sizeof text), 2);
    assert_non_null(strstr(text, "--as says how to read --weights"));
    snprintf(options, sizeof options, "--weights /nowhere --moe-layer 1 --input x --output y");
    assert_int_equal(run_command(options, text, sizeof text), 3);
    assert_non_null(strstr(text, "--layer is not given, and beside the weights: "));
    moe_workload_free(&w);
    run_empty();
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
    run_input(&w, "in.safetensors");
    snprintf(options, sizeof options,
             "--weights %s --moe-layer 1 --input %s/in.safetensors --output %s/o", run_folder,
             run_folder, run_folder);
    assert_int_not_equal(run_command(options, text, sizeof text), 0);
    assert_non_null(strstr(text, "quant_method 'brand_new' is not one that run --weights unpacks"));
    moe_workload_free(&w);
    run_empty();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_do_not_fit),
        cmocka_unit_test(a_layer_of_a_published_model),
        cmocka_unit_test(models_that_do_not_fit),
        cmocka_unit_test(models_in_unknown_numbers),
    };
    return cmocka_run_group_tests(tests, run_make_folder, run_remove_folder);
}

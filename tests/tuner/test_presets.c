/* label: unit */
/* test_presets.c - presets against published parameter counts, config.json files, and misspellings.
 */
#include "models/config_json.h"
#include "models/presets.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/moetune-presets-XXXXXX";
static char path[64];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/config.json", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    remove(path);
    return rmdir(folder);
}

static void every_preset_round_trips(void **state) {
    (void)state;
    for (const moe_preset_entry *entry = moe_preset_list; entry->name; entry++) {
        moe_layer layer, again;
        char text[MOE_LAYER_TEXT_SIZE], twice[MOE_LAYER_TEXT_SIZE];
        if (moe_preset(entry->name, &layer)) fail_msg("%s: %s", entry->name, moe_error_text());
        assert_int_equal(moe_layer_print(&layer, text, sizeof text), MOE_OK);
        assert_int_equal(moe_preset(text, &again), MOE_OK);
        assert_int_equal(moe_layer_print(&again, twice, sizeof twice), MOE_OK);
        assert_string_equal(text, twice);
        if (entry > moe_preset_list) assert_true(strcmp(entry[-1].name, entry->name) < 0);
    }
}

/* Expert parameters of whole models without a file in configs/, beside the size that their authors
 * give: what is not in the experts stays small, and the layers are those of the published model. */
static void parameters_are_those_of_the_models(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int layers;
        double total; /* published size, 10^9 */
        double least; /* share of it that the experts have */
    } models[] = {
        {"base-128", 10, 44, 0.95},
        {"dots.llm1", 61, 142.8, 0.93},
        {"expert-choice-64", 6, 1.9, 0.95},
        {"gemma-4-26b-a4b", 30, 25.2, 0.85},
        {"glm-4.5", 89, 355, 0.94},
        {"granite-4.0-h-small", 40, 32.2, 0.83},
        {"granite-4.0-h-tiny", 40, 6.94, 0.85},
        {"grok-1", 64, 314, 0.95},
        {"megablocks-dmoe-medium", 24, 13.04, 0.95},
        {"qwen3.5-35b-a3b", 40, 35, 0.9},
        {"sparsely-gated-256", 1, 0.273, 0.95},
        {"v-moe-l16", 12, 3.4, 0.9},
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        moe_layer layer;
        assert_int_equal(moe_preset(models[i].name, &layer), MOE_OK);
        double expert = (double)(layer.d * (moe_layer_up_rows(&layer) + layer.f));
        double share = models[i].layers * layer.e * expert / 1e9 / models[i].total;
        if (!(share > models[i].least && share < 1)) fail_msg("%s: %.3f", models[i].name, share);
    }
}

/* A file of configs/ is the preset of its name. */
static void files_make_the_presets(void **state) {
    (void)state;
    glob_t files;
    assert_int_equal(glob("tests/tuner/configs/*.json", 0, NULL, &files), 0);
    assert_true(files.gl_pathc > 30);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        moe_layer got, want;
        char name[64], got_text[MOE_LAYER_TEXT_SIZE], want_text[MOE_LAYER_TEXT_SIZE];
        assert_int_equal(sscanf(strrchr(files.gl_pathv[i], '/'), "/%63s", name), 1);
        name[strlen(name) - strlen(".json")] = '\0';
        if (moe_preset(files.gl_pathv[i], &got) || moe_preset(name, &want))
            fail_msg("%s: %s", name, moe_error_text());
        moe_layer_print(&got, got_text, sizeof got_text);
        moe_layer_print(&want, want_text, sizeof want_text);
        assert_string_equal(got_text, want_text);
    }
    globfree(&files);
}

/* What a device of eight holds is what the whole model has, less the shared expert. */
static void shards_are_parts_of_their_models(void **state) {
    (void)state;
    static const char *const names[] = {"deepseek-v3", "qwen3-235b-a22b"};
    for (int i = 0; i < 2; i++) {
        moe_layer whole, shard;
        char name[64], whole_text[MOE_LAYER_TEXT_SIZE], shard_text[MOE_LAYER_TEXT_SIZE];
        snprintf(name, sizeof name, "%s-ep8-shard", names[i]);
        assert_int_equal(moe_preset(names[i], &whole), MOE_OK);
        assert_int_equal(moe_preset(name, &shard), MOE_OK);
        assert_int_equal(8 * shard.local, whole.e);
        whole.shared = (moe_shared){0};
        shard.local = 0;
        moe_layer_print(&whole, whole_text, sizeof whole_text);
        moe_layer_print(&shard, shard_text, sizeof shard_text);
        assert_string_equal(whole_text, shard_text);
    }
}

static void write_config(const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* The keys that published config.json files have, some others among them. */
static const struct {
    const char *config, *layer;
} configs[] = {
    {"{\"architectures\":[\"MixtralForCausalLM\"],\"hidden_act\":\"silu\",\"hidden_size\":4096,"
     "\"intermediate_size\":14336,\"model_type\":\"mixtral\",\"num_experts_per_tok\":2,"
     "\"num_local_experts\":8,\"torch_dtype\":\"bfloat16\"}",
     "mixtral-8x7b"},
    {"{\"hidden_act\":\"silu\",\"hidden_size\":2048,\"intermediate_size\":6144,\"mlp_only_layers\":"
     "[],"
     "\"model_type\":\"qwen3_moe\",\"moe_intermediate_size\":768,\"norm_topk_prob\":true,"
     "\"num_experts\":128,\"num_experts_per_tok\":8,\"dtype\":\"bfloat16\"}",
     "qwen3-30b-a3b"},
    {"{\"hidden_act\":\"silu\",\"hidden_size\":2048,\"intermediate_size\":1024,\"model_type\":"
     "\"olmoe\","
     "\"norm_topk_prob\":false,\"num_experts\":64,\"num_experts_per_tok\":8}",
     "olmoe-1b-7b"},
    {"{\"hidden_act\":\"silu\",\"hidden_size\":1024,\"intermediate_size\":512,"
     "\"model_type\":\"granitemoe\",\"num_experts_per_tok\":8,\"num_local_experts\":32,"
     "\"torch_dtype\":\"bfloat16\"}",
     "granite-3.0-1b-a400m"},
    {"{\"hidden_act\":\"silu\",\"hidden_size\":2880,\"intermediate_size\":2880,"
     "\"model_type\":\"gpt_oss\",\"num_experts_per_tok\":4,\"num_local_experts\":32,"
     "\"swiglu_limit\":7.0,\"quantization_config\":{\"quant_method\":\"mxfp4\"}}",
     "gpt-oss-20b"},
    {"{\"d_model\":6144,\"model_type\":\"dbrx\",\"ffn_config\":{\"ffn_act_fn\":{\"name\":\"silu\"},"
     "\"ffn_hidden_size\":10752,\"moe_num_experts\":16,\"moe_top_k\":4,"
     "\"moe_normalize_expert_weights\":1},\"torch_dtype\":\"bfloat16\"}",
     "dbrx"},
    {"{\"d_model\":768,\"d_ff\":3072,\"dense_act_fn\":\"relu\",\"num_experts\":128,"
     "\"expert_capacity\":64,\"model_type\":\"switch_transformers\"}",
     "switch-base-128"},
    {"{\"model_type\":\"vision\",\"text_config\":{\"hidden_act\":\"gelu_pytorch_tanh\","
     "\"hidden_size\":64,\"moe_intermediate_size\":32,\"model_type\":\"qwen3_moe\",\"num_experts\":"
     "4,"
     "\"num_experts_per_tok\":1,\"norm_topk_prob\":null,\"torch_dtype\":\"float16\"}}",
     "d=64 f=32 e=4 k=1 act=geglu_tanh x=f16 router=softmax>topk"},
    {"{\"model_type\":\"qwen2_moe\",\"hidden_size\":64,\"moe_intermediate_size\":32,"
     "\"num_experts\":8,\"num_experts_per_tok\":2,\"shared_expert_intermediate_size\":64}",
     "d=64 f=32 e=8 k=2 router=softmax>topk shared=64,gated"},
};

static void configs_make_the_presets(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        moe_layer got, want;
        char got_text[MOE_LAYER_TEXT_SIZE], want_text[MOE_LAYER_TEXT_SIZE];
        write_config(configs[i].config);
        if (moe_preset(i % 2 ? path : folder, &got)) fail_msg("%zu: %s", i, moe_error_text());
        assert_int_equal(moe_preset(configs[i].layer, &want), MOE_OK);
        moe_layer_print(&got, got_text, sizeof got_text);
        moe_layer_print(&want, want_text, sizeof want_text);
        assert_string_equal(got_text, want_text);
    }
}

#define MIXTRAL "\"model_type\":\"mixtral\",\"hidden_size\":64,\"num_local_experts\":4"

static const struct {
    const char *config;
    moe_status status;
    const char *text;
} refused[] = {
    {"", MOE_E_CORRUPT, "not JSON"},
    {"[]", MOE_E_CORRUPT, "not a JSON object"},
    {"{}", MOE_E_CORRUPT, "'model_type' is missing"},
    {"{\"model_type\":\"llama\"}", MOE_E_UNSUPPORTED, "none of mixtral, qwen2_moe"},
    {"{\"model_type\":\"deepseek_v3\"}", MOE_E_CORRUPT, "'hidden_size' is missing"},
    {"{" MIXTRAL "}", MOE_E_CORRUPT, "'intermediate_size' is missing"},
    {"{" MIXTRAL ",\"intermediate_size\":\"64\"}", MOE_E_CORRUPT, "is not a whole number"},
    {"{" MIXTRAL ",\"intermediate_size\":64,\"num_experts_per_tok\":5}", MOE_E_INVALID, "k=5"},
    {"{" MIXTRAL ",\"intermediate_size\":60,\"num_experts_per_tok\":2}", MOE_E_UNSUPPORTED,
     "multiples of 8"},
    {"{" MIXTRAL ",\"intermediate_size\":-64,\"num_experts_per_tok\":2}", MOE_E_INVALID, "f=-64"},
    {"{" MIXTRAL ",\"intermediate_size\":64,\"num_experts_per_tok\":2,\"hidden_act\":\"mish\"}",
     MOE_E_UNSUPPORTED, "'mish'"},
    {"{" MIXTRAL ",\"intermediate_size\":64,\"num_experts_per_tok\":2,\"torch_dtype\":\"int8\"}",
     MOE_E_UNSUPPORTED, "'int8'"},
};

static void refused_configs_say_why(void **state) {
    (void)state;
    moe_layer layer;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        write_config(refused[i].config);
        assert_int_equal(moe_preset(path, &layer), refused[i].status);
        if (!strstr(moe_error_text(), refused[i].text))
            fail_msg("'%s' does not say '%s'", moe_error_text(), refused[i].text);
        assert_non_null(strstr(moe_error_text(), path));
    }
}

/* Text has the width that kernels run; of a config.json it is made up to that. */
static void shared_widths_between_multiples(void **state) {
    (void)state;
    moe_layer layer;
    assert_int_equal(moe_preset("d=64 f=32 e=8 k=2 shared=40", &layer), MOE_E_UNSUPPORTED);
    assert_non_null(strstr(moe_error_text(), "shared=40 must be a multiple of f=32"));
    write_config("{\"model_type\":\"qwen2_moe\",\"hidden_size\":64,\"moe_intermediate_size\":32,"
                 "\"num_experts\":8,\"num_experts_per_tok\":2,"
                 "\"shared_expert_intermediate_size\":40}");
    assert_int_equal(moe_preset(path, &layer), MOE_OK);
    assert_int_equal(layer.shared.f, 64);
}

static void names_that_are_none(void **state) {
    (void)state;
    moe_layer layer;
    assert_int_equal(moe_preset("mixtrel-8x7b", &layer), MOE_E_PARSE);
    assert_non_null(strstr(moe_error_text(), "nearest presets: mixtral-8x7b, mixtral-8x22b"));
    assert_int_equal(moe_preset("qwen3", &layer), MOE_E_PARSE);
    assert_non_null(
        strstr(moe_error_text(), "qwen3-235b-a22b, qwen3-235b-a22b-ep8-shard, qwen3-30b-a3b"));
    assert_int_equal(moe_preset("", &layer), MOE_E_PARSE);
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(moe_preset(name, &layer), MOE_E_PARSE);
    assert_int_equal(moe_preset("/nowhere/config.json", &layer), MOE_E_NOT_FOUND);
    assert_non_null(strstr(moe_error_text(), "/nowhere/config.json: No such file"));
    assert_int_equal(moe_preset("d=64 f=32", &layer), MOE_E_PARSE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_round_trips),
        cmocka_unit_test(parameters_are_those_of_the_models),
        cmocka_unit_test(files_make_the_presets),
        cmocka_unit_test(shards_are_parts_of_their_models),
        cmocka_unit_test(configs_make_the_presets),
        cmocka_unit_test(refused_configs_say_why),
        cmocka_unit_test(shared_widths_between_multiples),
        cmocka_unit_test(names_that_are_none),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* label: unit */
/* test_models.c - the config.json files of published models: the layers that they make, and the
 * parameters of the whole models beside what their authors say, which may count vision parts and
 * heads that predict further tokens: ours do not. configs/README.md says where the files are
 * from. */
#include "models/config_json.h"
#include "models/model_size.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *file;
    double total, active; /* as the authors say, 10^9; 0: they do not */
    const char *router;
    int64_t shared;
    int first; /* MoE layer */
    double tolerance; /* of the total, where it is not 1% */
    const char *why;
} models[] = {
    {"dbrx", 132, 36, "softmax>topk>renorm", 0, 0, 0, NULL},
    {"deepseek-moe-16b", 16.4, 2.8, "softmax>topk", 2816, 1, 0, NULL},
    {"deepseek-v2", 236, 21, "softmax>groups(8,3,max)>topk>scale(16)", 3072, 1, 0, NULL},
    {"deepseek-v2-lite", 15.7, 2.66, "softmax>topk", 2816, 1, 0, NULL},
    {"deepseek-v3", 671, 37, "sigmoid+bias>groups(8,4,sum2)>topk>renorm>scale(2.5)", 2048, 3, 0,
     NULL},
    {"ernie-4.5-21b-a3b", 21.83, 0, "softmax+bias>topk>renorm", 3072, 1, 0, NULL},
    {"glm-4.5-air", 106, 12, "sigmoid+bias>topk>renorm", 1408, 1, 0.02, "given in whole billions"},
    {"glm-4.7", 355, 32, "sigmoid+bias>topk>renorm>scale(2.5)", 1536, 3, 0, NULL},
    {"glm-4.7-flash", 30, 3, "sigmoid+bias>topk>renorm>scale(1.8)", 1536, 1, 0.02,
     "given in whole billions"},
    {"glm-5", 744, 40, "sigmoid+bias>topk>renorm>scale(2.5)", 2048, 3, 0, NULL},
    {"gpt-oss-120b", 116.83, 5.13, "topk>softmax", 0, 0, 0, NULL},
    {"gpt-oss-20b", 20.91, 3.61, "topk>softmax", 0, 0, 0, NULL},
    {"granite-3.0-1b-a400m", 1.3, 0.4, "topk>softmax", 0, 0, 0.03, "given in two digits"},
    {"granite-3.0-3b-a800m", 3.3, 0.8, "topk>softmax", 0, 0, 0.02, "given in two digits"},
    {"hunyuan-a13b", 80, 13, "softmax>topk>renorm", 3072, 0, 0, NULL},
    {"hy3", 295, 21, "sigmoid+bias>topk>renorm>scale(2.826)", 1536, 1, 0, NULL},
    {"kimi-k2", 1000, 32, "sigmoid+bias>topk>renorm>scale(2.827)", 2048, 1, 0.03,
     "given as one trillion"},
    {"llama-4-maverick", 400, 17, "topk>sigmoid>input", 8192, 1, 0, NULL},
    {"llama-4-scout", 109, 17, "topk>sigmoid>input", 8192, 0, 0.02, "given with its vision part"},
    {"minimax-m2", 230, 10, "sigmoid+bias>topk>renorm", 0, 0, 0, NULL},
    {"mixtral-8x22b", 141, 39, "softmax>topk>renorm", 0, 0, 0, NULL},
    {"mixtral-8x7b", 46.7, 12.9, "softmax>topk>renorm", 0, 0, 0, NULL},
    {"nemotron-3-nano-30b-a3b", 31.6, 3.6, "sigmoid+bias>topk>renorm>scale(2.5)", 3712, 1, 0, NULL},
    {"nllb-moe-54b", 54.5, 0, "softmax>topk>renorm", 0, 3, 0, NULL},
    {"olmoe-1b-7b", 6.92, 1.28, "softmax>topk", 0, 0, 0, NULL},
    {"phi-3.5-moe", 41.9, 6.6, "topk>sparsemixer(0.01)", 0, 0, 0, NULL},
    {"qwen1.5-moe-a2.7b", 14.3, 2.7, "softmax>topk", 5632, 0, 0, NULL},
    {"qwen2-57b-a14b", 57.4, 14.2, "softmax>topk", 20480, 0, 0, NULL},
    {"qwen3-235b-a22b", 235, 22, "softmax>topk>renorm", 0, 0, 0, NULL},
    {"qwen3-30b-a3b", 30.5, 3.3, "softmax>topk>renorm", 0, 0, 0, NULL},
    {"qwen3-next-80b-a3b", 80, 3, "softmax>topk>renorm", 512, 0, 0, NULL},
    {"qwen3-vl-235b-a22b", 235, 22, "softmax>topk>renorm", 0, 0, 0, NULL},
    {"qwen3.5-397b-a17b", 397, 17, "softmax>topk>renorm", 1024, 0, 0, NULL},
    {"switch-base-128", 7.4, 0, "softmax>topk", 0, 1, 0.02, "given in two digits"},
};

/* Models whose files keep the router's weight in f32. */
static const char f32_routers[] = "ernie-4.5-21b-a3b hunyuan-a13b nemotron-3-nano-30b-a3b";

enum { MODELS = sizeof models / sizeof *models };

static moe_model *read_model(const char *name) {
    static moe_model model;
    char path[128];
    snprintf(path, sizeof path, "tests/tuner/configs/%s.json", name);
    if (moe_config_model(path, &model)) fail_msg("%s", moe_error_text());
    return &model;
}

static void totals_are_those_of_the_authors(void **state) {
    (void)state;
    int wrong = 0;
    print_message("%-26s %9s %9s %7s  %7s %7s\n", "model", "ours", "published", "off", "active",
                  "publ.");
    for (int i = 0; i < MODELS; i++) {
        const moe_model *model = read_model(models[i].file);
        double total = moe_model_total(&model->parameters) / 1e9;
        double off = total / models[i].total - 1;
        double tolerance = models[i].tolerance > 0 ? models[i].tolerance : 0.01;
        print_message("%-26s %9.2f %9.2f %6.2f%%  %7.2f %7.2f%s%s\n", models[i].file, total,
                      models[i].total, 100 * off, moe_model_active(&model->parameters) / 1e9,
                      models[i].active, models[i].why ? "  " : "",
                      models[i].why ? models[i].why : "");
        assert_true(model->parameters.whole);
        wrong += !(fabs(off) <= tolerance);
    }
    assert_int_equal(wrong, 0);
}

static void layers_are_those_of_the_models(void **state) {
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        moe_model *model = read_model(models[i].file);
        char text[MOE_LAYER_TEXT_SIZE], router[128];
        assert_int_equal(moe_layer_print(&model->layer, text, sizeof text), MOE_OK);
        snprintf(router, sizeof router, " router=%s ", models[i].router);
        if (!strstr(text, router)) fail_msg("%s: %s", models[i].file, text);
        assert_int_equal(model->layer.shared.f, models[i].shared);
        assert_int_equal(model->layer.router_dtype == MOE_ROUTER_F32,
                         strstr(f32_routers, models[i].file) != NULL);
        int64_t first = 0;
        while (!model->moe[first]) first++;
        assert_int_equal(first, models[i].first);
        assert_int_equal(moe_model_check_layer(model, first), MOE_OK);
        assert_int_equal(moe_model_check_layer(model, model->layers), MOE_E_INVALID);
        if (first) assert_int_equal(moe_model_check_layer(model, 0), MOE_E_INVALID);
    }
}

/* ---------------------------------------------------------------------- files that are not so */

#define QWEN3                                                                                      \
    "\"model_type\":\"qwen3_moe\",\"hidden_size\":64,\"moe_intermediate_size\":32,"                \
    "\"num_experts\":8,\"num_experts_per_tok\":2"
#define DEEPSEEK                                                                                   \
    "\"model_type\":\"deepseek_v3\",\"hidden_size\":64,\"moe_intermediate_size\":32,"              \
    "\"n_routed_experts\":8,\"num_experts_per_tok\":2"

static void refused_configs_say_why(void **state) {
    (void)state;
    static const struct {
        const char *config;
        moe_status status;
        const char *says;
    } cases[] = {
        {"{" QWEN3 ",\"num_hidden_layers\":0}", MOE_E_INVALID, "'num_hidden_layers' is 0, not in"},
        {"{" QWEN3 ",\"num_hidden_layers\":99999}", MOE_E_INVALID, "not in 1..1024"},
        {"{" QWEN3 ",\"num_hidden_layers\":\"4\"}", MOE_E_CORRUPT, "not a whole number"},
        {"{" QWEN3 ",\"num_hidden_layers\":2,\"mlp_only_layers\":[0,1]}", MOE_E_INVALID,
         "none of its 2 layers has experts"},
        {"{" DEEPSEEK ",\"n_group\":3,\"topk_group\":1}", MOE_E_INVALID, "3 groups do not divide"},
        {"{" DEEPSEEK ",\"n_group\":4}", MOE_E_CORRUPT, "'topk_group' is missing"},
        {"{" DEEPSEEK ",\"n_group\":4,\"topk_group\":5}", MOE_E_INVALID, "cannot be kept of 4"},
        {"{" DEEPSEEK ",\"n_group\":-4,\"topk_group\":2}", MOE_E_INVALID, "must be 1 or more"},
        {"{" DEEPSEEK ",\"n_group\":\"x\"}", MOE_E_CORRUPT, "'n_group' is not a number"},
        {"{" DEEPSEEK ",\"routed_scaling_factor\":0}", MOE_E_INVALID, "is not above 0"},
        {"{" DEEPSEEK ",\"routed_scaling_factor\":\"2\"}", MOE_E_CORRUPT, "is not a number"},
        {"{" DEEPSEEK ",\"n_shared_experts\":-1}", MOE_E_INVALID, "out of range"},
        {"{" DEEPSEEK ",\"n_shared_experts\":99999999999}", MOE_E_INVALID, "out of range"},
        {"{\"model_type\":\"deepseek_v4\"}", MOE_E_UNSUPPORTED, "choose experts by token id"},
        {"{\"model_type\":\"nemotron_h\",\"moe_latent_size\":1024}", MOE_E_UNSUPPORTED,
         "a projection of what the router reads"},
        {"{\"model_type\":\"hunyuan_v1_moe\",\"hidden_size\":64,\"moe_intermediate_size\":[32,64]}",
         MOE_E_CORRUPT, "'moe_intermediate_size' is not the same in all layers"},
        {"{\"model_type\":\"bert\"}", MOE_E_UNSUPPORTED, "'bert' is none of mixtral, qwen2_moe"},
        {"{\"model_type\":\"\"}", MOE_E_UNSUPPORTED, "'' is none of"},
        {"{\"model_type\":\"a\",\"text_config\":{\"model_type\":\"b\",\"text_config\":{"
         "\"model_type\":\"c\",\"text_config\":{\"model_type\":\"d\",\"text_config\":{}}}}}",
         MOE_E_UNSUPPORTED, "'d' is none of"},
    };
    static moe_model model;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        moe_status status = moe_config_model_text(cases[i].config, strlen(cases[i].config), &model);
        if (status != cases[i].status || !strstr(moe_error_text(), cases[i].says))
            fail_msg("%s: status %d, '%s'", cases[i].config, status, moe_error_text());
    }
}

/* Classes name a family where model_type does not; keys of the rest of a model may be missing. */
static void less_is_enough(void **state) {
    (void)state;
    static const char encoder[] =
        "{\"model_type\":\"switch_transformers\",\"d_model\":64,\"d_ff\":32,\"num_experts\":8,"
        "\"num_layers\":3}";
    static const char config[] =
        "{\"architectures\":[\"MixtralForCausalLM\"],\"hidden_size\":64,\"intermediate_size\":32,"
        "\"num_local_experts\":8,\"num_experts_per_tok\":2,\"num_hidden_layers\":3}";
    static moe_model model;
    assert_int_equal(moe_config_model_text(config, strlen(config), &model), MOE_OK);
    assert_string_equal(model.family, "MixtralForCausalLM");
    assert_int_equal(model.moe_layers, 3);
    assert_false(model.parameters.whole);
    assert_true(moe_model_total(&model.parameters) == 3. * 8 * (64 * 32 * 3 + 64));
    assert_int_equal(moe_config_model_text(encoder, strlen(encoder), &model), MOE_OK);
    assert_int_equal(model.layers, 0); /* the decoder's are not told */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_are_those_of_the_authors),
        cmocka_unit_test(layers_are_those_of_the_models),
        cmocka_unit_test(refused_configs_say_why),
        cmocka_unit_test(less_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

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
#include <unistd.h>

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

/* ------------------------------------------------------------------- what nobody reads is named */

static void assert_refused(const char *config, moe_status wanted, const char *says) {
    static moe_model model;
    moe_status status = moe_config_model_text(config, strlen(config), &model);
    if (status != wanted || !strstr(moe_error_text(), says))
        fail_msg("%s: status %d, '%s'", config, status, moe_error_text());
}

static void assert_layer(const char *config, const char *text) {
    static moe_model model;
    moe_layer want, *got = &model.layer;
    char printed[MOE_LAYER_TEXT_SIZE], wanted[MOE_LAYER_TEXT_SIZE];
    if (moe_config_model_text(config, strlen(config), &model))
        fail_msg("%s: %s", config, moe_error_text());
    if (moe_layer_parse(text, &want)) fail_msg("%s: %s", text, moe_error_text());
    assert_int_equal(moe_layer_print(got, printed, sizeof printed), MOE_OK);
    assert_int_equal(moe_layer_print(&want, wanted, sizeof wanted), MOE_OK);
    assert_string_equal(printed, wanted);
}

#define MODEL(type, rest)                                                                          \
    "{\"model_type\":\"" type "\",\"hidden_size\":64,\"num_experts_per_tok\":2," rest "}"
#define SMALL "\"moe_intermediate_size\":32,\"num_experts\":8"
#define DBRX(norm)                                                                                 \
    "{\"model_type\":\"dbrx\",\"d_model\":64,\"ffn_config\":{\"ffn_hidden_size\":32,"    \
    "\"moe_num_experts\":8,\"moe_top_k\":2,\"ffn_act_fn\":{\"name\":\"silu\"}" norm "}}"
#define SIZES "d=64 f=32 e=8 k=2 "

static void keys_that_nobody_reads(void **state) {
    (void)state;
    static const struct {
        const char *config, *says;
    } cases[] = {
        {MODEL("qwen3_moe", SMALL ",\"router_heat\":2"), "'router_heat' is 2, which"},
        {MODEL("qwen3_moe", SMALL ",\"moe_latent_size\":512"), "'moe_latent_size' is 512, which"},
        {MODEL("qwen3_moe", SMALL ",\"moe_apply_router_weight_on_input\":true"), "is true, which"},
        {MODEL("qwen3_moe", SMALL ",\"shared_expert_intermediate_size\":32"), "is 32, but layers"},
        {MODEL("qwen3_moe", SMALL ",\"routed_scaling_factor\":2.5"), "is 2.5, but layers"},
        {MODEL("qwen3_moe", SMALL ",\"scoring_func\":\"sigmoid\""), "is \"sigmoid\", but layers"},
        {MODEL("qwen3_moe", SMALL ",\"n_group\":4"), "'n_group' is 4, but layers"},
        {MODEL("qwen3_moe", SMALL ",\"num_local_experts\":4"), "'num_local_experts' is 4, but"},
        {MODEL("qwen3_moe", SMALL ",\"swiglu_limit\":7"), "'swiglu_limit' is 7, but layers"},
        {MODEL("qwen3_vl_moe_text", SMALL ",\"norm_topk_prob\":false"), "is false, but layers"},
        {MODEL("deepseek_v3", SMALL ",\"topk_method\":\"greedy\""), "is \"greedy\", but layers"},
        {MODEL("deepseek_v3", SMALL ",\"scoring_func\":\"softmax\""), "is \"softmax\", but layers"},
        {MODEL("deepseek_v2", SMALL ",\"topk_method\":\"noaux_tc\""), "is \"noaux_tc\", but"},
        {MODEL("lfm2_moe", SMALL ",\"use_expert_bias\":false"), "is false, but layers"},
        {MODEL("lfm2_moe", SMALL ",\"norm_topk_prob\":false"), "is false, but layers"},
        {MODEL("deepseek_v2", SMALL ",\"mlp_bias\":true"), "biases of shared experts, which"},
        {MODEL("minimax_m2", "\"intermediate_size\":32,\"num_local_experts\":8,"
                             "\"use_routing_bias\":false"), "is false, but layers"},
        {MODEL("step3p7", SMALL ",\"swiglu_limits\":[null,7]"), "'swiglu_limits' is [null,7]"},
        {MODEL("qwen3_moe", SMALL ",\"hidden_act\":\"relu\""), "not have beside a gate"},
        {DBRX(",\"moe_normalize_expert_weights\":2.0"), "is 2: weights are divided by their norm"},
        {DBRX(",\"expert_temperature\":2.0"), "'ffn_config.expert_temperature' is 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].config, MOE_E_UNSUPPORTED, cases[i].says);
    assert_refused(MODEL("bailing_moe", SMALL), MOE_E_CORRUPT, "'score_function' is missing");
}

/* What trains a model or says how it runs, what says "none", and what agrees with the layer. */
static void keys_that_change_nothing(void **state) {
    (void)state;
    assert_layer(MODEL("qwen3_moe", SMALL ",\"router_aux_loss_coef\":0.001,\"top_k\":50,"
                                    "\"output_router_logits\":true,\"router_jitter_noise\":0.1,"
                                    "\"moe_router_logit_softcapping\":0.0,"
                                    "\"n_shared_experts\":null,"
                                    "\"num_local_experts\":8,\"scoring_func\":\"softmax\","
                                    "\"index_topk\":2048,\"attn_output_gate\":true,"
                                    "\"swiglu_limits\":[0,null],\"n_group\":1"),
                 SIZES "router=softmax>topk");
    assert_layer(DBRX(",\"moe_loss_weight\":0.05,\"moe_jitter_eps\":0.1"),
                 SIZES "router=softmax>topk>renorm");
}

/* Where authorities differ, transformers is followed. */
static void rules_are_those_of_transformers(void **state) {
    (void)state;
    static moe_model model;
    static const char noted[] = MODEL("deepseek_v2", SMALL ",\"norm_topk_prob\":true");
    assert_layer(DBRX(",\"moe_normalize_expert_weights\":1"), SIZES "router=softmax>topk>renorm");
    assert_layer(DBRX(",\"moe_normalize_expert_weights\":null"), SIZES "router=softmax>topk");
    assert_layer(MODEL("deepseek_v2", SMALL ",\"n_group\":4,\"topk_group\":2"),
                 SIZES "router=softmax>topk");
    assert_layer(MODEL("deepseek_v2", SMALL ",\"n_group\":4,\"topk_group\":2,"
                                      "\"topk_method\":\"group_limited_greedy\""),
                 SIZES "router=softmax>groups(4,2,max)>topk");
    assert_layer(noted, SIZES "router=softmax>topk");
    assert_int_equal(moe_config_model_text(noted, strlen(noted), &model), MOE_OK);
    assert_non_null(strstr(model.note, "norm_topk_prob is left out"));
    assert_layer(MODEL("hunyuan_v1_moe", "\"intermediate_size\":32,\"num_experts\":8,"
                                         "\"moe_topk\":2"),
                 SIZES "router=softmax>topk>renorm router_dtype=f32 shared=32");
}

/* Experts by any of the three names that versions of transformers write. */
static void experts_by_any_name(void **state) {
    (void)state;
    static const char *const names[] = {"num_experts", "num_local_experts", "n_routed_experts"};
    static const char *const types[] = {"qwen3_moe", "olmoe", "mixtral", "deepseek_v3",
                                        "granitemoe", "glm4_moe", "phimoe"};
    static moe_model model;
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            char config[256];
            snprintf(config, sizeof config,
                     "{\"model_type\":\"%s\",\"hidden_size\":64,\"%s\":8,\"intermediate_size\":32,"
                     "\"moe_intermediate_size\":32,\"num_experts_per_tok\":2}", types[t], names[n]);
            if (moe_config_model_text(config, strlen(config), &model))
                fail_msg("%s: %s", config, moe_error_text());
            assert_int_equal(model.layer.e, 8);
        }
}

/* The layer has the next multiple of f; the model, no more than it has. */
static void shared_widths_are_made_up(void **state) {
    (void)state;
    static const char config[] = MODEL("granitemoeshared", "\"intermediate_size\":32,"
                                       "\"num_local_experts\":8,\"num_hidden_layers\":1,"
                                       "\"shared_intermediate_size\":48");
    static moe_model model;
    assert_layer(config, SIZES "router=topk>softmax shared=64");
    assert_int_equal(moe_config_model_text(config, strlen(config), &model), MOE_OK);
    assert_true(model.parameters.shared == 3. * 64 * 48);
    assert_non_null(strstr(model.note, "made up to a multiple of f"));
}

static void families_of_this_autumn(void **state) {
    (void)state;
    static const struct {
        const char *config, *layer;
    } cases[] = {
        {MODEL("minimax_m3", SMALL ",\"hidden_act\":\"swigluoai\",\"swiglu_alpha\":1.5,"
                             "\"swiglu_limit\":6.0,\"n_shared_experts\":1,"
                             "\"shared_intermediate_size\":64,\"routed_scaling_factor\":2.0,"
                             "\"use_routing_bias\":true"),
         "act=swiglu_clamp(6,1.5) router=sigmoid+bias>topk>renorm>scale(2) shared=64"},
        {MODEL("mimo_v2_flash", SMALL ",\"routed_scaling_factor\":null,\"n_group\":1,"
                                "\"topk_method\":\"noaux_tc\""),
         "router=sigmoid+bias>topk>renorm"},
        {MODEL("laguna", SMALL ",\"moe_routed_scaling_factor\":2.5,"
                         "\"shared_expert_intermediate_size\":96"),
         "router=sigmoid+bias>topk>renorm>scale(2.5) shared=96"},
        {MODEL("bailing_moe", SMALL ",\"score_function\":\"sigmoid\",\"n_group\":4,"
                              "\"topk_group\":2,\"num_shared_experts\":2,"
                              "\"moe_shared_expert_intermediate_size\":32,"
                              "\"moe_router_enable_expert_bias\":true"),
         "router=sigmoid+bias>groups(4,2,sum2)>topk>renorm shared=64"},
        {MODEL("afmoe", SMALL ",\"route_norm\":false,\"route_scale\":2.826,"
                        "\"num_shared_experts\":1,\"score_func\":\"sigmoid\""),
         "router=sigmoid+bias>topk>scale(2.826) shared=32"},
        {MODEL("step3p7", SMALL ",\"share_expert_dim\":64,\"moe_router_scaling_factor\":3.0,"
                          "\"use_moe_router_bias\":true"),
         "router=sigmoid+bias>topk>renorm>scale(3) shared=64"},
        {MODEL("exaone_moe", SMALL ",\"num_shared_experts\":1,\"routed_scaling_factor\":2.5"),
         "router=sigmoid+bias>topk>renorm>scale(2.5) shared=32"},
        {MODEL("solar_open", SMALL ",\"n_shared_experts\":1,\"norm_topk_prob\":true"),
         "router=sigmoid+bias>topk>renorm shared=32"},
        {MODEL("lfm2_moe", SMALL ",\"use_expert_bias\":true,\"norm_topk_prob\":true,"
                           "\"num_dense_layers\":2,\"routed_scaling_factor\":1.0"),
         "router=sigmoid+bias>topk>renorm(1e-6)"},
        {MODEL("flex_olmo", "\"intermediate_size\":32,\"num_experts\":8"), "router=softmax>topk"},
        {MODEL("minimax", "\"intermediate_size\":32,\"num_local_experts\":8"),
         "router=softmax>topk>renorm"},
        {MODEL("qwen4_exp_text", SMALL ",\"shared_expert_intermediate_size\":32"),
         "router=softmax>topk>renorm shared=32,gated"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char layer[256];
        snprintf(layer, sizeof layer, SIZES "%s", cases[i].layer);
        assert_layer(cases[i].config, layer);
    }
}

/* Which layers have experts, by each way of saying so. */
static void patterns_of_layers(void **state) {
    (void)state;
    static const struct {
        const char *config, *layers; /* '1' where one has */
    } cases[] = {
        {MODEL("glm4_moe_lite", SMALL ",\"num_hidden_layers\":3,"
                                "\"mlp_layer_types\":[\"dense\",\"sparse\",\"sparse\"]"), "011"},
        {MODEL("qwen3_moe", SMALL ",\"num_hidden_layers\":3,"
                            "\"mlp_layer_types\":[\"sparse\",\"dense\",\"sparse\"]"), "101"},
        {MODEL("mimo_v2_flash", SMALL ",\"num_hidden_layers\":4,\"moe_layer_freq\":[0,1,0,1]"),
         "0101"},
        {MODEL("deepseek_v3", SMALL ",\"num_hidden_layers\":5,\"first_k_dense_replace\":1,"
                              "\"moe_layer_freq\":2"), "00101"},
        {MODEL("afmoe", SMALL ",\"num_hidden_layers\":3,\"num_dense_layers\":2"), "001"},
        {MODEL("step3p7", SMALL ",\"num_hidden_layers\":5,\"moe_layers_enum\":\"1,3,4\""), "01011"},
        {MODEL("step3p7", SMALL ",\"num_hidden_layers\":3,\"first_k_dense_replace\":2"), "001"},
    };
    static moe_model model;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (moe_config_model_text(cases[i].config, strlen(cases[i].config), &model))
            fail_msg("%s: %s", cases[i].config, moe_error_text());
        for (int64_t l = 0; l < model.layers; l++)
            if (model.moe[l] != (cases[i].layers[l] == '1'))
                fail_msg("%s: layer %d", cases[i].config, (int)l);
    }
}

/* Numbers of Python that JSON does not have are of no account where nobody reads them. */
static void numbers_of_python(void **state) {
    (void)state;
    assert_layer(MODEL("qwen3_moe", SMALL ",\"time_step_limit\":[0.0,Infinity,-Infinity,NaN],"
                                    "\"a\":\"\\\"NaN\\\\\""), SIZES "router=softmax>topk");
    assert_refused(MODEL("deepseek_v3", SMALL ",\"routed_scaling_factor\":Infinity"), MOE_E_CORRUPT,
                   "'routed_scaling_factor' is not a number");
    assert_refused(MODEL("qwen3_moe", SMALL ",\"router_heat\":NaN"), MOE_E_UNSUPPORTED,
                   "'router_heat' is \"NaN\"");
    assert_refused(MODEL("qwen3_moe", SMALL ",\"a\":Nan"), MOE_E_CORRUPT, "not JSON");
}

/* A model of text and images may name its dtype once, without. */
static void dtypes_of_the_whole_model(void **state) {
    (void)state;
    assert_layer("{\"model_type\":\"some_vl\",\"torch_dtype\":\"float16\",\"text_config\":"
                 MODEL("qwen3_moe", SMALL) "}", SIZES "x=f16 w=f16 router=softmax>topk");
    assert_layer("{\"model_type\":\"some_vl\",\"torch_dtype\":\"float16\",\"text_config\":"
                 MODEL("qwen3_moe", SMALL ",\"dtype\":\"float32\"") "}",
                 SIZES "x=f32 w=f32 router=softmax>topk");
}

static void dense_models_say_so(void **state) {
    (void)state;
    static const char *const configs[] = {
        "{\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":128}",
        "{\"model_type\":\"gpt2\",\"n_embd\":64}",
        MODEL("granitemoehybrid", "\"num_local_experts\":0"),
        MODEL("deepseek_v2", "\"n_routed_experts\":null"),
        MODEL("gemma4_text", SMALL ",\"enable_moe_block\":false"),
        "{\"model_type\":\"qwen3_vl\",\"text_config\":{\"model_type\":\"qwen3_vl_text\","
        "\"hidden_size\":64}}",
    };
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
        assert_refused(configs[i], MOE_E_UNSUPPORTED, "has no experts: a dense model");
    assert_refused(MODEL("some_moe", SMALL), MOE_E_UNSUPPORTED, "say --as FAMILY");
}

/* A file in a folder of its own, which is gone again behind the test. */
static moe_status read_file_as(const char *config, const char *family, moe_model *out) {
    char path[] = "/tmp/moetune-config-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, config, strlen(config)), (ssize_t)strlen(config));
    close(file);
    moe_status status = moe_config_model_as(path, family, out);
    unlink(path);
    return status;
}

static void read_as_a_family_that_is_known(void **state) {
    (void)state;
    static const char inner[] = "{\"model_type\":\"some_vl\",\"text_config\":"
                                MODEL("some_moe", SMALL ",\"norm_topk_prob\":true") "}";
    static moe_model model;
    assert_int_equal(read_file_as(inner, NULL, &model), MOE_E_UNSUPPORTED);
    assert_int_equal(read_file_as(inner, "qwen3_moe", &model), MOE_OK);
    assert_string_equal(model.family, "qwen3_moe");
    assert_int_equal(model.layer.e, 8);
    assert_true(model.layer.router.renorm);
    assert_int_equal(read_file_as(inner, "mixtral", &model), MOE_E_CORRUPT);
    assert_int_equal(read_file_as(inner, "nothing", &model), MOE_E_UNSUPPORTED);
    assert_non_null(strstr(moe_error_text(), "'nothing' is none of mixtral"));
}

static void quantised_in_ways_that_are_not_known(void **state) {
    (void)state;
    static const struct {
        const char *how, *says; /* NULL: it is known */
    } cases[] = {
        {"{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}", NULL},
        {"{\"quant_method\":\"fp8\",\"weight_block_size\":[32,32]}", "'fp8, other blocks'"},
        {"{\"quant_method\":\"mxfp4\"}", NULL},
        {"{\"quant_method\":\"brand_new\",\"weight_block_size\":[128,128]}", "'brand_new'"},
        {"{\"bits\":4}", "'no quant_method'"},
        {"null", NULL},
    };
    static moe_model model;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[512];
        snprintf(config, sizeof config, "{" QWEN3 ",\"quantization_config\":%s}", cases[i].how);
        assert_int_equal(moe_config_model_text(config, strlen(config), &model), MOE_OK);
        moe_status status = moe_model_check_quantised(&model);
        if (status != (cases[i].says ? MOE_E_UNSUPPORTED : MOE_OK) ||
            (cases[i].says && !strstr(moe_error_text(), cases[i].says)))
            fail_msg("%s: status %d, '%s'", cases[i].how, status, moe_error_text());
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_are_those_of_the_authors),
        cmocka_unit_test(layers_are_those_of_the_models),
        cmocka_unit_test(refused_configs_say_why),
        cmocka_unit_test(less_is_enough),
        cmocka_unit_test(keys_that_nobody_reads),
        cmocka_unit_test(keys_that_change_nothing),
        cmocka_unit_test(rules_are_those_of_transformers),
        cmocka_unit_test(experts_by_any_name),
        cmocka_unit_test(shared_widths_are_made_up),
        cmocka_unit_test(families_of_this_autumn),
        cmocka_unit_test(patterns_of_layers),
        cmocka_unit_test(numbers_of_python),
        cmocka_unit_test(dtypes_of_the_whole_model),
        cmocka_unit_test(dense_models_say_so),
        cmocka_unit_test(read_as_a_family_that_is_known),
        cmocka_unit_test(quantised_in_ways_that_are_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

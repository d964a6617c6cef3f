/* label: unit */
/* test_cmd_layer.c - moetune layer: what it prints, and its exit statuses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

/* Runs `moetune layer ARGUMENTS` with both outputs in one; returns the exit status. */
static int run(const char *arguments, char *out, size_t size) {
    char command[2048];
    snprintf(command, sizeof command, "%s layer %s 2>&1", getenv("MOETUNE_BINARY"), arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t used = fread(out, 1, size - 1, pipe);
    out[used] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const struct {
    const char *arguments;
    int status;
    const char *text;
} cases[] = {
    {"mixtral-8x7b", 0, "1409.32 M in all, 352.354 M active for a token, 176.161 M an expert"},
    {"mixtral-8x7b", 0, "704.643 M a token in the experts, 0.065536 M in the router"},
    {"mixtral-8x7b", 0, "experts.gate_up        [8,28672,4096]"},
    {"gpt-oss-20b", 0, "experts.down.bias      [32,2880]"},
    {"d=64 f=32 e=4 k=2 act=relu", 0, "experts.up             [4,32,64]"},
    {"switch-base-128", 0, "ceil(T*1*1.25/128) rows"},
    {"--list", 0, "granite-3.0-1b-a400m      d=1024 f=512 e=32 k=8"},
    {"", 2, "--list names the presets"},
    {"d=64 f=32 e=4", 2, "'k=' is missing"},
    {"d=64 f=32 e=4 k=5", 2, "k=5 is more than e=4"},
    {"mixtral-8x7", 2, "nearest presets: mixtral-8x7b"},
    {"/nowhere/config.json", 3, "No such file"},
    {"mixtral-8x7b", 0, "as f32 5637.28, bf16 2818.64, fp8 1409.32, 4 bits 704.659"},
    {"mixtral-8x7b --device sim:h100 --tokens 4", 0, "5.5 (68.4 %)"},
    {"deepseek-v3-ep8-shard", 0, "1411.12 M in all, 45.8755 M active for a token, 44.0402 M"},
    {"deepseek-v3-ep8-shard", 0, "32 of 256 experts, on average 1 of the 8 that a token chooses"},
    {"deepseek-v3-ep8-shard", 0, "88.0804 M a token in the experts, 3.67002 M in the router"},
    {"deepseek-v3-ep8-shard --device sim:h100 --tokens 16", 0, "12.7 (39.8 %)"},
    {"qwen3-30b-a3b --device sim:a100 --tokens 1,4096", 0, "on sim:a100 (311.9 TFLOP"},
    {"tests/tuner/configs/qwen3-30b-a3b.json", 0,
     "model       qwen3_moe: 48 of 48 layers have experts; 30.53 G parameters, 3.353 G active"},
    {"tests/tuner/configs/deepseek-v3.json", 0,
     "shared      one more expert of width 2048 for every token, 44.0402 M"},
    {"tests/tuner/configs/deepseek-v3.json", 0, "58 of 61 layers have experts; 671 G parameters"},
    {"dbrx --device sim:nothing", 3, "nothing"},
    {"dbrx --nonsense", 2, "nonsense"},
    {"dbrx >/dev/full", 3, ""},
    {"dbrx --predict --device sim:a100 --tokens 64", 0, "64  uniform  separate "},
    {"dbrx --predict --device sim:a100 --tokens 64 --routing one", 0, "64  one      separate "},
    {"dbrx --predict --device sim:a100 --routing chaos", 2, "uniform, zipf, one, empty"},
    {"dbrx --predict --device sim:nothing", 3, "nothing"},
    {"dbrx --predict --device sim:a100 --tokens x", 2, "--tokens"},
};

static void text_and_status(void **state) {
    (void)state;
    static char out[1 << 16];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = run(cases[i].arguments, out, sizeof out);
        if (status != cases[i].status || !strstr(out, cases[i].text))
            fail_msg("layer %s: status %d, should be %d with '%s':\n%s", cases[i].arguments, status,
                     cases[i].status, cases[i].text, out);
    }
}

/* Qwen1.5-MoE-A2.7B, published with 2.7 G active parameters: 24 of these layers, 0.403 G of
 * attention and 0.622 G of embeddings. The shared expert and its gate are among them. */
static void shared_experts_are_active(void **state) {
    (void)state;
    static char out[1 << 16];
    assert_int_equal(run("--json --device sim:h100 qwen1.5-moe-a2.7b", out, sizeof out), 0);
    json_t *root = json_loads(out, 0, NULL);
    assert_non_null(root);
    json_t *parameters = json_object_get(root, "parameters");
    const json_int_t active = json_integer_value(json_object_get(parameters, "active"));
    const double whole = (double)active * 24 + 0.403e9 + 0.622e9;
    assert_int_equal(active, 60 * 2048 + 4 * 3 * 2048 * 1408 + 3 * 2048 * 5632 + 2048);
    assert_true(whole > 2.65e9 && whole < 2.75e9);
    json_decref(root);
}

static void json_is_json(void **state) {
    (void)state;
    static char out[1 << 16];
    assert_int_equal(run("--json --device sim:h100 qwen3-30b-a3b", out, sizeof out), 0);
    json_t *root = json_loads(out, 0, NULL);
    assert_non_null(root);
    json_t *parameters = json_object_get(root, "parameters");
    assert_int_equal(json_integer_value(json_object_get(parameters, "expert")), 3 * 2048 * 768);
    assert_int_equal(json_integer_value(json_object_get(parameters, "router")), 2048 * 128);
    assert_int_equal(json_integer_value(json_object_get(root, "bytes")),
                     2 * (INT64_C(128) * 3 * 2048 * 768 + 2048 * 128));
    assert_int_equal(json_array_size(json_object_get(root, "tensors")), 7);
    assert_null(json_object_get(root, "model"));
    json_t *work = json_array_get(json_object_get(root, "work"), 0);
    assert_int_equal(json_integer_value(json_object_get(work, "tokens")), 1);
    assert_true(fabs(json_real_value(json_object_get(work, "experts_touched")) - 8. / 128) < 1e-9);
    json_decref(root);
    assert_int_equal(run("--json --device sim:h100 tests/tuner/configs/mixtral-8x7b.json", out,
                         sizeof out),
                     0);
    root = json_loads(out, 0, NULL);
    json_t *model = json_object_get(root, "model");
    assert_int_equal(json_integer_value(json_object_get(model, "moe_layers")), 32);
    assert_true(fabs(json_real_value(json_object_get(model, "parameters")) - 46.7e9) < 1e8);
    json_decref(root);
    assert_int_equal(run("--json --list", out, sizeof out), 0);
    root = json_loads(out, 0, NULL);
    assert_true(json_is_string(json_object_get(root, "dbrx")));
    json_decref(root);
}

/* A form's launches and time are the sums of its ops', and one form is the least. */
static void predictions_add_up(void **state) {
    (void)state;
    static char out[1 << 16];
    assert_int_equal(
        run("qwen3-30b-a3b --predict --device sim:h100 --tokens 8,512 --json", out, sizeof out), 0);
    json_t *root = json_loads(out, 0, NULL), *form, *op;
    size_t i, j;
    int least = 0;
    assert_non_null(root);
    assert_true(json_array_size(root) >= 2);
    json_array_foreach(root, i, form) {
        double ns = 0;
        json_int_t launches = 0;
        least += json_boolean_value(json_object_get(form, "least"));
        json_array_foreach(json_object_get(form, "ops"), j, op) {
            assert_true(json_real_value(json_object_get(op, "ns")) > 0);
            ns += json_real_value(json_object_get(op, "ns"));
            launches += json_integer_value(json_object_get(op, "launches"));
        }
        assert_true(fabs(json_real_value(json_object_get(form, "ns")) - ns) < 1e-6 * ns);
        assert_int_equal(json_integer_value(json_object_get(form, "launches")), launches);
        assert_true(launches >= 2);
    }
    assert_int_equal(least, 2);
    json_decref(root);
}

/* At 16384 tokens a Zipf class has as many rows as a uniform one, and no more than a few tiles that
 * are less full. At 8 tokens fewer experts are used, so fewer weights are read, most of all where
 * all tokens go to the same. */
static void routing_changes_predictions(void **state) {
    (void)state;
    static char out[1 << 20];
    double gemm[4][2];
    assert_int_equal(run("qwen3-30b-a3b --predict --device sim:h100 --tokens 8,16384 --json "
                         "--routing uniform,zipf,one,empty", out, sizeof out), 0);
    json_t *root = json_loads(out, 0, NULL), *row;
    size_t i;
    json_array_foreach(root, i, row) {
        static const char *const names[] = {"uniform", "zipf", "one", "empty"};
        const char *routing = json_string_value(json_object_get(row, "routing"));
        if (strcmp(json_string_value(json_object_get(row, "pipeline")), "separate")) continue;
        bool many = json_integer_value(json_object_get(row, "t")) > 8;
        json_t *up = json_array_get(json_object_get(row, "ops"), 2);
        assert_string_equal(json_string_value(json_object_get(up, "op")), "gemm_up");
        for (int r = 0; r < 4; r++)
            if (!strcmp(routing, names[r]))
                gemm[r][many] = json_number_value(json_object_get(up, "ns"));
    }
    json_decref(root);
    assert_true(gemm[1][0] < gemm[0][0] && gemm[2][0] < 0.5 * gemm[0][0]);
    assert_true(gemm[3][0] < gemm[0][0]);
    assert_true(fabs(gemm[1][1] / gemm[0][1] - 1) < 0.05);
}

int main(void) {
    const char *binary = getenv("MOETUNE_BINARY");
    if (!binary || access(binary, X_OK)) {
        fprintf(stderr, "skipped: the moetune command is not built\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_status),
        cmocka_unit_test(json_is_json),
        cmocka_unit_test(shared_experts_are_active),
        cmocka_unit_test(predictions_add_up),
        cmocka_unit_test(routing_changes_predictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

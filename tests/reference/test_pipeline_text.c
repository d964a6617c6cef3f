/* label: compile */
/* test_pipeline_text.c - the CUDA between the library's GEMMs compiles for every activation, dtype
 * and rule. It needs no GPU: the null device takes any image. */
#include "compile/compile.h"
#include "cublas_pipeline.h"
#include "device/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const acts[] = {"relu",      "relu2",      "gelu",
                                   "gelu_tanh", "silu",       "swiglu",
                                   "geglu",     "geglu_tanh", "swiglu_clamp(7,1.702)"};
static const char *const dtypes[] = {"bf16", "f16", "f32"};

/* What became of the last compile. */
typedef struct result {
    moe_compiled compiled;
    bool broken; /* put an error in front of the text */
} result;

static moe_status compile(void *self, const char *name, const char *text, const char *arch,
                          moe_image *out) {
    result *r = self;
    char *whole = malloc(strlen(text) + 64);
    assert_non_null(whole);
    sprintf(whole, "%s%s", r->broken ? "int x = ;\n" : "", text);
    moe_status status = moe_compile_text(name, whole, arch, &r->compiled);
    free(whole);
    if (!status && r->compiled.outcome != MOE_OUTCOME_OK)
        status = moe_fail(MOE_E_COMPILE, "%s", r->compiled.reason);
    if (!status) *out = r->compiled.image;
    return status;
}

static moe_status create_of(const moe_layer *layer, bool broken) {
    const int ids[2] = {0, 1};
    const moe_gemm gemm = {0};
    moe_device *device;
    moe_cublas_pipeline *pipeline = NULL;
    result r = {.broken = broken};
    const moe_text_compiler compiler = {&r, compile};
    assert_int_equal(moe_device_open("null", &device), MOE_OK);
    moe_status status =
        moe_cublas_pipeline_create(device, layer, 1, ids, &gemm, &compiler, &pipeline);
    moe_cublas_pipeline_destroy(pipeline);
    moe_compiled_free(&r.compiled);
    moe_device_close(device);
    return status;
}

static moe_status create(const char *text, bool broken) {
    moe_layer layer;
    assert_int_equal(moe_layer_parse(text, &layer), MOE_OK);
    return create_of(&layer, broken);
}

static void every_kind_compiles(void **state) {
    static const char *const routers[] = {
        "softmax>topk>renorm", "softmax>groups(2,1,max)>topk>scale(16)",
        "sigmoid+bias>groups(2,1,sum2)>topk>renorm>scale(2.5)", "topk>sparsemixer(0.01)"};
    (void)state;
    for (int i = 0; i < 9; i++) {
        char text[160];
        snprintf(text, sizeof text, "d=64 f=40 e=4 k=2 act=%s x=%s router=%s", acts[i],
                 dtypes[(i + i / 3) % 3], routers[i % 4]);
        if (create(text, false)) fail_msg("%s: %s", text, moe_error_text());
    }
}

static void errors_are_the_compilers(void **state) {
    (void)state;
    assert_int_equal(create("d=64 f=40 e=4 k=2", true), MOE_E_COMPILE);
    assert_non_null(strstr(moe_error_text(), "expected an expression"));
}

/* What has a name but no CUDA text is refused, not computed as something else. */
static void others_are_refused(void **state) {
    moe_layer layer;
    (void)state;
    assert_int_equal(moe_layer_parse("d=64 f=40 e=4 k=2 act=relu", &layer), MOE_OK);
    layer.act.kind = MOE_ACT_NONE;
    assert_int_equal(create_of(&layer, false), MOE_E_UNSUPPORTED);
    assert_non_null(strstr(moe_error_text(), "has no none"));
    layer.act.kind = MOE_ACT_RELU;
    layer.router.weigh = MOE_WEIGH_RELU;
    assert_int_equal(create_of(&layer, false), MOE_E_UNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_compiles),
        cmocka_unit_test(errors_are_the_compilers),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

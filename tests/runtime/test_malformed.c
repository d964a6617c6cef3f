/* label: unit - every text form says what is wrong with what it cannot read. */
#include "check.h"

#include "core/config.h"
#include "core/launch.h"
#include "core/record.h"
#include "device/device.h"

#include <string.h>

typedef struct bad {
    const char *text;
    moe_status status;
    const char *message;
} bad;

static moe_status parse_layer(const char *text) {
    moe_layer out;
    return moe_layer_parse(text, &out);
}
static moe_status parse_op(const char *text) {
    moe_op out;
    return moe_op_parse(text, &out);
}
static moe_status parse_config(const char *text) {
    moe_config out;
    return moe_config_parse(text, &out);
}
static moe_status parse_launch(const char *text) {
    moe_launch out;
    return moe_launch_parse(text, &out);
}
static moe_status parse_measurement(const char *text) {
    moe_measurement out;
    return moe_measurement_parse(text, &out);
}
static moe_status parse_facts(const char *text) {
    moe_facts out;
    return moe_facts_parse(text, &out);
}
static moe_status parse_record(const char *text) {
    static moe_record out;
    return moe_record_parse(text, &out);
}
static moe_status parse_choice(const char *text) {
    static moe_choice out;
    return moe_choice_parse(text, &out);
}

static void all_bad(moe_status (*parse)(const char *), const bad *table, size_t count) {
    for (size_t i = 0; i < count; i++)
        CHECK_FAILS(parse(table[i].text), table[i].status, table[i].message);
}
#define ALL_BAD(parse, table) all_bad(parse, table, sizeof(table) / sizeof((table)[0]))

static void test_bad_layers(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "'d=' is missing"},
        {"d=64 f=64 e=8", MOE_E_PARSE, "'k=' is missing"},
        {"d=64 f=64 e=8 k=2 d=64", MOE_E_PARSE, "'d' comes twice"},
        {"d=64 f=64 e=8 k=2 depth=3", MOE_E_PARSE, "known keys: d f e k act"},
        {"d=64 f=64 e=8 k", MOE_E_PARSE, "'k' is not key=value"},
        {"d=sixty f=64 e=8 k=2", MOE_E_PARSE, "d: 'sixty' is not a whole number"},
        {"d=64.0 f=64 e=8 k=2", MOE_E_PARSE, "whole number"},
        {"d=99999999999999999999 f=64 e=8 k=2", MOE_E_PARSE, "whole number"},
        {"d=0 f=64 e=8 k=2", MOE_E_INVALID, "0 is not in 8.."},
        {"d=-8 f=64 e=8 k=2", MOE_E_INVALID, "-8 is not in 8.."},
        {"d=2097152 f=64 e=8 k=2", MOE_E_INVALID, "is not in 8..1048576"},
        {"d=60 f=64 e=8 k=2", MOE_E_UNSUPPORTED, "multiples of 8; pad the weights"},
        {"d=64 f=64 e=8 k=9", MOE_E_INVALID, "k=9 is more than e=8"},
        {"d=64 f=64 e=4096 k=2", MOE_E_INVALID, "not in 1..2048"},
        {"d=64 f=64 e=64 k=33", MOE_E_INVALID, "not in 1..32"},
        {"d=64 f=64 e=8 k=2 act=tanh", MOE_E_PARSE, "use one of: relu, relu2"},
        {"d=64 f=64 e=8 k=2 act=swiglu_clamp", MOE_E_PARSE, "swiglu_clamp(7,1.702)"},
        {"d=64 f=64 e=8 k=2 act=swiglu_clamp(7)", MOE_E_PARSE, "swiglu_clamp(7,1.702)"},
        {"d=64 f=64 e=8 k=2 act=swiglu_clamp(-7,1)", MOE_E_PARSE, "swiglu_clamp(7,1.702)"},
        {"d=64 f=64 e=8 k=2 act=swiglu_clamp(7,1)x", MOE_E_PARSE, "swiglu_clamp(7,1.702)"},
        {"d=64 f=64 e=8 k=2 x=fp8", MOE_E_PARSE, "use one of: bf16, f16, f32"},
        {"d=64 f=64 e=8 k=2 w=i32", MOE_E_PARSE, "'i32' is not known; use one of: bf16, f16, f32"},
        {"d=64 f=64 e=8 k=2 w=", MOE_E_PARSE, "use one of: bf16, f16, f32"},
        {"d=64 f=64 e=8 k=2 x=bf16 w=f32", MOE_E_UNSUPPORTED, "must be the same dtype"},
        {"d=64 f=64 e=8 k=2 router=softmax>renorm", MOE_E_PARSE, "'topk' is missing"},
        {"d=64 f=64 e=8 k=2 router=softmax>topk>topk", MOE_E_PARSE, "too late or twice"},
        {"d=64 f=64 e=8 k=2 router=topk>groups(2,1,max)", MOE_E_PARSE, "too late or twice"},
        {"d=64 f=64 e=8 k=2 router=softmux>topk", MOE_E_PARSE, "no stage of a router"},
        {"d=64 f=64 e=8 k=2 router=softmax>topk>scale", MOE_E_PARSE, "read like scale(2.5)"},
        {"d=64 f=64 e=8 k=2 router=softmax>topk>scale(-1)", MOE_E_PARSE, "numbers above 0"},
        {"d=64 f=64 e=8 k=2 router=softmax>topk>scale(1e999)", MOE_E_PARSE, "numbers above 0"},
        {"d=64 f=64 e=8 k=2 router=groups(2,1,mean)>topk", MOE_E_PARSE, "groups(8,4,sum2)"},
        {"d=64 f=64 e=8 k=2 router=groups(2,1,max)x>topk", MOE_E_PARSE, "no stage of a router"},
        {"d=64 f=64 e=8 k=2 router=topk+bias", MOE_E_PARSE, "behind a score"},
        {"d=64 f=64 e=8 k=2 router=softmax>topk>softmax", MOE_E_INVALID, "one of them"},
        {"d=64 f=64 e=8 k=2 router=topk>softmax>renorm", MOE_E_INVALID, "leave renorm out"},
        {"d=64 f=64 e=8 k=2 router=topk>renorm", MOE_E_INVALID, "may add up to 0"},
        {"d=64 f=64 e=8 k=2 router=groups(3,1,max)>topk", MOE_E_INVALID,
         "3 groups do not divide e=8"},
        {"d=64 f=64 e=8 k=2 router=groups(2,3,max)>topk", MOE_E_INVALID,
         "3 groups cannot be kept of 2"},
        {"d=64 f=64 e=8 k=2 router=groups(8,1,max)>topk", MOE_E_INVALID, "fewer than k=2"},
        {"d=64 f=64 e=8 k=2 router=groups(8,4,sum2)>topk", MOE_E_INVALID, "two experts in a group"},
        {"d=64 f=64 e=8 k=2 router=groups(64,4,max)>topk", MOE_E_INVALID, "more than 32"},
        {"d=64 f=64 e=8 k=2 router=sigmoid>groups(2,1,max,zero)>topk", MOE_E_INVALID,
         "no difference without +bias"},
        {"d=64 f=64 e=8 k=2 router=sigmoid+bias>topk bias=router", MOE_E_INVALID, "not both"},
        {"d=64 f=64 e=8 k=2 capacity=0", MOE_E_INVALID, "'none' or a factor above 0"},
        {"d=64 f=64 e=8 k=2 capacity=-1", MOE_E_INVALID, "'none' or a factor above 0"},
        {"d=64 f=64 e=8 k=2 capacity=nan", MOE_E_PARSE, "not a number"},
        {"d=64 f=64 e=8 k=2 capacity=switch", MOE_E_PARSE, "switch"},
        {"d=64 f=64 e=8 k=2 capacity=none,switch", MOE_E_PARSE, "none"},
        {"d=64 f=64 e=8 k=2 capacity=1,best", MOE_E_PARSE, "no formula"},
        {"d=64 f=64 e=8 k=2 capacity=1,min(0)", MOE_E_PARSE, "no formula"},
        {"d=64 f=64 e=8 k=2 capacity=1,min(4", MOE_E_PARSE, "no formula"},
        {"d=64 f=64 e=8 k=2 capacity=1 drop=renorm router=topk>sigmoid>input", MOE_E_INVALID,
         "on their input"},
        {"d=64 f=64 e=8 k=2 priority=gate", MOE_E_INVALID, "add capacity=1.25"},
        {"d=64 f=64 e=8 k=2 x=f32 router_dtype=f32", MOE_E_INVALID, "leave router_dtype out"},
        {"d=64 f=64 e=8 k=2 bias=left", MOE_E_PARSE, "router,up,down"},
    };
    ALL_BAD(parse_layer, table);
}

static void test_bad_ops(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "empty text"},
        {"gemm t=1", MOE_E_PARSE, "use one of: route, permute, gemm_up"},
        {"gemm_up d=64", MOE_E_PARSE, "'t=' is missing"},
        {"gemm_up t=-1 d=64 f=64 e=8 k=2", MOE_E_INVALID, "not in 0.."},
        {"gemm_up t=1 d=64 e=8 k=2", MOE_E_PARSE, "'f=' is missing"},
        {"combine t=1 d=64 k=2 local=2", MOE_E_PARSE, "'e=' is missing"},
        {"gemm_up t=1 d=64 f=64 e=8 k=9", MOE_E_INVALID, "more than e=8"},
        {"permute t=1 e=8 k=2 routing=random", MOE_E_PARSE, "use one of: uniform, zipf"},
    };
    ALL_BAD(parse_op, table);
    const bad configs[] = {
        {"bm", MOE_E_PARSE, "not name=integer"},
        {"=3", MOE_E_PARSE, "not name=integer"},
        {"bm=2.5", MOE_E_PARSE, "whole number"},
        {"bm=1 bm=2", MOE_E_PARSE, "'bm' comes twice"},
        {"a_name_that_is_much_too_long=1", MOE_E_PARSE, "not name=integer"},
        {"a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1 q=1", MOE_E_PARSE,
         "more than 16"},
    };
    ALL_BAD(parse_config, configs);
}

static void test_bad_launches(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "names no kernel"},
        {"grid=fixed(1) block=32", MOE_E_PARSE, "names no kernel"},
        {"kernel=a block=32", MOE_E_PARSE, "'grid=' is missing"},
        {"kernel=a grid=fixed(1)", MOE_E_PARSE, "'block=' is missing"},
        {"kernel=a grid=blocks(1) block=32", MOE_E_PARSE, "use one of: fixed, tokens"},
        {"kernel=a grid=fixed block=32", MOE_E_PARSE, "tokens(64)"},
        {"kernel=a grid=fixed(0) block=32", MOE_E_PARSE, "tokens(64)"},
        {"kernel=a grid=fixed(1,2,3) block=32", MOE_E_PARSE, "tokens(64)"},
        {"kernel=a grid=fixed(1) block=2048", MOE_E_INVALID, "not in 1..1024"},
        {"kernel=a grid=fixed(1) block=32 align=0", MOE_E_INVALID, "not in 1.."},
        {"kernel= grid=fixed(1) block=32", MOE_E_PARSE, "symbol"},
        {"kernel=a grid=fixed(1) block=32 kernel=a grid=fixed(1) block=32 kernel=a grid=fixed(1) "
         "block=32 kernel=a grid=fixed(1) block=32 kernel=a grid=fixed(1) block=32",
         MOE_E_PARSE, "more than 4 kernels"},
    };
    ALL_BAD(parse_launch, table);
    const bad measurements[] = {
        {"", MOE_E_PARSE, "empty text"},
        {"good n=1", MOE_E_PARSE, "use one of: ok, compile_failed"},
        {"ok n=-1", MOE_E_INVALID, "not in 0.."},
        {"ok med=fast", MOE_E_PARSE, "not a number"},
        {"ok med=1e999", MOE_E_PARSE, "not a number"},
        {"ok timer=watch", MOE_E_PARSE, "use one of: none, cupti"},
    };
    ALL_BAD(parse_measurement, measurements);
}

static void test_bad_facts(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "sm_90a"},
        {"H100 \"x\" sms=1", MOE_E_PARSE, "not an architecture"},
        {"sm_90ab \"x\" sms=1", MOE_E_PARSE, "not an architecture"},
        {"sm_90a H100 sms=1", MOE_E_PARSE, "name in quotes"},
        {"sm_90a \"H100 sms=1", MOE_E_PARSE, "name in quotes"},
        {"sm_90a \"H100\"", MOE_E_PARSE, "'sms=' is missing"},
        {"sm_90a \"H100\" sms=0", MOE_E_INVALID, "not in 1.."},
        {"sm_90a \"H100\" sms=132 cores=5", MOE_E_PARSE, "known keys: sm sms smem"},
    };
    ALL_BAD(parse_facts, table);
}

#define OP "permute t=4 e=8 k=2 capacity=none routing=uniform cache=cold"
#define HEAD "layer t=4 routing=uniform cache=cold d=64 f=64 e=8 k=2"

static void test_bad_records(void **unused) {
    (void)unused;
    const bad table[] = {
        {"", MOE_E_PARSE, "5 columns"},
        {OP " | p@1 | | ok", MOE_E_PARSE, "5 columns"},
        {OP " | p@1 |  | ok | default=0 | more", MOE_E_PARSE, "5 columns"},
        {OP " | permute |  | ok | default=0", MOE_E_PARSE, "grouped_gemm@1f3c9a0b"},
        {OP " | p@1 | bm | ok | default=0", MOE_E_PARSE, "name=integer"},
        {OP " | p@1 |  | fine | default=0", MOE_E_PARSE, "use one of"},
        {OP " | p@1 |  | ok | default=2", MOE_E_INVALID, "not in 0..1"},
        {OP " | p@1 |  | ok | driver=a-driver-version-that-is-far-too-long-to-be-one", MOE_E_PARSE,
         "longer than 31"},
        {OP " | p@1 |  | ok | who=me", MOE_E_PARSE, "known keys: default driver"},
    };
    ALL_BAD(parse_record, table);
    const bad choices[] = {
        {"", MOE_E_PARSE, "5 columns"},
        {"op t=4 routing=uniform cache=cold d=64 | route | r@1 | ok | default=0", MOE_E_PARSE,
         "should be 'layer'"},
        {"layer d=64 f=64 e=8 k=2 | route | r@1 | ok | default=0", MOE_E_PARSE, "unknown key 'd'"},
        {HEAD " | route permute | r@1 | ok | default=0", MOE_E_PARSE, "differ in length"},
        {HEAD " | route | r@1; p@1 | ok | default=0", MOE_E_PARSE, "differ in length"},
        {HEAD " | route | r@1; p@1; p@1; p@1; p@1; p@1 | ok | default=0", MOE_E_PARSE,
         "differ in length"},
        {HEAD " | router | r@1 | ok | default=0", MOE_E_PARSE, "use one of: route"},
        {HEAD " | route | bt=8 | ok | default=0", MOE_E_PARSE, "grouped_gemm@1f3c9a0b"},
    };
    ALL_BAD(parse_choice, choices);
}

static void test_long_words(void **unused) {
    (void)unused;
    char text[4096];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    moe_status (*const parsers[])(const char *) = {parse_layer, parse_op, parse_config,
                                                   parse_launch, parse_measurement, parse_facts,
                                                   parse_record, parse_choice};
    for (size_t i = 0; i < sizeof parsers / sizeof parsers[0]; i++)
        assert_int_equal(parsers[i](text), MOE_E_PARSE);
    memcpy(text, "kernel=", 7);
    assert_int_equal(parse_launch(text), MOE_E_PARSE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_layers),
        cmocka_unit_test(test_bad_ops),
        cmocka_unit_test(test_bad_launches),
        cmocka_unit_test(test_bad_facts),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

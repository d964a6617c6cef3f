/* compile_case.c - see compile_case.h. */
#include "compile_case.h"

#include "core/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Facts that decide configs: those of a chip of each arch. */
static const char *const chips[] = {
    [COMPILE_SM_80] =
        "sm_80 \"A100\" sms=108 smem=166912 l2=41943040 memory=85899345920 clock=1410 "
        "bandwidth=2039",
    [COMPILE_SM_86] =
        "sm_86 \"A40\" sms=84 smem=101376 l2=6291456 memory=48305799168 clock=1740 "
        "bandwidth=696",
    [COMPILE_SM_89] =
        "sm_89 \"L40S\" sms=142 smem=101376 l2=100663296 memory=48305799168 clock=2520 "
        "bandwidth=864",
    [COMPILE_SM_90A] =
        "sm_90a \"H100\" sms=132 smem=232448 l2=52428800 memory=85520809984 clock=1980 "
        "bandwidth=3352",
    [COMPILE_SM_100A] =
        "sm_100a \"B200\" sms=148 smem=232448 l2=132120576 memory=192265846784 clock=1965 "
        "bandwidth=8000",
    [COMPILE_SM_120A] =
        "sm_120a \"RTX PRO 6000\" sms=188 smem=101376 l2=134217728 memory=102641958912 clock=2600 "
        "bandwidth=1792",
};

/* Every arch takes two of the layers at one of the token counts each, the next arch the next. */
static const char *const layers[] = {
    "d=2048 f=768 e=128 k=8", /* qwen3-30b-a3b */
    "d=2880 f=2880 e=32 k=4 act=swiglu_clamp(7,1.702) router=topk>softmax bias=router,up,down",
    "d=768 f=3072 e=64 k=1 act=gelu x=f32 router=softmax>topk capacity=1.25",
    "d=1024 f=512 e=64 k=1 x=f16 act=relu router=base",
    "d=1024 f=512 e=64 k=64 act=relu router=expert_choice capacity=2,switch",
    "d=1024 f=1 e=1048576 k=128 act=gelu router=peer(8,1024,256)",
};
static const int64_t tokens[] = {1, 256, 4096};

enum { LAYERS = sizeof layers / sizeof *layers, EACH = 2 };

moe_facts compile_case_facts(compile_chip chip) {
    moe_facts facts;
    CHECK(moe_facts_parse(chips[chip], &facts));
    moe_facts_complete(&facts);
    return facts;
}

void compile_case_op(fixture *f, const moe_template *t, const moe_op *op, const moe_facts *facts) {
    fixture_kernel kernel;
    fixture_compile(f, moe_template_name(t), op, facts, "", &kernel);
    const moe_launch *launch = &kernel.compiled.image.launch;
    for (int i = 0; i < launch->kernels; i++) {
        if (launch->kernel[i].spills > 0 || launch->kernel[i].regs < 1)
            fail_msg("%s for %s: kernel %d has %d registers and spills %d bytes", kernel.what,
                     facts->arch, i, (int)launch->kernel[i].regs, (int)launch->kernel[i].spills);
    }
    /* ptxas says so where it must wait for wgmma or cannot hand registers over. */
    if (strstr(kernel.compiled.log, "wgmma") || strstr(kernel.compiled.log, "GMMA") ||
        strstr(kernel.compiled.log, "setmaxnreg"))
        fail_msg("%s for %s: %s", kernel.what, facts->arch, kernel.compiled.log);
    fixture_kernel_free(f, &kernel);
}

void compile_case_chip(compile_chip chip) {
    fixture f;
    const moe_facts facts = compile_case_facts(chip);
    int compiled = 0;
    fixture_open(&f, "null");
    for (int i = 0; i < EACH * MOE_OP_COUNT; i++) {
        moe_layer layer;
        int turn = (int)chip * EACH + i / MOE_OP_COUNT;
        CHECK(moe_layer_parse(layers[turn % LAYERS], &layer));
        if (!moe_pipeline_wants(&layer, (moe_op_kind)(i % MOE_OP_COUNT))) continue;
        moe_op op = moe_op_make((moe_op_kind)(i % MOE_OP_COUNT), &layer, tokens[turn / 2 % 3],
                                MOE_ROUTING_UNIFORM, MOE_CACHE_COLD);
        for (int t = 0; t < moe_gen_count(f.gen); t++) {
            const moe_template *each = moe_gen_at(f.gen, t);
            if (!moe_template_serves(each, &op, &facts, NULL, 0)) continue;
            compile_case_op(&f, each, &op, &facts);
            compiled++;
        }
    }
    assert_true(compiled >= EACH * 2); /* every layer has two steps at least */
    fixture_close(&f);
}

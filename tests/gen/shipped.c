/* shipped.c - see shipped.h. */
#include "shipped.h"

#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const archs[] = {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"};

static const char *const ops[] = {
    "route t=%d d=1024 e=32 k=8",
    "route t=%d d=64 e=257 k=32 x=f32 router=topk>softmax bias=router",
    "route t=%d d=4096 e=8 k=2 x=f16 router=softmax>topk",
    "route t=%d d=2048 e=2048 k=1",
    "route t=%d d=7168 e=256 k=8 router=sigmoid+bias>groups(8,4,sum2)>topk>renorm>scale(2.5)",
    "route t=%d d=4096 e=16 k=2 router=topk>sparsemixer(0.01)",
    "route t=%d d=1024 e=64 k=1 router=base",
    "route t=%d d=64 e=257 k=1 x=f32 router=base bias=router",
    "route_permute t=%d d=1024 e=64 k=64 router=expert_choice capacity=2,switch",
    "route t=%d d=1024 e=1048576 k=128 router=peer(8,1024,256)",
    "route t=%d d=64 e=9216 k=6 x=f32 router=peer(6,96,1024) bias=router",
    "neurons t=%d d=1024 e=1048576 k=128 act=gelu",
    "neurons t=%d d=8 e=64 k=1 act=none x=f32",
    "permute t=%d e=32 k=8",
    "permute t=%d e=2048 k=32 capacity=1.25",
    "permute t=%d e=1 k=1",
    "route_permute t=%d d=2048 e=128 k=8",
    "route_permute t=%d d=64 e=2048 k=32 x=f32 router=topk>softmax bias=router",
    "route_permute t=%d d=8 e=1 k=1 capacity=1.25",
    "gemm_up t=%d d=1024 f=512 e=32 k=8 act=swiglu",
    "gemm_up t=%d d=8 f=8 e=1 k=1 act=relu x=f32",
    "gemm_up t=%d d=2880 f=2880 e=32 k=4 act=swiglu_clamp(7,1.702) x=f16 bias=up capacity=1.25",
    "gemm_up t=%d d=4096 f=14336 e=8 k=2 act=gelu_tanh routing=zipf",
    "gemm_down t=%d d=1024 f=512 e=32 k=8",
    "gemm_down t=%d d=24 f=40 e=257 k=6 x=f32 bias=down",
    "combine t=%d d=1024 k=8",
    "combine t=%d d=8 k=1 x=f32",
    "combine t=%d d=7168 k=32 x=f16",
};

static const int tokens[] = {1, 16, 129, 4096, 65536};

#define COUNT(array) ((int)(sizeof array / sizeof array[0]))

static moe_gen *gen;

int shipped_open(void **state) {
    (void)state;
    CHECK(moe_gen_open("templates", &gen));
    return 0;
}

int shipped_close(void **state) {
    (void)state;
    moe_gen_close(gen);
    return 0;
}

static moe_facts facts_of(const char *arch) {
    moe_facts facts = {.name = "test", .sms = 100, .l2 = 40 << 20, .memory = INT64_C(40) << 30,
                       .clock = 1400, .bandwidth = 1500};
    snprintf(facts.arch, sizeof facts.arch, "%s", arch);
    moe_facts_complete(&facts);
    return facts;
}

static moe_op op_at(int i, int t) {
    char text[256];
    const char *format = ops[i], *hole = strstr(format, "%d");
    snprintf(text, sizeof text, "%.*s%d%s", (int)(hole - format), format, t, hole + 2);
    return test_op(text);
}

void shipped_for_each(shipped_check *check) {
    for (int a = 0; a < COUNT(archs); a++)
        for (int i = 0; i < COUNT(ops); i++) {
            moe_facts facts = facts_of(archs[a]);
            int served = 0;
            for (int j = 0; j < COUNT(tokens); j++) {
                moe_op op = op_at(i, tokens[j]);
                for (int t = 0; t < moe_gen_count(gen); t++)
                    if (moe_template_serves(moe_gen_at(gen, t), &op, &facts, NULL, 0)) {
                        check(moe_gen_at(gen, t), &op, &facts);
                        served++;
                    }
            }
            if (!served) fail_msg("nothing serves '%s' on %s", ops[i], archs[a]);
        }
}

/* label: golden */
/* test_golden.c - the rendered text of a few configs of each template, reviewed as diffs.
 *
 * After a change that is meant: MOE_GOLDEN_UPDATE=1 build/test_gen_golden, then read the diff of
 * tests/gen/golden. Plain text, so that a moved line does not change every mark; and hashes, which
 * change with every edit of a template, are blanked. */
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name, *folder, *arch, *template_name, *op, *config;
    bool marks;
} cases[] = {
    {"tiny_up", "tests/gen/templates", "sm_80", "tiny", "gemm_up t=1 d=64 f=32 e=4 k=2",
     "unroll=1 warps=2 bm=32", true},
    {"tiny_combine", "tests/gen/templates", "sm_90a", "tiny", "combine t=100 d=64 k=2 x=f16", "",
     false},
    {"route_bf16", "templates", "sm_80", "route", "route t=1 d=1024 e=32 k=8",
     "bt=32 be=32 bk=64 stages=3 warps=8 split=0", false},
    {"route_f32_split", "templates", "sm_90a", "route",
     "route t=1 d=2048 e=128 k=8 x=f32 router=softmax>topk bias=router",
     "bt=8 be=64 bk=128 stages=4 warps=8 split=4", false},
    {"route_groups", "templates", "sm_90a", "route",
     "route t=1 d=7168 e=256 k=8 "
     "router=sigmoid+bias>groups(8,4,sum2)>topk>renorm>scale(2.5)",
     "bt=64 be=256 bk=64 stages=3 warps=8 split=0", false},
    {"route_sm90_split", "templates", "sm_90a", "route_sm90",
     "route t=1 d=7168 e=256 k=8 "
     "router=sigmoid+bias>groups(8,4,sum2)>topk>renorm>scale(2.5)",
     "bt=128 bk=64 stages=4 wgs=2 tall=1 cluster=4 split=1 blocks=1", false},
    {"route_sm90_weights", "templates", "sm_90a", "route_sm90",
     "route t=1 d=1024 e=1024 k=8 x=f16 bias=router",
     "bt=32 bk=32 stages=3 wgs=2 tall=0 cluster=2 split=0 blocks=1", false},
    {"route_sm90_exact", "templates", "sm_90a", "route_sm90",
     "route t=1 d=2688 e=128 k=6 router=sigmoid+bias>topk>renorm>scale(2.5) router_dtype=f32",
     "bt=96 bk=64 stages=4 wgs=2 tall=0 cluster=2 split=0 blocks=1", false},
    {"route_draws", "templates", "sm_90a", "route",
     "route t=1 d=1024 e=64 k=2 router=jitter(0.01)>noisy>softmax>topk>renorm>second(nllb)",
     "bt=32 be=64 bk=64 stages=3 warps=8 split=0", false},
    {"route_hash", "templates", "sm_80", "route",
     "route t=1 d=4096 e=256 k=6 router=sqrtsoftplus>hash>renorm>scale(1.5)",
     "bt=8 be=64 bk=128 stages=4 warps=8 split=4", false},
    {"route_base_64", "templates", "sm_90a", "route_base", "route t=1 d=1024 e=64 k=1 router=base",
     "bt=16 be=64 bk=64 stages=4 warps=8 split=0 blocks=64 bidders=256 keep=8192", false},
    {"route_peer_1m", "templates", "sm_90a", "route_peer",
     "route t=1 d=1024 e=1048576 k=128 router=peer(8,1024,256)",
     "bt=16 be=64 bk=128 stages=4 warps=4 split=2 tokens=32 rows=64 parts=2 scanners=8", false},
    {"neurons_f16_split", "templates", "sm_80", "neurons",
     "neurons t=1 d=1024 e=4096 k=62 act=gelu x=f16", "threads=256 flight=4 split=4", false},
    {"neurons_values", "templates", "sm_90a", "neurons", "neurons t=1 d=512 e=4096 k=64 act=none",
     "threads=128 flight=4 split=0", false},
    {"route_permute_choice_64", "templates", "sm_80", "route_permute_choice",
     "route_permute t=1 d=1024 e=64 k=64 router=expert_choice capacity=2,switch",
     "bt=16 be=64 bk=64 stages=4 warps=8 split=0 choosers=512", false},
    {"permute_64", "templates", "sm_80", "permute", "permute t=1 e=64 k=8 capacity=1.25", "",
     false},
    {"permute_small_8", "templates", "sm_80", "permute_small", "permute t=1 e=8 k=2", "", false},
    {"route_permute_few", "templates", "sm_80", "route_permute",
     "route_permute t=1 d=1024 e=32 k=8 router=topk>softmax",
     "bt=8 be=32 bk=128 stages=4 warps=8 split=4 blocks=1 map_threads=256 items=1", false},
    {"route_permute_many", "templates", "sm_90a", "route_permute",
     "route_permute t=1 d=2048 e=128 k=8 capacity=1.25",
     "bt=64 be=128 bk=64 stages=4 warps=8 split=0 blocks=128 map_threads=512 items=2", false},
    {"gemm_up_bf16", "templates", "sm_80", "grouped_gemm",
     "gemm_up t=1 d=1024 f=512 e=32 k=8 act=swiglu",
     "bm=64 bn=128 bk=32 stages=4 warps=4 wm=2 group=8", false},
    {"gemm_up_f16_clamp", "templates", "sm_90a", "grouped_gemm",
     "gemm_up t=1 d=2880 f=2880 e=32 k=4 act=swiglu_clamp(7,1.702) x=f16 bias=up",
     "bm=16 bn=64 bk=64 stages=4 warps=4 wm=1 group=1", false},
    {"gemm_down_f32", "templates", "sm_80", "grouped_gemm",
     "gemm_down t=1 d=1024 f=512 e=8 k=2 x=f32",
     "bm=32 bn=64 bk=32 stages=3 warps=4 wm=1 group=1 math=0", false},
    {"down_combine_bf16", "templates", "sm_90a", "grouped_gemm",
     "down_combine t=1 d=2048 f=768 e=128 k=4 bias=down",
     "bm=64 bn=128 bk=32 stages=4 warps=4 wm=2 group=8 wide=0 bulk=0", false},
    {"down_combine_bulk", "templates", "sm_90a", "grouped_gemm",
     "down_combine t=1 d=2048 f=768 e=128 k=8",
     "bm=128 bn=128 bk=32 stages=4 warps=4 wm=2 group=8 wide=1 bulk=1", false},
    {"down_combine_wide", "templates", "sm_80", "grouped_gemm",
     "down_combine t=1 d=2048 f=768 e=128 k=8",
     "bm=64 bn=128 bk=32 stages=4 warps=4 wm=2 group=8 wide=1 bulk=0", false},
    {"decode_up_sm90", "templates", "sm_90a", "decode_gemm_sm90",
     "gemm_up t=1 d=2048 f=768 e=128 k=8 bias=up", "n=8 rows=128 stages=12 blocks=1 split=1",
     false},
    {"decode_down_split_sm90", "templates", "sm_90a", "decode_gemm_sm90",
     "gemm_down t=1 d=768 f=3072 e=64 k=1 bias=down", "n=8 rows=64 stages=6 blocks=1 split=8",
     false},
    {"decode_sums_sm90", "templates", "sm_90a", "decode_gemm_sm90",
     "down_combine t=1 d=2048 f=768 e=128 k=8", "n=8 rows=128 stages=12 blocks=1 split=2", false},
    {"decode_sums_f16", "templates", "sm_80", "decode_gemm",
     "down_combine t=1 d=2048 f=768 e=128 k=8 x=f16", "n=8 rows=32 warps=4 stages=4 split=1",
     false},
    {"decode_down_f16", "templates", "sm_80", "decode_gemm",
     "gemm_down t=1 d=2048 f=768 e=128 k=8 x=f16", "n=16 rows=32 warps=4 stages=3 split=1", false},
    {"decode_down_split", "templates", "sm_80", "decode_gemm",
     "gemm_down t=1 d=768 f=3072 e=64 k=1", "n=8 rows=32 warps=4 stages=3 split=2", false},
    {"decode_up_split_sm90", "templates", "sm_90a", "decode_gemm",
     "gemm_up t=1 d=3072 f=768 e=64 k=1 bias=up", "n=8 rows=32 warps=4 stages=3 split=4", false},
    {"gemv_up_f32", "templates", "sm_80", "gemv", "gemm_up t=1 d=1024 f=512 e=8 k=2 x=f32",
     "warps=4 columns=1 unroll=4 split=1", false},
    {"gemv_down_split", "templates", "sm_90a", "gemv", "gemm_down t=1 d=768 f=3072 e=64 k=1",
     "warps=4 columns=1 unroll=2 split=4", false},
    {"gemm_up_sm90_cluster", "templates", "sm_90a", "grouped_gemm_sm90",
     "gemm_up t=1 d=2048 f=768 e=128 k=8",
     "bm=128 bn=256 bk=64 stages=4 wgs=2 pingpong=0 cluster=2 raster=0 group=8 store=0 regs=56",
     false},
    {"gemm_down_sm90_pingpong", "templates", "sm_90a", "grouped_gemm_sm90",
     "gemm_down t=1 d=2048 f=768 e=128 k=8 x=f16 bias=down",
     "bm=128 bn=128 bk=32 stages=8 wgs=2 pingpong=1 cluster=1 raster=1 group=8 store=2 regs=40",
     false},
    {"experts_bf16", "templates", "sm_90a", "experts", "experts t=1 d=2048 f=768 e=128 k=8",
     "n=8 stages=12", false},
    {"combine_bf16", "templates", "sm_80", "combine", "combine t=1 d=2048 k=8", "", false},
    {"combine_f32", "templates", "sm_120a", "combine", "combine t=1 d=1000 k=2 x=f32", "", false},
};

enum { CASES = sizeof cases / sizeof cases[0] };

/* Blanks hashes: combine@23f6fcd8 and moe_combine_2305d0f37aaa. */
static void blank_hashes(char *text) {
    for (char *at = text; *at; at++) {
        size_t wanted = *at == '@' ? 8 : *at == '_' ? 12 : 0;
        if (wanted && strspn(at + 1, "0123456789abcdef") == wanted) memset(at + 1, '0', wanted);
    }
}

static moe_source render(int i) {
    moe_gen *gen;
    moe_facts facts = test_facts();
    moe_op op = test_op(cases[i].op);
    moe_config config = test_config(cases[i].config);
    moe_source source = {0};
    facts.sm = facts.smem = facts.smem_sm = facts.regs_sm = facts.threads_sm = facts.blocks_sm = 0;
    facts.tensor_rate = 0;
    snprintf(facts.arch, sizeof facts.arch, "%s", cases[i].arch);
    moe_facts_complete(&facts);
    CHECK(moe_gen_open(cases[i].folder, &gen));
    const moe_template *t = moe_gen_find(gen, cases[i].template_name);
    if (!t) fail_msg("there is no template %s", cases[i].template_name);
    CHECK(moe_render(t, &op, &facts, &config, !cases[i].marks, &source));
    blank_hashes(source.text);
    moe_gen_close(gen);
    return source;
}

static void write_golden(const char *path, const moe_source *source) {
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(source->text, 1, source->size, stream), source->size);
    assert_int_equal(fclose(stream), 0);
}

static char *read_golden(const char *path) {
    enum { LARGEST = 1 << 20 };
    FILE *stream = fopen(path, "rb");
    char *text = calloc(1, LARGEST);
    assert_non_null(text);
    if (!stream) fail_msg("there is no %s; make it with MOE_GOLDEN_UPDATE=1", path);
    size_t size = fread(text, 1, LARGEST - 1, stream);
    fclose(stream);
    text[size] = '\0';
    return text;
}

/* Shows the first line that differs. */
static void compare(const char *path, const char *golden, const char *now) {
    int line = 1;
    const char *golden_line = golden, *now_line = now;
    for (; *golden && *golden == *now; golden++, now++)
        if (*golden == '\n') {
            line++;
            golden_line = golden + 1;
            now_line = now + 1;
        }
    if (*golden == *now) return;
    fail_msg("%s:%d\n- %.*s\n+ %.*s\nIf this is meant: MOE_GOLDEN_UPDATE=1", path, line,
             (int)strcspn(golden_line, "\n"), golden_line, (int)strcspn(now_line, "\n"), now_line);
}

static void test_case(void **state) {
    int i = *(const int *)*state;
    char path[128];
    moe_source source = render(i);
    snprintf(path, sizeof path, "tests/gen/golden/%s.cu", cases[i].name);
    if (getenv("MOE_GOLDEN_UPDATE")) write_golden(path, &source);
    char *golden = read_golden(path);
    compare(path, golden, source.text);
    free(golden);
    moe_source_free(&source);
}

int main(void) {
    struct CMUnitTest tests[CASES];
    int number[CASES];
    for (int i = 0; i < CASES; i++) {
        number[i] = i;
        tests[i] = (struct CMUnitTest){cases[i].name, test_case, NULL, NULL, &number[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* label: sim */
/* test_simulate.c - the command `moetune simulate`: output, files, exit statuses. */
#include "nvrtc_for_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/moetune-simulate-XXXXXX";
static char output[65536]; /* of the last command, both streams */

static const char saxpy[] =
    "extern \"C\" __global__ void saxpy(float a, const float *x, float *y, int n)\n"
    "{\n"
    "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "    if (i < n) y[i] += a * x[i];\n"
    "}\n"
    "struct both { const int *in; int *out; short k; };\n"
    "extern \"C\" __global__ void scale(both b)\n"
    "{\n"
    "    b.out[threadIdx.x] = b.in[threadIdx.x] * b.k;\n"
    "}\n";

/* Runs "moetune simulate ARGUMENTS" in the folder; its exit status. */
static int simulate(const char *arguments) {
    const char *binary = getenv("MOETUNE_BINARY");
    char command[1024];
    FILE *pipe;
    int status;

    if (!binary) fail_msg("MOETUNE_BINARY does not name the command; run by ctest");
    snprintf(command, sizeof command, "cd %s && %s simulate %s 2>&1", folder, binary, arguments);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = 0;
    status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void says(const char *text) {
    if (!strstr(output, text)) fail_msg("no '%s' in: %s", text, output);
}

static void write_file(const char *name, const void *data, size_t size) {
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    write_file("saxpy.cu", saxpy, sizeof saxpy - 1);
    return 0;
}

static int tear_down(void **state) {
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void a_clean_kernel_reports_its_work(void **state) {
    (void)state;
    assert_int_equal(simulate("saxpy.cu --entry saxpy --grid 4 --block 256 --arg f32:2 --arg "
                              "buf:f32:1000:rand:5 --arg buf:f32:1000:zero --arg i32:1000"), 0);
    says("warp instructions in 32 warps of 4 blocks");
    says("us on sim:h100");
    says("saxpy.cu:4");
    says("arg 2: f32[1000]");
}

static void files_go_in_and_out(void **state) {
    float x[64], y[64];
    char *text, path[256];

    (void)state;
    for (int i = 0; i < 64; i++) x[i] = (float)i, y[i] = 100.0f;
    write_file("x.bin", x, sizeof x);
    write_file("y.bin", y, sizeof y);
    assert_int_equal(simulate("saxpy.cu --entry saxpy --block 64 --arch sm_80 --seed 3 "
                              "--arg f32:0.5 --arg buf:f32:64:x.bin "
                              "--arg 'buf:f32:64:y.bin>z.bin' --arg i32:64"),
                     0);
    says("sim:a100");
    says("arg 2: f32[64] 100 100.5 101");
    snprintf(path, sizeof path, "%s/z.bin", folder);
    text = text_file(path);
    for (int i = 0; i < 64; i++) {
        float z;
        memcpy(&z, text + 4 * i, 4);
        assert_true(z == 100.0f + 0.5f * (float)i);
    }
    free(text);
}

static void a_struct_is_given_by_its_members(void **state) {
    (void)state;
    assert_int_equal(simulate("saxpy.cu --entry scale --block 32 --arg buf:i32:32:rand --arg "
                              "buf:i32:32 --arg i16:-3"), 0);
    says("arg 1: i32[32] -");
}

static void a_bug_is_exit_status_1_and_names_the_line(void **state) {
    (void)state;
    assert_int_equal(simulate("saxpy.cu --entry saxpy --grid 4 --block 256 --arg f32:2 --arg "
                              "buf:f32:1000:rand --arg buf:f32:1000:zero --arg i32:1001"), 1);
    says("out of bounds");
    says("saxpy.cu:4");
    assert_int_equal(simulate("saxpy.cu --entry saxpy --block 32 --arg f32:2 --arg "
                              "buf:f32:32:rand --arg buf:f32:32 --arg i32:32"), 1);
    says("nobody wrote");
}

#define UNWRITTEN                                                                                  \
    "saxpy.cu --entry saxpy --block 32 --arg f32:2 --arg buf:f32:32:rand --arg buf:f32:32 "        \
    "--arg i32:32 "

static void a_device_takes_its_options(void **state) {
    (void)state;
    assert_int_equal(simulate(UNWRITTEN "--device sim:a100,seed=1"), 1);
    says("nobody wrote");
    assert_int_equal(simulate(UNWRITTEN "--device sim:a100,seed=1,checks=0"), 0);
    says("us on sim:a100");
    assert_int_equal(simulate(UNWRITTEN "--device sim:a100,speed=1"), 2);
    says("--device: device option 'speed=1': use seed=N");
}

static void json_is_one_object(void **state) {
    (void)state;
    assert_int_equal(simulate("saxpy.cu --entry scale --json --arg buf:i32:32:rand "
                              "--arg buf:i32:32 --arg i16:2"), 0);
    assert_int_equal(output[0], '{');
    says("\"timer\": \"model\"");
    says("\"instructions\": ");
}

static void misuse_is_exit_status_2(void **state) {
    static const char *const wrong[] = {
        "", "saxpy.cu", "saxpy.cu --entry nothing", "saxpy.cu --entry saxpy --grid x",
        "saxpy.cu --entry saxpy --grid 1,2,3,4", "saxpy.cu --entry saxpy --arg f32:2",
        "saxpy.cu --entry saxpy --arg f99:2", "saxpy.cu --entry saxpy --arg buf:f32",
        "saxpy.cu --entry saxpy --arg buf:f32:x", "saxpy.cu --entry saxpy --arg tmap:1",
        "saxpy.cu --entry saxpy --arg i32:1.5", "saxpy.cu --device sim:z80 --entry saxpy",
        "saxpy.cu --entry scale --block 2000 --arg buf:i32:1 --arg buf:i32:1 --arg i16:1",
        "saxpy.cu other.cu", "saxpy.cu --nonsense",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (simulate(wrong[i]) != 2) fail_msg("moetune simulate %s: %s", wrong[i], output);
}

static void what_is_missing_is_exit_status_3(void **state) {
    (void)state;
    assert_int_equal(simulate("nowhere.cu --entry k"), 3);
    says("nowhere.cu");
    assert_int_equal(simulate("saxpy.cu --entry scale --arg buf:i32:32:nowhere.bin "
                              "--arg buf:i32:32 --arg i16:2"), 3);
    says("nowhere.bin");
}

static void what_does_not_compile_is_exit_status_1(void **state) {
    (void)state;
    write_file("bad.cu", "__global__ void k() { oops; }\n", 30);
    assert_int_equal(simulate("bad.cu --entry k"), 1);
    says("bad.cu");
    says("oops");
}

/* ---- what CUDA refuses is refused */

static void arguments_are_counted_and_typed(void **state) {
    static const char *const wrong[][2] = {
        {"f32:2 --arg buf:f32:1:zero --arg buf:f32:1:zero", "is missing"},
        {"f32:2 --arg buf:f32:1:zero --arg buf:f32:1:zero --arg i32:1 --arg i32:1", "5 --arg"},
        {"i32:2 --arg buf:f32:1:zero --arg buf:f32:1:zero --arg i32:1", "--arg 0 does not fit"},
        {"f32:2 --arg f64:1 --arg buf:f32:1:zero --arg i32:1", "--arg 1 does not fit"},
        {"f32:2 --arg buf:f32:1:zero --arg i32:1 --arg i32:1", "--arg 2 does not fit"},
        {"f32:2 --arg buf:f32:1:zero --arg buf:f32:1:zero --arg f32:1", "--arg 3 does not fit"},
    };
    char command[256];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(command, sizeof command, "saxpy.cu --entry saxpy --block 1 --arg %s", wrong[i][0]);
        assert_int_equal(simulate(command), 2);
        says(wrong[i][1]);
    }
    assert_int_equal(simulate("saxpy.cu --entry scale --arg buf:i32:32:rand --arg buf:i32:32"), 2);
}

#define PTX(body) ".version 8.0\n.target sm_90\n.address_size 64\n" body

static void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

/* A struct may end in padding; what comes behind it is no member. */
static void a_struct_may_stand_in_front(void **state) {
    (void)state;
    write_text("front.cu", "struct s { int *out; short k; };\n"
                           "extern \"C\" __global__ void k(s a, int b) { *a.out = a.k + b; }\n");
    assert_int_equal(simulate("front.cu --block 1 --arg buf:i32:1 --arg i16:3 --arg i32:40"), 0);
    says("arg 0: i32[1] 43");
}

static void launch_bounds_hold(void **state) {
    (void)state;
    write_text("bounds.ptx", PTX(".visible .entry most() .maxntid 8, 8 { ret; }\n"
                                 ".visible .entry exact() .reqntid 8, 8, 1 { ret; }\n"));
    assert_int_equal(simulate("bounds.ptx --entry most --block 64"), 0);
    assert_int_equal(simulate("bounds.ptx --entry most --block 65"), 2);
    says("at most 64");
    assert_int_equal(simulate("bounds.ptx --entry exact --block 8,8"), 0);
    assert_int_equal(simulate("bounds.ptx --entry exact --block 64"), 2);
    says("8x8x1");
}

/* Every block writes its rank, its place in the cluster and the cluster's place in the grid. */
static const char cluster_text[] =
    PTX(".visible .entry k(.param .u64 out) .explicitcluster { .reg .b64 o, w; .reg .b32 i, n, v;\n"
        "ld.param.u64 o, [out]; mov.u32 i, %ctaid.z; mov.u32 n, %nctaid.y; mov.u32 v, %ctaid.y;\n"
        "mad.lo.u32 i, i, n, v; mov.u32 n, %nctaid.x; mov.u32 v, %ctaid.x;\n"
        "mad.lo.u32 i, i, n, v; mul.wide.u32 w, i, 4; add.u64 o, o, w;\n"
        "mov.u32 v, %cluster_ctarank; mov.u32 n, %cluster_ctaid.x; mad.lo.u32 v, v, 10, n;\n"
        "mov.u32 n, %cluster_ctaid.y; mad.lo.u32 v, v, 10, n;\n"
        "mov.u32 n, %cluster_ctaid.z; mad.lo.u32 v, v, 10, n;\n"
        "mov.u32 n, %clusterid.x; mad.lo.u32 v, v, 10, n;\n"
        "mov.u32 n, %cluster_nctarank; mad.lo.u32 v, v, 10, n; st.global.u32 [o], v; ret; }\n");

static void clusters_have_three_dimensions(void **state) {
    (void)state;
    write_text("cluster.ptx", cluster_text);
    assert_int_equal(simulate("cluster.ptx --grid 2,2,2 --block 1 --cluster 1,2,2 "
                              "--arg buf:u32:8:zero"), 0);
    /* rank, x, y, z in the cluster, the cluster's x, blocks */
    says("u32[8] 4 14 101004 101014 200104 200114 301104 301114");
    assert_int_equal(simulate("cluster.ptx --grid 4,1 --block 1 --cluster 2 --arg buf:u32:4:zero"),
                     0);
    says("u32[4] 2 110002 12 110012");
    assert_int_equal(simulate("cluster.ptx --grid 4,3 --block 1 --cluster 1,2 --arg buf:u32:12"),
                     2);
    says("whole ones");
    assert_int_equal(simulate("cluster.ptx --grid 2 --block 1 --arg buf:u32:2"), 2);
    says(".explicitcluster");
}

static void a_kernel_may_demand_its_cluster(void **state) {
    (void)state;
    write_text("demand.ptx", PTX(".visible .entry k(.param .u64 out) .reqnctapercluster 2\n"
                                 "{ .reg .b64 o, w; .reg .b32 i, v; ld.param.u64 o, [out];\n"
                                 "mov.u32 i, %ctaid.x; mul.wide.u32 w, i, 4; add.u64 o, o, w;\n"
                                 "mov.u32 v, %cluster_ctarank; st.global.u32 [o], v; ret; }\n"));
    assert_int_equal(simulate("demand.ptx --grid 4 --block 1 --arg buf:u32:4:zero"), 0);
    says("u32[4] 0 1 0 1");
    assert_int_equal(simulate("demand.ptx --grid 3 --block 1 --arg buf:u32:4:zero"), 2);
    assert_int_equal(simulate("demand.ptx --grid 4 --block 1 --cluster 4 --arg buf:u32:4:zero"), 2);
    says(".reqnctapercluster");
}

/* ---- kernels that do not end */

static void what_repeats_itself_is_found(void **state) {
    (void)state;
    write_text("loop.cu", "extern \"C\" __global__ void k(int *out, int n, int stride)\n"
                          "{ for (int i = threadIdx.x; i < n; i += stride) out[i] = i; }\n");
    assert_int_equal(simulate("loop.cu --arg buf:i32:64:zero --arg i32:64 --arg i32:32"), 0);
    assert_int_equal(simulate("loop.cu --arg buf:i32:64:zero --arg i32:64 --arg i32:0"), 1);
    says("never ends");
    says("loop.cu:2");
}

static void a_limit_says_where_the_warps_stand(void **state) {
    (void)state;
    write_text("long.cu", "extern \"C\" __global__ void k(volatile int *x)\n"
                          "{ if (threadIdx.x >= 32) __syncthreads();\n"
                          "  while (x[threadIdx.x] < 2000000000) x[threadIdx.x] += 1; }\n");
    assert_int_equal(simulate("long.cu --block 64 --limit 50000 --arg buf:i32:64:zero"), 1);
    says("stopped at the limit: after 5");
    says("warp 0 at");
    says("long.cu:3");
    says("warp 1 at");
    says("long.cu:2");
    assert_int_equal(simulate("long.cu --block 64 --limit 0.3s --arg buf:i32:64:zero"), 1);
    says("stopped at the limit");
    assert_int_equal(simulate("long.cu --limit never --arg buf:i32:64:zero"), 2);
}

/* ---- files of others */

static void only_the_entry_asked_for_is_decoded(void **state) {
    (void)state;
    write_text("two.ptx", PTX(".extern .global .u32 elsewhere;\n"
                              ".func odd() { nonsense.u32; ret; }\n"
                              ".visible .entry good() { ret; }\n"
                              ".visible .entry linked() { .reg .b32 a; "
                              "ld.global.u32 a, [elsewhere]; ret; }\n"
                              ".visible .entry bad() { call odd; ret; }\n"));
    assert_int_equal(simulate("two.ptx --entry good"), 0);
    assert_int_equal(simulate("two.ptx --entry bad"), 2);
    says("PTX line 5");
    says("nonsense");
    assert_int_equal(simulate("two.ptx --entry linked"), 2);
    says("elsewhere");
    assert_int_equal(simulate("two.ptx"), 2);
    says("one of: good linked bad");
}

static void what_is_no_ptx_is_refused(void **state) {
    static const char *const texts[][2] = {
        {"", "no PTX"},
        {"// nothing\n", "no PTX"},
        {".version 8.0\n.target banana\n", "banana"},
        {".version 8.0\n.target sm_\n", "sm_"},
        {".version 8.0\n.target sm_90x\n", "sm_90x"},
        {PTX(""), "no kernel"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_text("no.ptx", texts[i][0]);
        assert_int_equal(simulate("no.ptx --entry k"), 2);
        says(texts[i][1]);
    }
    write_text("none.cu", "__global__ void k() {}\n");
    assert_int_equal(simulate("none.cu --entry k"), 2);
    write_text("empty.cu", "");
    assert_int_equal(simulate("empty.cu"), 2);
    says("no kernel");
}

static void lines_without_a_file_are_those_of_the_ptx(void **state) {
    (void)state;
    write_text("lines.ptx", PTX(".visible .entry k()\n{\n ret;\n}\n"));
    assert_int_equal(simulate("lines.ptx"), 0);
    says("1  PTX line 6\n");
    assert_null(strstr(output, "(null)"));
}

static void headers_are_found(void **state) {
    char own[128];

    snprintf(own, sizeof own, "%s/own", folder);
    (void)state;
    assert_int_equal(mkdir(own, 0700), 0);
    write_text("own/own.h", "#define SEVEN 7\n");
    write_text("head.cu", "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n#include <mma.h>\n"
                          "#include <stdint.h>\n#include <assert.h>\n#include \"own.h\"\n"
                          "extern \"C\" __global__ void k(__half *out, int32_t n)\n"
                          "{ out[threadIdx.x] = __float2half(SEVEN + 0.5f * n); }\n");
    assert_int_equal(simulate("head.cu -I own --arg buf:f16:32:zero --arg i32:1"), 0);
    says("f16[32] 7.5");
    assert_int_equal(simulate("head.cu --arg buf:f16:32:zero --arg i32:1"), 1);
    says("own.h");
}

static void what_lies_before_a_buffer_is_named_so(void **state) {
    (void)state;
    write_text("before.cu", "extern \"C\" __global__ void k(int *p, int n) { p[0] = p[n]; }\n");
    assert_int_equal(simulate("before.cu --block 1 --arg buf:i32:4:zero --arg i32:-1"), 1);
    says("4 bytes before a global allocation of 16 bytes");
    assert_int_equal(simulate("before.cu --block 1 --arg buf:i32:4:zero --arg i32:-3"), 1);
    says("12 bytes before");
    assert_int_equal(simulate("before.cu --block 1 --arg buf:i32:4:zero --arg i32:4"), 1);
    says("at byte 16 of a global allocation of 16 bytes");
}

static void a_function_has_global_variables(void **state) {
    (void)state;
    write_text("inside.ptx",
               PTX(".visible .entry k(.param .u64 out) {\n"
                   ".global .align 4 .u32 table[4] = {10, 20, 30, 40};\n"
                   ".const .align 4 .u32 five[1] = {5}; .global .align 8 .u64 at[1] = {shared};\n"
                   ".reg .b64 o; .reg .b32 v, w; ld.param.u64 o, [out];\n"
                   "ld.global.u32 v, [table+8]; ld.const.u32 w, [five]; add.u32 v, v, w;\n"
                   "st.global.u32 [o], v; ret; }\n.global .align 4 .u32 shared;\n"));
    assert_int_equal(simulate("inside.ptx --block 1 --arg buf:u32:1:zero"), 0);
    says("u32[1] 35");
}

/* ---- sm_90 */

/* Hardware completes a bulk store that is under way when its block ends. */
static void a_late_store_is_reported_and_lands(void **state) {
    (void)state;
    write_text("late.cu",
               "extern \"C\" __global__ void k(int *out) {\n"
               "  __shared__ __align__(128) int s[32];\n"
               "  s[threadIdx.x] = 7;\n"
               "  asm volatile(\"fence.proxy.async.shared::cta;\" ::: \"memory\");\n"
               "  __syncthreads();\n"
               "  if (threadIdx.x) return;\n"
               "  asm volatile(\"cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;\"\n"
               "    ::\"l\"(out), \"r\"((unsigned)__cvta_generic_to_shared(s)) : \"memory\");\n"
               "  asm volatile(\"cp.async.bulk.commit_group;\");\n}\n");
    assert_int_equal(simulate("late.cu --block 32 --arg buf:i32:32:zero"), 1);
    says("missing wait");
    says("i32[32] 7 7 7");
}

static void matrices_have_generic_addresses(void **state) {
    (void)state;
    write_text("generic.ptx",
               PTX(".visible .entry k(.param .u64 out) { .reg .b64 o, w, a; .reg .b32 t, v, r;\n"
                   ".shared .align 16 .b8 s[128]; ld.param.u64 o, [out]; mov.u32 t, %tid.x;\n"
                   "mov.u64 a, s; cvta.shared.u64 a, a; mul.wide.u32 w, t, 4; add.u64 w, w, a;\n"
                   "add.u32 v, t, 100; st.u32 [w], v; bar.warp.sync -1;\n"
                   "and.b32 v, t, 7; mul.wide.u32 w, v, 16; add.u64 w, w, a;\n"
                   "ldmatrix.sync.aligned.m8n8.x1.b16 {r}, [w]; bar.warp.sync -1;\n"
                   "add.u32 r, r, 1; stmatrix.sync.aligned.m8n8.x1.b16 [w], {r};\n"
                   "bar.warp.sync -1; mul.wide.u32 w, t, 4; add.u64 a, a, w; ld.u32 r, [a];\n"
                   "add.u64 o, o, w; st.global.u32 [o], r; ret; }\n"));
    assert_int_equal(simulate("generic.ptx --arg buf:u32:32:zero"), 0);
    says("u32[32] 101 102 103 104");
}

static void bytes_and_policies_are_known(void **state) {
    (void)state;
    write_text("bytes.ptx",
               PTX(".visible .entry k(.param .u64 out) { .reg .b64 o, pol, t; .reg .b32 v;\n"
                   ".reg .b8 s<4>; .reg .f32 f<4>; ld.param.u64 o, [out]; mov.b32 v, 0xff02fe01;\n"
                   "createpolicy.fractional.L2::evict_first.b64 pol, 1.0;\n"
                   "mov.b32 {s0, s1, s2, s3}, v; mov.u64 t, %globaltimer; mov.u32 v, %envreg2;\n"
                   "cvt.rn.f32.s8 f0, s0; cvt.rn.f32.s8 f1, s1; cvt.rn.f32.s8 f2, s2;\n"
                   "mov.b32 v, {s3, s2, s1, s0}; shr.s32 v, v, 24; cvt.rn.f32.s32 f3, v;\n"
                   "st.global.L2::cache_hint.v4.f32 [o], {f0, f1, f2, f3}, pol; ret; }\n"));
    assert_int_equal(simulate("bytes.ptx --block 1 --arg buf:f32:4:zero"), 0);
    says("f32[4] 1 -2 2 1");
}

static void a_failed_assertion_is_a_finding(void **state) {
    (void)state;
    write_text("assert.cu", "#include <assert.h>\n"
                            "extern \"C\" __global__ void k(int *o, int n)\n"
                            "{ assert(n > 5 && \"small\"); o[threadIdx.x] = n; }\n");
    assert_int_equal(simulate("assert.cu --arg buf:i32:32:zero --arg i32:6"), 0);
    says("i32[32] 6 6");
    assert_int_equal(simulate("assert.cu --arg buf:i32:32:zero --arg i32:5"), 1);
    says("assertion failed: n > 5 && \"small\", in assert.cu:3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_kernel_reports_its_work),
        cmocka_unit_test(files_go_in_and_out),
        cmocka_unit_test(a_struct_is_given_by_its_members),
        cmocka_unit_test(a_bug_is_exit_status_1_and_names_the_line),
        cmocka_unit_test(a_device_takes_its_options),
        cmocka_unit_test(json_is_one_object),
        cmocka_unit_test(misuse_is_exit_status_2),
        cmocka_unit_test(what_is_missing_is_exit_status_3),
        cmocka_unit_test(what_does_not_compile_is_exit_status_1),
        cmocka_unit_test(arguments_are_counted_and_typed),
        cmocka_unit_test(a_struct_may_stand_in_front),
        cmocka_unit_test(launch_bounds_hold),
        cmocka_unit_test(clusters_have_three_dimensions),
        cmocka_unit_test(a_kernel_may_demand_its_cluster),
        cmocka_unit_test(what_repeats_itself_is_found),
        cmocka_unit_test(a_limit_says_where_the_warps_stand),
        cmocka_unit_test(only_the_entry_asked_for_is_decoded),
        cmocka_unit_test(what_is_no_ptx_is_refused),
        cmocka_unit_test(lines_without_a_file_are_those_of_the_ptx),
        cmocka_unit_test(headers_are_found),
        cmocka_unit_test(what_lies_before_a_buffer_is_named_so),
        cmocka_unit_test(a_function_has_global_variables),
        cmocka_unit_test(a_late_store_is_reported_and_lands),
        cmocka_unit_test(matrices_have_generic_addresses),
        cmocka_unit_test(bytes_and_policies_are_known),
        cmocka_unit_test(a_failed_assertion_is_a_finding),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}

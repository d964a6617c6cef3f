/* label: sim - a judge that runs out of memory says so, and passes nothing: the n-th allocation of
 * a verdict on a seeded bug fails, for every n. The linker wraps the allocator: see tests.cmake. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static int64_t armed;     /* allocations of the judge until all further ones fail; 0: none does */
static int64_t countdown; /* the same, of the judge that is at work */
static bool failed;

static bool refuse(void) {
    if (!countdown) return false;
    if (countdown > 1) return countdown--, false;
    return failed = true;
}

void *__wrap_malloc(size_t size) { return refuse() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) {
    return refuse() ? NULL : __real_calloc(count, size);
}

/* What waits for the kernels is called right ahead of the judge. */
static const moe_device_class *real;
static moe_status sync_and_arm(void *self, void *stream) {
    moe_status status = real->sync(self, stream);
    countdown = armed;
    return status;
}

static void fail_each(moe_device *device, moe_trial *trial) {
    moe_device_class mine = *device->class;
    int64_t n = 1;
    real = device->class;
    mine.sync = sync_and_arm;
    device->class = &mine;
    for (failed = true; failed; n++) {
        moe_verdict verdict = {0};
        double ns;
        failed = false;
        armed = n;
        moe_status status = moe_trial_verify(trial, &verdict, &ns);
        armed = countdown = 0;
        if (status == MOE_OK && verdict.ok) fail_msg("allocation %lld: passed", (long long)n);
        if (status != (failed ? MOE_E_MEMORY : MOE_OK))
            fail_msg("allocation %lld: %s", (long long)n, moe_error_text());
    }
    device->class = real;
    print_message("  %lld allocations\n", (long long)n - 2);
    assert_true(n > 2);
}

/* Each is of what the op's judge looks at last. */
static void test_every_judge(void **state) {
    (void)state;
    static const struct {
        const char *template, *op;
        seeded_bug bug;
    } cases[] = {
        {"route",
         "route t=160 d=4096 e=1024 k=2 router=softmax>topk",
         {.file = "include/select.cuh",
          .right = "atomicAdd(&a.counts[e], counts[e]);",
          .wrong = "atomicAdd(&a.counts[e], 2 * counts[e]);"}},
        {"route_permute",
         "route_permute t=9 d=64 e=8 k=2",
         {.file = "include/permute.cuh",
          .right = "a.mean_probs && e < E;",
          .wrong = "a.mean_probs && e < E - 1;"}},
        {"permute_small",
         "permute t=9 e=8 k=2",
         {.file = "include/permute.cuh", .right = "e] = total[e];", .wrong = "e] = 2 * total[e];"}},
        {"gemv",
         "gemm_up t=2 d=64 f=32 e=4 k=2 act=gelu",
         {.file = "gemv.cu",
          .right = "if (column >= WIDTH) return;",
          .wrong = "if (column >= WIDTH - 1) return;"}},
        {"combine",
         "combine t=5 d=64 e=8 k=2",
         {.file = "combine.cu",
          .right = "chunk_at >= CHUNKS)",
          .wrong = "chunk_at >= CHUNKS - 1)"}},
        {"neurons",
         "neurons t=3 d=64 e=4096 k=16 act=gelu router=peer(4,64,32)",
         {.file = "neurons.cu", .right = "if (mine && count && a.counts)", .wrong = "if (false)"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%s\n", cases[i].op);
        seeded_use(A100, cases[i].template, "", cases[i].op, &cases[i].bug, fail_each);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_judge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* label: sim */
/* test_damage.c - PTX text damaged at random is refused or loaded, and what loads runs to an end:
 * no crash, no hang. Meant for the sanitizer build. */
#include "nvrtc_for_tests.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TRIALS = 3000 };

static const char source[] =
    "extern \"C\" __global__ void k(const int *in, int *out, int n)\n"
    "{\n"
    "    __shared__ int s[64];\n"
    "    int t = threadIdx.x, local[4];\n"
    "    s[t] = in[t];\n"
    "    __syncthreads();\n"
    "    float f = __shfl_xor_sync(0xffffffff, (float)s[63 - t], 3);\n"
    "    for (int i = 0; i < 4; i++) local[(i + t) & 3] = in[i] / (n | 1);\n"
    "    atomicAdd(&out[t & 7], local[t & 3] + (int)f);\n"
    "    if (t & 1) out[8 + t] = __popc(in[t]) + (t > 5 ? (int)sqrtf(f) : 0);\n"
    "}\n";

static uint32_t state;

static uint32_t random_below(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % limit;
}

/* Where line number `n` starts, counted from the first. */
static char *line_at(char *text, uint32_t n) {
    while (n-- > 0 && strchr(text, '\n')) text = strchr(text, '\n') + 1;
    return text;
}

static void flip(char *text, size_t length) {
    static const char letters[] = "0123456789abcxyzrdpsuf%{}[]();,.-+_<>@! \t\n\\\"/*$:|";

    for (uint32_t i = 0; i <= random_below(3); i++)
        text[random_below((uint32_t)length)] = letters[random_below(sizeof letters - 1)];
}

static void cut_line(char *text, uint32_t lines) {
    char *from = line_at(text, random_below(lines)), *to = line_at(from, 1);

    memmove(from, to, strlen(to) + 1);
}

/* Copies one line over the start of another. */
static void mix_lines(char *text, uint32_t lines) {
    char *from = line_at(text, random_below(lines)), *to = line_at(text, random_below(lines));
    size_t length = strcspn(from, "\n"), room = strcspn(to, "\n");

    memmove(to, from, length < room ? length : room);
}

static void damage(char *text, uint32_t lines) {
    switch (random_below(4)) {
    case 0: cut_line(text, lines); break;
    case 1: mix_lines(text, lines); break;
    case 2: text[random_below((uint32_t)strlen(text))] = 0; break;
    default: flip(text, strlen(text));
    }
}

/* True if the text was loaded. */
static bool try_text(sim_rig *rig, const char *text, moe_ptr in, moe_ptr out) {
    struct {
        moe_ptr in, out;
        int32_t n;
    } args = {in, out, 64};

    if (rig_try_load(rig, text, "k") != MOE_OK) return false;
    rig_try(rig, 1, 64, 0, &args, 20);
    return true;
}

static void random_damage(void **unused) {
    char *ptx = nvrtc_ptx(source, "damage.cu", "compute_80", NULL);
    size_t size = strlen(ptx) + 1;
    char *text = malloc(size);
    int32_t numbers[80];
    uint32_t lines = 0, loaded = 0;
    moe_ptr in, out;
    sim_rig rig;

    (void)unused;
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) lines += ptx[i] == '\n';
    for (int i = 0; i < 80; i++) numbers[i] = i * 7;
    rig_open(&rig, "a100,threads=1");
    in = rig_buffer(&rig, numbers, sizeof numbers);
    out = rig_buffer(&rig, numbers, sizeof numbers);
    rig_load(&rig, ptx, "k"); /* undamaged, it is good */
    for (uint32_t trial = 1; trial <= TRIALS; trial++) {
        state = trial * 2654435761u;
        memcpy(text, ptx, size);
        damage(text, lines);
        loaded += try_text(&rig, text, in, out);
    }
    print_message("%u of %d damaged texts were loaded\n", loaded, TRIALS);
    assert_true(loaded > TRIALS / 20 && loaded < TRIALS);
    rig_close(&rig);
    free(text);
    free(ptx);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_damage)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* label: sim - everything behind a router with seeded bugs: each is found by the tuner's verdict.
 */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"
#define H100 "sim:h100,checks=0"

static void test_experts(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"gate and up swapped", "include/activate.cuh", "or \"gate, float up\"",
         "or \"up, float gate\"", "y["},
        {"up's bias left out", "experts.cu",
         "first += to_float(bias[$(interleaved and \"2 * column\" or \"column\")]);", "", "y["},
        {"down's bias left out", "experts.cu", "= from_float<XT>(both[half] + bias);",
         "= from_float<XT>(both[half]);", "y["},
        {"the tail of K left out", "experts.cu", "at.up ? (D + BK - 1) / BK", "at.up ? D / BK",
         "y["},
        {"a capacity of one more", "experts.cu",
         "m.row[p] = id >= 0 && rank < a.capacity ? rank : -1;",
         "m.row[p] = id >= 0 && rank <= a.capacity ? rank : -1;", "y["},
        {"a dropped slot has a row", "experts.cu", "a.slot_rows[t * K + j] = m.row[p];",
         "a.slot_rows[t * K + j] = max(m.row[p], 0);", "slot_rows["},
        {"dropped slots stay unwritten", "experts.cu", "if (blockIdx.x == 0 && a.slot_rows)",
         "if (blockIdx.x == 0 && a.slot_rows && m.row[p] >= 0)", "with a second run: slot_rows["},
        {"slots counted after drops", "experts.cu", "\" or \"\")id] = count;",
         "\" or \"\")id] = min(count, a.capacity);", "counts["},
        {"slots counted twice", "experts.cu", "\" or \"\")id] = count;",
         "\" or \"\")id] = 2 * count;", "counts["},
        {"mean_probs without their share of tokens", "experts.cu",
         "* FIXED_SHARE / (float)a.tokens;", "* FIXED_SHARE;", "mean_probs["},
        {"weights in the order of choices' places", "experts.cu", "\"args.weights[t * K + j]\"",
         "\"args.weights[j * args.tokens + t]\"", "y["},
        {"the last columns of y stay unwritten", "experts.cu",
         "if (column >= D) continue;\n        for", "if (column >= D - 8) continue;\n        for",
         "nan, should be"},
        {"one expert's rows shifted", "experts.cu",
         "args.x + (long long)((unsigned)m.slot[row] / K) * D",
         "args.x + (long long)((unsigned)m.slot[at.expert == 4 ? at.row : row] / K) * D", "y["},
        {"y of tokens without rows stays unwritten", "experts.cu",
         "if (row < 0) continue; // dropped", "if (row < 0) return;", "nan, should be"},
    };
    SEEDED_TRY(H100, "experts", "n=8 stages=4",
               "experts t=9 d=72 f=40 e=8 k=2 act=swiglu bias=up,down capacity=0.6", bugs);
}

static void test_neurons(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"slots counted twice", "neurons.cu", "or \"\")], 1);", "or \"\")], 2);", "counts["},
        {"no slots counted", "neurons.cu", "if (mine && count && a.counts)", "if (false)",
         "counts["},
        {"a neuron's products without its weight", "neurons.cu", "mine ? a.weights[slot] : 0.0f;",
         "mine ? 1.0f : 0.0f;", "y["},
        {"a token's last slot left out", "neurons.cu", "(group + 1) * K / GROUPS, at, sum);",
         "(group + 1) * K / GROUPS - 1, at, sum);", "y["},
        {"the activation left out", "neurons.cu", "*= activate(mine);", "*= mine;", "y["},
        {"the last chunk of y stays unwritten", "neurons.cu",
         "const int end = min(CHUNKS, (part + 1) * PART);",
         "const int end = min(CHUNKS, (part + 1) * PART) - 1;", "nan, should be"},
        {"the next token's slots", "neurons.cu", "const size_t slot = (size_t)token * K + j;",
         "const size_t slot = (size_t)(token == 4 ? 3 : token) * K + j;", "y["},
        {"the numbers of another device's neurons", "neurons.cu", "\" - a.first_expert\" or \"\"",
         "\"\" or \"\"", "y["},
    };
    SEEDED_TRY(A100, "neurons", "split=0",
               "neurons t=9 d=72 e=4096 k=16 act=gelu router=peer(4,64,32) local=2048", bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_experts),
        cmocka_unit_test(test_neurons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

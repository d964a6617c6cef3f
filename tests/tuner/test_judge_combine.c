/* label: sim - sums of rows with seeded bugs: each is found by the tuner's verdict. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"

static void test_rows(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"the last chunk of a row of y stays unwritten", "combine.cu", "chunk_at >= CHUNKS)",
         "chunk_at >= CHUNKS - 1)", "y["},
        {"the last token stays unwritten", "combine.cu", "if (token >= tokens ||",
         "if (first + token >= a.tokens - 1 ||", "y["},
        {"one choice of a token left out", "combine.cu",
         "if (j0 + j >= PARTS || row[j0 + j] < 0) continue;",
         "if (j0 + j >= PARTS - 1 || row[j0 + j] < 0) continue;", "y["},
        {"the weights of a token's choices swapped", "combine.cu",
         "\"a.weights[(size_t)first * K + i]\"",
         "\"a.weights[(size_t)first * K + i / K * K + K - 1 - i % K]\"", "y["},
        {"the next token's weight at the last one only", "combine.cu",
         "\"a.weights[(size_t)first * K + i]\"",
         "\"a.weights[(size_t)first * K + i - (first == a.tokens - 1 ? K : 0)]\"", "y["},
        {"a dropped slot takes row 0", "combine.cu",
         "row[at] = a.slot_rows[(size_t)first * K + i];",
         "row[at] = max(0, a.slot_rows[(size_t)first * K + i]);", "y["},
        {"a token without rows is left as it was", "combine.cu", "if (token >= tokens ||",
         "if (token >= tokens || row[token * PARTS] < 0 ||", "y["},
    };
    SEEDED_TRY(A100, "combine", "", "combine t=123 d=64 e=8 k=2", bugs);
}

static void test_shared_expert(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"the shared expert's gate left out", "combine.cu", "= sigmoid<true>(sum);", "= 1.0f;",
         "y["},
        {"the gate without its sigmoid", "combine.cu", "= sigmoid<true>(sum);", "= sum;", "y["},
        {"the gate of the block's first token for all", "combine.cu",
         "const XT *x = a.x + (size_t)(first + t) * D;", "const XT *x = a.x + (size_t)first * D;",
         "y["},
        {"the last slice of the shared expert left out", "combine.cu",
         "if (j0 + j >= PARTS || row[j0 + j] < 0) continue;",
         "if (j0 + j >= PARTS - 1 || row[j0 + j] < 0) continue;", "y["},
    };
    SEEDED_TRY(A100, "combine", "tokens=2", "combine t=9 d=64 e=8 k=2 shared=64,gated f=32", bugs);
}

static void test_renormalised_drops(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"renormalising forgotten", "combine.cu", "weight[t * PARTS + j] /= fmaxf(sum, 0x1p-23f);",
         "weight[t * PARTS + j] /= 1.0f;", "y["},
        {"dropped weights count in the sum", "combine.cu",
         "row[t * PARTS + j] >= 0 ? weight[t * PARTS + j] : 0.0f;", "weight[t * PARTS + j];", "y["},
    };
    SEEDED_TRY(A100, "combine", "", "combine t=123 d=64 e=8 k=2 drop=renorm", bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_shared_expert),
        cmocka_unit_test(test_renormalised_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

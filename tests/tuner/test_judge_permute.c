/* label: sim - index maps with seeded bugs: each is found by the tuner's verdict. */
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define A100 "sim:a100,checks=0"
#define MAPS "include/permute.cuh"

static void test_slots(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"a capacity of one more", MAPS, "if (rank < a.capacity) row",
         "if (rank < a.capacity + (tile.expert[i] < 7)) row", "slot_rows["},
        {"a capacity of one less", MAPS, "if (rank < a.capacity) row",
         "if (rank < a.capacity - 1) row", "slot_rows["},
        {"one expert's rows shifted", MAPS, "row = start[tile.expert[i]] + rank;",
         "row = start[tile.expert[i]] + (tile.expert[i] == 3 ? rank + 1 : rank);", "slot_rows["},
        {"a dropped slot has a row", MAPS, "a.slot_rows[tile.slot[i]] = row;",
         "a.slot_rows[tile.slot[i]] = tile.slot[i] > 60 ? max(row, 0) : row;", "slot_rows["},
        {"dropped slots stay unwritten", MAPS, "a.slot_rows[tile.slot[i]] = row;",
         "if (row >= 0) a.slot_rows[tile.slot[i]] = row;", "slot_rows["},
        {"two slots in one row", MAPS, "row = start[tile.expert[i]] + rank;",
         "row = start[tile.expert[i]] + rank / 2 * 2;", "row_slots["},
        {"a row with its neighbour's slot", MAPS, "if (row >= 0) a.row_slots[row] = tile.slot[i];",
         "if (row >= 0) a.row_slots[row] = tile.slot[i] ^ 1;", "row_slots["},
        {"later tokens kept before earlier ones", MAPS, "(1u << threadIdx.x % 32) - 1;",
         "~0u << threadIdx.x % 32 << 1;", "slot_rows["},
        {"second choices kept before first ones", MAPS,
         "return (int)(place % tokens * K + place / tokens);", "return (int)place;", "slot_rows["},
    };
    SEEDED_TRY(A100, "permute_small", "", "permute t=37 e=8 k=2 capacity=0.8", bugs);
}

static void test_tables(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"rows not aligned", MAPS, "const int unit = rows ? a.row_align",
         "const int unit = rows ? 1", "with rows aligned to 64: expert_start["},
        {"gaps stay unwritten", MAPS, "if (a.row_align == 1) return;", "return;",
         "with rows aligned to 64: row_slots["},
        {"a gap that begins a row late", MAPS, "start[e] + rows_of(a, total, e) + (int)threadIdx.x",
         "start[e] + 1 + rows_of(a, total, e) + (int)threadIdx.x",
         "with rows aligned to 64: row_slots["},
        {"rows counted before drops", MAPS, "a.expert_rows[e] = rows_of(a, total, e);",
         "a.expert_rows[e] = total[e];", "expert_rows["},
        {"tiles of 192 rows taken for 128", MAPS, "table == 6 ? 192", "table == 6 ? 128",
         "tile_start[5,"},
        {"a tile for an expert without rows", MAPS, "(rows_of(a, total, e) + unit - 1) / unit",
         "(rows_of(a, total, e) + unit - rows) / unit", "tile_start["},
        {"the last table stays unwritten", MAPS, "(publish ? 8 : 1)", "(publish ? 7 : 1)",
         "tile_start[6,0]"},
        {"the end of all rows stays unwritten", MAPS,
         "if (threadIdx.x % 32 == 0) store(LISTED, all);",
         "if (threadIdx.x % 32 == 0) start[LISTED] = all;", "expert_start[8]"},
    };
    SEEDED_TRY(A100, "permute_small", "", "permute t=150 e=8 k=2 routing=one capacity=3.9", bugs);
}

static void test_statistics(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"slots counted twice", MAPS, "e] = total[e];", "e] = 2 * total[e];", "counts["},
        {"counted after drops", MAPS, "e] = total[e];", "e] = rows_of(a, total, e);", "counts["},
        {"one expert not counted", MAPS, "if (a.counts && e < LOCAL)",
         "if (a.counts && e < LOCAL - 1)", "counts["},
        {"other devices' experts counted wrong", MAPS, "e] = total[e];",
         "e] = total[e], a.counts[0] = 7;", "counts[0] is 7"},
        {"mean_probs of one expert unwritten", MAPS, "a.mean_probs && e < E;",
         "a.mean_probs && e < E - 1;", "mean_probs[7]"},
        {"mean_probs of one token more", MAPS, "* FIXED_SHARE / (float)a.tokens;\n    write_",
         "* FIXED_SHARE / (float)(a.tokens + 1);\n    write_", "mean_probs["},
        {"a device's experts taken for their neighbours", MAPS,
         "\"(int)((unsigned)id - (unsigned)a.first_expert)\"",
         "\"(int)((unsigned)(id ^ 1) - (unsigned)a.first_expert)\"", "expert_rows["},
    };
    SEEDED_TRY(A100, "permute_small", "", "permute t=37 e=8 k=2 capacity=0.8 local=4", bugs);
}

static void test_shared_experts(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"a shared expert's rows of other tokens", MAPS,
         "for (int e = LOCAL; e < LISTED; e++) a.row_slots[start[e] + t] = t * K;",
         "for (int e = LOCAL; e < LISTED; e++) a.row_slots[start[e] + t] = t;", "row_slots["},
        {"a shared expert under the capacity", MAPS, "min(total[e], a.capacity) : a.tokens;",
         "min(total[e], a.capacity) : min(a.tokens, a.capacity);", "expert_rows["},
    };
    SEEDED_TRY(A100, "permute_small", "", "permute t=37 e=8 k=2 capacity=0.8 shared=64 f=32", bugs);
}

static void test_one_token(void **state) {
    (void)state;
    static const seeded_bug bugs[] = {
        {"a wrong expert where T = 1", MAPS, "own_number(a, map_ids(a)[tile.slot[i]]);",
         "own_number(a, map_ids(a)[a.tokens == 1 ? 0 : tile.slot[i]]);", "expert_rows["},
    };
    SEEDED_TRY(A100, "permute_small", "", "permute t=1 e=8 k=2", bugs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),      cmocka_unit_test(test_tables),
        cmocka_unit_test(test_statistics), cmocka_unit_test(test_shared_experts),
        cmocka_unit_test(test_one_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* matmul.c - rows times the transposed weights of their group.
 *
 * A task is one panel of outputs of one group: it converts that part of the weights once and uses
 * it for all rows of the group. Vectors are the compiler's; AVX2 is taken where the CPU has it. */
#include "matmul.h"

#include "core/number.h"

#include <string.h>

enum {
    DEPTH = 256, /* inputs of one block: a panel and a tile then fit the first-level cache */
    ROWS = 4,    /* rows of one tile */
    PANEL = 8    /* the fewest outputs of a panel, of doubles */
};

#define REAL double
#define NAME(x) x##_double
#include "matmul_panel.h"
#define REAL float
#define NAME(x) x##_float
#include "matmul_panel.h"

void moe_matmul_run(const moe_matmul *matmul) {
    int64_t panels = (matmul->outputs + PANEL - 1) / PANEL;
#pragma omp parallel for schedule(dynamic, 4)
    for (int64_t task = 0; task < matmul->groups * panels; task++) {
        int64_t group = task / panels;
        if (matmul->start[group] == matmul->start[group + 1]) continue;
        if (matmul->single)
            run_task_float(matmul, group, task % panels);
        else
            run_task_double(matmul, group, task % panels);
    }
}

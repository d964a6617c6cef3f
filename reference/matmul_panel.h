/* matmul_panel.h - the inner part of matmul.c, once for REAL = double and once for REAL = float.
 * NAME(x) is x's name for this REAL. No include guard: it is included twice.
 *
 * A panel holds LANES rows of weights side by side, one vector for each input; a tile of ROWS rows
 * then takes one product per input, row and lane, and each lane is one output's sum. */
#define LANES ((int64_t)(64 / sizeof(REAL)))

typedef REAL NAME(lanes) __attribute__((vector_size(64)));

/* sums[r] += x[k][r] * panel[k] for all k */
static inline __attribute__((always_inline)) void
NAME(add_products)(const NAME(lanes) * panel, const REAL *x, int64_t depth, NAME(lanes) * sums) {
    NAME(lanes) s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (int64_t k = 0; k < depth; k++, x += ROWS) {
        s0 += panel[k] * x[0];
        s1 += panel[k] * x[1];
        s2 += panel[k] * x[2];
        s3 += panel[k] * x[3];
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void NAME(add_products_fma)(const NAME(lanes) * panel,
                                                                       const REAL *x, int64_t depth,
                                                                       NAME(lanes) * sums) {
    NAME(add_products)(panel, x, depth, sums);
}
#endif

static void NAME(multiply)(const NAME(lanes) * panel, const REAL *x, int64_t depth,
                           NAME(lanes) * sums) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        NAME(add_products_fma)(panel, x, depth, sums);
        return;
    }
#endif
    NAME(add_products)(panel, x, depth, sums);
}

/* Inputs k0 .. k0+depth of the weight rows first .. first+n; missing rows are 0. */
static void NAME(load_panel)(const moe_matmul *m, int64_t first, int64_t n, int64_t k0,
                             int64_t depth, NAME(lanes) * panel) {
    float row[DEPTH];
    if (n < LANES) memset(panel, 0, (size_t)depth * sizeof *panel);
    for (int64_t lane = 0; lane < n; lane++) {
        moe_load_block(m->dtype, m->weight, (first + lane) * m->inputs + k0, depth, row);
        for (int64_t k = 0; k < depth; k++) panel[k][lane] = (REAL)row[k];
    }
}

/* A tile's rows, transposed; missing rows are 0. */
static void NAME(load_rows)(const double *const *in, int64_t n, int64_t k0, int64_t depth,
                            REAL *x) {
    if (n < ROWS) memset(x, 0, (size_t)(depth * ROWS) * sizeof *x);
    for (int64_t r = 0; r < n; r++)
        for (int64_t k = 0; k < depth; k++) x[k * ROWS + r] = (REAL)in[r][k0 + k];
}

/* Outputs o0 .. o0+n of a group's rows. Sums pass from one block of inputs to the next through
 * `out`, which holds a float without loss. */
static void NAME(run_panel)(const moe_matmul *m, int64_t group, int64_t o0, int64_t n) {
    NAME(lanes) panel[DEPTH], sums[ROWS];
    REAL x[DEPTH * ROWS];
    for (int64_t k0 = 0; k0 < m->inputs; k0 += DEPTH) {
        int64_t depth = m->inputs - k0 < DEPTH ? m->inputs - k0 : DEPTH;
        NAME(load_panel)(m, group * m->outputs + o0, n, k0, depth, panel);
        for (int64_t row = m->start[group]; row < m->start[group + 1]; row += ROWS) {
            int64_t left = m->start[group + 1] - row, rows = left < ROWS ? left : ROWS;
            memset(sums, 0, sizeof sums);
            for (int64_t r = 0; k0 && r < rows; r++)
                for (int64_t o = 0; o < n; o++) sums[r][o] = (REAL)m->out[row + r][o0 + o];
            NAME(load_rows)(m->in + row, rows, k0, depth, x);
            NAME(multiply)(panel, x, depth, sums);
            for (int64_t r = 0; r < rows; r++)
                for (int64_t o = 0; o < n; o++) m->out[row + r][o0 + o] = (double)sums[r][o];
        }
    }
}

static void NAME(run_task)(const moe_matmul *m, int64_t group, int64_t panel) {
    int64_t o0 = panel * LANES, left = m->outputs - o0;
    if (left > 0) NAME(run_panel)(m, group, o0, left < LANES ? left : LANES);
}

#undef LANES
#undef NAME
#undef REAL

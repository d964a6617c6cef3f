/* launch.h - how compiled kernels are launched, as data.
 *
 * A template's Lua states the rule once; the runtime, which has no Lua, evaluates it for any token
 * count. Text form, one line:
 *
 *     kernel=moe_gemm_up_1f3c9a0b12d4 grid=row_tiles(128,12) block=256 cluster=1 smem=98304
 *         overlap=0 regs=168 spills=0 static_smem=0 align=1 scratch_fixed=0 scratch_token=0
 *         scratch_block=0 deterministic=1 max_slots=0 maps=none
 *
 * and `cooperative=1` where it is so. `kernel=` starts a further kernel; kernels of one launch run
 * in this order. */
#ifndef MOE_LAUNCH_H
#define MOE_LAUNCH_H

#include "moetune.h"

enum { MOE_MAX_KERNELS = 4, MOE_SYMBOL_SIZE = 64 };

typedef enum moe_grid_rule {
#define MOE_GRID(name, expression, help) MOE_GRID_##name,
#include "core/gridrule.def"
#undef MOE_GRID
    MOE_GRID_COUNT
} moe_grid_rule;

typedef struct moe_grid {
    moe_grid_rule rule;
    int64_t a, b; /* the rule's numbers; an unused b is 1 */
} moe_grid;

typedef struct moe_kernel {
    char symbol[MOE_SYMBOL_SIZE]; /* extern "C" name in the image */
    moe_grid grid;
    int64_t block;   /* threads */
    int64_t cluster; /* blocks a cluster; 1 = none */
    int64_t smem;    /* dynamic shared memory, bytes */
    int64_t overlap; /* 1: waits itself for the kernel ahead, so it may start before that ends */
    int64_t cooperative; /* 1: its blocks wait for one another, so all of them must run at once */
    /* read from the compiler's log; 0 before compilation */
    int64_t regs;        /* registers a thread */
    int64_t spills;      /* spilled bytes, stores + loads */
    int64_t static_smem; /* bytes */
} moe_kernel;

/* A tensor map that all kernels of a launch get: see map.h and map.def. */
enum { MOE_MAX_MAPS = 4, MOE_MAP_RANK = 5 };
typedef struct moe_map {
    int64_t arg; /* a moe_arg */
    int64_t rank;
    int64_t box[MOE_MAP_RANK]; /* elements, fastest dimension first */
    int64_t swizzle;           /* bytes */
} moe_map;

typedef struct moe_map_list {
    int64_t count;
    moe_map map[MOE_MAX_MAPS];
} moe_map_list;

typedef struct moe_launch {
    int64_t kernels;
    moe_kernel kernel[MOE_MAX_KERNELS];
    int64_t align;         /* every expert's rows must start at a multiple of this */
    int64_t scratch_fixed; /* private scratch: bytes, */
    int64_t scratch_token; /* plus bytes a token, */
    int64_t scratch_block; /* plus bytes a block of the first kernel */
    int64_t deterministic; /* 0: sums depend on the order of arrival */
    int64_t max_slots;     /* the most slots T*k that the kernels serve; 0: any */
    moe_map_list maps;
} moe_launch;

/* Parses and prints the text form. `text` needs 2048 bytes. */
moe_status moe_launch_parse(const char *text, moe_launch *out);
void moe_launch_print(const moe_launch *launch, char *text, size_t size);

/* Parses a grid such as "row_tiles(128,12)". */
moe_status moe_grid_parse(const char *text, moe_grid *out);

/* Blocks along x at T tokens on a device with `sms` SMs; 0 where T = 0. */
int64_t moe_grid_blocks(const moe_grid *grid, const moe_layer *layer, int64_t tokens, int64_t sms);

/* Bytes of private scratch at T tokens. */
int64_t moe_launch_scratch(const moe_launch *launch, const moe_layer *layer, int64_t tokens,
                           int64_t sms);

/* The most row tiles of `bm` rows that T*k rows over e experts can need. With every expert rounded
 * up to whole tiles: one tile for each of min(e,R) experts, and the rest full. */
int64_t moe_row_tiles(int64_t rows, int64_t experts, int64_t bm);

#endif

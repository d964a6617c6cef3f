/* model.c - the time model: from what a launch executed to nanoseconds on a chip.
 *
 * The launch is limited by the slowest of a few machines that work at the same time: instruction
 * pipes, matrix units, shared memory, L2, DRAM, and the chains of dependent instructions that too
 * few warps cannot hide. Each part is one function below; README.md, "Time model", gives sources
 * and says what is assumed. */
#include "model/model.h"

#include "core/occupancy.h"

#include <math.h>

/* In cycles, nanoseconds or shares; assumptions but where a source is named. */
#define LAUNCH_NS 1235.0        /* published: a null kernel by CUPTI on a PCIe H100 */
#define BLOCK_START_CYCLES 300  /* handing a block to an SM and clearing up after it */
#define DRAM_SHARE 0.92         /* of the data sheet's bandwidth that streams reach */
#define IDLE_AT_ONCE 4.0        /* blocks without work that an SM passes through together */
#define OVERLAP_POWER 4.0       /* how sharply the slowest part hides the others */
#define WARPGROUP_SHARE 0.9     /* of the tensor peak that wgmma reaches */
#define SPILL_REPEATS 8         /* times that a spilled word is stored or loaded */
enum { DEFAULT_REGS = 64 };
enum { ISSUE_SLOTS = 4, L2_BYTES_CLOCK_SM = 64, SECTOR = 32, LINE = 128 };

/* Lanes a clock and SM for each pipe; the CUDA programming guide's table "Throughput of Native
 * Arithmetic Instructions". `mma` is the share of the dense tensor peak that mma.sync reaches:
 * 0.62 on sm_90 is measured by Luo et al. 2024; 0.25 on sm_100 and 0.5 on sm_120 are assumed.
 * `l2`, `again`: bytes a clock and SM that the L2 sends when all ask, and of bulk loads that others
 * ask for too: GEMMs of 128 x 256 tiles without multicast reach 778 TFLOP/s on an H100, and need
 * 39. `peak_clock`: MHz to which the data sheet's tensor peak belongs, where it is not the maximum
 * (H100: 989 TFLOP/s at 1830; B200: 2250 at 1856). */
typedef struct pipe_rates {
    int sm; /* this generation and later, up to the next row */
    double fp32, fp16, fp64, integer, multiply, convert, special, exchange, mma, l2, again;
    int64_t peak_clock;
} pipe_rates;

static const pipe_rates generations[] = {
    {.sm = 80, .fp32 = 64, .fp16 = 128, .fp64 = 32, .integer = 64, .multiply = 64, .convert = 16,
     .special = 16, .exchange = 32, .mma = 0.95, .l2 = 32, .again = 32},
    {.sm = 86, .fp32 = 128, .fp16 = 64, .fp64 = 2, .integer = 64, .multiply = 64, .convert = 16,
     .special = 16, .exchange = 32, .mma = 0.95, .l2 = 32, .again = 32},
    {.sm = 90, .fp32 = 128, .fp16 = 128, .fp64 = 64, .integer = 64, .multiply = 64, .convert = 64,
     .special = 16, .exchange = 32, .mma = 0.62, .l2 = 32, .again = 44,
     .peak_clock = 1830},
    {.sm = 100, .fp32 = 128, .fp16 = 128, .fp64 = 64, .integer = 64, .multiply = 64,
     .convert = 64, .special = 16, .exchange = 32, .mma = 0.25, .l2 = 32, .again = 44,
     .peak_clock = 1856},
    {.sm = 120, .fp32 = 128, .fp16 = 128, .fp64 = 2, .integer = 128, .multiply = 64,
     .convert = 64, .special = 16, .exchange = 32, .mma = 0.5, .l2 = 32, .again = 32},
};

/* FLOPs of each matrix type relative to bf16's. */
static const double mma_relative[SIM_MMA_COUNT] = {
    [SIM_MMA_F16] = 1.0, [SIM_MMA_TF32] = 0.5, [SIM_MMA_F64] = 0.0625, [SIM_MMA_INT8] = 2.0,
    [SIM_MMA_WARPGROUP] = 1.0,
};

static const pipe_rates *rates_of(const moe_facts *facts) {
    const pipe_rates *rates = &generations[0];

    for (size_t i = 0; i < sizeof generations / sizeof *generations; i++)
        if (generations[i].sm <= facts->sm) rates = &generations[i];
    return rates;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* Of dims, which may be those of any launch; without the compiler's log, registers are a guess. */
int64_t sim_occupancy(const moe_kernel *kernel, const moe_dims *dims, const moe_facts *facts) {
    const moe_kernel asked = {
        .block = (int64_t)dims->block[0] * dims->block[1] * dims->block[2],
        .smem = dims->smem,
        .static_smem = kernel ? kernel->static_smem : 0,
        .regs = kernel && kernel->regs > 0 ? kernel->regs : DEFAULT_REGS,
    };

    return moe_occupancy(&asked, facts);
}

/* What the parts need: the launch, reduced to equal blocks. Where many blocks end at once and few
 * do the work, as in padded tile grids, only the latter count. */
typedef struct share {
    const sim_counters *counters;
    const moe_facts *facts;
    const pipe_rates *rates;
    double blocks;  /* that work, if all were as long as the longest */
    double busiest; /* share of all the work that the busiest SM does */
} share;

static share share_of(const sim_counters *counters, const moe_facts *facts) {
    share s = {.counters = counters, .facts = facts, .rates = rates_of(facts)};
    double sms = (double)facts->sms;

    s.blocks = (double)counters->blocks;
    if (counters->block_cycles_max > 0)
        s.blocks = larger(1.0, (double)counters->block_cycles / (double)counters->block_cycles_max);
    s.busiest = ceil(s.blocks / sms) / s.blocks;
    return s;
}

/* Cycles of the busiest SM for the instructions of one class at `lanes` a clock. */
static double pipe_cycles(const share *s, sim_class class, double lanes) {
    return (double)s->counters->instr[class] * 32.0 / lanes * s->busiest;
}

/* A division is about eight f32 instructions and two special ones; 64-bit ones are dearer. */
static double busiest_pipe(const share *s) {
    const pipe_rates *r = s->rates;
    const uint64_t *n = s->counters->instr;
    double all = (double)(sim_counters_instr(s->counters) - n[SIM_CLASS_move] +
                          9 * n[SIM_CLASS_division]);
    double cycles = all / ISSUE_SLOTS * s->busiest;
    double memory = (double)(n[SIM_CLASS_load_global] + n[SIM_CLASS_store_global] +
                             n[SIM_CLASS_atomic_global] + n[SIM_CLASS_local] +
                             n[SIM_CLASS_async_copy]);
    double division = pipe_cycles(s, SIM_CLASS_division, 1.0);

    cycles = larger(cycles, pipe_cycles(s, SIM_CLASS_fp32, r->fp32) + division * 8 / r->fp32);
    cycles = larger(cycles, pipe_cycles(s, SIM_CLASS_fp16, r->fp16));
    cycles = larger(cycles, pipe_cycles(s, SIM_CLASS_fp64, r->fp64));
    cycles = larger(cycles, pipe_cycles(s, SIM_CLASS_integer, r->integer) +
                                pipe_cycles(s, SIM_CLASS_multiply, r->multiply));
    cycles = larger(cycles, pipe_cycles(s, SIM_CLASS_convert, r->convert) +
                                pipe_cycles(s, SIM_CLASS_special, r->special) +
                                division * 2 / r->special);
    return larger(cycles, memory * s->busiest);
}

static double tensor_cycles(const share *s) {
    int64_t clock = s->facts->clock, peak = s->rates->peak_clock;
    double bf16_flops = 0, slower = peak && peak < clock ? (double)clock / (double)peak : 1.0;

    for (int i = 0; i < SIM_MMA_COUNT; i++)
        bf16_flops += (double)s->counters->mma_flops[i] / mma_relative[i] /
                      (i == SIM_MMA_WARPGROUP ? WARPGROUP_SHARE : s->rates->mma);
    return bf16_flops * s->busiest / (double)s->facts->tensor_rate * slower;
}

/* Shared memory serves one pass a clock; shuffles and spilled words go through the same unit. */
static double shared_cycles(const share *s, const moe_kernel *kernel) {
    double spilled = kernel ? (double)kernel->spills / 4 * SPILL_REPEATS : 0;
    double passes = (double)s->counters->shared_wavefronts +
                    (double)s->counters->instr[SIM_CLASS_shuffle] * 32.0 / s->rates->exchange +
                    spilled * (double)s->counters->warps;

    return passes * s->busiest;
}

/* An atomic reads and writes its sector; lanes on one word follow each other. */
static double l2_bytes(const sim_counters *c) {
    return SECTOR * (double)(c->load_sectors + c->store_sectors + 2 * c->atomic_sectors +
                             c->atomic_repeats);
}

static double repeated_bytes(const sim_counters *c) {
    return larger(0.0, l2_bytes(c) - (double)c->unique_bytes);
}

/* The busiest SM's own port, be it that of one block that does what the others do not, or all SMs
 * together on the L2. */
static double l2_cycles(const share *s) {
    double bytes = l2_bytes(s->counters), bulk = SECTOR * (double)s->counters->bulk_sectors;
    double own = larger(bytes * s->busiest, SECTOR * (double)s->counters->block_scattered_max);
    double again = fmin(bulk, repeated_bytes(s->counters));
    double all = (bytes - again) / s->rates->l2 + again / s->rates->again;

    return larger(own / L2_BYTES_CLOCK_SM, all / (double)s->facts->sms);
}

/* Sectors come from DRAM once unless they were resident, and again where the L2 had let them go. */
static double dram_bytes(const share *s) {
    const sim_counters *c = s->counters;

    return (double)c->unique_bytes - (double)c->resident_bytes + (double)c->missed_bytes;
}

static double dram_ns(const share *s) {
    return dram_bytes(s) / ((double)s->facts->bandwidth * DRAM_SHARE);
}

/* What a warp waits longer because some of its loads come from DRAM: as many as there are lines
 * to be read, of a whole line each (an assumption). */
static double far_cycles(const share *s) {
    const sim_counters *c = s->counters;
    double loads = (double)c->instr[SIM_CLASS_load_global];
    double read = dram_bytes(s) - SECTOR * (double)c->store_sectors;

    if (loads == 0 || read <= 0 || c->warps == 0) return 0;
    return fmin(1.0, read / LINE / loads) * (double)c->far_cycles / (double)c->warps;
}

/* Rounds of the longest block, and the blocks that start only to end, a few at a time. */
static double chain_cycles(const share *s, int64_t waves) {
    double rounds = (double)s->counters->block_cycles_max + far_cycles(s) + BLOCK_START_CYCLES;
    double idle = ((double)s->counters->blocks - s->blocks) / (double)s->facts->sms;

    return (double)waves * rounds + idle * BLOCK_START_CYCLES / IDLE_AT_ONCE;
}

static double soft_maximum(const double *parts, int count) {
    double most = 0, sum = 0;

    for (int i = 0; i < count; i++) most = larger(most, parts[i]);
    if (most == 0) return 0;
    for (int i = 0; i < count; i++) sum += pow(parts[i] / most, OVERLAP_POWER);
    return most * pow(sum, 1.0 / OVERLAP_POWER);
}

void sim_model_explain(const sim_counters *counters, const moe_kernel *kernel, const moe_dims *dims,
                       const moe_facts *facts, sim_time *out) {
    double ns = 1000.0 / (double)facts->clock; /* of a cycle */
    share s;

    *out = (sim_time){.launch = LAUNCH_NS, .total = LAUNCH_NS};
    if (counters->blocks == 0) return;
    s = share_of(counters, facts);
    out->resident = sim_occupancy(kernel, dims, facts);
    if (out->resident < 1) out->resident = 1; /* it ran here, if not on the chip */
    out->waves = (int64_t)ceil(s.blocks / (double)(facts->sms * out->resident));
    out->issue = busiest_pipe(&s) * ns;
    out->tensor = tensor_cycles(&s) * ns;
    out->shared = shared_cycles(&s, kernel) * ns;
    out->l2 = l2_cycles(&s) * ns;
    out->dram = dram_ns(&s);
    out->latency = chain_cycles(&s, out->waves) * ns;
    out->total += soft_maximum((double[]){out->issue, out->tensor, out->shared, out->l2, out->dram,
                                          out->latency}, 6);
}

double sim_model_ns(const sim_counters *counters, const moe_kernel *kernel, const moe_dims *dims,
                    const moe_facts *facts) {
    sim_time time;

    sim_model_explain(counters, kernel, dims, facts, &time);
    return time.total;
}

/* model.h - the simulated GPU's time model, and the schedule of a kernel that feeds it.
 *
 * A model, not a measurement: it is meant to rank candidates, and states its assumptions in
 * README.md, "Time model". */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "device/device.h"
#include "model/counters.h"

#include <stddef.h>

/* Nanoseconds that the launch would take on the chip, launch overhead included. `kernel` gives
 * regs and static_smem (its smem is not read: dims->smem counts); NULL or regs = 0 means that the
 * compiler's log was not at hand, and 64 registers a thread are assumed. */
double sim_model_ns(const sim_counters *counters, const moe_kernel *kernel, const moe_dims *dims,
                    const moe_facts *facts);

/* Blocks of a launch that one SM holds at once: limited by threads, registers, shared memory and
 * block slots. 0: it does not fit at all. */
int64_t sim_occupancy(const moe_kernel *kernel, const moe_dims *dims, const moe_facts *facts);

/* Where the time of a launch goes, in nanoseconds; sim_model_ns is made of it. */
typedef struct sim_time {
    double launch;    /* fixed overhead */
    double issue;     /* instruction slots and pipes, the busiest of them */
    double tensor;    /* matrix units */
    double shared;    /* shared-memory passes */
    double l2;        /* sectors between the SMs and the L2 */
    double dram;      /* first touches, and what the L2 cannot keep */
    double latency;   /* chains of dependent instructions, wave after wave */
    double total;     /* the largest of the above, and a part of the rest, plus launch */
    int64_t resident; /* blocks on an SM at once */
    int64_t waves;    /* rounds of blocks */
} sim_time;

void sim_model_explain(const sim_counters *counters, const moe_kernel *kernel, const moe_dims *dims,
                       const moe_facts *facts, sim_time *out);

/* One decoded instruction as the schedule sees it. Registers are any numbers below `registers`;
 * a pair or a vector names each of its registers. */
enum { SIM_SCHEDULE_REGISTERS = 24 };
typedef struct sim_schedule_op {
    uint8_t class;             /* sim_class */
    bool leader;               /* a branch may lead here */
    uint32_t loop;             /* one past the last branch that leads back here; 0: none does */
    uint8_t inputs, outputs;   /* registers read and written */
    uint32_t in[SIM_SCHEDULE_REGISTERS];
    uint32_t out[SIM_SCHEDULE_REGISTERS];
} sim_schedule_op;

/* Sets stall[i], the cycles by which instruction i advances a warp that runs alone. Between labels,
 * branches, barriers and fences the assembler may reorder: such a stretch takes the slots of
 * its instructions, or as long as its chains of dependent ones if that is more. Stretches are taken
 * in text order, as if every branch fell through; but a loop is taken twice, and each of its
 * iterations costs what the second pass did: values from before it have arrived by then, and those
 * of the iteration before may not have. What the first pass waited beyond that is paid once, ahead
 * of the loop. `load` is the cycles that loads of global memory take: sim_class_latency's for what
 * the L2 holds, sim_dram_latency for what it does not. False: out of memory. */
bool sim_schedule(const sim_schedule_op *ops, size_t count, uint32_t registers, uint16_t load,
                  uint16_t *stall);

/* The facts line of a simulated chip such as "h100", or NULL. */
const char *sim_chip_facts(const char *chip);

/* All chips: names[i] up to a NULL. */
extern const char *const sim_chip_names[];

#endif

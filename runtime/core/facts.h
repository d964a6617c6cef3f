/* facts.h - what is known of a GPU, real or simulated: one line of text. */
#ifndef MOE_FACTS_H
#define MOE_FACTS_H

#include "core/status.h"

/* What the tuner, the templates and the time model may know of a GPU.
 * Text: sm_90a "NVIDIA H100 80GB HBM3" sms=132 smem=232448 l2=52428800 ... */
typedef struct moe_facts {
    char arch[16];        /* compile target, for example sm_80, sm_90a */
    char name[96];        /* marketing name; simulated chips: "sim:h100" */
    int64_t sm;           /* compute capability * 10: 80, 86, 90, 100 */
    int64_t sms;          /* streaming multiprocessors */
    int64_t smem;         /* shared memory that one block may opt in to, bytes */
    int64_t smem_sm;      /* shared memory of one SM, bytes */
    int64_t regs_sm;      /* 32-bit registers of one SM */
    int64_t threads_sm;   /* resident threads of one SM */
    int64_t blocks_sm;    /* resident blocks of one SM */
    int64_t l2;           /* bytes */
    int64_t memory;       /* device memory, bytes */
    int64_t clock;        /* SM clock, MHz (maximum) */
    int64_t bandwidth;    /* DRAM peak, GB/s (10^9) */
    int64_t tensor_rate;  /* dense bf16 tensor FLOPs a clock and SM */
    int64_t simulated;    /* 1: times are a model's */
} moe_facts;

/* The canonical line. `text` needs 512 bytes. */
void moe_facts_print(const moe_facts *facts, char *text, size_t size);
moe_status moe_facts_parse(const char *text, moe_facts *out);

/* Fills `sm`, `tensor_rate` and the per-SM limits, where they are 0, from the arch and the table of
 * known architectures. */
void moe_facts_complete(moe_facts *facts);

/* The capability times ten of an arch text, and its suffix: "sm_90a" gives 90 and 'a', "sm_120"
 * gives 120 and 0. Returns 0 where the text is not an arch. `suffix` may be NULL. */
int64_t moe_arch_parse(const char *arch, char *suffix);

#endif

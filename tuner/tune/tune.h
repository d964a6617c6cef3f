/* tune.h - the tuner: ops are searched one by one, then put together to whole layers. */
#ifndef MOE_TUNE_H
#define MOE_TUNE_H

#include "measure/meter.h"
#include "measure/supervise.h"
#include "search/candidates.h"
#include "search/ranking.h"
#include "store/builder.h"
#include "text/progress.h"

#include <signal.h>

/* What a tune works with; nothing is owned. */
typedef struct moe_tuner {
    moe_device *device;
    const moe_facts *facts;
    moe_gen *gen;
    moe_storage *store;
    int64_t device_row;
    moe_compile_pool *pool;
    moe_builder *builder;
    moe_meter meter;
    const moe_strategy *strategy; /* NULL: by the size of the space */
    const moe_template *only;     /* the template whose candidates are tried; NULL: all */
    int64_t limit;                /* most candidates of any op */
    int workers;                  /* compiler processes */
    uint64_t seed;
    moe_provenance provenance;    /* all but is_default and date */
    moe_progress progress;
    double share_from, share_to;  /* of all work: where the present op stands */
    const volatile sig_atomic_t *stop; /* set: finish the candidate at hand, then end */
    double flop_rate;             /* of a simulated device: FLOPs a second of real time, learned */
    bool lost;                    /* the device is unusable after a fault; start a new process */
    moe_heart *heart;             /* beats with every candidate; NULL: nobody watches */
} moe_tuner;

enum { MOE_FINALISTS = 4, MOE_OP_TEMPLATES = 16 };

/* A candidate with its record. */
typedef struct moe_finalist {
    moe_candidate candidate;
    moe_record record;
} moe_finalist;

/* How one template's predictions fared. */
typedef struct moe_template_ranking {
    char id[MOE_TEMPLATE_ID_SIZE];
    int64_t space;       /* candidates that there are */
    moe_ranking ranking; /* of those that have a time */
} moe_template_ranking;

/* What became of an op. */
typedef struct moe_op_result {
    moe_op op;
    int64_t space;                       /* candidates that there are */
    int64_t resumed;                     /* whose rows were there already */
    int64_t measured;                    /* now */
    int64_t outcome[MOE_OUTCOME_COUNT];  /* of both */
    int finalists;                       /* the winner first, the others by time */
    moe_finalist finalist[MOE_FINALISTS];
    moe_finalist standard;               /* the op's default config; outcome tells how it went */
    moe_ranking ranking;                 /* of all templates' predictions together */
    int templates;                       /* that serve the op; each alone: */
    moe_template_ranking by_template[MOE_OP_TEMPLATES];
    bool complete;                       /* the search came to its end */
    char note[512];                      /* something the user should know, or "" */
} moe_op_result;

/* Tunes one op: at most `limit` candidates, until `deadline` (moe_seconds). Every candidate that
 * was tried has a row when this returns, in whatever way. Errors are broken tools and disks only;
 * an op of which no candidate is good has 0 finalists. */
moe_status moe_tune_op(moe_tuner *tuner, const moe_op *op, int64_t limit, double deadline,
                       moe_op_result *out);

/* Where measurements on a device come from: driver, compiler, commit, date, clock. */
void moe_tuner_provenance(const moe_device *device, const char *toolkit, moe_provenance *out);

/* True when the user asked to stop. */
bool moe_tuner_stopped(const moe_tuner *tuner);

/* The record of a candidate, but for its measurement; `when` is now. */
moe_record moe_tuner_record(const moe_tuner *tuner, const moe_op *op,
                            const moe_candidate *candidate);

/* Writes a record of the tuner's device. */
moe_status moe_tuner_put(moe_tuner *tuner, const moe_record *record, const moe_evidence *evidence);
moe_status moe_tuner_put_choice(moe_tuner *tuner, const moe_choice *choice);

/* A text as a number that continues another one: a seed, or the name of what runs. */
uint64_t moe_tuner_hash(uint64_t from, const char *text);

/* Says what the device is about to run, 0: nothing any more. Where a process ends meanwhile, the
 * one behind it asks moe_tuner_blames for each that it could run; the blame is taken once. */
void moe_tuner_runs(moe_tuner *tuner, uint64_t name);
bool moe_tuner_blames(moe_tuner *tuner, uint64_t name);

/* A fault leaves a real GPU's context unusable: the process must start again. */
void moe_tuner_note_fault(moe_tuner *tuner, moe_outcome outcome);

/* The image of a candidate, from wherever it is quickest. `*out` belongs to the builder.
 * MOE_E_COMPILE where it does not compile. */
moe_status moe_candidate_image(const moe_candidate *candidate, const moe_op *op,
                               const moe_facts *facts, moe_builder *builder,
                               const moe_built **out);

/* Seconds of real time that one run of an op is likely to take: next to nothing on a GPU, but a
 * simulated one computes every product. */
double moe_tuner_seconds(const moe_tuner *tuner, double flops);

#endif

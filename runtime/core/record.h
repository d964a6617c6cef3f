/* record.h - the evidence of one candidate, and of one whole layer.
 *
 * A record's line: op | template | config | measurement | provenance, for example
 *   gemm_up t=64 d=1024 ... | grouped_gemm@1f3c9a0b | bm=16 bn=64 | ok n=50 med=... | default=0 ...
 * A choice's line: layer t=64 routing=uniform cache=cold d=1024 ... | route permute gemm_up
 *   gemm_down combine | route@0a.. bt=8; permute@..; ... | measurement | provenance
 * The device stands in the head of the file that holds them: see tuning_db/README.md. */
#ifndef MOE_RECORD_H
#define MOE_RECORD_H

#include "core/config.h"
#include "core/measurement.h"
#include "core/pipeline.h"

enum { MOE_TEMPLATE_ID_SIZE = 64, MOE_RECORD_TEXT_SIZE = 2048, MOE_CHOICE_TEXT_SIZE = 8192 };

/* Where a measurement comes from. */
typedef struct moe_provenance {
    int64_t is_default; /* text: default=1: the template's default config */
    char driver[32];    /* driver version, "none" on a simulated device */
    char toolkit[32];   /* NVRTC version, "13.0" */
    char commit[48];    /* of moetune */
    char date[24];      /* UTC, 2026-01-31T12:00:00Z */
    int64_t clock;      /* SM clock while measuring, MHz; 0 unknown */
} moe_provenance;

typedef struct moe_record {
    moe_op op;
    char template_id[MOE_TEMPLATE_ID_SIZE]; /* name@hash8 */
    moe_config config;
    moe_measurement measurement;
    moe_provenance provenance;
} moe_record;

typedef struct moe_step {
    moe_op_kind kind;
    char template_id[MOE_TEMPLATE_ID_SIZE];
    moe_config config;
} moe_step;

/* The best pipeline of a whole layer at one token count, timed end to end. */
typedef struct moe_choice {
    moe_layer layer;
    int64_t t;
    moe_routing routing;
    moe_cache cache;
    int64_t steps;
    moe_step step[MOE_PIPELINE_STEPS];
    moe_measurement measurement;
    moe_provenance provenance;
} moe_choice;

moe_status moe_record_parse(const char *line, moe_record *out);
void moe_record_print(const moe_record *record, char *line, size_t size);
moe_status moe_choice_parse(const char *line, moe_choice *out);
void moe_choice_print(const moe_choice *choice, char *line, size_t size);

#endif

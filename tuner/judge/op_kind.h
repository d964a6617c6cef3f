/* op_kind.h - what differs between the kinds of ops on trial: a row each, in the op's own file;
 * private to op_*.c and trial.c. */
#ifndef MOE_OP_KIND_H
#define MOE_OP_KIND_H

#include "core/args.h"
#include "judge/maps.h"
#include "judge/op_case.h"
#include "judge/op_work.h"
#include "workload.h"

enum { OP_LAYOUTS = 4, OP_SPOT_FLOPS = 1000000000, OP_SPOT_TOKENS = 4096 };

/* Device buffers by argument; 0: none. */
typedef struct op_buffers {
    moe_ptr address[MOE_ARG_COUNT];
    size_t bytes[MOE_ARG_COUNT];
} op_buffers;

/* What depends on the alignment of experts' rows, which is a config's own. */
typedef struct op_layout {
    int64_t align;
    moe_row_maps maps;
    int64_t rows; /* of h, y_rows and row_slots: those of the maps, or room for more */
    op_buffers buffers;
} op_layout;

/* Runs that a candidate is verified with beside the first. */
enum {
    OP_OTHER_ALIGN = 1, /* with rows between the experts */
    OP_GIVEN = 2,       /* with ids and weights as inputs */
    OP_AGAIN = 4,       /* behind itself: what a run has left behind must not matter */
    OP_LOGITS = 8       /* with logits as inputs, many of them equal */
};

typedef struct op_kind {
    /* Makes host inputs and reference, and uploads what does not depend on a layout. */
    moe_status (*make)(moe_op_case *c, uint64_t seed);
    /* Makes and uploads the rest. layout->align and layout->maps are set. */
    moe_status (*lay_out)(moe_op_case *c, op_layout *layout);
    /* Judges the outputs. */
    moe_status (*judge)(moe_op_case *c, op_layout *layout, moe_verdict *out);
    unsigned checks; /* OP_*: further runs */
    moe_work_size (*work)(const moe_op *op);
    int wish; /* candidates worth trying, next to others': see moe_op_wish */
} op_kind;

#define MOE_OP(name, fields, workload, help, args) extern const op_kind op_##name;
#include "core/op.def"
#undef MOE_OP

/* The row of a kind. */
const op_kind *op_kind_of(moe_op_kind kind);

struct moe_op_case {
    moe_device *device;
    const op_kind *kind;
    moe_op op;
    int64_t slots;       /* T*k */
    int64_t pairs;       /* of token and expert: the slots, and more where experts are shared */
    int first_expert;    /* that the device holds, */
    int *given_ids;      /* [T,k] by the router's numbers (all but route) */
    moe_workload work;   /* what the kind made of it */
    int *ids;            /* [pairs] by the device's numbers (all but route) */
    unsigned char *kept; /* [pairs] (all but route) */
    double *logits;      /* of the spots (route, route_permute) */
    float *weights;      /* [pairs] (all but route) */
    void *slot_values;   /* [pairs,width] rows of h (gemm_down, down_combine) or y_rows (combine) by
                          * slot */
    int64_t spots;       /* references made: */
    int64_t *spot;       /* [spots] pairs (gemms) or tokens (the others) */
    int64_t width;       /* elements of one */
    double *want;        /* [spots,width] */
    moe_entry entry;     /* what the run at hand is given: */
    op_buffers given[MOE_ENTRY_COUNT]; /* this, by entry */
    double *equal_logits; /* at the spots, where logits are given (route, route_permute) */
    op_buffers buffers;
    op_layout layout[OP_LAYOUTS];
    int layouts;
};

/* Allocates a device buffer; host data (may be NULL) is copied into it. */
moe_status op_upload(moe_op_case *c, op_buffers *to, moe_arg arg, const void *host, size_t bytes);

/* Makes the case's workload: of tensors that callers give, those that the op's kernels read. */
moe_status op_make_inputs(moe_op_case *c, uint64_t seed);

/* Uploads every input of the op's kernels that the case's workload holds. */
moe_status op_upload_inputs(moe_op_case *c);

/* Makes room for what kernels write, as large as the table of tensors says. */
moe_status op_make_room(moe_op_case *c, moe_arg arg);

/* Uploads the case's weights; ids with them. */
moe_status op_upload_weights(moe_op_case *c);
moe_status op_upload_routing(moe_op_case *c, const int *ids);

/* The case's layout of an alignment, made on first use. */
moe_status op_layout_get(moe_op_case *c, int64_t align, op_layout **out);

/* Chooses `count` of 0..n-1, evenly, with the last; all of them where n <= count. */
moe_status op_choose_spots(moe_op_case *c, int64_t n, int64_t count);

/* Makes c->want: y behind the router by the reference, for the tokens that are spots and the case's
 * own ids, weights and kept slots. */
moe_status op_refer_layer(moe_op_case *c);

/* Reads row `row[i]` of a device matrix for i < n, each of c->width elements of x's dtype, as
 * doubles. */
moe_status op_read_rows(moe_op_case *c, moe_ptr matrix, size_t bytes, const int64_t *row, int64_t n,
                        double *out);

/* Compares rows `row` of a device matrix with c->want by the op's tolerance. `name` and the spots
 * tell which element is bad. */
moe_status op_judge_rows(moe_op_case *c, const char *name, moe_ptr matrix, size_t bytes,
                         const int64_t *row, moe_verdict *out);

/* Makes ids, weights and kept of all pairs, as the op's routing class spreads them. */
moe_status op_make_ids(moe_op_case *c, uint64_t seed);

/* Ids, weights and kept of the pairs of shared experts, whose weight is 1. */
void op_fill_shared(moe_op_case *c);

/* Uploads ids and weights for a run that is given them, anew each time: a bad kernel may have
 * written over them. */
moe_status op_upload_given(moe_op_case *c);

/* Makes and uploads logits for a run that is given them, on first use. */
moe_status op_upload_logits(moe_op_case *c);

/* Makes and uploads what a router reads, with its reference, and room for what it writes; judges
 * ids, weights, counts, prob_sums and flags. */
moe_status op_make_route(moe_op_case *c, uint64_t seed);
moe_status op_judge_route(moe_op_case *c, moe_verdict *out);

/* Judges counts [e] by the ids [T,k] that were chosen or given, by the router's numbers. Experts
 * held elsewhere need not be counted. */
moe_status op_judge_counts(const moe_op_case *c, const int *ids, const int *counts,
                           moe_verdict *out);

/* Judges the flags, which a kernel behind the router finds zero. */
moe_status op_judge_flags(moe_op_case *c, moe_verdict *out);

/* Uploads the index maps of a layout that the expert GEMMs read. */
moe_status op_upload_maps(moe_op_case *c, op_layout *layout);

/* Makes room for the index maps of a layout; judges them, and counts, by the ids they are of. */
moe_status op_lay_out_maps(moe_op_case *c, op_layout *layout);
moe_status op_judge_maps(moe_op_case *c, op_layout *layout, const int *ids, moe_verdict *out);

/* Uploads sums of probabilities, one apart from the other; judges mean_probs by `sums` [e] (NULL:
 * by those). */
moe_status op_upload_prob_sums(moe_op_case *c);
moe_status op_judge_mean_probs(moe_op_case *c, const unsigned long long *sums, moe_verdict *out);

/* A device array as a new host array. */
moe_status op_download(moe_op_case *c, const op_buffers *from, moe_arg arg, void *out);

/* Rows of slots, in layout order, put into a device matrix; gaps stay unwritten. */
moe_status op_upload_rows(moe_op_case *c, op_layout *layout, moe_arg arg, int64_t width);

#endif

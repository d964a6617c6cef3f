/* op_case.c - one op on one device: opening, layouts, closing. What kinds of ops share stands in
 * op_data.c. */
#include "judge/op_kind.h"

#include <stdlib.h>

static void buffers_free(moe_device *device, op_buffers *buffers) {
    for (int i = 0; i < MOE_ARG_COUNT; i++)
        if (buffers->address[i]) device->class->free(device->self, buffers->address[i]);
}

static void layout_free(moe_device *device, op_layout *layout) {
    buffers_free(device, &layout->buffers);
    moe_row_maps_free(&layout->maps);
    *layout = (op_layout){0};
}

moe_status op_layout_get(moe_op_case *c, int64_t align, op_layout **out) {
    for (int i = 0; i < c->layouts; i++)
        if (c->layout[i].align == align) {
            *out = &c->layout[i];
            return MOE_OK;
        }
    if (c->layouts == OP_LAYOUTS)
        return moe_fail(MOE_E_UNSUPPORTED, "candidates with more than %d row alignments",
                        OP_LAYOUTS);
    op_layout *layout = &c->layout[c->layouts];
    layout->align = align;
    if (c->ids)
        MOE_TRY(moe_row_maps_init(&layout->maps, &c->op.layer, c->op.t, align, c->ids, c->kept));
    layout->rows = layout->maps.rows ? layout->maps.rows : 1; /* as in a workspace */
    moe_status status = c->kind->lay_out(c, layout);
    if (status)
        layout_free(c->device, layout);
    else
        c->layouts++; /* from here on it is freed with the case */
    *out = layout;
    return status;
}

/* ------------------------------------------------------------------------- opening, closing */

moe_status moe_op_case_open(moe_device *device, const moe_op *op, uint64_t seed,
                            moe_op_case **out) {
    if (op->t < 1) return moe_fail(MOE_E_INVALID, "an op with t=0 has nothing to run");
    moe_op_case *c = calloc(1, sizeof *c);
    if (!c) return moe_fail(MOE_E_MEMORY, "no memory for an op");
    c->device = device;
    c->kind = op_kind_of(op->kind);
    c->op = *op;
    c->slots = op->t * op->layer.k;
    c->pairs = moe_row_pairs(&op->layer, op->t);
    c->first_expert = (int)(op->layer.e - moe_layer_held(&op->layer)) / 2;
    moe_status status = c->kind->make(c, seed);
    if (status)
        moe_op_case_close(c);
    else
        *out = c;
    return status;
}

void moe_op_case_close(moe_op_case *c) {
    if (!c) return;
    for (int i = 0; i < c->layouts; i++) layout_free(c->device, &c->layout[i]);
    for (int i = 0; i < MOE_ENTRY_COUNT; i++) buffers_free(c->device, &c->given[i]);
    buffers_free(c->device, &c->buffers);
    moe_workload_free(&c->work);
    free(c->ids);
    free(c->given_ids);
    free(c->kept);
    free(c->logits);
    free(c->equal_logits);
    free(c->weights);
    free(c->slot_values);
    free(c->spot);
    free(c->want);
    free(c);
}

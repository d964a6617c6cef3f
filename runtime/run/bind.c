/* bind.c - from the caller's pointers to kernel arguments. */
#include "run/bind.h"

#include "core/layer.h"
#include "core/rule.h"
#include "core/tensor.h"

#include <stdint.h>

/* Sums of the router that an output is made from. */
typedef enum sums { NONE, PROBS, LOADS } sums;

static const struct {
    moe_arg output;
    sums sums;
    const char *why; /* a layer has not got it, and somebody may ask for it */
} written[] = {
#define MOE_WRITTEN(name, zero, sums, why) {MOE_ARG_##name, sums, why},
#include "core/tensor.def"
#undef MOE_WRITTEN
};

enum { WRITTEN = sizeof written / sizeof *written };

static moe_status check_routing(const moe_layer *layer, const moe_io *io) {
    if (!moe_layer_routes(layer) && !io->routing_given)
        return moe_fail(MOE_E_INVALID, "io.routing_given is false, and router=given has no "
                                       "router; set it, and give io.ids and io.weights");
    if (moe_layer_has(layer, MOE_ARG_expert_table) && (io->vocab < 0 || io->vocab > INT32_MAX))
        return moe_fail(MOE_E_INVALID, "io.vocab is %lld; io.expert_table has 0 to 2^31-1 rows",
                        (long long)io->vocab);
    if (io->first_expert < 0 || io->first_expert > layer->e - moe_layer_held(layer))
        return moe_fail(MOE_E_INVALID, "io.first_expert is %d, and %lld of %lld experts are held",
                        io->first_expert, (long long)moe_layer_held(layer), (long long)layer->e);
    return MOE_OK;
}

/* What a layer has no answer to must not be asked for. */
static moe_status check_outputs(const moe_layer *layer, const moe_io *io) {
    for (int i = 0; i < WRITTEN; i++) {
        const moe_arg output = written[i].output;
        if (moe_tensor_place(output) == MOE_PLACE_OWN || !moe_io_pointer(io, output)) continue;
        if (moe_layer_has(layer, output)) continue;
        const moe_sizes sizes = moe_sizes_make(layer, 0, 1);
        return moe_fail(MOE_E_UNSUPPORTED, "io.%s must be NULL: %s",
                        moe_tensor_describe(&sizes, output).name, written[i].why);
    }
    return MOE_OK;
}

static moe_status fail_pointer(const moe_layer *layer, moe_arg arg, const void *pointer) {
    const moe_sizes sizes = moe_sizes_make(layer, 0, 1);
    const moe_tensor_desc desc = moe_tensor_describe(&sizes, arg);
    if (!pointer)
        return moe_fail(MOE_E_INVALID, "io.%s is NULL, and this layer needs it", desc.name);
    return moe_fail(MOE_E_INVALID, "io.%s is not aligned to %u bytes; copy it to where it is",
                    desc.name, desc.align);
}

static moe_entry entry_of(const moe_io *io) {
    if (io->routing_given) return MOE_ENTRY_GIVEN;
    return io->logits ? MOE_ENTRY_LOGITS : MOE_ENTRY_ROUTER;
}

static moe_status bind_all(const moe_layer *layer, const moe_io *io, moe_arg_values *values) {
    const moe_entry entry = entry_of(io);
    const moe_sizes sizes = moe_sizes_make(layer, 0, 1);
    for (moe_arg arg = 0; (int)arg < MOE_CALLER_TENSORS; arg++) {
        const moe_need need = moe_tensor_need(&sizes, arg, entry);
        const void *pointer = moe_io_pointer(io, arg);
        bool good = pointer ? !((uintptr_t)pointer & (moe_tensor_align(arg) - 1))
                            : need != MOE_NEED_NEEDED;
        if (need && !good) return fail_pointer(layer, arg, pointer);
        if (need && pointer) values->value[arg] = (uintptr_t)pointer;
        if (!need) values->value[arg] = 0;
    }
    return MOE_OK;
}

/* Sums that nobody asks for are not made. */
static void leave_out_sums(moe_arg_values *values) {
    sums asked = NONE;
    for (int i = 0; i < WRITTEN; i++)
        if (values->value[written[i].output] && written[i].sums > asked) asked = written[i].sums;
    if (asked < LOADS) values->value[MOE_ARG_loss_sums] = 0;
    if (asked < PROBS) values->value[MOE_ARG_prob_sums] = 0;
}

moe_status moe_bind(const moe_layer *layer, const moe_io *io, moe_arg_values *values) {
    MOE_TRY(check_routing(layer, io));
    MOE_TRY(check_outputs(layer, io));
    MOE_TRY(bind_all(layer, io, values));
    values->value[MOE_ARG_first_expert] = (uint64_t)io->first_expert;
    values->value[MOE_ARG_vocab] = (uint64_t)io->vocab;
    leave_out_sums(values);
    return MOE_OK;
}

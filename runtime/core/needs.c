/* needs.c - what a run of a layer wants of a pointer of moe_io. */
#include "core/layer.h"
#include "core/rule.h"
#include "core/sized.h"
#include "core/tensor.h"

#include <string.h>

static moe_status fail_name(const moe_sizes *sizes, const char *member) {
    char names[1024];
    moe_text list = moe_text_start(names, sizeof names);
    for (moe_arg arg = 0; (int)arg < MOE_CALLER_TENSORS; arg++)
        moe_text_add(&list, " %s", moe_tensor_describe(sizes, arg).name);
    return moe_fail(MOE_E_NOT_FOUND, "io.%.64s is no tensor of a layer; there are%s", member,
                    names);
}

static moe_status check_entry(const moe_layer *layer, moe_entry entry) {
    if ((unsigned)entry >= MOE_ENTRY_COUNT)
        return moe_fail(MOE_E_INVALID, "entry %d is no moe_entry", (int)entry);
    if (entry != MOE_ENTRY_GIVEN && !moe_layer_routes(layer))
        return moe_fail(MOE_E_INVALID, "the layer has no router; its entry is MOE_ENTRY_GIVEN");
    return MOE_OK;
}

moe_status moe_layer_needs(const moe_layer *given, moe_entry entry, const char *member,
                           moe_need *out) {
    moe_layer read, layer;
    MOE_TRY(moe_sized_read("layer", "moe_layer", given, &read, sizeof read));
    MOE_TRY(moe_layer_settle(&read, &layer));
    MOE_TRY(check_entry(&layer, entry));
    const moe_sizes sizes = moe_sizes_make(&layer, 0, 1);
    for (moe_arg arg = 0; (int)arg < MOE_CALLER_TENSORS; arg++) {
        const moe_tensor_desc desc = moe_tensor_describe(&sizes, arg);
        if (!strcmp(desc.name, member)) return *out = desc.need[entry], MOE_OK;
    }
    return fail_name(&sizes, member);
}

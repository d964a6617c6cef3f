/* layer_figures.c - what a layer holds and does, counted. */
#include "report/layer_figures.h"

#include "core/router.h"
#include "measure/roofline.h"
#include "workload.h"

#include <math.h>
#include <string.h>

int moe_layer_tensors(const moe_layer *layer, moe_tensor_row *rows) {
    const moe_sizes one = moe_sizes_make(layer, 1, 1), two = moe_sizes_make(layer, 2, 1);
    const moe_entry entry = moe_layer_routes(layer) ? MOE_ENTRY_ROUTER : MOE_ENTRY_GIVEN;
    int count = 0;
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS; i++) {
        const moe_tensor_desc desc = moe_tensor_describe(&one, i);
        const bool grows = moe_tensor_describe(&two, i).shape[0] > desc.shape[0];
        const int first = grows || desc.shape[0] < 0;
        moe_tensor_row row = {desc.file, moe_dtype_names[desc.dtype], NULL, {0}};
        if (!moe_tensor_is_input(&desc, entry) && !moe_tensor_is_result(&desc)) continue;
        if (first) row.t = grows ? "T" : "vocabulary";
        for (int d = first; d < desc.rank; d++) row.shape[d - first] = desc.shape[d];
        rows[count++] = row;
    }
    return count;
}

/* The parts that parameters are counted by, as the names in files begin. */
enum { ROUTER, EXPERTS, SHARED, PARTS };
static const char *const parts[PARTS] = {"router", "experts", "shared"};

static int part_of(const moe_tensor_desc *desc) {
    int part = 0;
    while (part < PARTS && strncmp(desc->file, parts[part], strlen(parts[part]))) part++;
    return part;
}

moe_layer_figures moe_layer_count(const moe_layer *l) {
    const moe_sizes sizes = moe_sizes_make(l, 1, 1);
    const moe_layer_sizes n = moe_layer_elements(l, 1);
    int64_t held[PARTS + 1] = {0}, bytes = 0;
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS; i++) {
        const moe_tensor_desc desc = moe_tensor_describe(&sizes, i);
        if (desc.role != MOE_ROLE_WEIGHT && desc.role != MOE_ROLE_BIAS) continue;
        held[part_of(&desc)] += moe_tensor_elements(&desc);
        bytes += moe_tensor_bytes_of(&desc);
    }
    return (moe_layer_figures){
        .router = held[ROUTER], .expert = held[EXPERTS] / moe_layer_held(l),
        .shared = held[SHARED], .bytes = bytes, .all = held[ROUTER] + held[EXPERTS] + held[SHARED],
        .active = held[ROUTER] + l->k * held[EXPERTS] / l->e + held[SHARED],
        .flops = 2 * (l->k * (n.up + n.down) / l->e + n.shared_up + n.shared_down),
        .router_flops = 2 * moe_layer_router_work(l),
    };
}

moe_layer_load moe_layer_load_at(const moe_layer *layer, const moe_facts *facts, int64_t tokens) {
    const moe_work_size work = moe_layer_work(layer, tokens, MOE_ROUTING_UNIFORM);
    const moe_work_size products = {work.flops, 0};
    moe_layer_load load = {.flops = work.flops, .bytes = work.bytes};
    load.touched = 1 - pow(1 - (double)layer->k / (double)layer->e, (double)tokens);
    load.experts = load.touched * (double)moe_layer_held(layer);
    load.ns = moe_roofline_ns(work, facts, layer->x);
    load.compute = moe_roofline_ns(products, facts, layer->x) >= load.ns;
    return load;
}

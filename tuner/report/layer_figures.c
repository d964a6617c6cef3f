/* layer_figures.c - what a layer holds and does, counted. */
#include "report/layer_figures.h"

#include "core/router.h"
#include "measure/roofline.h"
#include "workload.h"

#include <math.h>

int moe_layer_tensors(const moe_layer *l, moe_tensor_row *rows) {
    const char *x = moe_dtype_names[l->x], *w = moe_dtype_names[l->w];
    const bool gated = moe_layer_gated(l);
    const int64_t up = moe_layer_up_rows(l), held = moe_layer_held(l), wide = l->shared.f;
    const bool hash = moe_router_looks_up(&l->router);
    const struct {
        bool there;
        moe_tensor_row row;
    } all[] = {
        {true, {"x", x, "T", {l->d}}},
        {hash, {"token_ids", "i32", "T", {0}}},
        {hash, {"router.table", "i32", "vocabulary", {l->k}}},
        {l->router.noise > 0,
         {"router.noise", moe_dtype_names[moe_layer_router_dtype(l)], NULL, {l->e, l->d}}},
        {moe_layer_routes(l), {"router.weight", moe_dtype_names[moe_layer_router_dtype(l)], NULL,
                {moe_layer_queries(l), l->d}}},
        {moe_layer_keys(l) > 0,
         {"router.keys", w, NULL, {l->router.heads, 2, l->router.keys, l->router.key_width / 2}}},
        {moe_layer_router_bias(l), {"router.bias", "f32", NULL, {moe_layer_queries(l)}}},
        {up > 0, {gated ? "experts.gate_up" : "experts.up", w, NULL, {held, up, l->d}}},
        {l->bias & MOE_BIAS_UP,
         {gated ? "experts.gate_up.bias" : "experts.up.bias", w, NULL, {held, up}}},
        {true, {"experts.down", w, NULL, {held, l->d, l->f}}},
        {l->bias & MOE_BIAS_DOWN, {"experts.down.bias", w, NULL, {held, l->d}}},
        {wide > 0,
         {gated ? "shared.gate_up" : "shared.up", w, NULL, {gated ? 2 * wide : wide, l->d}}},
        {wide > 0, {"shared.down", w, NULL, {l->d, wide}}},
        {l->shared.gated, {"shared_gate.weight", w, NULL, {1, l->d}}},
        {true, {"y", x, "T", {l->d}}},
        {true, {"ids", "i32", "T", {l->k}}},
        {true, {"weights", "f32", "T", {l->k}}},
    };
    int count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].there) rows[count++] = all[i].row;
    return count;
}

moe_layer_figures moe_layer_count(const moe_layer *l) {
    const moe_layer_sizes n = moe_layer_elements(l, 1);
    int64_t experts = n.up + n.up_bias + n.down + n.down_bias;
    moe_layer_figures f = {.router = n.router_weight + n.router_keys + n.router_noise + n.router_bias,
                           .expert = experts / moe_layer_held(l),
                           .shared = n.shared_up + n.shared_down + n.shared_gate};
    f.all = f.router + experts + f.shared;
    f.active = f.router + l->k * experts / l->e + f.shared;
    f.bytes = (n.router_weight + n.router_noise) *
                  (int64_t)moe_dtype_size(moe_layer_router_dtype(l)) +
              (n.router_keys + experts + f.shared) * (int64_t)moe_dtype_size(l->w) +
              n.router_bias * (int64_t)sizeof(float);
    f.flops = 2 * (l->k * (n.up + n.down) / l->e + n.shared_up + n.shared_down);
    f.router_flops = 2 * moe_layer_router_work(l);
    return f;
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

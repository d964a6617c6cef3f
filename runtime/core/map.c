/* map.c - tensor maps as launch data. */
#include "core/map.h"

#include "core/layer.h"
#include "core/tensor.h"

#include <stdio.h>
#include <string.h>

/* Limits of a copy, as cuTensorMapEncodeTiled states them. */
enum { LONGEST_BOX = 256 };

static const struct {
    moe_arg arg;
    int rank;
} tensors[] = {
#define MOE_MAP(name, rank, ...) {MOE_ARG_##name, rank},
#include "core/map.def"
#undef MOE_MAP
};
enum { TENSORS = sizeof tensors / sizeof tensors[0] };

static int find(const char *name) {
    for (int i = 0; i < TENSORS; i++)
        if (!strcmp(moe_arg_table[tensors[i].arg].name, name)) return i;
    return -1;
}

moe_status moe_map_make(const char *name, int rank, const int64_t *box, int64_t swizzle,
                        moe_map *out) {
    int at = find(name);
    if (at < 0)
        return moe_fail(MOE_E_PARSE, "'%.32s' is no tensor that has a map; runtime/core/map.def "
                                     "lists those that have", name);
    if (rank != tensors[at].rank)
        return moe_fail(MOE_E_INVALID, "%s has %d dimensions, and its box %d", name,
                        tensors[at].rank, rank);
    if (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128)
        return moe_fail(MOE_E_INVALID, "%s: a swizzle is 0, 32, 64 or 128 bytes", name);
    *out = (moe_map){.arg = tensors[at].arg, .rank = rank, .swizzle = swizzle};
    for (int i = 0; i < rank; i++) {
        if (box[i] < 1 || box[i] > LONGEST_BOX)
            return moe_fail(MOE_E_INVALID, "%s: a box is 1 to %d elements along a dimension", name,
                            LONGEST_BOX);
        out->box[i] = box[i];
    }
    return MOE_OK;
}

/* "up(64,128,2,1;128)" at *cursor, which is stepped over. */
static moe_status parse_one(const char **cursor, moe_map *out) {
    char name[32];
    int64_t box[MOE_MAP_RANK] = {0};
    long long number;
    int rank = 0, used = 0;
    if (sscanf(*cursor, "%31[a-z_](%n", name, &used) != 1 || !used)
        return moe_fail(MOE_E_PARSE, "maps: '%.48s' should read like up(64,128,2,1;128)", *cursor);
    for (*cursor += used; rank < MOE_MAP_RANK; *cursor += used) {
        char end = 0;
        if (sscanf(*cursor, "%lld%c%n", &number, &end, &used) != 2) break;
        box[rank++] = number;
        if (end != ',') {
            *cursor += used;
            if (end == ';') break;
            rank = 0;
        }
    }
    used = 0;
    if (!rank || sscanf(*cursor, "%lld)%n", &number, &used) != 1 || !used)
        return moe_fail(MOE_E_PARSE, "maps: '%s(' should go on like 64,128,2,1;128)", name);
    *cursor += used;
    return moe_map_make(name, rank, box, number, out);
}

static moe_status parse_maps(const moe_field *field, const char *text, void *value) {
    moe_map_list maps = {0};
    (void)field;
    for (bool more = strcmp(text, "none") != 0; more;) {
        if (maps.count == MOE_MAX_MAPS)
            return moe_fail(MOE_E_PARSE, "maps: more than %d", MOE_MAX_MAPS);
        MOE_TRY(parse_one(&text, &maps.map[maps.count++]));
        more = *text == ',';
        text += more;
    }
    if (maps.count && *text) return moe_fail(MOE_E_PARSE, "maps: '%.48s' is left over", text);
    *(moe_map_list *)value = maps;
    return MOE_OK;
}

static void print_maps(const moe_field *field, const void *value, moe_text *out) {
    const moe_map_list *maps = value;
    (void)field;
    if (!maps->count) moe_text_add(out, "none");
    for (int64_t i = 0; i < maps->count; i++) {
        const moe_map *map = &maps->map[i];
        moe_text_add(out, "%s%s(", i ? "," : "", moe_arg_table[map->arg].name);
        for (int64_t j = 0; j < map->rank; j++)
            moe_text_add(out, "%s%lld", j ? "," : "", (long long)map->box[j]);
        moe_text_add(out, ";%lld)", (long long)map->swizzle);
    }
}

const moe_field_type moe_field_maps = {parse_maps, print_maps, false};

moe_tensor_view moe_map_view(const moe_map *map, const moe_layer *layer, int64_t tokens,
                             int64_t rows, const moe_arg_values *values) {
    const int64_t D = layer->d, F = layer->f, E = layer->e, T = tokens, ROWS = rows;
    const int64_t HELD = moe_layer_held(layer), N = moe_layer_shared_experts(layer);
    const int64_t G = moe_layer_gated(layer) ? 2 : 1;
    const bool INTERLEAVED = layer->layout == MOE_LAYOUT_INTERLEAVED;
    const struct {
        moe_arg arg;
        int64_t size[MOE_MAP_RANK];
    } table[] = {
#define MOE_MAP(name, rank, ...) {MOE_ARG_##name, {__VA_ARGS__}},
#include "core/map.def"
#undef MOE_MAP
    };
    moe_tensor_view view = {
        .address = values->value[map->arg], .rank = (int)map->rank, .swizzle = (int)map->swizzle,
        .dtype = moe_tensor_dtype_of(layer, (moe_arg)map->arg),
    };
    int at = find(moe_arg_table[map->arg].name);
    uint64_t stride = moe_dtype_size(view.dtype);
    for (int i = 0; i < view.rank; i++) {
        view.size[i] = (uint64_t)table[at].size[i];
        view.stride[i] = stride;
        view.box[i] = (uint32_t)map->box[i];
        stride *= view.size[i];
    }
    return view;
}

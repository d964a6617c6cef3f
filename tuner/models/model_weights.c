/* model_weights.c - the weights of one layer of a published model, as a layer takes them. */
#include "models/model_weights.h"

#include "core/number.h"
#include "models/packed_numbers.h"
#include "models/weight_unread.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a piece, all from one tensor. */
typedef struct part {
    const char *pattern;
    int64_t rows, columns;  /* of the piece */
    int64_t width;          /* rows that the tensor holds of an expert: `rows`, or 2f */
    int64_t start, step;    /* row r of the part is row start + step*r of these ... */
    int64_t to, to_step;    /* ... and row to + to_step*r of the piece */
    bool turned;            /* the tensor holds columns where others hold rows */
    moe_dtype dtype;        /* of the piece */
    bool alone;             /* of no expert: the router's */
    int64_t wide, high;     /* columns and rows that the piece has for it; 0: its own */
} part;

enum { MAX_PARTS = 2 };

/* Where the rows of gate (0) and up (1) go in the layer's layout. */
static void place(const moe_layer *l, int half, part *p) {
    bool first = half == (l->layout == MOE_LAYOUT_UP_GATE);
    p->to_step = l->layout == MOE_LAYOUT_INTERLEAVED ? 2 : 1;
    p->to = l->layout == MOE_LAYOUT_INTERLEAVED ? half : first ? 0 : p->high;
}

/* The names of gate and up rows: a tensor each, or one that has both. */
typedef struct halves {
    const char *gate, *up, *both;
} halves;

/* Gate and up of an expert of width f, whose rows are `columns` wide, where the layer has `high` of
 * each: what a shared expert has too few, of any width in its files, stays zero. */
static int list_halves(const moe_model_weights *w, halves names, int64_t f, int64_t high,
                       int64_t columns, part *out) {
    const moe_layer *l = &w->layer;
    const char *both = names.both;
    const int64_t step = w->names->alternating ? 2 : 1;
    if (!moe_layer_gated(l)) {
        *out = (part){names.up, f, columns, f, 0, 1, 0, 1, false, l->w, false, 0, high};
        return 1;
    }
    for (int half = 0; half < 2; half++) {
        int64_t start = !both ? 0 : step == 2 ? half : half * f;
        out[half] = (part){both ? both : half ? names.up : names.gate, f, columns,
                           both ? 2 * f : f, start, both ? step : 1, 0, 0, false, l->w, false,
                           0, high};
        place(l, half, &out[half]);
    }
    return 2;
}

static part whole(const char *pattern, int64_t rows, int64_t columns, moe_dtype dtype, bool alone) {
    return (part){pattern, rows, columns, rows, 0, 1, 0, 1, false, dtype, alone, 0, 0};
}

/* The parts of a tensor's piece. Returns how many; 0: no model has such a tensor. */
static int list_parts(const moe_model_weights *w, moe_arg tensor, part *out) {
    const moe_layer *l = &w->layer;
    const moe_weight_names *n = w->names;
    const char *bias = l->router.key_bias ? n->key_bias : n->router_bias;
    int count = 1;
    switch ((int)tensor) {
    case MOE_ARG_router_weight:
        *out = whole(n->router, l->e, l->d, moe_layer_router_dtype(l), true);
        return 1;
    case MOE_ARG_router_bias: *out = whole(bias, l->e, 1, MOE_F32, true); return 1;
    case MOE_ARG_up:
        count = list_halves(w, (halves){n->gate, n->up, n->gate_up}, l->f, l->f, l->d, out);
        for (int i = 0; i < count; i++) out[i].turned = n->turned;
        return count;
    case MOE_ARG_up_bias:
        return list_halves(w, (halves){NULL, n->up_bias, n->gate_up ? n->up_bias : NULL}, l->f,
                           l->f, 1, out);
    case MOE_ARG_down:
        *out = whole(n->down, l->d, l->f, l->w, false);
        out->turned = n->turned || n->turned_down;
        return 1;
    case MOE_ARG_down_bias: *out = whole(n->down_bias, l->d, 1, l->w, false); return 1;
    case MOE_ARG_shared_up:
        count = list_halves(w, (halves){n->shared_gate, n->shared_up, n->shared_gate_up},
                            w->shared, l->shared.f, l->d, out);
        for (int i = 0; i < count; i++) out[i].alone = true;
        return count;
    case MOE_ARG_shared_down:
        *out = whole(n->shared_down, l->d, w->shared, l->w, true);
        out->wide = l->shared.f;
        return 1;
    case MOE_ARG_shared_gate: *out = whole(n->shared_weight, 1, l->d, l->w, true); return 1;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------- shapes */

/* A shape without its ones: what [e,1,d] and [1,e,d] have in common. */
static int squeeze(int64_t rank, const int64_t *shape, int64_t *out) {
    int count = 0;
    for (int64_t i = 0; i < rank; i++)
        if (shape[i] != 1) out[count++] = shape[i];
    return count;
}

static bool same(const moe_tensor *tensor, int64_t rank, const int64_t *shape) {
    int64_t have[MOE_TENSOR_MAX_RANK], want[4];
    int count = squeeze(tensor->rank, tensor->shape, have);
    if (squeeze(rank, shape, want) != count) return false;
    return !memcmp(have, want, (size_t)count * sizeof *have);
}

/* The shapes that a part's tensor may have: of one expert; of all; of all as one matrix. */
static bool fits(const moe_tensor *tensor, const part *p, int64_t experts, bool fused) {
    int64_t rows = p->turned ? p->columns : p->width, columns = p->turned ? p->width : p->columns;
    const int64_t one[] = {rows, columns}, all[] = {experts, rows, columns};
    const int64_t flat[] = {experts * rows, columns};
    if (!fused) return same(tensor, 2, one);
    return same(tensor, 3, all) || same(tensor, 2, flat);
}

static moe_status wrong_shape(const moe_model_weights *w, const moe_tensor *tensor, const part *p,
                              bool fused) {
    char shapes[256];
    moe_text text = moe_text_start(shapes, sizeof shapes);
    const int64_t rows = p->turned ? p->columns : p->width;
    const int64_t want[] = {w->layer.e, rows, p->turned ? p->width : p->columns};
    moe_text_add(&text, "is ");
    moe_tensor_print_shape(tensor->rank, tensor->shape, &text);
    moe_text_add(&text, ", should be ");
    moe_tensor_print_shape(fused ? 3 : 2, want + (fused ? 0 : 1), &text);
    return moe_fail(MOE_E_INVALID, "%s: tensor '%s' %s for this layer", moe_shards_path(w->shards),
                    moe_tensor_label_of(tensor->name).text, shapes);
}

/* The tensor that holds a part, and the element at which an expert's share of it starts. */
static moe_status find_part(moe_model_weights *w, const part *p, int64_t expert,
                            moe_numbers *numbers, int64_t *first) {
    char name[MOE_WEIGHT_NAME_SIZE];
    if (!p->pattern)
        return moe_fail(MOE_E_INVALID,
                        "%s: the layer has a part for which such models (%.48s) have no tensor",
                        moe_shards_path(w->shards), w->names->types);
    const bool fused = !p->alone && !strchr(p->pattern, '*');
    moe_weight_name(w->shards, w->prefix, w->names, p->pattern, w->index, expert, name);
    MOE_TRY(moe_numbers_find(w->shards, name, numbers));
    if (!fits(&numbers->tensor, p, w->layer.e, fused))
        return wrong_shape(w, &numbers->tensor, p, fused);
    *first = fused ? expert * p->width * p->columns : 0;
    return MOE_OK;
}

/* ------------------------------------------------------------------------------------ reading */

/* f16 alone has a range that weights may leave. */
static moe_status check_range(const moe_tensor *tensor, moe_dtype dtype, const float *line,
                              int64_t n) {
    for (int64_t i = 0; dtype == MOE_F16 && i < n; i++)
        if (isfinite(line[i]) && fabsf(line[i]) >= 65520)
            return moe_fail(MOE_E_INVALID, "tensor '%s' holds %g, which f16 does not; run the "
                                           "layer with x=bf16 w=bf16",
                            moe_tensor_label_of(tensor->name).text, (double)line[i]);
    return MOE_OK;
}

/* Columns of the piece; elements that it has for the part. */
static int64_t stride(const part *p) { return p->wide ? p->wide : p->columns; }
static int64_t room(const part *p) { return stride(p) * (p->high ? p->high : p->rows); }

/* A line of the tensor is a row of the piece. */
static moe_status read_rows(const moe_numbers *numbers, const part *p, int64_t first, float *line,
                            void *out) {
    for (int64_t r = 0; r < p->rows; r++) {
        int64_t from = first + (p->start + p->step * r) * p->columns;
        MOE_TRY(moe_numbers_read(numbers, from, p->columns, line));
        MOE_TRY(check_range(&numbers->tensor, p->dtype, line, p->columns));
        moe_store_block(p->dtype, out, (p->to + p->to_step * r) * stride(p), p->columns, line);
    }
    return MOE_OK;
}

/* A line of the tensor is a column of the piece. */
static moe_status read_columns(const moe_numbers *numbers, const part *p, int64_t first,
                               float *line, void *out) {
    for (int64_t c = 0; c < p->columns; c++) {
        MOE_TRY(moe_numbers_read(numbers, first + c * p->width, p->width, line));
        MOE_TRY(check_range(&numbers->tensor, p->dtype, line, p->width));
        for (int64_t r = 0; r < p->rows; r++)
            moe_store_block(p->dtype, out, (p->to + p->to_step * r) * stride(p) + c, 1,
                            &line[p->start + p->step * r]);
    }
    return MOE_OK;
}

static moe_status read_part(moe_model_weights *w, const part *p, int64_t expert, void *out) {
    moe_numbers numbers;
    int64_t first, length = p->turned ? p->width : p->columns;
    MOE_TRY(find_part(w, p, expert, &numbers, &first));
    float *line = malloc((size_t)length * sizeof *line);
    if (!line) return moe_fail(MOE_E_MEMORY, "no memory to read '%s'", numbers.tensor.name);
    moe_status status = (p->turned ? read_columns : read_rows)(&numbers, p, first, line, out);
    free(line);
    return status ? moe_fail_context(status, "%s", moe_shards_path(w->shards)) : MOE_OK;
}

moe_status moe_model_weights_read(moe_model_weights *w, moe_arg tensor, int64_t piece,
                                  void *out) {
    part parts[MAX_PARTS];
    int count = list_parts(w, tensor, parts);
    memset(out, 0, moe_model_weights_bytes(w, tensor));
    for (int i = 0; i < count; i++) MOE_TRY(read_part(w, &parts[i], piece, out));
    return MOE_OK;
}

/* ------------------------------------------------------------------------------------- opening */

bool moe_model_weights_hold(const moe_model_weights *w, moe_arg tensor) {
    part parts[MAX_PARTS];
    return list_parts(w, tensor, parts) > 0;
}

int64_t moe_model_weights_pieces(const moe_model_weights *w, moe_arg tensor) {
    part parts[MAX_PARTS];
    list_parts(w, tensor, parts);
    return parts[0].alone ? 1 : moe_layer_held(&w->layer);
}

size_t moe_model_weights_bytes(const moe_model_weights *w, moe_arg tensor) {
    part parts[MAX_PARTS];
    int count = list_parts(w, tensor, parts);
    size_t elements = 0;
    for (int i = 0; i < count; i++) elements += (size_t)room(&parts[i]);
    return elements * moe_dtype_size(parts[0].dtype);
}

/* True where up and down, which tell turned and fused layouts apart, have the layer's shapes. */
static bool layout_fits(void *context, const char *prefix, const moe_weight_names *names) {
    moe_model_weights try = *(moe_model_weights *)context;
    part parts[MAX_PARTS];
    try.prefix = prefix;
    try.names = names;
    const moe_arg telling[] = {MOE_ARG_up, MOE_ARG_down};
    for (size_t t = 0; t < sizeof telling / sizeof *telling; t++) {
        moe_numbers numbers;
        int64_t first;
        int count = list_parts(&try, telling[t], parts);
        for (int i = 0; i < count; i++)
            if (!parts[i].pattern || find_part(&try, &parts[i], 0, &numbers, &first)) return false;
    }
    return true;
}

/* What the model has and the layer has no place for would be left out in silence. */
static moe_status check_rest(const moe_model_weights *w) {
    const moe_layer *l = &w->layer;
    const moe_weight_names *n = w->names;
    const bool gated = moe_layer_gated(l);
    const struct {
        const char *pattern;
        bool used;
        const char *missing;
    } all[] = {
        {n->router_bias, l->bias & MOE_BIAS_ROUTER, "bias=router"},
        {n->key_bias, l->router.key_bias, "+bias behind the router's score"},
        {n->gate, gated, "an activation with a gate"},
        {n->gate_up, gated, "an activation with a gate"},
        {n->up_bias, l->bias & MOE_BIAS_UP, "bias=up"},
        {n->down_bias, l->bias & MOE_BIAS_DOWN, "bias=down"},
        {n->shared_down, l->shared.f > 0, "shared=F"},
        {n->shared_weight, l->shared.gated, "shared=F,gated"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char name[MOE_WEIGHT_NAME_SIZE];
        if (all[i].used || !all[i].pattern) continue;
        if (moe_weight_name(w->shards, w->prefix, n, all[i].pattern, w->index, 0, name))
            return moe_fail(MOE_E_INVALID, "%s: it has '%s', for which the layer lacks %s",
                            moe_shards_path(w->shards), name, all[i].missing);
    }
    return MOE_OK;
}

/* Notes the tensors that an expert's piece is read from, scales and all. */
static void note_part(moe_model_weights *w, const part *p, int64_t expert, json_t *read) {
    char name[MOE_WEIGHT_NAME_SIZE], scales[MOE_SCALES_NAME_SIZE];
    if (!p->pattern ||
        !moe_weight_name(w->shards, w->prefix, w->names, p->pattern, w->index, expert, name))
        return;
    json_object_set_new(read, name, json_true());
    if (moe_numbers_scales(w->shards, name, scales))
        json_object_set_new(read, scales, json_true());
}

/* Experts that other devices hold are read there. */
static void note_tensor(moe_model_weights *w, moe_arg tensor, json_t *read) {
    part parts[MAX_PARTS];
    int count = list_parts(w, tensor, parts);
    for (int i = 0; i < count; i++) {
        const bool each = parts[i].pattern && strchr(parts[i].pattern, '*');
        for (int64_t e = 0; e < (each ? w->layer.e : 1); e++) note_part(w, &parts[i], e, read);
    }
}

static moe_status check_unread(moe_model_weights *w) {
    json_t *read = json_object();
    if (!read) return moe_fail(MOE_E_MEMORY, "no memory for the names of tensors");
    for (moe_arg i = 0; i < MOE_TENSORS; i++)
        if (moe_layer_has(&w->layer, i)) note_tensor(w, i, read);
    moe_status status = moe_weight_unread(w->shards, w->prefix, w->names, w->index, read);
    json_decref(read);
    return status;
}

/* The file says in which dtype the router works: rounding it would choose other experts. */
static moe_status take_router_dtype(moe_model_weights *w) {
    char name[MOE_WEIGHT_NAME_SIZE];
    const moe_tensor *router;
    moe_layer layer = w->layer;
    if (layer.w == MOE_F32 ||
        !moe_weight_name(w->shards, w->prefix, w->names, w->names->router, w->index, 0, name))
        return MOE_OK;
    MOE_TRY(moe_shards_get(w->shards, name, &router));
    const bool own = router->type == moe_tensor_type_of(layer.w);
    layer.router_dtype = own ? MOE_ROUTER_W : MOE_ROUTER_F32;
    if (!own) MOE_TRY(moe_layer_check(&layer));
    w->layer = layer;
    return MOE_OK;
}

/* True where some numbers of a type have no equal in a dtype. Packed ones are made for any. */
static bool loses(moe_tensor_type type, moe_dtype to) {
    return type == MOE_TENSOR_F64 || (type == MOE_TENSOR_F32 && to != MOE_F32) ||
           (type == MOE_TENSOR_BF16 && to == MOE_F16) || (type == MOE_TENSOR_F16 && to == MOE_BF16);
}

/* What the layer's w makes of the experts' numbers, of which one tensor speaks for all. */
static moe_status note_rounding(moe_model_weights *w) {
    char name[MOE_WEIGHT_NAME_SIZE];
    const moe_tensor *down;
    if (!moe_weight_name(w->shards, w->prefix, w->names, w->names->down, w->index, 0, name))
        return MOE_OK;
    MOE_TRY(moe_shards_get(w->shards, name, &down));
    w->rounded = loses(down->type, w->layer.w) ? moe_tensor_type_name(down->type) : NULL;
    return MOE_OK;
}

/* Layers have shared experts of multiples of f; in files they are of any width. */
static moe_status take_shared_width(moe_model_weights *w) {
    char name[MOE_WEIGHT_NAME_SIZE];
    const moe_tensor *down;
    const moe_layer *l = &w->layer;
    if (!l->shared.f || !w->names->shared_down ||
        !moe_weight_name(w->shards, w->prefix, w->names, w->names->shared_down, w->index, 0, name))
        return MOE_OK;
    MOE_TRY(moe_shards_get(w->shards, name, &down));
    const int64_t width = down->rank == 2 ? down->shape[1] : l->shared.f;
    if (width < l->shared.f && l->shared.f - width < l->f) w->shared = width;
    return MOE_OK;
}

moe_status moe_model_weights_open(const char *path, const char *type, const moe_layer *layer,
                                  int64_t index, moe_model_weights *out) {
    moe_model_weights w = {.layer = *layer, .index = index, .shared = layer->shared.f};
    MOE_TRY(moe_shards_open(path, &w.shards));
    moe_status status =
        moe_weight_names_find(w.shards, type, index, layout_fits, &w, &w.prefix, &w.names);
    if (!status) status = check_rest(&w);
    if (!status) status = take_router_dtype(&w);
    if (!status) status = take_shared_width(&w);
    if (!status) status = note_rounding(&w);
    if (!status) status = check_unread(&w);
    if (status) moe_shards_close(w.shards);
    else *out = w;
    return status;
}

void moe_model_weights_close(moe_model_weights *weights) {
    moe_shards_close(weights->shards);
    *weights = (moe_model_weights){0};
}

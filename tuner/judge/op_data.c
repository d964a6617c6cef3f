/* op_data.c - an op's data on the device: put there, read back, compared with what it should be. */
#include "judge/op_kind.h"
#include "tolerance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_COPY = 64 << 20, ENOUGH_FOR_L2 = 1000 };

moe_status op_upload(moe_op_case *c, op_buffers *to, moe_arg arg, const void *host, size_t bytes) {
    const moe_device_class *class = c->device->class;
    MOE_TRY(class->alloc(c->device->self, bytes, &to->address[arg]));
    to->bytes[arg] = bytes;
    return host ? class->copy_in(c->device->self, to->address[arg], host, bytes) : MOE_OK;
}

/* Logits are made for the runs that are given them. */
moe_status op_make_inputs(moe_op_case *c, uint64_t seed) {
    int count;
    const moe_op_arg *args = moe_op_args(c->op.kind, &count);
    uint64_t read = 0;
    for (int i = 0; i < count; i++)
        if ((int)args[i].arg < MOE_CALLER_TENSORS) read |= UINT64_C(1) << args[i].arg;
    return moe_workload_init(&c->work, &c->op.layer, c->op.t, c->op.routing, seed,
                             read & ~MOE_MAKE_LOGITS);
}

moe_status op_upload_inputs(moe_op_case *c) {
    int count;
    const moe_op_arg *args = moe_op_args(c->op.kind, &count);
    for (int i = 0; i < count; i++) {
        const moe_arg arg = args[i].arg;
        const void *host = (int)arg < MOE_TENSORS ? moe_workload_array(&c->work, arg) : NULL;
        if (host)
            MOE_TRY(op_upload(c, &c->buffers, arg, host, moe_workload_bytes(&c->work, arg)));
    }
    return MOE_OK;
}

moe_status op_make_room(moe_op_case *c, moe_arg arg) {
    return op_upload(c, &c->buffers, arg, NULL, moe_workload_bytes(&c->work, arg));
}

moe_status op_upload_routing(moe_op_case *c, const int *ids) {
    MOE_TRY(op_upload(c, &c->buffers, MOE_ARG_ids, ids, (size_t)c->slots * sizeof *ids));
    return op_upload_weights(c);
}

moe_status op_upload_weights(moe_op_case *c) {
    return op_upload(c, &c->buffers, MOE_ARG_weights, c->weights,
                     (size_t)c->slots * sizeof *c->weights);
}

moe_status op_upload_given(moe_op_case *c) {
    const moe_device_class *class = c->device->class;
    op_buffers *b = &c->given[MOE_ENTRY_GIVEN];
    size_t ids = (size_t)c->slots * sizeof *c->ids, weights = (size_t)c->slots * sizeof *c->weights;
    if (!b->address[MOE_ARG_ids]) {
        MOE_TRY(op_upload(c, b, MOE_ARG_ids, NULL, ids));
        MOE_TRY(op_upload(c, b, MOE_ARG_weights, NULL, weights));
    }
    MOE_TRY(class->copy_in(c->device->self, b->address[MOE_ARG_ids], c->given_ids, ids));
    return class->copy_in(c->device->self, b->address[MOE_ARG_weights], c->weights, weights);
}

moe_status op_download(moe_op_case *c, const op_buffers *from, moe_arg arg, void *out) {
    void *host = malloc(from->bytes[arg] + 1);
    if (!host) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes", from->bytes[arg]);
    *(void **)out = host;
    return c->device->class->copy_out(c->device->self, host, from->address[arg], from->bytes[arg]);
}

moe_status op_upload_rows(moe_op_case *c, op_layout *layout, moe_arg arg, int64_t width) {
    const moe_device_class *class = c->device->class;
    size_t row = (size_t)width * moe_dtype_size(c->op.layer.x);
    size_t bytes = (size_t)layout->maps.rows * row;
    MOE_TRY(op_upload(c, &layout->buffers, arg, NULL, bytes));
    MOE_TRY(class->poison(c->device->self, layout->buffers.address[arg], bytes));
    char *rows = malloc(bytes + 1);
    if (!rows) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes of rows", bytes);
    for (int64_t i = 0; i < layout->maps.rows; i++)
        if (layout->maps.row_slots[i] >= 0)
            memcpy(rows + (size_t)i * row,
                   (char *)c->slot_values + (size_t)layout->maps.row_slots[i] * row, row);
    moe_status status = MOE_OK;
    for (int64_t e = 0; e < moe_layer_listed(&c->op.layer) && !status; e++) {
        size_t start = (size_t)layout->maps.expert_start[e] * row;
        size_t size = (size_t)layout->maps.expert_rows[e] * row;
        if (size)
            status = class->copy_in(c->device->self, layout->buffers.address[arg] + start,
                                    rows + start, size);
    }
    free(rows);
    return status;
}

moe_status op_choose_spots(moe_op_case *c, int64_t n, int64_t count) {
    if (count > n) count = n;
    if (count < 1) count = n > 0;
    c->spots = count;
    c->spot = malloc((size_t)(count + 1) * sizeof *c->spot);
    if (!c->spot) return moe_fail(MOE_E_MEMORY, "no memory for %lld spots", (long long)count);
    for (int64_t i = 0; i < count; i++) c->spot[i] = (i + 1) * n / count - 1;
    return MOE_OK;
}

/* -------------------------------------------------------------------------------- comparing */

static moe_status read_raw(moe_op_case *c, moe_ptr matrix, size_t bytes, const int64_t *row,
                           int64_t n, char *raw) {
    const moe_device_class *class = c->device->class;
    size_t size = (size_t)c->width * moe_dtype_size(c->op.layer.x);
    if (bytes > WHOLE_COPY) {
        for (int64_t i = 0; i < n; i++)
            MOE_TRY(class->copy_out(c->device->self, raw + (size_t)i * size,
                                    matrix + (size_t)row[i] * size, size));
        return MOE_OK;
    }
    char *whole = malloc(bytes + 1);
    if (!whole) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes of results", bytes);
    moe_status status = class->copy_out(c->device->self, whole, matrix, bytes);
    for (int64_t i = 0; i < n && !status; i++)
        memcpy(raw + (size_t)i * size, whole + (size_t)row[i] * size, size);
    free(whole);
    return status;
}

moe_status op_refer_layer(moe_op_case *c) {
    const moe_host_layer in = moe_workload_host(&c->work);
    double *weights = malloc((size_t)c->slots * sizeof *weights);
    c->want = malloc((size_t)(c->spots * c->width) * sizeof *c->want);
    moe_status status = MOE_OK;
    if (!weights || !c->want)
        status = moe_fail(MOE_E_MEMORY, "no memory for the reference of %lld tokens",
                          (long long)c->spots);
    for (int64_t s = 0; s < c->slots && !status; s++) weights[s] = (double)c->weights[s];
    if (!status)
        status = moe_ref_layer(&c->op.layer, c->op.t, &in, c->ids, weights, c->kept, c->spot,
                               c->spots, c->want);
    free(weights);
    return status;
}

moe_status op_read_rows(moe_op_case *c, moe_ptr matrix, size_t bytes, const int64_t *row, int64_t n,
                        double *out) {
    size_t size = (size_t)(n * c->width) * moe_dtype_size(c->op.layer.x);
    char *raw = malloc(size + 1);
    if (!raw) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes of results", size);
    moe_status status = read_raw(c, matrix, bytes, row, n, raw);
    for (int64_t i = 0; i < n * c->width && !status; i++)
        out[i] = moe_load(c->op.layer.x, raw, i);
    free(raw);
    return status;
}

/* The verdict on got [spots,width]; the l2 tolerance is for many elements only. */
static void judge(moe_op_case *c, const char *name, const double *got, moe_verdict *out) {
    int64_t n = c->spots * c->width;
    const moe_error_stats stats = moe_compare(got, c->want, n);
    double limit = moe_op_tolerance(&c->op), limit_l2 = moe_op_tolerance_l2(&c->op);
    bool good_l2 = n < ENOUGH_FOR_L2 || stats.rel_l2 <= limit_l2;
    *out = (moe_verdict){.ok = stats.max_over_rms <= limit && good_l2,
                         .error = stats.max_over_rms};
    if (out->ok || !n) return;
    snprintf(out->text, sizeof out->text,
             "%s[%lld,%lld] is %.6g, should be %.6g: error %.3g of the rms, tolerance %.3g; "
             "relative l2 error %.3g, tolerance %.3g", name,
             (long long)c->spot[stats.worst / c->width], (long long)(stats.worst % c->width),
             got[stats.worst], c->want[stats.worst], stats.max_over_rms, limit, stats.rel_l2,
             limit_l2);
}

moe_status op_judge_rows(moe_op_case *c, const char *name, moe_ptr matrix, size_t bytes,
                         const int64_t *row, moe_verdict *out) {
    double *got = malloc((size_t)(c->spots * c->width + 1) * sizeof *got);
    if (!got) return moe_fail(MOE_E_MEMORY, "no memory for %lld results", (long long)c->spots);
    moe_status status = op_read_rows(c, matrix, bytes, row, c->spots, got);
    if (!status) judge(c, name, got, out);
    free(got);
    return status;
}

/* simulate_arg.c - reads, fills and prints the arguments of a simulated kernel. */
#include "command/simulate_arg.h"

#include "core/text.h"
#include "random.h"
#include "reference.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 8 };

typedef enum number_kind { KIND_SIGNED, KIND_UNSIGNED, KIND_HALF, KIND_F32, KIND_F64 } number_kind;

struct simulate_type {
    const char *name;
    size_t bytes;
    number_kind kind;
    moe_dtype dtype; /* of KIND_HALF */
};

static const simulate_type types[] = {
    {"i8", 1, KIND_SIGNED, 0},    {"u8", 1, KIND_UNSIGNED, 0},  {"i16", 2, KIND_SIGNED, 0},
    {"u16", 2, KIND_UNSIGNED, 0}, {"i32", 4, KIND_SIGNED, 0},   {"u32", 4, KIND_UNSIGNED, 0},
    {"i64", 8, KIND_SIGNED, 0},   {"u64", 8, KIND_UNSIGNED, 0}, {"f16", 2, KIND_HALF, MOE_F16},
    {"bf16", 2, KIND_HALF, MOE_BF16}, {"f32", 4, KIND_F32, 0},  {"f64", 8, KIND_F64, 0},
};

static const simulate_type *find_type(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) return &types[i];
    return NULL;
}

/* Writes a real number as an element; integers are cut off. */
static void store(const simulate_type *type, void *to, double value) {
    float single = (float)value;
    int64_t whole = type->kind == KIND_SIGNED || type->kind == KIND_UNSIGNED ? (int64_t)value : 0;
    switch (type->kind) {
    case KIND_HALF: moe_store(type->dtype, to, 0, value); break;
    case KIND_F32: memcpy(to, &single, sizeof single); break;
    case KIND_F64: memcpy(to, &value, sizeof value); break;
    default: memcpy(to, &whole, type->bytes); /* little endian */
    }
}

static void add_element(const simulate_type *type, const unsigned char *from, moe_text *out) {
    uint64_t bits = 0;
    float single;
    double real;
    memcpy(&bits, from, type->bytes);
    unsigned shift = 64 - 8 * (unsigned)type->bytes;
    switch (type->kind) {
    case KIND_SIGNED:
        moe_text_add(out, " %lld", (long long)((int64_t)(bits << shift) >> shift));
        break;
    case KIND_UNSIGNED: moe_text_add(out, " %llu", (unsigned long long)bits); break;
    case KIND_HALF: moe_text_add(out, " %.6g", moe_load(type->dtype, from, 0)); break;
    case KIND_F32:
        memcpy(&single, from, sizeof single);
        moe_text_add(out, " %.9g", (double)single);
        break;
    case KIND_F64:
        memcpy(&real, from, sizeof real);
        moe_text_add(out, " %.17g", real);
    }
}

/* -------------------------------------------------------------------------------------- parse */

/* Cuts the next part, up to a colon, off *cursor; "" at the end. */
static char *next_part(char **cursor) {
    char *part = *cursor, *colon = strchr(part, ':');
    if (colon) *colon = '\0';
    *cursor = colon ? colon + 1 : part + strlen(part);
    return part;
}

static moe_status parse_whole(const char *text, const char *what, uint64_t *out) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 0);
    if (*text && !*end && !errno) return MOE_OK;
    return moe_fail(MOE_E_PARSE, "%s: '%s' is not a whole number", what, text);
}

static moe_status parse_number(const char *text, simulate_arg *out) {
    char *end;
    double value = strtod(text, &end);
    if (!*text || *end)
        return moe_fail(MOE_E_PARSE, "--arg %s:%s: a number is needed", out->type->name, text);
    if (out->type->kind == KIND_SIGNED || out->type->kind == KIND_UNSIGNED) {
        uint64_t bits = *text == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
        if (*end)
            return moe_fail(MOE_E_PARSE, "--arg %s:%s: not a whole number", out->type->name, text);
        memcpy(&out->bits, &bits, out->type->bytes);
    } else {
        store(out->type, &out->bits, value);
    }
    return MOE_OK;
}

static moe_status parse_init(char *rest, simulate_arg *out) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s", rest);
    char *word = next_part(&rest);
    if (!*word) return MOE_OK;
    if (!strcmp(word, "zero") && !*rest) {
        out->init = INIT_ZERO;
    } else if (!strcmp(word, "rand")) {
        out->init = INIT_RANDOM;
        if (*rest) MOE_TRY(parse_whole(rest, "--arg buf: seed", &out->seed));
    } else {
        out->init = INIT_FILE;
        snprintf(out->from, sizeof out->from, "%s", whole);
    }
    return MOE_OK;
}

static moe_status parse_buffer(char *rest, simulate_arg *out) {
    char *arrow = strrchr(rest, '>');
    if (arrow) {
        snprintf(out->to, sizeof out->to, "%s", arrow + 1);
        *arrow = '\0';
    }
    const char *type = next_part(&rest), *count = next_part(&rest);
    out->buffer = true;
    out->type = find_type(type);
    if (!out->type)
        return moe_fail(MOE_E_PARSE, "--arg buf:%s: no such type; use i32, f32, bf16, ...", type);
    MOE_TRY(parse_whole(count, "--arg buf: count", &out->count));
    if (out->count > SIZE_MAX / 2 / out->type->bytes)
        return moe_fail(MOE_E_INVALID, "--arg buf: %s elements are too many", count);
    return parse_init(rest, out);
}

moe_status simulate_arg_parse(const char *text, simulate_arg *out) {
    char copy[512], *rest = copy;
    *out = (simulate_arg){.buffer = false};
    if (strlen(text) >= sizeof copy) return moe_fail(MOE_E_PARSE, "--arg: too long");
    strcpy(copy, text);
    const char *kind = next_part(&rest);
    if (!strcmp(kind, "buf")) return parse_buffer(rest, out);
    if (!strcmp(kind, "tmap"))
        return moe_fail(MOE_E_UNSUPPORTED, "--arg tmap: the simulated GPU has no tensor maps yet");
    out->type = find_type(kind);
    if (!out->type)
        return moe_fail(MOE_E_PARSE, "--arg %s: write TYPE:NUMBER or buf:TYPE:COUNT", text);
    return parse_number(rest, out);
}

/* --------------------------------------------------------------------------------------- fill */

static moe_status read_file(const char *path, void *data, size_t bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) return moe_fail(MOE_E_NOT_FOUND, "%s: %s", path, strerror(errno));
    size_t got = fread(data, 1, bytes, file);
    fclose(file);
    if (got == bytes) return MOE_OK;
    return moe_fail(MOE_E_INVALID, "%s: %zu bytes are needed, it has %zu", path, bytes, got);
}

static void fill_random(const simulate_arg *arg, unsigned char *data) {
    bool whole = arg->type->kind == KIND_SIGNED || arg->type->kind == KIND_UNSIGNED;
    moe_random random = moe_random_stream(arg->seed, 0);
    for (uint64_t i = 0; i < arg->count; i++) {
        double uniform = moe_random_uniform(random, i);
        store(arg->type, data + i * arg->type->bytes, whole ? uniform * 128 : uniform * 2 - 1);
    }
}

moe_status simulate_arg_place(simulate_arg *arg, sim_context *gpu) {
    size_t bytes = arg->buffer ? arg->count * arg->type->bytes : 0;
    if (!arg->buffer) return MOE_OK;
    MOE_TRY(sim_alloc(gpu, bytes, &arg->bits));
    if (arg->init == INIT_NONE) return MOE_OK;
    void *data = calloc(bytes + 1, 1);
    if (!data) return moe_fail(MOE_E_MEMORY, "no memory for a buffer of %zu bytes", bytes);
    moe_status status = MOE_OK;
    if (arg->init == INIT_RANDOM) fill_random(arg, data);
    if (arg->init == INIT_FILE) status = read_file(arg->from, data, bytes);
    if (status == MOE_OK) status = sim_copy_in(gpu, arg->bits, data, bytes);
    free(data);
    return status;
}

size_t simulate_arg_size(const simulate_arg *arg) {
    return arg->buffer ? sizeof(uint64_t) : arg->type->bytes;
}

bool simulate_arg_fits(const simulate_arg *arg, const char *type) {
    bool real = arg->type->kind >= KIND_HALF && !arg->buffer;
    if (simulate_arg_size(arg) * 8 != strtoul(type + strcspn(type, "0123456789"), NULL, 10))
        return false;
    return *type == 'b' || (*type == 'f') == real;
}

/* ------------------------------------------------------------------------------------- result */

static moe_status write_file(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    if (!file) return moe_fail(MOE_E_IO, "%s: %s", path, strerror(errno));
    bool good = fwrite(data, 1, bytes, file) == bytes;
    if (fclose(file) == 0 && good) return MOE_OK;
    return moe_fail(MOE_E_IO, "%s: %s", path, strerror(errno));
}

moe_status simulate_arg_result(const simulate_arg *arg, sim_context *gpu, char *text, size_t size) {
    size_t bytes = arg->count * arg->type->bytes;
    moe_text out = moe_text_start(text, size);
    unsigned char *data = malloc(bytes + 1);
    if (!data) return moe_fail(MOE_E_MEMORY, "no memory for a buffer of %zu bytes", bytes);
    moe_status status = sim_copy_out(gpu, data, arg->bits, bytes);
    moe_text_add(&out, "%s[%llu]", arg->type->name, (unsigned long long)arg->count);
    for (uint64_t i = 0; status == MOE_OK && i < arg->count && i < SHOWN; i++)
        add_element(arg->type, data + i * arg->type->bytes, &out);
    if (arg->count > SHOWN) moe_text_add(&out, " ...");
    if (status == MOE_OK && arg->to[0]) status = write_file(arg->to, data, bytes);
    free(data);
    return status;
}

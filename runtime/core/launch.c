/* launch.c - launch rules as data: their text form and their evaluation. */
#include "core/launch.h"

#include "core/layer.h"
#include "core/map.h"

#include <stdio.h>
#include <string.h>

#define CEIL_DIV(n, m) (((n) + (m)-1) / (m))

static const char *const rule_names[] = {
#define MOE_GRID(name, expression, help) #name,
#include "core/gridrule.def"
#undef MOE_GRID
    NULL,
};

int64_t moe_row_tiles(int64_t rows, int64_t experts, int64_t bm) {
    int64_t busy = rows < experts ? rows : experts;
    return busy + (rows - busy) / bm;
}

int64_t moe_grid_blocks(const moe_grid *grid, const moe_layer *layer, int64_t tokens, int64_t sms) {
    const int64_t T = tokens, R = T * layer->k, SMS = sms, a = grid->a, b = grid->b;
    const int64_t E = moe_layer_held(layer), SHARED = moe_layer_shared_experts(layer);
    if (T == 0) return 0;
    switch (grid->rule) {
#define MOE_GRID(name, expression, help)                                                           \
    case MOE_GRID_##name:                                                                          \
        return (void)E, (void)R, (void)SHARED, (void)SMS, (void)b, (expression);
#include "core/gridrule.def"
#undef MOE_GRID
    case MOE_GRID_COUNT: break;
    }
    return 0;
}

int64_t moe_launch_scratch(const moe_launch *launch, const moe_layer *layer, int64_t tokens,
                           int64_t sms) {
    int64_t blocks = moe_grid_blocks(&launch->kernel[0].grid, layer, tokens, sms);
    return launch->scratch_fixed + launch->scratch_token * tokens + launch->scratch_block * blocks;
}

moe_status moe_grid_parse(const char *text, moe_grid *out) {
    char name[24], end = 0;
    long long a = 0, b = 1;
    int fields = sscanf(text, "%23[a-z_](%lld,%lld%c", name, &a, &b, &end);
    if (fields < 4) {
        b = 1;
        fields = sscanf(text, "%23[a-z_](%lld%c", name, &a, &end) == 3 ? 4 : 0;
    }
    if (fields != 4 || end != ')' || text[strlen(text) - 1] != ')' || a < 1 || b < 1)
        return moe_fail(MOE_E_PARSE,
                        "grid: '%.64s' should read like tokens(64) or row_tiles(128,12)", text);
    const moe_field names = {.names = rule_names};
    int rule;
    moe_status status = moe_field_enum.parse(&names, name, &rule);
    if (status) return moe_fail_context(status, "grid");
    *out = (moe_grid){(moe_grid_rule)rule, a, b};
    return MOE_OK;
}

static moe_status parse_grid(const moe_field *field, const char *text, void *value) {
    (void)field;
    return moe_grid_parse(text, value);
}

static void print_grid(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    const moe_grid *grid = value;
    moe_text_add(out, "%s(%lld", rule_names[grid->rule], (long long)grid->a);
    moe_text_add(out, grid->b != 1 ? ",%lld)" : ")", (long long)grid->b);
}

static moe_status parse_symbol(const moe_field *field, const char *text, void *value) {
    (void)field;
    if (!*text || strlen(text) >= MOE_SYMBOL_SIZE)
        return moe_fail(MOE_E_PARSE, "'%.80s' is not a kernel's symbol", text);
    strcpy(value, text);
    return MOE_OK;
}

static void print_symbol(const moe_field *field, const void *value, moe_text *out) {
    (void)field;
    moe_text_add(out, "%s", (const char *)value);
}

static const moe_field_type field_grid = {parse_grid, print_grid, false};
static const moe_field_type field_symbol = {parse_symbol, print_symbol, false};

#define AT(member) offsetof(moe_kernel, member)
static const moe_field kernel_fields[] = {
    {"kernel", AT(symbol), &field_symbol, NULL, NULL, 0, 0, false},
    {"grid", AT(grid), &field_grid, NULL, NULL, 0, 0, false},
    {"block", AT(block), &moe_field_integer, NULL, NULL, 1, 1024, false},
    {"cluster", AT(cluster), &moe_field_integer, "1", NULL, 1, 16, false},
    {"smem", AT(smem), &moe_field_integer, "0", NULL, 0, 1 << 20, false},
    {"overlap", AT(overlap), &moe_field_integer, "0", NULL, 0, 1, false},
    {"cooperative", AT(cooperative), &moe_field_integer, "0", NULL, 0, 1, true},
    {"regs", AT(regs), &moe_field_integer, "0", NULL, 0, 1024, false},
    {"spills", AT(spills), &moe_field_integer, "0", NULL, 0, 1 << 30, false},
    {"static_smem", AT(static_smem), &moe_field_integer, "0", NULL, 0, 1 << 20, false},
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};
#undef AT

#define AT(member) offsetof(moe_launch, member)
static const moe_field launch_fields[] = {
    {"align", AT(align), &moe_field_integer, "1", NULL, 1, 1 << 16, false},
    {"scratch_fixed", AT(scratch_fixed), &moe_field_integer, "0", NULL, 0, INT64_C(1) << 40, false},
    {"scratch_token", AT(scratch_token), &moe_field_integer, "0", NULL, 0, INT64_C(1) << 40, false},
    {"scratch_block", AT(scratch_block), &moe_field_integer, "0", NULL, 0, INT64_C(1) << 40, false},
    {"deterministic", AT(deterministic), &moe_field_integer, "1", NULL, 0, 1, false},
    {"max_slots", AT(max_slots), &moe_field_integer, "0", NULL, 0, INT32_MAX, false},
    {"maps", AT(maps), &moe_field_maps, "none", NULL, 0, 0, false},
    {NULL, 0, NULL, NULL, NULL, 0, 0, false},
};
#undef AT

/* The text of kernels comes first, then that of the launch; each part goes to its own table. */
moe_status moe_launch_parse(const char *text, moe_launch *out) {
    moe_launch launch = {0};
    const char *rest = text + strcspn(text, "\n");
    const char *mark = strstr(text, "align=");
    if (mark) rest = mark;
    while (!strncmp(text, "kernel=", 7)) {
        char part[512];
        const char *next = strstr(text + 7, "kernel=");
        size_t length = (size_t)((next && next < rest ? next : rest) - text);
        if (length >= sizeof part || launch.kernels == MOE_MAX_KERNELS)
            return moe_fail(MOE_E_PARSE, "launch: too long, or more than %d kernels",
                            MOE_MAX_KERNELS);
        memcpy(part, text, length);
        part[length] = '\0';
        MOE_TRY(moe_fields_parse(kernel_fields, "launch", part, &launch.kernel[launch.kernels++]));
        text += length;
    }
    if (!launch.kernels) return moe_fail(MOE_E_PARSE, "launch: '%.64s' names no kernel", text);
    MOE_TRY(moe_fields_parse(launch_fields, "launch", text, &launch));
    *out = launch;
    return MOE_OK;
}

void moe_launch_print(const moe_launch *launch, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    for (int64_t i = 0; i < launch->kernels; i++) {
        moe_fields_print(kernel_fields, UINT64_MAX, &launch->kernel[i], &out);
        moe_text_add(&out, " ");
    }
    moe_fields_print(launch_fields, UINT64_MAX, launch, &out);
}

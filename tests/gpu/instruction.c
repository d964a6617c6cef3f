/* instruction.c - runs micro-tests of instructions. */
#include "instruction.h"

#include "compile/compile.h"
#include "core/status.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 16);
    if (!file || !text || !fread(text, 1, (1 << 16) - 1, file)) fail_msg("cannot read %s", path);
    fclose(file);
    return text;
}

static unsigned number(const char *line, const char *key, unsigned otherwise) {
    const char *at = strstr(line, key);
    return at ? (unsigned)strtoul(at + strlen(key), NULL, 10) : otherwise;
}

static void word(const char *line, const char *key, const char *otherwise, char *out,
                 size_t size) {
    const char *at = strstr(line, key);
    const char *from = at ? at + strlen(key) : otherwise;
    snprintf(out, size, "%.*s", (int)strcspn(from, " "), from);
}

void instruction_read(const char *path, instruction *out) {
    char line[512], *body = read_text(path), *prelude = read_text("tests/gpu/golden/prelude.cuh");
    *out = (instruction){0};
    snprintf(out->name, sizeof out->name, "%s", strrchr(path, '/') + 1);
    out->name[strcspn(out->name, ".")] = '\0';
    const char *second = strchr(body, '\n') + 1;
    snprintf(line, sizeof line, "%.*s ", (int)strcspn(second, "\n"), second);
    if (strncmp(line, "// ", 3)) fail_msg("%s: the second line should hold keys", path);
    out->block = number(line, " block=", 128);
    out->cluster = number(line, " cluster=", 1);
    out->smem = number(line, " smem=", 0);
    out->out = number(line, " out=", 256);
    out->twin = number(line, " twin=", 0);
    out->ulp = number(line, " ulp=", 0);
    word(line, " data=", "bits", out->data, sizeof out->data);
    word(line, " in_map=", "", out->in_map, sizeof out->in_map);
    word(line, " out_map=", "", out->out_map, sizeof out->out_map);
    size_t size = strlen(prelude) + strlen(body) + 64;
    out->source = malloc(size);
    assert_non_null(out->source);
    snprintf(out->source, size, "%s#line 1 \"%s\"\n%s", prelude, path, body);
    free(prelude);
    free(body);
    assert_true(out->out <= INSTRUCTION_WORDS);
}

void instruction_free(instruction *i) { free(i->source); }

/* Values whose products and sums are exact in fp32: eighths up to 2 in magnitude. */
static void fill(const instruction *i, uint32_t *words) {
    for (uint32_t n = 0; n < INSTRUCTION_WORDS; n++) {
        uint32_t a = (n * 2654435761u >> 9) % 33, b = (n * 2246822519u >> 11) % 33;
        float x = ((float)a - 16) / 8, y = ((float)b - 16) / 8;
        uint32_t bits_x, bits_y;
        memcpy(&bits_x, &x, 4);
        memcpy(&bits_y, &y, 4);
        if (!strcmp(i->data, "bf16")) {
            words[n] = bits_x >> 16 | (bits_y & 0xffff0000);
        } else if (!strcmp(i->data, "f16")) {
            _Float16 halves[2] = {(_Float16)x, (_Float16)y};
            memcpy(&words[n], halves, 4);
        } else if (!strcmp(i->data, "f32")) {
            words[n] = bits_x;
        } else {
            words[n] = n * 2654435761u ^ n << 7;
        }
    }
}

/* Of a map's elements: as the data, bits taken for bf16. */
static moe_dtype element_type(const instruction *i) {
    return !strcmp(i->data, "f32") ? MOE_F32 : !strcmp(i->data, "f16") ? MOE_F16 : MOE_BF16;
}

/* "100x64:64x8:128" at an address */
static moe_status encode(moe_device *device, const instruction *i, const char *text,
                         moe_ptr address, void *map) {
    moe_tensor_view view = {.address = address, .dtype = element_type(i), .swizzle = 0};
    const char *at = text;
    char *end;
    uint64_t stride = moe_dtype_size(view.dtype);
    for (view.rank = 0; view.rank < 5; at = end + 1) {
        view.size[view.rank] = strtoul(at, &end, 10);
        view.stride[view.rank] = stride;
        stride *= view.size[view.rank++];
        if (*end != 'x') break;
    }
    for (int d = 0; d < view.rank; d++) view.box[d] = (uint32_t)strtoul(end + 1, &end, 10);
    view.swizzle = (int)strtol(end + 1, &end, 10);
    if (*end) return moe_fail(MOE_E_PARSE, "map '%s'", text);
    return device->class->tensor_map(device->self, &view, map);
}

typedef struct arguments {
    _Alignas(MOE_TENSOR_MAP_ALIGN) unsigned char map[2][MOE_TENSOR_MAP_SIZE];
    moe_ptr in, out;
} arguments;

static moe_status launch(moe_device *device, const instruction *i, const moe_image *image,
                         const arguments *args) {
    const moe_dims dims = {.grid = {i->cluster, 1, 1}, .block = {i->block, 1, 1},
                           .cluster = i->cluster, .smem = i->smem};
    void *module;
    MOE_TRY(device->class->load(device->self, image, &module));
    moe_status status =
        device->class->launch(device->self, module, 0, &dims, args, sizeof *args, NULL);
    if (!status) status = device->class->sync(device->self, NULL);
    device->class->unload(device->self, module);
    return status;
}

static moe_status run_image(moe_device *device, const instruction *i, const moe_image *image,
                            uint32_t *result) {
    const moe_device_class *class = device->class;
    uint32_t in[INSTRUCTION_WORDS];
    arguments args = {0};
    fill(i, in);
    MOE_TRY(class->alloc(device->self, sizeof in, &args.in));
    MOE_TRY(class->alloc(device->self, i->out * 4, &args.out));
    MOE_TRY(class->copy_in(device->self, args.in, in, sizeof in));
    MOE_TRY(class->fill(device->self, args.out, 0, i->out * 4, NULL));
    if (*i->in_map) MOE_TRY(encode(device, i, i->in_map, args.in, args.map[0]));
    if (*i->out_map) MOE_TRY(encode(device, i, i->out_map, args.out, args.map[1]));
    moe_status status = launch(device, i, image, &args);
    if (!status) status = class->copy_out(device->self, result, args.out, i->out * 4);
    class->free(device->self, args.in);
    class->free(device->self, args.out);
    return status;
}

moe_status instruction_run(moe_device *device, const instruction *i, uint32_t *result) {
    moe_compiled compiled;
    MOE_TRY(moe_compile_text(i->name, i->source, "sm_90a", &compiled));
    if (compiled.outcome != MOE_OUTCOME_OK) fail_msg("%s: %s", i->name, compiled.log);
    moe_image image = compiled.image;
    image.launch.kernels = 1;
    image.launch.kernel[0] = (moe_kernel){.symbol = "k", .smem = i->smem};
    moe_status status = run_image(device, i, &image, result);
    moe_compiled_free(&compiled);
    return status;
}

static bool is_close(uint32_t a, uint32_t b, unsigned ulp) {
    float x, y;
    if (a == b) return true;
    if (!ulp) return false;
    memcpy(&x, &a, 4);
    memcpy(&y, &b, 4);
    return fabsf(x - y) <= (float)ulp * 0x1p-23f * fmaxf(fabsf(x), fabsf(y));
}

int instruction_compare(const instruction *i, const uint32_t *a, const uint32_t *b,
                        unsigned count) {
    for (unsigned n = 0; n < count; n++)
        if (!is_close(a[n], b[n], i->ulp)) return (int)n;
    return -1;
}

static void golden_path(const instruction *i, const char *arch, char *path, size_t size) {
    snprintf(path, size, "tests/gpu/golden/%s/%s.txt", arch, i->name);
}

bool instruction_golden(const instruction *i, const char *arch, uint32_t *result) {
    char path[256];
    golden_path(i, arch, path, sizeof path);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    unsigned count = 0, value;
    while (count < i->out && fscanf(file, "%x", &value) == 1) result[count++] = value;
    fclose(file);
    if (count != i->out) fail_msg("%s has %u words of %u", path, count, i->out);
    return true;
}

void instruction_write_golden(const instruction *i, const char *arch, const uint32_t *result) {
    char path[256];
    snprintf(path, sizeof path, "tests/gpu/golden/%s", arch);
    mkdir(path, 0777);
    golden_path(i, arch, path, sizeof path);
    FILE *file = fopen(path, "w");
    if (!file) fail_msg("cannot write %s", path);
    for (unsigned n = 0; n < i->out; n++)
        fprintf(file, "%08x%c", result[n], n % 8 == 7 || n + 1 == i->out ? '\n' : ' ');
    fclose(file);
}

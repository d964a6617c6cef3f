/* sim_device.c - the simulated GPU as a device class:
 * "sim:h100[,seed=N][,threads=N][,checks=0|1][,portable=0|1]". */
#include "core/status.h"
#include "device/device_library.h"
#include "gpu/sim_device.h"
#include "machine/tensor_map.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct simulated {
    sim_context *context;
    bool timing;
    double nanoseconds; /* since time_begin */
} simulated;

/* A loaded image: which entry each kernel is, and the resources that its compiler reported. */
typedef struct simulated_module {
    sim_module *module;
    int entries[MOE_MAX_KERNELS];
    moe_launch launch;
} simulated_module;

/* ---- opening */

static moe_status parse_option(const char *text, size_t length, sim_options *options) {
    char copy[64], *end;
    static const char *const names[] = {"seed=", "threads=", "checks=", "portable="};

    if (length >= sizeof copy)
        return moe_fail(MOE_E_PARSE, "device option '%.*s' is too long", (int)length, text);
    memcpy(copy, text, length);
    copy[length] = 0;
    for (int i = 0; i < 4; i++) {
        size_t name = strlen(names[i]);
        if (strncmp(copy, names[i], name) != 0) continue;
        unsigned long long value = strtoull(copy + name, &end, 10);
        if (end == copy + name || *end || (i == 1 && value > 1024) || (i >= 2 && value > 1)) break;
        if (i == 0) options->seed = value;
        if (i == 1) options->threads = (int)value;
        if (i == 2) options->checks = value != 0;
        if (i == 3) options->portable = value != 0;
        return MOE_OK;
    }
    return moe_fail(MOE_E_PARSE,
                    "device option '%s': use seed=N, threads=N, checks=0|1 or portable=0|1", copy);
}

moe_status sim_device_parse(const char *rest, char *chip, size_t size, sim_options *options) {
    size_t length = strcspn(rest, ",");

    if (length >= size) return moe_fail(MOE_E_PARSE, "no simulated chip '%s'", rest);
    snprintf(chip, size, "%.*s", (int)length, rest);
    for (rest += length; *rest == ',';) {
        rest++;
        length = strcspn(rest, ",");
        MOE_TRY(parse_option(rest, length, options));
        rest += length;
    }
    return MOE_OK;
}

static moe_status unknown_chip(const char *chip) {
    char known[256] = "";

    for (int i = 0; sim_chip_names[i]; i++) {
        size_t at = strlen(known);
        snprintf(known + at, sizeof known - at, " sim:%s", sim_chip_names[i]);
    }
    return moe_fail(MOE_E_NOT_FOUND, "no simulated chip '%s'; there are%s", chip, known);
}

static moe_status device_open(const char *rest, void **self) {
    sim_options options = {.checks = true};
    moe_facts facts;
    char chip[64];
    simulated *s;

    MOE_TRY(sim_device_parse(rest, chip, sizeof chip, &options));
    const char *text = sim_chip_facts(chip);
    if (!text) return unknown_chip(chip);
    MOE_TRY(moe_facts_parse(text, &facts));
    s = calloc(1, sizeof *s);
    if (!s) return moe_fail(MOE_E_MEMORY, "out of memory for a simulated GPU");
    moe_status status = sim_open(&facts, &options, &s->context);
    if (status == MOE_OK) *self = s;
    else free(s);
    return status;
}

static void device_close(void *self) {
    simulated *s = self;

    if (!s) return;
    sim_close(s->context);
    free(s);
}

static const moe_facts *device_facts(const void *self) {
    return sim_facts(((const simulated *)self)->context);
}

/* ---- memory */

static moe_status device_alloc(void *self, size_t bytes, moe_ptr *out) {
    return sim_alloc(((simulated *)self)->context, bytes, out);
}

static moe_status device_free(void *self, moe_ptr address) {
    return sim_free(((simulated *)self)->context, address);
}

static moe_status device_copy_in(void *self, moe_ptr to, const void *host, size_t bytes) {
    return sim_copy_in(((simulated *)self)->context, to, host, bytes);
}

static moe_status device_copy_out(void *self, void *host, moe_ptr from, size_t bytes) {
    return sim_copy_out(((simulated *)self)->context, host, from, bytes);
}

static moe_status device_fill(void *self, moe_ptr to, int byte, size_t bytes, void *stream) {
    (void)stream;
    return sim_fill(((simulated *)self)->context, to, byte, bytes);
}

static moe_status device_poison(void *self, moe_ptr to, size_t bytes) {
    return sim_poison(((simulated *)self)->context, to, bytes);
}

/* ---- images */

static void device_unload(void *self, void *module) {
    simulated_module *m = module;

    if (!m) return;
    sim_unload(((simulated *)self)->context, m->module);
    free(m);
}

static moe_status find_entries(simulated_module *m) {
    for (int64_t i = 0; i < m->launch.kernels; i++)
        MOE_TRY(sim_find_entry(m->module, m->launch.kernel[i].symbol, &m->entries[i]));
    return MOE_OK;
}

static moe_status device_load(void *self, const moe_image *image, void **module) {
    simulated *s = self;
    simulated_module *m;

    if (!image->ptx)
        return moe_fail(MOE_E_UNSUPPORTED, "the image has no PTX, which a simulated GPU needs");
    m = calloc(1, sizeof *m);
    if (!m) return moe_fail(MOE_E_MEMORY, "out of memory for a module");
    m->launch = image->launch;
    moe_status status = sim_load(s->context, image->ptx, image->ptx_size, &m->module);
    if (status == MOE_OK) status = find_entries(m);
    if (status == MOE_OK) *module = m;
    else device_unload(self, m);
    return status;
}

/* ---- launches */

/* As CUDA has it: a grid whose blocks meet is not begun where they cannot run at once. */
static moe_status check_cooperative(const moe_kernel *kernel, const moe_dims *dims,
                                    const moe_facts *facts) {
    const int64_t most = sim_occupancy(kernel, dims, facts) * facts->sms;
    const int64_t blocks = (int64_t)dims->grid[0] * dims->grid[1] * dims->grid[2];

    if (!dims->cooperative || blocks <= most) return MOE_OK;
    return moe_fail(MOE_E_DEVICE, "%s is cooperative, but has %lld blocks, and at most %lld run at "
                                  "once", kernel->symbol, (long long)blocks, (long long)most);
}

static moe_status device_launch(void *self, void *module, int entry, const moe_dims *dims,
                                const void *args, size_t args_size, void *stream) {
    simulated *s = self;
    simulated_module *m = module;
    moe_status status;

    (void)stream;
    if (entry < 0 || entry >= m->launch.kernels)
        return moe_fail(MOE_E_INVALID, "the image has no kernel %d", entry);
    MOE_TRY(check_cooperative(&m->launch.kernel[entry], dims, sim_facts(s->context)));
    status = sim_launch(s->context, m->module, m->entries[entry], dims, args, args_size);
    if (s->timing)
        s->nanoseconds += sim_model_ns(sim_last_counters(s->context), &m->launch.kernel[entry],
                                       dims, sim_facts(s->context));
    return status;
}

static moe_status device_sync(void *self, void *stream) {
    (void)self, (void)stream;
    return MOE_OK;
}

static moe_status device_tensor_map(void *self, const moe_tensor_view *tensor, void *map) {
    const moe_facts *facts = device_facts(self);

    if (facts->sm < 90)
        return moe_fail(MOE_E_UNSUPPORTED, "%s has no tensor maps; they start with sm_90",
                        facts->arch);
    return sim_tensor_encode(tensor, map);
}

static moe_status device_time_begin(void *self) {
    simulated *s = self;

    s->timing = true;
    s->nanoseconds = 0;
    return MOE_OK;
}

static moe_status device_time_end(void *self, double *nanoseconds) {
    simulated *s = self;

    if (!s->timing) return moe_fail(MOE_E_INVALID, "time_end without time_begin");
    s->timing = false;
    *nanoseconds = s->nanoseconds;
    return MOE_OK;
}

const moe_device_class moe_device_sim = {
    .prefix = MOE_DEVICE_SIM_PREFIX,
    .help = MOE_DEVICE_SIM_HELP,
    .open = device_open,
    .close = device_close,
    .facts = device_facts,
    .alloc = device_alloc,
    .free = device_free,
    .copy_in = device_copy_in,
    .copy_out = device_copy_out,
    .fill = device_fill,
    .poison = device_poison,
    .load = device_load,
    .unload = device_unload,
    .launch = device_launch,
    .sync = device_sync,
    .tensor_map = device_tensor_map,
    .time_begin = device_time_begin,
    .time_end = device_time_end,
    .timer = "model",
    .names = sim_chip_names,
};

/* targets.c - the table of all targets, and those that are a call or two. */
#include "targets.h"

#include "core/record.h"
#include "device/device.h"
#include "machine/sim.h"
#include "models/config_json.h"
#include "models/safetensors.h"
#include "models/shards.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_check(bool holds, const char *message, const char *input) {
    if (holds) return;
    fprintf(stderr, "fuzz: %s: '%.2000s'\n", message, input);
    abort();
}

/* A refusal is one line that says something. */
static bool refused(moe_status status) {
    const char *text = moe_error_text();
    if (!status) return false;
    fuzz_check(*text && !strchr(text, '\n'), "a refusal is not one line", text);
    return true;
}

static bool run_layer(const char *data, size_t size) {
    char text[1024], again[1024];
    moe_layer layer;
    (void)size;
    if (refused(moe_layer_parse(data, &layer))) return false;
    fuzz_check(!moe_layer_print(&layer, text, sizeof text), "a layer does not print", data);
    fuzz_check(!moe_layer_parse(text, &layer), "a printed layer does not parse", text);
    moe_layer_print(&layer, again, sizeof again);
    fuzz_check(!strcmp(text, again), "parse(print(x)) is not x", text);
    fuzz_check(moe_layer_capacity(&layer, 1000) >= 0, "a capacity is negative", text);
    return true;
}

static bool run_config(const char *data, size_t size) {
    static moe_model model;
    char text[1024];
    moe_layer layer;
    if (refused(moe_config_model_text(data, size, &model))) return false;
    fuzz_check(!moe_layer_print(&model.layer, text, sizeof text), "a layer does not print", data);
    fuzz_check(!moe_layer_parse(text, &layer), "a config's layer does not parse", text);
    fuzz_check(model.parameters.experts > 0 || !model.layers, "a model has no parameters", data);
    return true;
}

/* Every byte of every tensor must be there to read. */
static bool run_safetensors(const char *data, size_t size) {
    moe_tensor_file *file;
    volatile unsigned char sum = 0;
    size_t bytes = 0;
    if (refused(moe_tensor_file_view(data, size, &file))) return false;
    for (int64_t i = 0; i < file->tensors; i++) {
        const moe_tensor *tensor = &file->tensor[i];
        const unsigned char *at = tensor->data;
        for (size_t b = 0; b < tensor->bytes; b++) sum = sum ^ at[b];
        bytes += tensor->bytes;
        fuzz_check(moe_tensor_find(file, tensor->name) != NULL, "a tensor is lost", tensor->name);
    }
    fuzz_check(bytes <= size, "tensors overlap", data);
    moe_tensor_file_close(file);
    return true;
}

static bool run_index(const char *data, size_t size) {
    return !refused(moe_shards_check(data, size));
}

/* A line is tried as every noun that a file of records holds. */
static bool run_record(const char *data, size_t size) {
    static moe_record record;
    static moe_choice choice;
    static char text[MOE_CHOICE_TEXT_SIZE + 4096];
    moe_facts facts;
    (void)size;
    bool accepted = false;
    if (!refused(moe_record_parse(data, &record))) {
        moe_record_print(&record, text, sizeof text);
        fuzz_check(!moe_record_parse(text, &record), "a printed record does not parse", text);
        accepted = true;
    }
    if (!refused(moe_choice_parse(data, &choice))) {
        moe_choice_print(&choice, text, sizeof text);
        fuzz_check(!moe_choice_parse(text, &choice), "a printed choice does not parse", text);
        accepted = true;
    }
    if (!refused(moe_facts_parse(data, &facts))) {
        moe_facts_print(&facts, text, sizeof text);
        fuzz_check(!moe_facts_parse(text, &facts), "printed facts do not parse", text);
        accepted = true;
    }
    return accepted;
}

/* Loading only: what a kernel does when it runs is the simulator's own test. */
static bool run_ptx(const char *data, size_t size) {
    static const sim_options options = {.threads = 1, .checks = true};
    static sim_context *context;
    static moe_facts facts;
    sim_module *module;
    if (!context) {
        moe_device *device;
        fuzz_check(!moe_device_open("sim:h100", &device), "no simulated GPU", moe_error_text());
        facts = *moe_device_facts(device);
        moe_device_close(device);
        fuzz_check(!sim_open(&facts, &options, &context), "no context", moe_error_text());
    }
    if (refused(sim_load(context, data, size, &module))) return false;
    bool accepted = sim_entry_count(module) == 0;
    for (int i = 0, entry; i < sim_entry_count(module); i++)
        accepted |= !refused(sim_find_entry(module, sim_entry_name(module, i), &entry));
    sim_unload(context, module);
    return accepted;
}

const fuzz_target fuzz_targets[] = {
    {"layer", 512, 3000, run_layer, NULL},
    {"config", 4096, 500, run_config, NULL},
    {"safetensors", 4096, 500, run_safetensors, NULL},
    {"index", 2048, 500, run_index, NULL},
    {"record", 2048, 1000, run_record, NULL},
    {"database", 1 << 18, 300, fuzz_database, fuzz_database_make},
    {"template", 4096, 100, fuzz_template, NULL},
    {"ptx", 1 << 14, 300, run_ptx, NULL},
    {NULL, 0, 0, NULL, NULL},
};

const fuzz_target *fuzz_target_find(const char *name) {
    for (const fuzz_target *target = fuzz_targets; target->name; target++)
        if (!strcmp(target->name, name)) return target;
    return NULL;
}

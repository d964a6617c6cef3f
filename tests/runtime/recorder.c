/* recorder.c - a device of host memory that notes what it is asked to do. */
#include "recorder.h"

#include "check.h"

#include "core/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const moe_facts *facts(const void *self) { return &((const recorder *)self)->facts; }

static moe_status take(void *self, size_t bytes, moe_ptr *out) {
    (void)self;
    *out = (uintptr_t)aligned_alloc(256, (bytes + 256) / 256 * 256);
    return *out ? MOE_OK : moe_fail(MOE_E_MEMORY, "no memory");
}

static moe_status give(void *self, moe_ptr address) {
    (void)self;
    free((void *)(uintptr_t)address);
    return MOE_OK;
}

static bool told_to_fail(int *countdown) { return *countdown && !--*countdown; }

static recorder_event *note(recorder *self, recorder_what what, void *stream) {
    assert_true(self->events < RECORDER_EVENTS);
    recorder_event *event = &self->event[self->events++];
    *event = (recorder_event){.what = what, .stream = stream};
    return event;
}

static moe_status fill(void *self, moe_ptr to, int byte, size_t bytes, void *stream) {
    recorder_event *event = note(self, RECORDED_FILL, stream);
    event->to = to;
    event->byte = byte;
    event->bytes = bytes;
    return MOE_OK;
}

static moe_status load(void *object, const moe_image *image, void **module) {
    recorder *self = object;
    if (told_to_fail(&self->fail_load)) return moe_fail(MOE_E_DEVICE, "told to fail");
    moe_launch *copy = malloc(sizeof *copy);
    if (!copy) return moe_fail(MOE_E_MEMORY, "no memory");
    *copy = image->launch;
    self->loads++;
    *module = copy;
    return MOE_OK;
}

static void unload(void *object, void *module) {
    recorder *self = object;
    self->unloads++;
    free(module);
}

static moe_status launch(void *object, void *module, int entry, const moe_dims *dims,
                         const void *args, size_t args_size, void *stream) {
    recorder *self = object;
    if (told_to_fail(&self->fail_launch)) return moe_fail(MOE_E_FAULT, "told to fail");
    recorder_event *event = note(self, RECORDED_LAUNCH, stream);
    const moe_launch *launch = module;
    strcpy(event->symbol, launch->kernel[entry].symbol);
    event->dims = *dims;
    memcpy(event->args, args, args_size);
    event->args_size = args_size;
    event->maps = (int)launch->maps.count;
    return MOE_OK;
}

/* A map is the view itself. */
static moe_status tensor_map(void *self, const moe_tensor_view *view, void *map) {
    ((recorder *)self)->maps++;
    static_assert(sizeof *view <= MOE_TENSOR_MAP_SIZE, "a view fits into a map");
    memcpy(map, view, sizeof *view);
    return MOE_OK;
}

static const moe_device_class class = {
    .prefix = "recorder", .help = "for tests", .facts = facts, .alloc = take, .free = give,
    .fill = fill, .load = load, .unload = unload, .launch = launch, .tensor_map = tensor_map,
    .timer = "none",
};

recorder *recorder_open(const char *text) {
    recorder *self = calloc(1, sizeof *self);
    assert_non_null(self);
    CHECK(moe_facts_parse(text, &self->facts));
    self->device = (moe_device){.class = &class, .self = self, .name = "recorder"};
    moe_facts_print(&self->facts, self->device.text, sizeof self->device.text);
    return self;
}

void recorder_close(recorder *self) { free(self); }

uint64_t recorder_arg(const recorder_event *event, moe_op_kind kind, moe_arg wanted) {
    int count;
    const moe_op_arg *args = moe_op_args(kind, &count);
    size_t at = (size_t)event->maps * MOE_TENSOR_MAP_SIZE;
    for (int i = 0; i < count; i++) {
        size_t size = moe_arg_table[args[i].arg].pointer ? 8 : 4;
        uint64_t value = 0;
        at = (at + size - 1) / size * size;
        memcpy(&value, (const char *)event->args + at, size);
        if (args[i].arg == wanted) return value;
        at += size;
    }
    fail_msg("%s has no argument %s", moe_op_names[kind], moe_arg_table[wanted].name);
    return 0;
}

moe_tensor_view recorder_map(const recorder_event *event, int index) {
    moe_tensor_view view;
    assert_in_range(index, 0, event->maps - 1);
    memcpy(&view, (const char *)event->args + (size_t)index * MOE_TENSOR_MAP_SIZE, sizeof view);
    return view;
}

/* scripted_device.c - a GPU that does what a test says. */
#include "scripted_device.h"

#include "core/args.h"
#include "core/status.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { BLOCKS = 512, EVENTS = 64 };

/* A launch, or a fill where there is no module. */
typedef struct event {
    struct module *module;
    int entry, byte;
    moe_dims dims;
    moe_ptr to;
    size_t size;
    _Alignas(128) unsigned char args[MOE_ARGS_MAX_SIZE];
} event;

typedef struct graph {
    int events;
    event event[EVENTS];
} graph;

typedef struct module {
    void *real;
    scripted_kernel *kernel[MOE_MAX_KERNELS];
} module;

typedef struct scripted {
    moe_device_class class;
    script *script;
    moe_device *real; /* the simulated one */
    struct {
        moe_ptr at;
        size_t bytes;
    } block[BLOCKS];
    size_t used;
    graph *recording;       /* NULL: nothing is */
    scripted_fault coming;  /* upon whoever waits next */
    bool lost;
    bool warm[SCRIPTED_KERNELS]; /* ran since the last flush */
    double window;          /* ns since time_begin */
} scripted;

/* ------------------------------------------------------------------------------------- script */

script *script_new(const char *simulated) {
    moe_device *device;
    script *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                        0);
    assert_true(made != MAP_FAILED);
    assert_int_equal(moe_device_open(simulated, &device), MOE_OK);
    snprintf(made->simulated, sizeof made->simulated, "%s", simulated);
    made->facts = *moe_device_facts(device);
    made->facts.simulated = 0;
    snprintf(made->facts.name, sizeof made->facts.name, "scripted");
    strcpy(made->driver, "13.0/580.1");
    made->memory = SIZE_MAX;
    moe_device_close(device);
    return made;
}

void script_free(script *s) { munmap(s, sizeof *s); }

scripted_kernel *script_kernel(script *s, const char *symbol) {
    for (int i = 0; i < s->kernels; i++)
        if (!strcmp(s->kernel[i].symbol, symbol)) return &s->kernel[i];
    assert_true(s->kernels < SCRIPTED_KERNELS);
    scripted_kernel *kernel = &s->kernel[s->kernels++];
    *kernel = (scripted_kernel){.cold = 1000, .warm = 1000};
    snprintf(kernel->symbol, sizeof kernel->symbol, "%s", symbol);
    return kernel;
}

/* ------------------------------------------------------------------------------------- faults */

static moe_status context_lost(void) {
    return moe_fail(MOE_E_FAULT, "a kernel left its memory; the process must restart");
}

static bool befalls(const scripted_kernel *kernel, int64_t launch) {
    return !kernel->until || (launch >= kernel->from && launch < kernel->until);
}

/* Tests wait no longer than they must, and no healthy process is taken for one that hangs. */
static void hang(script *s) {
    if (s->patience) *s->patience = 0;
    for (;;) pause();
}

/* Where a call waits for the device, what its kernels have done comes out. */
static moe_status settle(scripted *self) {
    if (self->coming == SCRIPTED_DIES) raise(SIGKILL);
    if (self->coming == SCRIPTED_HANGS) hang(self->script);
    self->lost |= self->coming == SCRIPTED_LOST;
    return self->lost ? context_lost() : MOE_OK;
}

/* ------------------------------------------------------------------------------------- memory */

static void note_block(scripted *self, moe_ptr was, moe_ptr is, size_t bytes) {
    int i = 0;
    while (self->block[i].at != was) assert_true(++i < BLOCKS);
    self->used = self->used - self->block[i].bytes + bytes;
    self->block[i].at = is;
    self->block[i].bytes = bytes;
}

static moe_status device_alloc(void *object, size_t bytes, moe_ptr *out) {
    scripted *self = object;
    MOE_TRY(settle(self));
    if (self->used + bytes > self->script->memory)
        return moe_fail(MOE_E_MEMORY, "out of device memory: free some, or run fewer tokens");
    MOE_TRY(self->real->class->alloc(self->real->self, bytes, out));
    note_block(self, 0, *out, bytes);
    return MOE_OK;
}

static moe_status device_free(void *object, moe_ptr address) {
    scripted *self = object;
    MOE_TRY(settle(self));
    note_block(self, address, 0, 0);
    return self->real->class->free(self->real->self, address);
}

static moe_status copy_in(void *object, moe_ptr to, const void *host, size_t bytes) {
    scripted *self = object;
    MOE_TRY(settle(self));
    return self->real->class->copy_in(self->real->self, to, host, bytes);
}

static moe_status copy_out(void *object, void *host, moe_ptr from, size_t bytes) {
    scripted *self = object;
    MOE_TRY(settle(self));
    return self->real->class->copy_out(self->real->self, host, from, bytes);
}

static moe_status device_poison(void *object, moe_ptr to, size_t bytes) {
    scripted *self = object;
    MOE_TRY(settle(self));
    return self->real->class->poison(self->real->self, to, bytes);
}

/* ------------------------------------------------------------------------------------- images */

static moe_status load_fault(const module *m) {
    for (int i = 0; i < MOE_MAX_KERNELS && m->kernel[i]; i++) {
        scripted_kernel *kernel = m->kernel[i];
        bool now = befalls(kernel, kernel->loads++);
        if (now && kernel->fault == SCRIPTED_UNSUPPORTED)
            return moe_fail(MOE_E_UNSUPPORTED, "an instruction that the device lacks");
        if (now && kernel->fault == SCRIPTED_NO_ROOM)
            return moe_fail(MOE_E_MEMORY, "out of device memory for the code");
    }
    return MOE_OK;
}

static moe_status load(void *object, const moe_image *image, void **out) {
    scripted *self = object;
    MOE_TRY(settle(self));
    module *m = calloc(1, sizeof *m);
    assert_non_null(m);
    for (int64_t i = 0; i < image->launch.kernels; i++)
        m->kernel[i] = script_kernel(self->script, image->launch.kernel[i].symbol);
    moe_status status = load_fault(m);
    if (!status) status = self->real->class->load(self->real->self, image, &m->real);
    if (status)
        free(m);
    else
        *out = m;
    return status;
}

static void unload(void *object, void *handle) {
    scripted *self = object;
    module *m = handle;
    if (m) self->real->class->unload(self->real->self, m->real);
    free(m);
}

/* ------------------------------------------------------------------------------- what it runs */

static double time_of(scripted *self, const scripted_kernel *kernel) {
    bool *warm = &self->warm[kernel - self->script->kernel];
    double ns = *warm ? kernel->warm : kernel->cold;
    *warm = true;
    if (kernel->launches < kernel->settled) ns *= kernel->early;
    return ns * (1 + self->script->drift * (double)self->script->launches);
}

static moe_status run(scripted *self, const event *e) {
    if (self->lost) return context_lost();
    if (!e->module) return self->real->class->fill(self->real->self, e->to, e->byte, e->size, NULL);
    scripted_kernel *kernel = e->module->kernel[e->entry];
    scripted_fault fault = befalls(kernel, kernel->launches) ? kernel->fault : SCRIPTED_RIGHT;
    self->window += time_of(self, kernel);
    kernel->launches++;
    self->script->launches++;
    if (fault == SCRIPTED_REFUSED) return moe_fail(MOE_E_DEVICE, "the launch is refused");
    if (fault >= SCRIPTED_LOST && fault <= SCRIPTED_DIES) self->coming = fault;
    if (fault == SCRIPTED_WRONG) return MOE_OK;
    return self->real->class->launch(self->real->self, e->module->real, e->entry, &e->dims, e->args,
                                     e->size, NULL);
}

static moe_status run_or_record(scripted *self, const event *e, void *stream, double gap) {
    if (!stream) {
        self->window += gap;
        return run(self, e);
    }
    graph *g = stream;
    assert_ptr_equal(g, self->recording);
    assert_true(g->events < EVENTS);
    g->event[g->events++] = *e;
    self->script->events++;
    return MOE_OK;
}

static moe_status launch(void *object, void *handle, int entry, const moe_dims *dims,
                         const void *args, size_t size, void *stream) {
    scripted *self = object;
    event e = {.module = handle, .entry = entry, .dims = *dims, .size = size};
    assert_true(size <= sizeof e.args);
    memcpy(e.args, args, size);
    return run_or_record(self, &e, stream, self->script->gap);
}

static moe_status fill(void *object, moe_ptr to, int byte, size_t bytes, void *stream) {
    const event e = {.to = to, .byte = byte, .size = bytes};
    return run_or_record(object, &e, stream, 0);
}

static moe_status device_sync(void *object, void *stream) {
    (void)stream;
    return settle(object);
}

/* ------------------------------------------------------------------------------------- graphs */

static moe_status graph_begin(void *object, void **stream) {
    scripted *self = object;
    MOE_TRY(settle(self));
    self->recording = calloc(1, sizeof *self->recording);
    assert_non_null(self->recording);
    *stream = self->recording;
    return MOE_OK;
}

static moe_status graph_end(void *object, void *stream, void **out) {
    scripted *self = object;
    self->recording = NULL;
    if (self->script->refuse_graphs) {
        free(stream);
        return moe_fail(MOE_E_DEVICE, "no graphs today");
    }
    self->script->open_graphs++;
    *out = stream;
    return MOE_OK;
}

static moe_status graph_launch(void *object, void *handle) {
    scripted *self = object;
    const graph *g = handle;
    self->script->replays++;
    for (int i = 0; i < g->events - self->script->forget; i++) MOE_TRY(run(self, &g->event[i]));
    return MOE_OK;
}

static void graph_free(void *object, void *handle) {
    scripted *self = object;
    self->script->open_graphs--;
    free(handle);
}

/* ------------------------------------------------------------------------------------- timing */

static moe_status time_begin(void *object) {
    scripted *self = object;
    self->window = 0;
    return self->lost ? context_lost() : MOE_OK;
}

static moe_status time_end(void *object, double *ns) {
    scripted *self = object;
    *ns = self->window;
    return settle(self);
}

static moe_status flush_cache(void *object) {
    scripted *self = object;
    self->script->flushes++;
    memset(self->warm, 0, sizeof self->warm);
    return settle(self);
}

/* ------------------------------------------------------------------------------- opening, facts */

static const moe_facts *device_facts(const void *self) {
    return &((const scripted *)self)->script->facts;
}

static const char *driver(const void *self) { return ((const scripted *)self)->script->driver; }

static void device_close(void *object) {
    scripted *self = object;
    moe_device_close(self->real);
    free(self);
}

static moe_status tensor_map(void *object, const moe_tensor_view *tensor, void *map) {
    scripted *self = object;
    return self->real->class->tensor_map(self->real->self, tensor, map);
}

static const moe_device_class all_of_it = {
    .prefix = "scripted", .help = "for tests", .close = device_close, .facts = device_facts,
    .alloc = device_alloc, .free = device_free, .copy_in = copy_in, .copy_out = copy_out,
    .fill = fill, .poison = device_poison, .load = load, .unload = unload, .launch = launch,
    .sync = device_sync, .tensor_map = tensor_map, .graph_begin = graph_begin,
    .graph_end = graph_end, .graph_launch = graph_launch, .graph_free = graph_free,
    .time_begin = time_begin, .time_end = time_end, .flush_cache = flush_cache, .driver = driver,
    .timer = "events",
};

moe_device *scripted_open(script *s) {
    scripted *self = calloc(1, sizeof *self);
    moe_device *device = calloc(1, sizeof *device);
    assert_non_null(self);
    assert_non_null(device);
    assert_int_equal(moe_device_open(s->simulated, &self->real), MOE_OK);
    self->script = s;
    s->opened++;
    self->class = all_of_it;
    if (!s->graphs) self->class.graph_begin = NULL;
    *device = (moe_device){.class = &self->class, .self = self, .name = "scripted"};
    moe_facts_print(&s->facts, device->text, sizeof device->text);
    return device;
}

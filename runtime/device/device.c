/* device.c - the registry of device classes, and what callers may do with a device. */
#include "core/status.h"
#include "core/text.h"
#include "device/device.h"
#include "device/device_library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const moe_device_class *moe_device_classes[] = {
    &moe_device_cuda,
    &moe_device_elsewhere,
    &moe_device_null,
    NULL,
};

void moe_device_register(const moe_device_class *class) {
    for (int i = 0; moe_device_classes[i]; i++)
        if (!strcmp(moe_device_classes[i]->prefix, class->prefix)) moe_device_classes[i] = class;
}

static const moe_device_class *find_class(const char *prefix, size_t length) {
    for (int i = 0; moe_device_classes[i]; i++) {
        const char *known = moe_device_classes[i]->prefix;
        if (strlen(known) == length && !strncmp(known, prefix, length))
            return moe_device_classes[i];
    }
    return NULL;
}

static moe_status fail_unknown(const char *name) {
    char list[512];
    moe_text text = moe_text_start(list, sizeof list);
    for (int i = 0; moe_device_classes[i]; i++)
        moe_text_add(&text, "; %s: %s", moe_device_classes[i]->prefix, moe_device_classes[i]->help);
    return moe_fail(MOE_E_NOT_FOUND, "device: '%.64s' is not a device; use auto%s", name, list);
}

static moe_status open_named(const char *name, moe_device **out) {
    size_t length = strcspn(name, ":");
    const moe_device_class *class = find_class(name, length);
    if (!class) return fail_unknown(name);
    moe_status status = class->open ? MOE_OK : moe_device_library_open(&class);
    if (status) return moe_fail_context(status, "device %.64s", name);
    if (strlen(name) >= sizeof (*out)->name)
        return moe_fail(MOE_E_INVALID, "device: '%.64s...' is too long", name);
    moe_device *device = calloc(1, sizeof *device);
    if (!device) return moe_fail(MOE_E_MEMORY, "device: no memory for a handle");
    device->class = class;
    strcpy(device->name, name);
    status = class->open(name[length] ? name + length + 1 : "", &device->self);
    if (status) {
        free(device);
        return moe_fail_context(status, "device %s", name);
    }
    moe_facts_print(class->facts(device->self), device->text, sizeof device->text);
    *out = device;
    return MOE_OK;
}

moe_status moe_device_open(const char *name, moe_device **out) {
    if (!name)
        return moe_fail(MOE_E_INVALID, "device: no name given; use auto, cuda:0 or sim:h100");
    if (strcmp(name, "auto") != 0) return open_named(name, out);
    moe_status status = open_named("cuda:0", out);
    if (!status) return MOE_OK;
    return moe_fail_context(status, "device auto: no GPU; name sim:h100 for a simulated one");
}

void moe_device_close(moe_device *device) {
    if (!device) return;
    device->class->close(device->self);
    free(device);
}

const char *moe_device_text(const moe_device *device) { return device->text; }

const moe_facts *moe_device_facts(const moe_device *device) {
    return device->class->facts(device->self);
}

const char *moe_device_driver(const moe_device *device) {
    const char *driver = device->class->driver ? device->class->driver(device->self) : NULL;
    return driver ? driver : "none";
}

moe_status moe_device_alloc(moe_device *device, size_t bytes, void **out) {
    moe_ptr address;
    MOE_TRY(device->class->alloc(device->self, bytes, &address));
    *out = (void *)(uintptr_t)address;
    return MOE_OK;
}

moe_status moe_device_free(moe_device *device, void *memory) {
    return memory ? device->class->free(device->self, (uintptr_t)memory) : MOE_OK;
}

moe_status moe_device_copy_in(moe_device *device, void *to, const void *host, size_t bytes) {
    return bytes ? device->class->copy_in(device->self, (uintptr_t)to, host, bytes) : MOE_OK;
}

moe_status moe_device_copy_out(moe_device *device, void *host, const void *from, size_t bytes) {
    return bytes ? device->class->copy_out(device->self, host, (uintptr_t)from, bytes) : MOE_OK;
}

moe_status moe_device_sync(moe_device *device, void *stream) {
    return device->class->sync(device->self, stream);
}

/* device.h - the interface between moetune and a GPU, real or simulated.
 *
 * A device class is a struct of function pointers; `self` is the class's own state. The registry
 * in device.c knows the classes by prefix: the GPU's and the null device's are linked in, and the
 * simulated GPU's lies in a library of its own, which is opened when a device of it is asked for
 * (device_library.h). All functions are synchronous unless they take a stream. Device addresses are
 * plain 64-bit integers. */
#ifndef MOE_DEVICE_H
#define MOE_DEVICE_H

#include "core/facts.h"
#include "core/image.h"
#include "core/tensor_view.h"

/* The geometry of one launch. */
typedef struct moe_dims {
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t cluster; /* blocks a cluster along x; 1 = none */
    uint32_t cluster_y, cluster_z; /* and along y and z; 0 = 1 */
    uint32_t smem;    /* dynamic shared memory, bytes */
    bool overlap;     /* programmatic dependent launch: blocks may start before the kernel ahead of
                         them on the stream has ended, and wait for it by griddepcontrol.wait */
    bool cooperative; /* blocks wait for one another: all run at once, or the launch is refused */
} moe_dims;

typedef struct moe_device_class {
    const char *prefix; /* "cuda": opens "cuda:REST" and "cuda" */
    const char *help;   /* one line for `moetune info` */

    moe_status (*open)(const char *rest, void **self); /* rest: text behind the colon, or "" */
    void (*close)(void *self);
    const moe_facts *(*facts)(const void *self);

    moe_status (*alloc)(void *self, size_t bytes, moe_ptr *out); /* 0 bytes: an empty array */
    moe_status (*free)(void *self, moe_ptr address);
    moe_status (*copy_in)(void *self, moe_ptr to, const void *host, size_t bytes);
    moe_status (*copy_out)(void *self, void *host, moe_ptr from, size_t bytes);
    moe_status (*fill)(void *self, moe_ptr to, int byte, size_t bytes, void *stream);
    /* Like fill with 0xff, and where the device tracks it, marks the bytes as never written. */
    moe_status (*poison)(void *self, moe_ptr to, size_t bytes);

    /* Loads an image and makes all its entries ready to launch. */
    moe_status (*load)(void *self, const moe_image *image, void **module);
    void (*unload)(void *self, void *module);

    /* Launches entry number `entry` of the module. `args` is the struct that the kernel takes as
     * its only parameter. (Simulated devices also take several parameters, packed.) */
    moe_status (*launch)(void *self, void *module, int entry, const moe_dims *dims,
                         const void *args, size_t args_size, void *stream);
    moe_status (*sync)(void *self, void *stream);

    /* (optional) Encodes a tensor for kernels of this device into MOE_TENSOR_MAP_SIZE bytes of host
     * memory; no work on the device. NULL: it has no TMA. MOE_E_INVALID (a limit, which the text
     * names). */
    moe_status (*tensor_map)(void *self, const moe_tensor_view *tensor, void *map);

    /* (optional, all four or none) Work that is recorded once and replayed as a whole. What is put
     * on *stream between begin and end is recorded and not run; `end` frees the stream, whether it
     * succeeds or not. A replay is enqueued on the default stream. Addresses are recorded as they
     * are. */
    moe_status (*graph_begin)(void *self, void **stream);
    moe_status (*graph_end)(void *self, void *stream, void **graph);
    moe_status (*graph_launch)(void *self, void *graph);
    void (*graph_free)(void *self, void *graph);

    /* Brackets launches on the default stream; end waits and gives the device time between the
     * two in nanoseconds. */
    moe_status (*time_begin)(void *self);
    moe_status (*time_end)(void *self, double *nanoseconds);

    /* (optional) Empties or warms the caches that carry data from one launch to the next. */
    moe_status (*flush_cache)(void *self);

    /* (optional) Version of the driver behind the device, without spaces: "13.0" or
     * "13.0/580.65.06". NULL: there is no driver. */
    const char *(*driver)(const void *self);

    const char *timer; /* what time_end reads: "events", "model", "none" */

    /* (optional) What may stand behind the colon, NULL-terminated; NULL: numbers from 0. */
    const char *const *names;
} moe_device_class;

struct moe_device {
    const moe_device_class *class;
    void *self;
    char name[64];  /* as opened, with "auto" resolved */
    char text[512]; /* the facts' line */
};

const moe_facts *moe_device_facts(const moe_device *device);

/* Version of the driver behind the device, "none" where there is no driver. */
const char *moe_device_driver(const moe_device *device);

/* All classes, NULL-terminated. One without `open` lies in a library that has not been opened. */
extern const moe_device_class *moe_device_classes[];

/* For a program that has a class linked in: takes the place of the class with the same prefix. To
 * be called before other threads start. */
void moe_device_register(const moe_device_class *class);

extern const moe_device_class moe_device_cuda; /* device_cuda.c */
extern const moe_device_class moe_device_null; /* device_null.c */

#endif

/* device.h - the interface between moetune and a GPU, real or simulated.
 *
 * A device class is a struct of function pointers; `self` is the class's own state. The registry
 * in device.c knows the classes by prefix. All functions are synchronous unless they take a stream.
 * Device addresses are plain 64-bit integers. */
#ifndef MOE_DEVICE_H
#define MOE_DEVICE_H

#include "image.h"
#include "moetune.h"

typedef uint64_t moe_ptr;

/* What the tuner, the templates and the time model may know of a GPU.
 * Text: sm_90a "NVIDIA H100 80GB HBM3" sms=132 smem=232448 l2=52428800 ... */
typedef struct moe_facts {
    char arch[16];        /* compile target, for example sm_80, sm_90a */
    char name[96];        /* marketing name; simulated chips: "sim:h100" */
    int64_t sm;           /* compute capability * 10: 80, 86, 90, 100 */
    int64_t sms;          /* streaming multiprocessors */
    int64_t smem;         /* shared memory that one block may opt in to, bytes */
    int64_t smem_sm;      /* shared memory of one SM, bytes */
    int64_t regs_sm;      /* 32-bit registers of one SM */
    int64_t threads_sm;   /* resident threads of one SM */
    int64_t blocks_sm;    /* resident blocks of one SM */
    int64_t l2;           /* bytes */
    int64_t memory;       /* device memory, bytes */
    int64_t clock;        /* SM clock, MHz (maximum) */
    int64_t bandwidth;    /* DRAM peak, GB/s (10^9) */
    int64_t tensor_rate;  /* dense bf16 tensor FLOPs a clock and SM */
    int64_t simulated;    /* 1: times are a model's */
} moe_facts;

/* The canonical line. `text` needs 512 bytes. */
void moe_facts_print(const moe_facts *facts, char *text, size_t size);
moe_status moe_facts_parse(const char *text, moe_facts *out);

/* Fills `sm`, `tensor_rate` and the per-SM limits, where they are 0, from the arch and the table of
 * known architectures. */
void moe_facts_complete(moe_facts *facts);

/* The capability times ten of an arch text, and its suffix: "sm_90a" gives 90 and 'a', "sm_120"
 * gives 120 and 0. Returns 0 where the text is not an arch. `suffix` may be NULL. */
int64_t moe_arch_parse(const char *arch, char *suffix);

/* The geometry of one launch. */
typedef struct moe_dims {
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t cluster; /* blocks a cluster along x; 1 = none */
    uint32_t smem;    /* dynamic shared memory, bytes */
    bool overlap;     /* programmatic dependent launch: blocks may start before the kernel ahead of
                         them on the stream has ended, and wait for it by griddepcontrol.wait */
    bool cooperative; /* blocks wait for one another: all run at once, or the launch is refused */
} moe_dims;

/* A tensor in device memory as the bulk tensor copies (TMA) of sm_90 see it. The fastest dimension
 * comes first. Limits are those of cuTensorMapEncodeTiled: the address and all strides but the
 * first are multiples of 16 bytes, a box has at most 256 elements along a dimension, and its first
 * is at most `swizzle` bytes long where there is a swizzle. What a copy reads outside is zero. */
typedef struct moe_tensor_view {
    moe_ptr address;
    moe_dtype dtype;
    int rank;           /* 1..5 */
    uint64_t size[5];   /* elements */
    uint64_t stride[5]; /* bytes from one to the next; stride[0] is the size of an element */
    uint32_t box[5];    /* elements that one copy moves */
    int swizzle;        /* 0, 32, 64 or 128 bytes */
} moe_tensor_view;

/* An encoded tensor is opaque; kernels take it at a multiple of 128 bytes (what CUDA 13 declares). */
enum { MOE_TENSOR_MAP_SIZE = 128, MOE_TENSOR_MAP_ALIGN = 128 };

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

    /* Launches entry number `entry` of the module. `args` is the struct that the kernel takes as its
     * only parameter. (Simulated devices also take several parameters, packed.) */
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

/* All classes, NULL-terminated. */
extern const moe_device_class *const moe_device_classes[];

extern const moe_device_class moe_device_cuda; /* runtime/device_cuda.c */
extern const moe_device_class moe_device_null; /* runtime/device_null.c */
extern const moe_device_class moe_device_sim;  /* sim/sim_device.c */

#endif

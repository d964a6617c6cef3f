/* scripted_device.h - a GPU that does what a test says.
 *
 * To the tuner it is no simulated one: its times are taken for measurements, and a fault of a
 * kernel leaves it unusable. Its kernels really run, on a simulated GPU behind it, so that their
 * results are right or wrong; the facts, the driver, the times and the faults are those of a
 * script. The script lies in memory that children share, as a GPU outlives its processes. */
#ifndef TESTS_SCRIPTED_DEVICE_H
#define TESTS_SCRIPTED_DEVICE_H

#include "core/launch.h"
#include "device/device.h"

enum { SCRIPTED_KERNELS = 64 };

typedef enum scripted_fault {
    SCRIPTED_RIGHT,       /* none */
    SCRIPTED_WRONG,       /* it writes nothing */
    SCRIPTED_REFUSED,     /* the launch fails, and nothing else */
    SCRIPTED_LOST,        /* it faults: whoever waits for it fails, and all that comes after */
    SCRIPTED_HANGS,       /* whoever waits for it waits for ever */
    SCRIPTED_DIES,        /* whoever waits for it is killed */
    SCRIPTED_UNSUPPORTED, /* its code cannot be loaded, */
    SCRIPTED_NO_ROOM      /* or finds no room on the device */
} scripted_fault;

typedef struct scripted_kernel {
    char symbol[MOE_SYMBOL_SIZE];
    double cold, warm;      /* ns of a launch; warm if the kernel ran since the last flush */
    double early;           /* times as long take the first launches, */
    int64_t settled;        /* of which there are so many */
    scripted_fault fault;
    int64_t from, until;    /* launches that it befalls, the first one being 0; 0, 0: all */
    int64_t launches, loads; /* up to now, of all processes */
} scripted_kernel;

typedef struct script {
    char simulated[32]; /* the device behind it */
    moe_facts facts;
    char driver[32];
    size_t memory; /* bytes that can be allocated at a time */
    double gap;    /* ns before each kernel that is not part of a graph */
    double drift;  /* each launch takes longer than the one before it by this share of the first */
    int64_t launches, opened; /* up to now */
    volatile int64_t *patience; /* of whoever watches: none is left once a kernel hangs; or NULL */
    bool graphs;         /* it can record them; before it is opened */
    bool refuse_graphs;  /* but does not make them */
    bool forget;         /* plays all of a graph but its last event */
    int64_t flushes, replays, open_graphs, events; /* up to now; events: recorded */
    scripted_kernel kernel[SCRIPTED_KERNELS]; /* those it was told of, and those it met */
    int kernels;
} script;

/* The script of a GPU like a simulated one ("sim:a100"), of which nothing is said: every kernel is
 * right and takes 1000 ns. */
script *script_new(const char *simulated);
void script_free(script *s);

/* What the script says of a kernel. */
scripted_kernel *script_kernel(script *s, const char *symbol);

/* Opens the device of a script; a process that opens it anew finds it well again. */
moe_device *scripted_open(script *s);

#endif

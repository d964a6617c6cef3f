/* recorder.h - a device of host memory that notes what it is asked to do. */
#ifndef RECORDER_H
#define RECORDER_H

#include "core/args.h"
#include "device/device.h"

enum { RECORDER_EVENTS = 256 };

typedef enum recorder_what { RECORDED_FILL, RECORDED_LAUNCH } recorder_what;

typedef struct recorder_event {
    recorder_what what;
    void *stream;
    /* a fill */
    moe_ptr to;
    int byte;
    size_t bytes;
    /* a launch */
    char symbol[MOE_SYMBOL_SIZE];
    moe_dims dims;
    uint64_t args[MOE_ARGS_MAX_SIZE / 8];
    size_t args_size;
    int maps; /* tensor maps in front of the arguments */
} recorder_event;

typedef struct recorder {
    moe_device device; /* first: a recorder is a device */
    moe_facts facts;
    recorder_event event[RECORDER_EVENTS];
    int events;
    int loads, unloads;
    int maps; /* tensor maps encoded */
    int fail_load, fail_launch; /* fail the n-th from now on (1 = the next); 0: never */
} recorder;

/* Opens one with the facts of a line of text. */
recorder *recorder_open(const char *facts);
void recorder_close(recorder *recorder);

/* The value of one argument of a launch of an op. */
uint64_t recorder_arg(const recorder_event *event, moe_op_kind kind, moe_arg arg);

/* The tensor behind map `index` of a launch. */
moe_tensor_view recorder_map(const recorder_event *event, int index);

#endif

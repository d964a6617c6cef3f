/* libcuda.h - what the fake driver remembers and what it is told to get wrong. */
#ifndef FAKE_LIBCUDA_H
#define FAKE_LIBCUDA_H

#include <stddef.h>
#include <stdint.h>

enum { FAKE_CALLS = 4096, FAKE_ARGS = 256 };

typedef struct fake_launch {
    unsigned grid[3], block[3], smem, cluster; /* cluster: 0 without the attribute */
    int overlap, cooperative;
    void *stream;
    const char *symbol;
    unsigned char args[FAKE_ARGS];
} fake_launch;

typedef struct fake_state {
    char calls[FAKE_CALLS]; /* names of the calls, each followed by a space */
    fake_launch launch;     /* the last one */
    int launches;
    int contexts; /* pushed and not popped */
    int modules, allocations, events, retained; /* made and not released */
    int streams, graphs; /* likewise; a graph ready to launch is one too */
    int capturing;       /* a stream is */
    int replays;
    int largest_smem;   /* the last CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
    int loaded_ptx;     /* the last module came from PTX */
    /* orders */
    const char *fail_call; /* this call fails, */
    int fail_result;       /* with this CUresult */
    int count;             /* GPUs; 1 by default */
    int major, minor;      /* compute capability; 9.0 by default */
    int reject_cubin, reject_ptx; /* CUresult of loading such code; 0: accept it */
    size_t param_size;            /* bytes of the one parameter that all kernels take */
} fake_state;

#endif

/* supervise.h - long work on a real GPU, in a child process.
 *
 * A kernel may hang the GPU or leave its context unusable, and nothing in the same process can mend
 * that. So the work runs in a child that beats a heart; one that dies or falls silent is replaced
 * by a new one, which resumes from the rows that are stored. */
#ifndef MOE_SUPERVISE_H
#define MOE_SUPERVISE_H

#include "core/status.h"

/* Shared between the child and its supervisor. */
typedef struct moe_heart {
    volatile int64_t beats;    /* the child counts up with every step, */
    volatile int64_t landed;   /* and with everything it stores that the next one need not do */
    volatile int64_t patience; /* seconds of silence that mean a hang */
    volatile int64_t restarts; /* children before this one */
    volatile uint64_t running; /* what the child has on the device, to be blamed for its death; 0:
                                  nothing */
} moe_heart;

/* What a child returns to be replaced by a new one. */
enum { MOE_START_AGAIN = 75 };

/* Runs `work` in children until one ends by itself, and gives its exit status. MOE_E_DEVICE where
 * several in turn die and have stored nothing, MOE_E_IO (no process), MOE_E_MEMORY. */
moe_status moe_supervise(int (*work)(void *context, moe_heart *heart), void *context,
                         int *exit_status);

#endif

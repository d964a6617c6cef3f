/* progress.h - how far long work has come: one line that renews itself on a terminal, else a plain
 * line now and then. Everything goes to stderr. */
#ifndef MOE_PROGRESS_H
#define MOE_PROGRESS_H

#include "core/status.h"

typedef struct moe_progress {
    bool terminal;
    bool quiet;    /* print nothing */
    double start;  /* seconds, as moe_seconds gives them */
    double shown;  /* when the last line was printed */
    double share;  /* of all work that is done, 0..1 */
    bool open;     /* an unfinished line stands on the terminal */
} moe_progress;

/* A clock that only goes forward, in seconds. */
double moe_seconds(void);

moe_progress moe_progress_start(bool quiet);

/* Shows where the work is, at most ten times a second on a terminal and every ten seconds without
 * one. `share` (0..1) of all work being done gives the time left. */
void moe_progress_show(moe_progress *progress, double share, const char *format, ...)
    MOE_PRINTF(3, 4);

/* Prints a line that stays. */
void moe_progress_note(moe_progress *progress, const char *format, ...) MOE_PRINTF(2, 3);

/* Removes an unfinished line. */
void moe_progress_end(moe_progress *progress);

#endif

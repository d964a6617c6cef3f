/* progress.c - how far long work has come. */
#include "text/progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

double moe_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

moe_progress moe_progress_start(bool quiet) {
    return (moe_progress){
        .terminal = isatty(STDERR_FILENO), .quiet = quiet, .start = moe_seconds()};
}

static void time_left(const moe_progress *progress, double now, char *text, size_t size) {
    double spent = now - progress->start;
    if (progress->share < 0.01 || spent < 1) {
        snprintf(text, size, "--:--");
        return;
    }
    int left = (int)(spent / progress->share * (1 - progress->share) + 0.5);
    snprintf(text, size, "%d:%02d", left / 60, left % 60);
}

void moe_progress_show(moe_progress *progress, double share, const char *format, ...) {
    double now = moe_seconds(), every = progress->terminal ? 0.1 : 10;
    char text[160], left[32];
    va_list args;
    progress->share = share < 0 ? 0 : share > 1 ? 1 : share;
    if (progress->quiet || now - progress->shown < every) return;
    progress->shown = now;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    time_left(progress, now, left, sizeof left);
    fprintf(stderr, "%s[%3.0f%%, %s left] %s%s", progress->terminal ? "\r\033[K" : "",
            100 * progress->share, left, text, progress->terminal ? "" : "\n");
    fflush(stderr);
    progress->open = progress->terminal;
}

void moe_progress_end(moe_progress *progress) {
    if (progress->open) fprintf(stderr, "\r\033[K");
    fflush(stderr);
    progress->open = false;
}

void moe_progress_note(moe_progress *progress, const char *format, ...) {
    va_list args;
    if (progress->quiet) return;
    moe_progress_end(progress);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* report.c - what went wrong, as text that names places. */
#include "machine/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ABORT_AFTER = 2000 }; /* occurrences; what follows them is noise */

static const char *const kind_text[SIM_FINDING_COUNT] = {
#define SIM_FINDING(id, text) text,
#include "machine/finding.def"
#undef SIM_FINDING
};

static const char *file_name(const sim_kernel *kernel, uint32_t file) {
    const ptx_module *m = kernel->module;

    return file && file < m->files && m->file[file] ? m->file[file] : NULL;
}

void sim_place_text(const sim_kernel *kernel, uint32_t pc, char *text, size_t size) {
    const ptx_place *place = pc < kernel->count ? &kernel->place[pc] : NULL;
    const char *file = place ? file_name(kernel, place->file) : NULL;
    const char *caller = place ? file_name(kernel, place->caller_file) : NULL;

    if (!place) snprintf(text, size, "end of kernel");
    else if (!file) snprintf(text, size, "PTX line %u", kernel->line[pc]);
    else if (!caller) snprintf(text, size, "%s:%u", file, place->line);
    else snprintf(text, size, "%s:%u, from %s:%u", file, place->line, caller, place->caller_line);
}

/* Copies `from`, with %p and %q replaced by the two places in parentheses left as they are. */
static void substitute(char *to, size_t size, const char *from, const char *p, const char *q) {
    size_t at = 0;

    for (; *from && at + 1 < size; from++) {
        const char *place = from[0] == '%' && from[1] == 'p'   ? p
                            : from[0] == '%' && from[1] == 'q' ? q
                                                               : NULL;
        if (!place) {
            to[at++] = *from;
            continue;
        }
        size_t length = strlen(place);
        if (length > size - 1 - at) length = size - 1 - at;
        memcpy(to + at, place, length);
        at += length;
        from++;
    }
    to[at] = 0;
}

static bool same_line(const sim_kernel *k, uint32_t a, uint32_t b) {
    if (a == b) return true;
    if (a >= k->count || b >= k->count || !k->place[a].file) return false;
    return k->place[a].file == k->place[b].file && k->place[a].line == k->place[b].line;
}

static bool is_known(const sim_report *report, const sim_kernel *k, sim_finding_kind kind,
                     uint32_t pc, uint32_t other) {
    for (uint32_t i = 0; i < report->kept; i++)
        if (report->finding[i].kind == kind && same_line(k, report->finding[i].pc, pc) &&
            same_line(k, report->finding[i].other_pc, other))
            return true;
    return report->kept == SIM_MAX_FINDINGS;
}

void sim_find(sim_warp *warp, sim_finding_kind kind, const sim_instruction *in, uint32_t other,
              const char *format, ...) {
    const sim_kernel *k = warp->block->kernel;
    sim_launch_state *launch = warp->block->launch;
    sim_report *report = &launch->report;
    uint32_t pc = in ? (uint32_t)(in - k->code) : UINT32_MAX;

    pthread_mutex_lock(&report->lock);
    report->total++;
    if (report->total >= ABORT_AFTER) __atomic_store_n(&launch->abort, 1, __ATOMIC_RELAXED);
    if (!is_known(report, k, kind, pc, other)) {
        char text[SIM_FINDING_TEXT], here[200], there[200] = "";
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        sim_place_text(k, pc, here, sizeof here);
        if (other != UINT32_MAX) sim_place_text(k, other, there, sizeof there);
        report->finding[report->kept].kind = kind;
        report->finding[report->kept].pc = pc;
        report->finding[report->kept].other_pc = other;
        int used =
            snprintf(report->finding[report->kept].text, SIM_FINDING_TEXT, "%s: ", kind_text[kind]);
        substitute(report->finding[report->kept].text + used, SIM_FINDING_TEXT - (size_t)used, text,
                   here, there);
        report->kept++;
    }
    pthread_mutex_unlock(&report->lock);
}

/* label: gpu
 * test_instructions.c - the micro-tests of instructions on a GPU, against the simulated one.
 * MOE_GOLDEN_UPDATE=1 writes what the GPU computed to golden/<arch>/.
 *
 * A fault ends a process's use of its GPU, and a kernel may hang. So a child runs the tests; where
 * one of them ends it, the next child goes on behind that one. */
#include "instruction.h"

#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SKIPPED = 77, SECONDS = 60 }; /* of a test; what hangs longer is killed */

/* Shared with the children. */
static struct progress {
    size_t next; /* file */
    int failed;
} *progress;

static moe_device *gpu, *simulated;

/* The GPU's result agrees with its twin and with the simulated one. */
static bool agrees(const instruction *i, const uint32_t *real) {
    uint32_t model[INSTRUCTION_WORDS];
    int at = i->twin ? instruction_compare(i, real, real + i->out / 2, i->out / 2) : -1;
    if (at >= 0)
        print_error("%s: on the GPU word %d is %08x, its twin %08x\n", i->name, at, real[at],
                    real[i->out / 2 + (unsigned)at]);
    if (instruction_run(simulated, i, model)) {
        print_error("%s simulated: %s\n", i->name, moe_error_text());
        return false;
    }
    int differs = instruction_compare(i, real, model, i->out);
    if (differs >= 0)
        print_error("%s: word %d is %08x on the GPU, %08x simulated\n", i->name, differs,
                    real[differs], model[differs]);
    return at < 0 && differs < 0;
}

/* MOE_OK, or what the GPU gave instead of a result. */
static moe_status try_file(const char *path) {
    uint32_t real[INSTRUCTION_WORDS];
    instruction i;
    instruction_read(path, &i);
    moe_status status = instruction_run(gpu, &i, real);
    bool good = !status;
    if (status) print_error("%s on the GPU: %s\n", i.name, moe_error_text());
    if (good && getenv("MOE_GOLDEN_UPDATE"))
        instruction_write_golden(&i, moe_device_facts(gpu)->arch, real);
    good = good && agrees(&i, real);
    print_message("  %-24s %s\n", i.name, good ? "agrees" : "DIFFERS");
    progress->failed += !good;
    instruction_free(&i);
    return status;
}

/* A child's work: tests up to the last, or to one that leaves the GPU unusable. */
static int run_files(const glob_t *files) {
    if (moe_device_open("cuda:0", &gpu) || moe_device_facts(gpu)->sm != 90) {
        fprintf(stderr, "skipped: needs an sm_90 GPU; %s\n", moe_error_text());
        return SKIPPED;
    }
    if (moe_device_open("sim:h100", &simulated)) return 1;
    moe_status status = MOE_OK;
    while (!status && progress->next < files->gl_pathc) {
        alarm(SECONDS);
        status = try_file(files->gl_pathv[progress->next++]);
        alarm(0);
    }
    if (status) return 1; /* nothing of this context can be trusted, and freeing may hang */
    moe_device_close(simulated);
    moe_device_close(gpu);
    return 0;
}

/* Whether to go on. */
static bool run_child(const glob_t *files, int *status) {
    size_t before = progress->next;
    int ended = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        ended = run_files(files);
        fflush(NULL);
        _exit(ended);
    }
    if (child < 0 || waitpid(child, &ended, 0) != child) ended = 0;
    *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 1;
    if (progress->next == before) return false; /* no device, or nothing else works */
    if (*status > 1) progress->failed++;        /* cmocka ended it */
    if (WIFEXITED(ended)) return true;
    fprintf(stderr, "%s ended the process by signal %d%s\n", files->gl_pathv[progress->next - 1],
            WTERMSIG(ended), WTERMSIG(ended) == SIGALRM ? ": it hung" : "");
    progress->failed++;
    return true;
}

int main(void) {
    glob_t files;
    int status = 0;
    progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                    0);
    if (progress == MAP_FAILED || glob("tests/gpu/golden/*.cu", 0, NULL, &files)) return 1;
    while (progress->next < files.gl_pathc)
        if (!run_child(&files, &status)) return progress->next ? 1 : status;
    print_message("%zu instructions, %d failed\n", files.gl_pathc, progress->failed);
    globfree(&files);
    return progress->failed != 0;
}

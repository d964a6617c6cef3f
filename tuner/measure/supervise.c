/* supervise.c - long work on a real GPU, in a child process. */
#include "measure/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_IDLE_DEATHS = 3, FIRST_PATIENCE = 120 };

static void sleep_a_little(void) {
    const struct timespec tenth = {0, 100 * 1000 * 1000};
    nanosleep(&tenth, NULL);
}

/* Waits for a child; one that falls silent is killed. Gives its wait status. */
static int watch(pid_t child, const moe_heart *heart) {
    int status;
    int64_t last = heart->beats;
    time_t since = time(NULL);
    for (;;) {
        pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) return status;
        if (ended < 0 && errno != EINTR) return 0;
        if (heart->beats != last) {
            last = heart->beats;
            since = time(NULL);
        } else if (time(NULL) - since > heart->patience) {
            kill(child, SIGKILL);
        }
        sleep_a_little();
    }
}

static void describe_death(int status, char *text, size_t size) {
    if (WIFSIGNALED(status))
        snprintf(text, size, "%s", strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "a fault of a kernel");
}

static moe_status run_children(int (*work)(void *, moe_heart *), void *context, moe_heart *heart,
                               int *exit_status) {
    char how[64];
    for (int idle_deaths = 0;;) {
        int64_t before = heart->landed;
        heart->patience = FIRST_PATIENCE;
        fflush(NULL);
        pid_t child = fork();
        if (child < 0) return moe_fail(MOE_E_IO, "no process to work in: %s", strerror(errno));
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            int status = work(context, heart);
            fflush(NULL);
            _exit(status);
        }
        int status = watch(child, heart);
        if (WIFEXITED(status) && WEXITSTATUS(status) != MOE_START_AGAIN) {
            *exit_status = WEXITSTATUS(status);
            return MOE_OK;
        }
        describe_death(status, how, sizeof how);
        idle_deaths = heart->landed == before ? idle_deaths + 1 : 0;
        if (idle_deaths == MAX_IDLE_DEATHS)
            return moe_fail(MOE_E_DEVICE, "the work dies at once, again and again (%s); look at "
                            "the GPU with nvidia-smi", how);
        heart->restarts++;
    }
}

moe_status moe_supervise(int (*work)(void *context, moe_heart *heart), void *context,
                         int *exit_status) {
    moe_heart *heart = mmap(NULL, sizeof *heart, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (heart == MAP_FAILED) return moe_fail(MOE_E_MEMORY, "no shared memory");
    void (*before)(int) = signal(SIGINT, SIG_IGN); /* the child ends by itself */
    moe_status status = run_children(work, context, heart, exit_status);
    signal(SIGINT, before);
    munmap(heart, sizeof *heart);
    return status;
}

/* compile_pool.c - NVRTC in parallel, in processes of its own.
 *
 * tuner --socket--> worker --fork--> child. The worker never compiles, so it stays small and alive.
 * The child leaves its reply in a memory file; the worker forwards it once the child has ended
 * well, so that a half-written reply never reaches the tuner. All ends run the same binary, so
 * structs travel as they are. */
#define _GNU_SOURCE /* memfd_create */
#include "compile/compile_pool.h"

#include "compile/nvrtc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_WORKERS = 64, BYTES_A_WORKER = 768 << 20 };

typedef struct worker {
    pid_t pid;
    int socket;
    bool busy;
    int64_t ticket;
} worker;

struct moe_compile_pool {
    int workers;
    worker worker[MAX_WORKERS];
};

typedef struct request {
    char arch[16];
    char template_id[MOE_TEMPLATE_ID_SIZE];
    moe_launch launch;
    size_t size; /* bytes of text that follow */
} request;

typedef struct reply {
    moe_status status;
    char error[1024];      /* of a status that is not ok */
    moe_compiled compiled; /* its pointers mean nothing here */
    size_t cubin, ptx, log; /* bytes that follow, in this order */
} reply;

/* All of `size` bytes, or false. */
static bool write_all(int file, const void *data, size_t size) {
    for (const char *at = data; size;) {
        ssize_t done = write(file, at, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        at += done;
        size -= (size_t)done;
    }
    return true;
}

static bool read_all(int file, void *data, size_t size) {
    for (char *at = data; size;) {
        ssize_t done = read(file, at, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        at += done;
        size -= (size_t)done;
    }
    return true;
}

/* ------------------------------------------------------------------------------- the child */

static bool compile_into(int file, const request *job, char *text) {
    moe_source source = {.text = text, .size = job->size, .launch = job->launch};
    memcpy(source.template_id, job->template_id, sizeof source.template_id);
    reply answer = {0};
    moe_compiled compiled = {0};
    answer.status = moe_compile(&source, job->arch, &compiled);
    snprintf(answer.error, sizeof answer.error, "%s", moe_error_text());
    answer.compiled = compiled;
    answer.cubin = compiled.cubin ? compiled.image.cubin_size : 0;
    answer.ptx = compiled.ptx ? compiled.image.ptx_size + 1 : 0;
    answer.log = compiled.log ? strlen(compiled.log) + 1 : 0;
    return write_all(file, &answer, sizeof answer) &&
           write_all(file, compiled.cubin, answer.cubin) &&
           write_all(file, compiled.ptx, answer.ptx) && write_all(file, compiled.log, answer.log);
}

static void run_child(int file, const request *job, char *text, int deadline) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0); /* no core file for a candidate */
    signal(SIGALRM, SIG_DFL);
    alarm((unsigned)deadline);
    _exit(compile_into(file, job, text) ? 0 : 1);
}

/* ------------------------------------------------------------------------------ the worker */

/* What the child's death means. A source that crashes or outlasts the compiler has an outcome; a
 * machine that cannot hold the result has not tried the source at all. */
static reply obituary(const request *job, int status, int deadline) {
    reply answer = {.status = MOE_OK};
    moe_compiled *compiled = &answer.compiled;
    compiled->outcome = MOE_OUTCOME_COMPILE_FAILED;
    compiled->image.launch = job->launch;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        compiled->outcome = MOE_OUTCOME_TIMEOUT;
        snprintf(compiled->reason, sizeof compiled->reason,
                 "%s: the compiler did not finish in %d s", job->template_id, deadline);
    } else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGXFSZ) {
        snprintf(compiled->reason, sizeof compiled->reason, "%s: the compiler died (%s)",
                 job->template_id, strsignal(WTERMSIG(status)));
    } else {
        answer.status = MOE_E_MEMORY;
        snprintf(answer.error, sizeof answer.error, "no room for the compiler's result: memory is "
                 "short, or a limit on file sizes (ulimit -f) is too low");
    }
    return answer;
}

static bool forward(int file, int socket) {
    char buffer[65536];
    if (lseek(file, 0, SEEK_SET)) return false;
    for (ssize_t got; (got = read(file, buffer, sizeof buffer)) > 0;)
        if (!write_all(socket, buffer, (size_t)got)) return false;
    return true;
}

static bool serve(int socket, const request *job, char *text, int deadline) {
    int file = memfd_create("moetune-compiled", 0), status = 1 << 8;
    pid_t child = file < 0 ? -1 : fork();
    if (child == 0) run_child(file, job, text, deadline);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    bool good = child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (good) {
        good = forward(file, socket);
    } else {
        reply answer = obituary(job, status, deadline);
        good = write_all(socket, &answer, sizeof answer);
    }
    if (file >= 0) close(file);
    return good;
}

/* Serves until the tuner closes its end. */
static void run_worker(int socket, int deadline) {
    request job;
    const moe_nvrtc *nvrtc;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN); /* the tuner decides when to stop */
    if (moe_nvrtc_open(&nvrtc)) _exit(1); /* children inherit the loaded library */
    while (read_all(socket, &job, sizeof job)) {
        char *text = malloc(job.size + 1);
        if (!text || !read_all(socket, text, job.size)) _exit(1);
        text[job.size] = '\0';
        if (!serve(socket, &job, text, deadline)) _exit(1);
        free(text);
    }
    _exit(0);
}

/* ------------------------------------------------------------------------------- the tuner */

int moe_compile_pool_size(void) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long fit = sysconf(_SC_PHYS_PAGES) / (BYTES_A_WORKER / sysconf(_SC_PAGESIZE));
    long size = cores < fit ? cores : fit;
    return size < 1 ? 1 : size > MAX_WORKERS ? MAX_WORKERS : (int)size;
}

static moe_status start_worker(moe_compile_pool *pool, int deadline) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return moe_fail(MOE_E_IO, "no socket for a compiler process: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0) {
        close(ends[0]);
        close(ends[1]);
        return moe_fail(MOE_E_IO, "no process for the compiler: %s", strerror(errno));
    }
    if (pid == 0) {
        close(ends[0]);
        /* A worker sees its tuner's death only if no other worker holds the tuner's end. */
        for (int i = 0; i < pool->workers; i++) close(pool->worker[i].socket);
        run_worker(ends[1], deadline);
    }
    close(ends[1]);
    pool->worker[pool->workers++] = (worker){.pid = pid, .socket = ends[0]};
    return MOE_OK;
}

moe_status moe_compile_pool_open(int workers, int deadline, moe_compile_pool **out) {
    const moe_nvrtc *nvrtc;
    MOE_TRY(moe_nvrtc_open(&nvrtc));
    moe_compile_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return moe_fail(MOE_E_MEMORY, "no memory for the compiler's processes");
    moe_status status = MOE_OK;
    for (int i = 0; i < workers && i < MAX_WORKERS && !status; i++)
        status = start_worker(pool, deadline);
    if (status)
        moe_compile_pool_close(pool);
    else
        *out = pool;
    return status;
}

void moe_compile_pool_close(moe_compile_pool *pool) {
    if (!pool) return;
    for (int i = 0; i < pool->workers; i++) {
        close(pool->worker[i].socket);
        kill(pool->worker[i].pid, SIGKILL); /* its child, if any, dies with it */
        waitpid(pool->worker[i].pid, NULL, 0);
    }
    free(pool);
}

int moe_compile_pool_busy(const moe_compile_pool *pool) {
    int busy = 0;
    for (int i = 0; i < pool->workers; i++) busy += pool->worker[i].busy;
    return busy;
}

int moe_compile_pool_idle(const moe_compile_pool *pool) {
    return pool->workers - moe_compile_pool_busy(pool);
}

static moe_status lost(void) {
    return moe_fail(MOE_E_IO, "a compiler process is gone; run the command again, it resumes");
}

moe_status moe_compile_pool_submit(moe_compile_pool *pool, const moe_source *source,
                                   const char *arch, int64_t ticket) {
    worker *idle = pool->worker;
    while (idle->busy) idle++;
    request job = {.launch = source->launch, .size = source->size};
    snprintf(job.arch, sizeof job.arch, "%s", arch);
    memcpy(job.template_id, source->template_id, sizeof job.template_id);
    if (!write_all(idle->socket, &job, sizeof job) ||
        !write_all(idle->socket, source->text, source->size))
        return lost();
    idle->busy = true;
    idle->ticket = ticket;
    return MOE_OK;
}

static moe_status take_blob(int socket, size_t size, void *out) {
    void *memory = NULL;
    if (size) {
        memory = malloc(size);
        if (!memory) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes of code", size);
        if (!read_all(socket, memory, size)) {
            free(memory);
            return lost();
        }
    }
    *(void **)out = memory;
    return MOE_OK;
}

static moe_status take_reply(int socket, moe_compiled *out) {
    reply answer;
    if (!read_all(socket, &answer, sizeof answer)) return lost();
    moe_compiled compiled = answer.compiled;
    compiled.cubin = NULL;
    compiled.ptx = compiled.log = NULL;
    moe_status status = take_blob(socket, answer.cubin, &compiled.cubin);
    if (!status) status = take_blob(socket, answer.ptx, &compiled.ptx);
    if (!status) status = take_blob(socket, answer.log, &compiled.log);
    if (!status && answer.status) status = moe_fail(answer.status, "%s", answer.error);
    if (!status && !compiled.log) status = (compiled.log = strdup("")) ? MOE_OK
                                     : moe_fail(MOE_E_MEMORY, "no memory for a log");
    if (status) {
        moe_compiled_free(&compiled);
        return status;
    }
    compiled.image.cubin = compiled.cubin;
    compiled.image.ptx = compiled.ptx;
    *out = compiled;
    return MOE_OK;
}

moe_status moe_compile_pool_take(moe_compile_pool *pool, int64_t *ticket, moe_compiled *out) {
    struct pollfd files[MAX_WORKERS];
    for (int i = 0; i < pool->workers; i++)
        files[i] = (struct pollfd){.fd = pool->worker[i].busy ? pool->worker[i].socket : -1,
                                   .events = POLLIN};
    while (poll(files, (nfds_t)pool->workers, -1) < 0)
        if (errno != EINTR) return moe_fail(MOE_E_IO, "poll: %s", strerror(errno));
    int ready = 0;
    while (!files[ready].revents) ready++;
    *ticket = pool->worker[ready].ticket;
    pool->worker[ready].busy = false;
    return take_reply(pool->worker[ready].socket, out);
}

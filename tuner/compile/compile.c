/* compile.c - from CUDA source to an image, by NVRTC. */
#include "compile/compile.h"

#include "compile/headers.h"
#include "compile/nvrtc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define XXH_STATIC_LINKING_ONLY /* the state on the stack */
#include <xxhash.h>

enum {
    MAX_SPILLS = 1024,          /* bytes a thread; a kernel that spills more is not worth timing */
    MAX_STATIC_SMEM = 48 * 1024 /* what shared variables of fixed size may take, on every arch */
};

static const char *const options[] = {
    "-lineinfo", "--ptxas-options=-v", "-std=c++17", "-default-device",
};
enum { OPTIONS = sizeof options / sizeof options[0] };

/* Equal code keeps its hash when only lines of a template move: #line marks are left out. */
static void hash_text(XXH3_state_t *state, const char *text) {
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (text[length]) length++;
        if (strncmp(text, "#line ", 6) != 0) XXH3_128bits_update(state, text, length);
        text += length;
    }
}

void moe_image_hash(const char *text, const char *arch, const char *toolkit, char *hash) {
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    hash_text(&state, text);
    for (int i = 0; i < OPTIONS; i++)
        XXH3_128bits_update(&state, options[i], strlen(options[i]) + 1);
    XXH3_128bits_update(&state, arch, strlen(arch) + 1);
    XXH3_128bits_update(&state, toolkit, strlen(toolkit) + 1);
    XXH128_hash_t digest = XXH3_128bits_digest(&state);
    snprintf(hash, MOE_HASH_SIZE, "%016llx%016llx", (unsigned long long)digest.high64,
             (unsigned long long)digest.low64);
}

/* The number that ends, before spaces, at `at`; nothing before `start` is read. */
static int64_t number_left(const char *start, const char *at) {
    while (at > start && at[-1] == ' ') at--;
    while (at > start && at[-1] >= '0' && at[-1] <= '9') at--;
    return strtoll(at, NULL, 10);
}

/* The number in front of the first `unit` in start..end; 0 if there is none. */
static int64_t number_before(const char *start, const char *end, const char *unit) {
    const char *at = strstr(start, unit);
    return at && at < end ? number_left(start, at) : 0;
}

bool moe_log_resources(const char *log, const char *symbol, moe_kernel *kernel) {
    char mark[MOE_SYMBOL_SIZE + 32];
    snprintf(mark, sizeof mark, "Compiling entry function '%s'", symbol);
    const char *start = strstr(log, mark);
    if (!start) return false;
    const char *end = strstr(start + 1, "Compiling entry function");
    if (!end) end = start + strlen(start);
    kernel->regs = number_before(start, end, " registers");
    kernel->spills = number_before(start, end, " bytes spill stores") +
                     number_before(start, end, " bytes spill loads");
    kernel->static_smem = number_before(start, end, " bytes smem");
    return true;
}

bool moe_launch_fits(const moe_launch *launch, const moe_facts *facts, char *reason, size_t size) {
    for (int64_t i = 0; i < launch->kernels; i++) {
        const moe_kernel *kernel = &launch->kernel[i];
        int64_t warps = (kernel->block + 31) / 32;
        const struct {
            int64_t used, limit;
            const char *what;
        } checks[] = {
            {kernel->smem + kernel->static_smem, facts->smem, "bytes of shared memory"},
            {(kernel->regs + 7) / 8 * 8 * 32 * warps, facts->regs_sm, "registers a block"},
            {kernel->spills, MAX_SPILLS, "spilled bytes a thread"},
        };
        for (size_t c = 0; c < sizeof checks / sizeof checks[0]; c++) {
            if (checks[c].used <= checks[c].limit) continue;
            snprintf(reason, size, "%s: %lld %s, the limit is %lld", kernel->symbol,
                     (long long)checks[c].used, checks[c].what, (long long)checks[c].limit);
            return false;
        }
    }
    return true;
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* One of NVRTC's size-then-copy pairs into new memory, with a NUL behind it. */
static moe_status fetch(const moe_nvrtc *nvrtc, void *program, int (*get_size)(void *, size_t *),
                        int (*get)(void *, char *), void **out, size_t *size) {
    if (get_size(program, size)) *size = 0;
    char *memory = calloc(*size + 1, 1);
    if (!memory) return moe_fail(MOE_E_MEMORY, "no memory for %zu bytes of compiled code", *size);
    int result = *size ? get(program, memory) : 0;
    *out = memory;
    return result ? moe_fail(MOE_E_LIBRARY, "NVRTC: %s", nvrtc->nvrtcGetErrorString(result))
                  : MOE_OK;
}

/* The first line of the log that tells of an error; a template's line stands in front of it. */
static void first_error(const char *log, const char *otherwise, char *reason, size_t size) {
    for (const char *line = log; *line; line += line[strcspn(line, "\n")] == '\n') {
        size_t length = strcspn(line, "\n");
        char text[MOE_REASON_SIZE];
        snprintf(text, sizeof text, "%.*s", (int)length, line);
        line += length;
        if (!strstr(text, "error") || strstr(text, "detected in the compilation")) continue;
        snprintf(reason, size, "%s", text);
        return;
    }
    snprintf(reason, size, "%s", otherwise);
}

/* ptxas refuses kernels whose shared variables fit on no SM, and leaves no error in the log: only
 * the kernel's resources tell. */
static void judge_failure(const char *otherwise, moe_compiled *out) {
    first_error(out->log, otherwise, out->reason, sizeof out->reason);
    out->outcome = MOE_OUTCOME_COMPILE_FAILED;
    int64_t smem = 0;
    for (const char *at = out->log; (at = strstr(at, "bytes smem")); at++) {
        int64_t bytes = number_left(out->log, at);
        if (bytes > smem) smem = bytes;
    }
    if (smem <= MAX_STATIC_SMEM || strstr(out->reason, "error:")) return;
    out->outcome = MOE_OUTCOME_OVER_LIMIT;
    snprintf(out->reason, sizeof out->reason, "%lld bytes of static shared memory, the limit is %d",
             (long long)smem, MAX_STATIC_SMEM);
}

static moe_status take_results(const moe_nvrtc *nvrtc, void *program, int result,
                               moe_compiled *out) {
    size_t size;
    MOE_TRY(fetch(nvrtc, program, nvrtc->nvrtcGetProgramLogSize, nvrtc->nvrtcGetProgramLog,
                  (void **)&out->log, &size));
    if (result && strstr(out->log, "libnvrtc-builtins"))
        return moe_fail(MOE_E_LIBRARY, "NVRTC: %s: libnvrtc-builtins is not beside it; "
                        "reinstall it (bash scripts/setup.sh, or set CUDA_HOME)", nvrtc->path);
    if (result) {
        judge_failure(nvrtc->nvrtcGetErrorString(result), out);
        return MOE_OK;
    }
    MOE_TRY(fetch(nvrtc, program, nvrtc->nvrtcGetCUBINSize, nvrtc->nvrtcGetCUBIN, &out->cubin,
                  &out->image.cubin_size));
    MOE_TRY(fetch(nvrtc, program, nvrtc->nvrtcGetPTXSize, nvrtc->nvrtcGetPTX, (void **)&out->ptx,
                  &size));
    out->image.cubin = out->image.cubin_size ? out->cubin : NULL; /* none of PTX alone */
    out->image.ptx = out->ptx;
    out->image.ptx_size = strlen(out->ptx); /* NVRTC counts the NUL */
    return MOE_OK;
}

static moe_status compile_text(const moe_nvrtc *nvrtc, const char *name, const char *text,
                               const char *arch, const moe_headers *headers, moe_compiled *out) {
    void *program = NULL;
    char arch_option[32];
    const char *list[OPTIONS + 1 + MOE_HEADER_OPTIONS];
    snprintf(arch_option, sizeof arch_option, "-arch=%s", arch);
    memcpy(list, options, sizeof options);
    list[OPTIONS] = arch_option;
    for (int i = 0; i < headers->options; i++) list[OPTIONS + 1 + i] = headers->option[i];
    int result = nvrtc->nvrtcCreateProgram(&program, text, name, headers->count, headers->text,
                                           headers->name);
    if (result)
        return moe_fail(MOE_E_LIBRARY, "NVRTC: %s", nvrtc->nvrtcGetErrorString(result));
    moe_status status;
    result = nvrtc->nvrtcCompileProgram(program, OPTIONS + 1 + headers->options, list);
    if (result == MOE_NVRTC_BAD_OPTION)
        status = moe_fail(MOE_E_UNSUPPORTED, "NVRTC %s cannot compile for %s; install a toolkit "
                          "that knows this GPU", nvrtc->version, arch);
    else
        status = take_results(nvrtc, program, result, out);
    nvrtc->nvrtcDestroyProgram(&program);
    return status;
}

static moe_status compile_with(const char *name, const char *text, const char *arch,
                               const moe_headers *headers, moe_compiled *out) {
    const moe_nvrtc *nvrtc;
    moe_compiled compiled = {.outcome = MOE_OUTCOME_OK};
    MOE_TRY(moe_nvrtc_open(&nvrtc));
    double start = milliseconds();
    moe_status status = compile_text(nvrtc, name, text, arch, headers, &compiled);
    if (status) {
        moe_compiled_free(&compiled);
        return status;
    }
    compiled.ms = milliseconds() - start;
    snprintf(compiled.toolkit, sizeof compiled.toolkit, "%s", nvrtc->version);
    snprintf(compiled.image.arch, sizeof compiled.image.arch, "%s", arch);
    moe_image_hash(text, arch, nvrtc->version, compiled.hash);
    *out = compiled;
    return MOE_OK;
}

moe_status moe_compile_text(const char *name, const char *text, const char *arch,
                            moe_compiled *out) {
    return compile_with(name, text, arch, &(moe_headers){.options = 0}, out);
}

moe_status moe_compile_file(const char *name, const char *text, const char *arch,
                            const char *const *folders, moe_compiled *out) {
    const moe_nvrtc *nvrtc;
    MOE_TRY(moe_nvrtc_open(&nvrtc));
    moe_headers *headers = moe_headers_find(nvrtc->path, folders);
    if (!headers) return moe_fail(MOE_E_MEMORY, "no memory for the names of header folders");
    moe_status status = compile_with(name, text, arch, headers, out);
    free(headers);
    return status;
}

/* Of PTX alone, whether the kernel is there. */
static bool take_resources(const moe_compiled *compiled, moe_kernel *kernel) {
    char mark[MOE_SYMBOL_SIZE + 32];
    if (compiled->image.cubin) return moe_log_resources(compiled->log, kernel->symbol, kernel);
    snprintf(mark, sizeof mark, ".entry %s(", kernel->symbol);
    return strstr(compiled->ptx, mark) != NULL;
}

/* A symbol that is not there was not generated: the template is wrong. */
static void find_kernels(moe_compiled *compiled) {
    moe_launch *launch = &compiled->image.launch;
    for (int64_t i = 0; i < launch->kernels; i++) {
        if (take_resources(compiled, &launch->kernel[i])) continue;
        compiled->outcome = MOE_OUTCOME_COMPILE_FAILED;
        snprintf(compiled->reason, sizeof compiled->reason,
                 "the source has no kernel '%s'; name it with $(moe.symbol())",
                 launch->kernel[i].symbol);
        return;
    }
}

moe_status moe_compile(const moe_source *source, const char *arch, moe_compiled *out) {
    MOE_TRY(moe_compile_text(source->template_id, source->text, arch, out));
    out->image.launch = source->launch;
    if (out->outcome == MOE_OUTCOME_OK) find_kernels(out);
    return MOE_OK;
}

moe_ptx_arch moe_arch_of_ptx(const char *arch) {
    moe_ptx_arch out;
    snprintf(out.text, sizeof out.text, "compute_%s", arch + strcspn(arch, "0123456789"));
    return out;
}

void moe_compiled_free(moe_compiled *compiled) {
    free(compiled->cubin);
    free(compiled->ptx);
    free(compiled->log);
    compiled->cubin = NULL;
    compiled->ptx = compiled->log = NULL;
    compiled->image.cubin = NULL;
    compiled->image.ptx = NULL;
}

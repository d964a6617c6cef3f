/* nvrtc_for_tests.c - opens NVRTC at run time and compiles CUDA text to PTX. */
#include "nvrtc_for_tests.h"

#include "compile/nvrtc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const moe_nvrtc *nvrtc;

static void nvrtc_open(void) {
    if (moe_nvrtc_open(&nvrtc) != MOE_OK)
        fail_msg("these tests need NVRTC: %s", moe_error_text());
}

static void *required(void *memory) {
    if (!memory) fail_msg("out of memory");
    return memory;
}

static void fail_with_log(void *program, const char *file) {
    size_t size = 0;
    char *log;

    nvrtc->nvrtcGetProgramLogSize(program, &size);
    log = required(calloc(size + 1, 1));
    nvrtc->nvrtcGetProgramLog(program, log);
    print_error("%s\n", log);
    free(log);
    fail_msg("NVRTC does not compile %s", file);
}

char *nvrtc_ptx(const char *source, const char *file, const char *arch, const char *define) {
    char arch_option[64], define_option[64];
    const char *options[] = {arch_option, "--generate-line-info", "--std=c++17",
                             "--include-path=tests/sim/bugs", define_option};
    void *program;
    size_t size = 0;
    char *ptx;

    nvrtc_open();
    snprintf(arch_option, sizeof arch_option, "--gpu-architecture=%s", arch);
    snprintf(define_option, sizeof define_option, "--define-macro=%s", define ? define : "");
    if (nvrtc->nvrtcCreateProgram(&program, source, file, 0, NULL, NULL) != MOE_NVRTC_SUCCESS)
        fail_msg("NVRTC does not take %s", file);
    if (nvrtc->nvrtcCompileProgram(program, define ? 5 : 4, options) != MOE_NVRTC_SUCCESS)
        fail_with_log(program, file);
    nvrtc->nvrtcGetPTXSize(program, &size);
    ptx = required(calloc(size + 1, 1));
    nvrtc->nvrtcGetPTX(program, ptx);
    nvrtc->nvrtcDestroyProgram(&program);
    return ptx;
}

char *text_file(const char *path) {
    FILE *file = fopen(path, "rb");
    size_t size;
    char *text;

    if (!file) fail_msg("cannot read %s: run the test in the source folder", path);
    fseek(file, 0, SEEK_END);
    size = (size_t)ftell(file);
    rewind(file);
    text = required(calloc(size + 1, 1));
    if (fread(text, 1, size, file) != size) fail_msg("cannot read %s", path);
    fclose(file);
    return text;
}

char *nvrtc_file_ptx(const char *path, const char *arch, const char *define) {
    char *source = text_file(path);
    char *ptx = nvrtc_ptx(source, path, arch, define);

    free(source);
    return ptx;
}

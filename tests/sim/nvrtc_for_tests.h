/* nvrtc_for_tests.h - CUDA text to PTX, for tests of the simulated GPU. */
#ifndef NVRTC_FOR_TESTS_H
#define NVRTC_FOR_TESTS_H

/* Compiles with line numbers for `arch`, such as "compute_80". `file` is the name that line numbers
 * refer to; `define` ("NAME" or "NAME=1") may be NULL. Fails the running test with the compiler's
 * log, or with what is missing when NVRTC is. The result is the caller's to free(). */
char *nvrtc_ptx(const char *source, const char *file, const char *arch, const char *define);

/* The same for a file, named as it is opened. */
char *nvrtc_file_ptx(const char *path, const char *arch, const char *define);

/* A whole text file, NUL-terminated, or a failed test. The caller frees it. */
char *text_file(const char *path);

#endif

/* compile.h - from CUDA source to an image, by NVRTC.
 *
 *     moe_compiled compiled;
 *     MOE_TRY(moe_compile(&source, "sm_90a", &compiled));
 *     if (compiled.outcome == MOE_OUTCOME_OK) ... compiled.image ...
 *     moe_compiled_free(&compiled);
 *
 * Source that does not compile is an outcome, not an error: only a missing or broken compiler is.
 * Needs no GPU and no driver. Safe between threads. */
#ifndef MOE_COMPILE_H
#define MOE_COMPILE_H

#include "core/image.h"
#include "core/measurement.h"
#include "gen.h"

enum { MOE_HASH_SIZE = 33, MOE_REASON_SIZE = 512 };

typedef struct moe_compiled {
    moe_outcome outcome;          /* ok, compile_failed, over_limit or timeout */
    char reason[MOE_REASON_SIZE]; /* of any other outcome than ok: the first error, in one line */
    char hash[MOE_HASH_SIZE];     /* of the text without #line marks, options, arch and compiler */
    char toolkit[32];             /* NVRTC version, "13.0" */
    double ms;                    /* compile time */
    moe_image image;              /* borrows cubin and ptx below; launch has the resources */
    void *cubin;                  /* owned; NULL unless ok */
    char *ptx;                    /* owned, NUL-terminated; NULL unless ok */
    char *log;                    /* owned; never NULL after a compile */
} moe_compiled;

/* One compile gives cubin, PTX and log, and fills in registers, spills and static shared memory of
 * every kernel of source->launch. MOE_E_LIBRARY, MOE_E_UNSUPPORTED (NVRTC does not know the arch),
 * MOE_E_MEMORY. */
moe_status moe_compile(const moe_source *source, const char *arch, moe_compiled *out);

/* The same for CUDA text that no template made; `name` stands in its error messages. The image's
 * launch is empty. */
moe_status moe_compile_text(const char *name, const char *text, const char *arch,
                            moe_compiled *out);

/* The same for a file that somebody wrote: its headers are looked for in `folders` (NULL behind the
 * last), then where CUDA keeps its own, beside NVRTC. Of the C library, NVRTC knows printf, assert,
 * malloc and the like by itself; headers that declare them are found empty. */
moe_status moe_compile_file(const char *name, const char *text, const char *arch,
                            const char *const *folders, moe_compiled *out);

/* The arch to compile for where only a simulated GPU runs the code: compute_90a for sm_90a. It ends
 * before ptxas, after half of the time: PTX, but no cubin, and no resources in the launch. */
typedef struct moe_ptx_arch {
    char text[16];
} moe_ptx_arch;
moe_ptx_arch moe_arch_of_ptx(const char *arch);

void moe_compiled_free(moe_compiled *compiled);

/* Key of an image: 32 hex digits. */
void moe_image_hash(const char *text, const char *arch, const char *toolkit, char *hash);

/* Reads a kernel's resources from the compiler's log; false if it does not name the symbol. */
bool moe_log_resources(const char *log, const char *symbol, moe_kernel *kernel);

/* False, with the reason, where a kernel cannot or should not run on the device: too much shared
 * memory, more registers than an SM has, or spills that make it pointless to time. */
bool moe_launch_fits(const moe_launch *launch, const moe_facts *facts, char *reason, size_t size);

#endif

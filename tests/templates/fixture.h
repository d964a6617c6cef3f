/* fixture.h - kernels of the shipped templates on a device, for tests.
 *
 *     fixture f;                 fixture_open(&f, "sim:a100");
 *     fixture_kernel kernel;     fixture_build(&f, "combine", &op, "", &kernel);
 *     moe_arg_values args = {0}; args.value[MOE_ARG_y] = fixture_room(&f, bytes); ...
 *     fixture_run(&f, &kernel, &args);
 *     fixture_get(&f, args.value[MOE_ARG_y], host, bytes);
 *     fixture_forget(&f);        frees all arrays
 *
 * Whatever fails, fails the running cmocka test with the error's text. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "compile/compile.h"
#include "core/args.h"
#include "device/device.h"
#include "gen.h"

/* Fails the test with the call and the error's text unless it gives MOE_OK. */
#define CHECK(call) fixture_check((call), #call, __FILE__, __LINE__)
void fixture_check(moe_status status, const char *call, const char *file, int line);

typedef struct fixture {
    moe_gen *gen;
    moe_device *device;
    moe_ptr *array; /* arrays made since the last forget */
    int arrays, room;
} fixture;

/* Opens the templates folder and a device. */
void fixture_open(fixture *f, const char *device);
void fixture_close(fixture *f);

typedef struct fixture_kernel {
    moe_op op;
    char what[MOE_OP_TEXT_SIZE + MOE_CONFIG_TEXT_SIZE + 64]; /* template, op and config */
    moe_source source;
    moe_compiled compiled; /* borrowed: each source is compiled once */
    void *module; /* NULL where only compiled */
    int64_t rows; /* set by who runs it: of the buffers h and y_rows */
} fixture_kernel;

/* Renders and compiles for an arch of the given facts, loading nothing. `config` may leave out
 * parameters, or be "" for the default. */
void fixture_compile(fixture *f, const char *template, const moe_op *op, const moe_facts *facts,
                     const char *config, fixture_kernel *out);

/* The same for the fixture's device, which is simulated, with the image loaded. It is PTX alone:
 * who asks for registers or spills calls fixture_compile, as test_compile_* do. */
void fixture_build(fixture *f, const char *template, const moe_op *op, const char *config,
                   fixture_kernel *out);
void fixture_kernel_free(fixture *f, fixture_kernel *kernel);

/* Launches all kernels of the image at op.t tokens and waits. `scratch` is made here, poisoned, as
 * large as the launch says; `tokens` is filled in. */
void fixture_run(fixture *f, const fixture_kernel *kernel, moe_arg_values *args);

/* Device arrays of exactly `bytes`: a copy of host memory; memory that nobody wrote. */
moe_ptr fixture_put(fixture *f, const void *host, size_t bytes);
moe_ptr fixture_room(fixture *f, size_t bytes);
void fixture_get(fixture *f, moe_ptr from, void *host, size_t bytes);

/* Frees every array. */
void fixture_forget(fixture *f);

/* Compiles a candidate for the fixture's device, and fails the test where a kernel spills or the
 * reference finds what it makes wrong. */
void fixture_verify(fixture *f, const char *template, const moe_op *op, const char *config);

#endif

/* plan_case.h - what the tests of plans and of their runs share: a database made by hand, a device
 * that notes what it is asked, and runs on pointers that are easy to tell. */
#ifndef PLAN_CASE_H
#define PLAN_CASE_H

#include "check.h"
#include "recorder.h"
#include "synthetic.h"

#define LAYER "d=64 f=32 e=8 k=2 bias=router,up,down"
#define CAPPED "d=64 f=32 e=8 k=2 capacity=1.25"
#define FACTS "sm_90a \"test\" sms=10 smem=232448 simulated=1"

enum { D = 64, F = 32, E = 8, K = 2 };

extern char case_folder[256], case_path[300];

/* Set-up and tear-down of a test: a fresh folder, with case_path in it. */
int case_start(void **unused);
int case_stop(void **unused);

/* An image for each op and `tag`; the GEMMs' rows are aligned to `align`. */
void case_images(sqlite3 *db, int tag, int align);

/* A record of an op with config tag=TAG; n = 0: never timed. Returns its id. */
int64_t case_record(sqlite3 *db, int64_t device, int kind, const char *layer, int64_t tokens,
                    int tag, int64_t n);

/* A timed record for each op. */
void case_records(sqlite3 *db, int64_t device, const char *layer, int64_t tokens, int tag);

/* A database at case_path: t = 1, 16 and 256 with kernels 1, 2 and 3; only 3 aligns its rows. */
void case_db(const char *layer);

moe_layer case_layer(const char *text);

/* A plan of case_path, or why there is none. The options' size need not be set. */
moe_status case_try(recorder *device, const char *text, const moe_plan_options *options,
                    moe_plan **out);
moe_plan *case_plan(recorder *device, const char *text, const moe_plan_options *options);

/* A pointer that nothing dereferences, another one for each number. */
void *case_pointer(int number);

/* All that LAYER needs. */
moe_io case_io(size_t workspace);

/* Runs T tokens on stream case_pointer(200) with just enough workspace; what happened is in
 * device->event. Returns `io` as it was used. */
moe_io case_run(recorder *device, const moe_plan *plan, moe_io io, int64_t tokens);

/* The first launch whose symbol starts so: NULL, or a failed test, if there is none. */
const recorder_event *case_find(const recorder *device, const char *symbol);
const recorder_event *case_need(const recorder *device, const char *symbol);

/* The value of an argument of such a launch. */
uint64_t case_argument(const recorder *device, const char *symbol, moe_op_kind kind, moe_arg arg);

/* The fill of memory at `to`, or NULL. */
const recorder_event *case_fill(const recorder *device, uint64_t to);

#endif

/* op_case.h - one op on one device: its inputs, its buffers, and what its result must be.
 *
 * All candidates of an op are tried on the same case. The inputs come from the reference, index
 * maps included, so that each op is judged alone. A case belongs to one thread.
 *
 *     moe_op_case *c;      moe_op_case_open(device, &op, seed, &c);
 *     moe_trial *trial;    moe_trial_open(c, &compiled.image, &trial);
 *     moe_verdict verdict; moe_trial_verify(trial, &verdict, &ns);
 *     moe_trial_run(trial) ... as often as it is to be timed
 */
#ifndef MOE_OP_CASE_H
#define MOE_OP_CASE_H

#include "check.h"
#include "core/op.h"
#include "device/device.h"

typedef struct moe_op_case moe_op_case;
typedef struct moe_trial moe_trial;

/* Makes inputs at unit scale from the seed, the op's reference (for large ops of a part of its
 * rows) and uploads the inputs. op->t must be above 0. MOE_E_MEMORY, MOE_E_DEVICE. */
moe_status moe_op_case_open(moe_device *device, const moe_op *op, uint64_t seed, moe_op_case **out);
void moe_op_case_close(moe_op_case *c);

/* Loads an image and prepares its launches on the case. MOE_E_DEVICE, MOE_E_UNSUPPORTED (an
 * instruction that a simulated GPU lacks), MOE_E_MEMORY. Close trials before their case. */
moe_status moe_trial_open(moe_op_case *c, const moe_image *image, moe_trial **out);
void moe_trial_close(moe_trial *trial);

/* Enqueues the kernels once. A moe_work of meter.h: the context is the trial. */
moe_status moe_trial_run(void *trial);

/* Poisons the outputs, runs, and judges the result by the op's tolerance; `verdict->error` is the
 * largest error over the RMS of the reference. `*ns` gets what the device's own timer says of the
 * run (a simulated one's model). A status other than MOE_OK is a fault of the kernel or device. */
moe_status moe_trial_verify(moe_trial *trial, moe_verdict *verdict, double *ns);

#endif

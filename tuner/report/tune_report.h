/* tune_report.h - what a tune has to say at its end. */
#ifndef MOE_TUNE_REPORT_H
#define MOE_TUNE_REPORT_H

#include "tune/tune_plan.h"

/* What came of it: every layer has a choice; one was found wrong; one has none, or the tune was
 * stopped. */
typedef enum moe_tune_verdict { MOE_TUNE_GOOD, MOE_TUNE_WRONG, MOE_TUNE_MISSING } moe_tune_verdict;

/* Prints tables (or JSON) to stdout, and the next commands. */
moe_tune_verdict moe_tune_report(const moe_tuner *tuner, const moe_session *session,
                                 const char *device, bool json);

/* Prints what a tune would try and how long that should take. MOE_E_TEMPLATE, MOE_E_MEMORY. */
moe_status moe_tune_plan_report(const moe_tuner *tuner, const moe_goal *goal,
                                const moe_session *session, const moe_op_plan *plan);

#endif

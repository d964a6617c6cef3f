/* tune_report.h - what a tune has to say at its end. */
#ifndef MOE_TUNE_REPORT_H
#define MOE_TUNE_REPORT_H

#include "session.h"

/* Prints tables (or JSON) to stdout, and the next commands; returns the exit status. */
int moe_tune_report(const moe_tuner *tuner, const moe_session *session, const char *device,
                    bool json);

#endif

/* status.h - failing with a message.
 *
 *     return moe_fail(MOE_E_INVALID, "k=%d is more than e=%d", k, e);
 *
 * The message belongs to the calling thread until its next failure. It names what was wrong and
 * what to do next, in one line without a final full stop. A caller that knows more about what was
 * going on adds it once, in front, with moe_fail_context. Nothing prints but the command. */
#ifndef MOE_STATUS_H
#define MOE_STATUS_H

#include "moetune.h"

#include <stdarg.h>

#if defined(__GNUC__)
#define MOE_PRINTF(at, args) __attribute__((format(printf, at, args)))
#else
#define MOE_PRINTF(at, args)
#endif

/* Records the message and returns `status`, so that it can be the operand of return. */
moe_status moe_fail(moe_status status, const char *format, ...) MOE_PRINTF(2, 3);

/* Puts "context: " in front of the recorded message and returns `status` unchanged. */
moe_status moe_fail_context(moe_status status, const char *format, ...) MOE_PRINTF(2, 3);

/* Where the calling thread's message is kept. A library that is opened at run time and has a copy
 * of this file keeps its messages where the one that opened it does. */
typedef char *moe_message_place(void);
moe_message_place *moe_message_own(void);
void moe_message_share(moe_message_place *place);

/* Returns from the calling function when `call` fails. Not for functions that own something: those
 * have one exit label. */
#define MOE_TRY(call)                                                                              \
    do {                                                                                           \
        moe_status moe_try_status = (call);                                                        \
        if (moe_try_status != MOE_OK) return moe_try_status;                                       \
    } while (0)

#endif

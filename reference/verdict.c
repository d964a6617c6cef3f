/* verdict.c - the outcome of judging what a kernel made. */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>

bool moe_bad(moe_verdict *verdict, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(verdict->text, sizeof verdict->text, format, args);
    va_end(args);
    verdict->ok = false;
    return false;
}

/* status.c - the error message of each thread. */
#include "core/status.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_SIZE = 4096 };

static _Thread_local char own_message[MESSAGE_SIZE];

static char *own_place(void) { return own_message; }

/* Whose message it is: one place for the libraries that share it. */
static moe_message_place *place = own_place;

moe_message_place *moe_message_own(void) { return place; }

void moe_message_share(moe_message_place *of) { place = of; }

static const char *const texts[MOE_STATUS_COUNT] = {
    [MOE_OK] = "ok",
    [MOE_E_PARSE] = "parse error",
    [MOE_E_INVALID] = "invalid",
    [MOE_E_UNSUPPORTED] = "unsupported",
    [MOE_E_NOT_FOUND] = "not found",
    [MOE_E_IO] = "i/o error",
    [MOE_E_CORRUPT] = "corrupt file",
    [MOE_E_LIBRARY] = "missing library",
    [MOE_E_DEVICE] = "device error",
    [MOE_E_FAULT] = "kernel fault",
    [MOE_E_TEMPLATE] = "template error",
    [MOE_E_COMPILE] = "compile error",
    [MOE_E_MEMORY] = "out of memory",
};

const char *moe_status_text(moe_status status) {
    return (unsigned)status < MOE_STATUS_COUNT ? texts[status] : "unknown status";
}

const char *moe_error_text(void) { return place(); }

const char *moe_version(void) { return MOE_VERSION; }

/* Text of others stands in messages, and must not end their line or drive a terminal. Only what a
 * simulated kernel did wrong takes several lines, and these are our own. */
static void set_message(moe_status status, char *text) {
    for (char *c = text; *c; c++) {
        bool control = (unsigned char)*c < ' ' || *c == 127;
        if (control && !(*c == '\n' && status == MOE_E_FAULT)) *c = '?';
    }
    strcpy(place(), text);
}

moe_status moe_fail(moe_status status, const char *format, ...) {
    /* Arguments may point into the old message, so the new one is built beside it. */
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    set_message(status, text);
    return status;
}

moe_status moe_fail_context(moe_status status, const char *format, ...) {
    char text[MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int used = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof text)
        snprintf(text + used, sizeof text - (size_t)used, ": %.3000s", place());
    set_message(status, text);
    return status;
}

/* translate.c - the body of a template becomes a Lua chunk. */
#include "translate.h"

#include <string.h>

/* What is being read: the rest of one line, and where it stands. */
typedef struct cursor {
    const char *at, *end; /* end of the line, without its line break */
    const char *label;
    int line;
} cursor;

static moe_status fail(const cursor *in, const char *message) {
    return moe_fail(MOE_E_TEMPLATE, "%s:%d: %s", in->label, in->line, message);
}

/* Adds text as the inside of a Lua string literal. */
static void add_quoted(gen_buffer *lua, const char *text, const char *end) {
    for (; text < end; text++) {
        if (*text == '"' || *text == '\\') gen_buffer_add(lua, "\\", 1);
        if (*text == '\r')
            gen_buffer_add(lua, "\\r", 2);
        else
            gen_buffer_add(lua, text, 1);
    }
}

/* The end of the Lua string literal that starts at `at`; NULL if it does not end before `end`. */
static const char *skip_string(const char *at, const char *end) {
    char quote = *at++;
    while (at < end && *at != quote) at += *at == '\\' ? 2 : 1;
    return at < end ? at + 1 : NULL;
}

/* The end of a [[...]] or [==[...]==] string; `at` if none starts there, NULL if unclosed. */
static const char *skip_long_string(const char *at, const char *end) {
    const char *open = at + 1;
    while (open < end && *open == '=') open++;
    if (open >= end || *open != '[') return at;
    size_t level = (size_t)(open - at) - 1;
    for (const char *close = open + 1; close + level + 1 < end; close++)
        if (*close == ']' && strspn(close + 1, "=") >= level && close[1 + level] == ']')
            return close + level + 2;
    return NULL;
}

/* Finds the parenthesis that closes an expression which starts behind "$(". */
static moe_status find_close(const cursor *in, const char *start, const char **close) {
    int depth = 1;
    for (const char *at = start; at && at < in->end;) {
        const char *next = at + 1;
        if (*at == '"' || *at == '\'') next = skip_string(at, in->end);
        if (*at == '[') {
            next = skip_long_string(at, in->end);
            if (next == at) next++;
        }
        if (*at == '-' && next < in->end && *next == '-')
            return fail(in, "a comment cannot stand in $( ); put it on a % line");
        depth += (*at == '(') - (*at == ')');
        if (depth == 0) {
            *close = at;
            return MOE_OK;
        }
        at = next;
    }
    return fail(in, "$( is not closed on its line");
}

static bool blank(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    return at == end;
}

/* `at` stands on "$(": adds the expression as one more argument and steps behind it. */
static moe_status add_expression(cursor *in, gen_buffer *lua) {
    const char *start = in->at + 2, *close = start;
    MOE_TRY(find_close(in, start, &close));
    if (blank(start, close)) return fail(in, "$() holds no expression");
    gen_buffer_add(lua, ",(", 2);
    gen_buffer_add(lua, start, (size_t)(close - start));
    gen_buffer_add(lua, ")", 1);
    in->at = close + 1;
    return MOE_OK;
}

static moe_status add_text_line(cursor *in, gen_buffer *lua) {
    gen_buffer_format(lua, "__line(%d", in->line);
    while (in->at < in->end) {
        const char *text = in->at;
        while (in->at < in->end && !(in->at[0] == '$' && in->end - in->at > 1 && in->at[1] == '('))
            in->at++;
        if (in->at > text) {
            gen_buffer_add(lua, ",\"", 2);
            add_quoted(lua, text, in->at);
            gen_buffer_add(lua, "\"", 1);
        }
        if (in->at < in->end) MOE_TRY(add_expression(in, lua));
    }
    gen_buffer_add(lua, ")", 1);
    return MOE_OK;
}

static moe_status add_line(cursor *in, gen_buffer *lua) {
    const char *first = in->at;
    while (first < in->end && (*first == ' ' || *first == '\t')) first++;
    if (first == in->end || *first != '%') return add_text_line(in, lua);
    if (first + 1 < in->end && first[1] == '%')
        return fail(in, "a line that starts with %% is neither Lua nor CUDA; for a literal % at "
                        "the start write $(\"%\")");
    gen_buffer_add(lua, first + 1, (size_t)(in->end - first - 1));
    return MOE_OK;
}

moe_status gen_translate(const char *label, const char *text, size_t size, gen_buffer *lua) {
    const char *end = text + size;
    cursor in = {.label = label, .line = 1};
    if (memchr(text, '\0', size))
        return moe_fail(MOE_E_TEMPLATE, "%s: holds a zero byte; a template must be plain text",
                        label);
    gen_buffer_format(lua, "local __line=...;");
    for (const char *at = text; at < end; in.line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        in.at = at;
        in.end = newline && stop > at && stop[-1] == '\r' ? stop - 1 : stop;
        MOE_TRY(add_line(&in, lua));
        gen_buffer_add(lua, "\n", 1);
        at = newline ? newline + 1 : end;
    }
    return lua->failed ? moe_fail(MOE_E_MEMORY, "%s: out of memory", label) : MOE_OK;
}

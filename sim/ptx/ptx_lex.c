/* ptx_lex.c - PTX text into tokens. */
#include "ptx/ptx.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           c == '$' || c == '%' || c == '.';
}

/* Skips a comment that starts here; false if none does. */
static bool skip_comment(ptx_lexer *lexer) {
    const char *at = lexer->at;

    if (lexer->end - at < 2 || at[0] != '/' || (at[1] != '/' && at[1] != '*')) return false;
    bool line = at[1] == '/';
    for (at += 2; at < lexer->end; at++) {
        if (*at == '\n') {
            if (line) break;
            lexer->line++;
        }
        if (!line && at[0] == '*' && at + 1 < lexer->end && at[1] == '/') {
            at += 2;
            break;
        }
    }
    lexer->at = at;
    return true;
}

static void skip_blank(ptx_lexer *lexer) {
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        if (c == '\n') lexer->line++;
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') lexer->at++;
        else if (!skip_comment(lexer)) break;
    }
}

static unsigned digit_value(char c) {
    if (is_digit(c)) return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f') return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') return (unsigned)(c - 'A') + 10;
    return 99;
}

static const char *read_digits(const char *at, const char *end, unsigned base, uint64_t *value) {
    for (*value = 0; at < end && digit_value(*at) < base; at++)
        *value = *value * base + digit_value(*at);
    return at;
}

/* 1.5, 2e-3: decimal floats are double constants. */
static bool read_decimal_float(ptx_lexer *lexer, ptx_token *out) {
    const char *at = lexer->at;
    char *stop;

    while (at < lexer->end && is_digit(*at)) at++;
    if (at == lexer->end || *at != '.') return false;
    double value = strtod(lexer->at, &stop);
    memcpy(&out->value, &value, sizeof value);
    out->floated = 64;
    lexer->at = stop;
    return true;
}

static void read_number(ptx_lexer *lexer, ptx_token *out) {
    const char *at = lexer->at;
    char mark = lexer->end - at > 1 && at[0] == '0' ? at[1] : ' ';

    out->kind = PTX_NUMBER;
    out->floated = 0;
    if (mark == 'f' || mark == 'F' || mark == 'd' || mark == 'D') {
        out->floated = mark == 'f' || mark == 'F' ? 32 : 64;
        lexer->at = read_digits(at + 2, lexer->end, 16, &out->value);
    } else if (mark == 'x' || mark == 'X') {
        lexer->at = read_digits(at + 2, lexer->end, 16, &out->value);
    } else if (mark == 'b' || mark == 'B') {
        lexer->at = read_digits(at + 2, lexer->end, 2, &out->value);
    } else if (!read_decimal_float(lexer, out)) {
        lexer->at =
            read_digits(at, lexer->end, mark == ' ' || !is_digit(mark) ? 10 : 8, &out->value);
    }
    if (lexer->at < lexer->end && *lexer->at == 'U') lexer->at++;
}

/* A directive ends at the next dot (.reg.b32 is two); an opcode keeps its modifiers
 * (ld.global.f32). */
static void read_word(ptx_lexer *lexer) {
    bool directive = *lexer->at == '.';

    lexer->at++;
    while (lexer->at < lexer->end) {
        if (directive && *lexer->at == '.') break;
        if (is_word(*lexer->at)) lexer->at++;
        else if (lexer->end - lexer->at > 2 && lexer->at[0] == ':' && lexer->at[1] == ':')
            lexer->at += 2;
        else break;
    }
}

bool ptx_next(ptx_lexer *lexer, ptx_token *out) {
    skip_blank(lexer);
    *out = (ptx_token){.kind = PTX_END, .text = lexer->at, .line = lexer->line};
    if (lexer->at >= lexer->end || !*lexer->at) return true;
    char c = *lexer->at;
    if (is_digit(c)) {
        read_number(lexer, out);
    } else if (is_word(c)) {
        out->kind = PTX_WORD;
        read_word(lexer);
    } else if (c == '"') {
        out->kind = PTX_STRING;
        out->text = ++lexer->at;
        while (lexer->at < lexer->end && *lexer->at != '"' && *lexer->at != '\n') lexer->at++;
        if (lexer->at == lexer->end || *lexer->at != '"') return false;
        out->length = (uint32_t)(lexer->at++ - out->text);
        return true;
    } else if (strchr("{}()[]<>,;:@!|+-=*&~^/", c)) {
        out->kind = PTX_SIGN;
        lexer->at++;
    } else {
        return false;
    }
    out->length = (uint32_t)(lexer->at - out->text);
    return true;
}

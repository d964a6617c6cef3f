/* check.c - what the runtime's tests share. */
#define _GNU_SOURCE /* nftw */
#include "check.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void check_ok(moe_status status, const char *call, const char *file, int line) {
    if (status == MOE_OK) return;
    print_error("%s gave '%s': %s\n", call, moe_status_text(status), moe_error_text());
    _fail(file, line);
}

void check_contains(const char *text, const char *part, const char *file, int line) {
    if (strstr(text, part)) return;
    print_error("'%s'\ndoes not contain '%s'\n", text, part);
    _fail(file, line);
}

void check_fails(moe_status status, moe_status expected, const char *text, const char *call,
                 const char *file, int line) {
    if (status != expected) {
        print_error("%s gave '%s' (%s), not '%s'\n", call, moe_status_text(status),
                    moe_error_text(), moe_status_text(expected));
        _fail(file, line);
    }
    check_contains(moe_error_text(), text, file, line);
}

uint64_t dice_roll(dice *from) {
    from->state = from->state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = from->state;
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    return x ^ x >> 33;
}

int64_t dice_between(dice *from, int64_t low, int64_t high) {
    return low + (int64_t)(dice_roll(from) % (uint64_t)(high - low + 1));
}

double dice_real(dice *from) {
    double value;
    do {
        uint64_t bits = dice_roll(from);
        memcpy(&value, &bits, sizeof value);
    } while (value != value || value - value != 0);
    return dice_roll(from) % 8 ? value : 0;
}

void dice_word(dice *from, char *word, size_t size) {
    static const char letters[] = "abcXYZ0189._+:/-";
    size_t length = (size_t)dice_between(from, 2, (int64_t)size - 1);
    for (size_t i = 0; i < length; i++) word[i] = letters[dice_roll(from) % (sizeof letters - 1)];
    word[length] = '\0';
}

void scratch_make(char *folder, size_t size) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, size, "%s/moetune-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info, (void)at;
    if (type == FTW_D) chmod(path, 0700);
    return remove(path);
}

static int open_up(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info, (void)at;
    return type == FTW_D ? chmod(path, 0700) : 0;
}

void scratch_remove(const char *folder) {
    nftw(folder, open_up, 8, FTW_PHYS);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

char *read_text(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t used = 0, room = 1 << 16;
    char *text = malloc(room + 1);
    while (text) {
        used += fread(text + used, 1, room - used, file);
        if (used < room) break;
        room *= 2;
        text = realloc(text, room + 1);
    }
    fclose(file);
    if (text) text[used] = '\0';
    if (size) *size = used;
    return text;
}

void write_text(const char *path, const void *text, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

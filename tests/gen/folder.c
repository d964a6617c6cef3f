/* folder.c - template folders made for one test. */
#include "folder.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void folder_make(folder *f) {
    char include[128];
    snprintf(f->root, sizeof f->root, "/tmp/moetune-gen-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->path, sizeof f->path, "%s/templates", f->root);
    snprintf(include, sizeof include, "%s/include", f->path);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(mkdir(include, 0700), 0);
}

void folder_write_bytes(const folder *f, const char *name, const void *data, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

void folder_write(const folder *f, const char *name, const char *text) {
    folder_write_bytes(f, name, text, strlen(text));
}

static void empty(const char *path) {
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        char file[512];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(file)) empty(file);
    }
    if (stream) closedir(stream);
    rmdir(path);
}

void folder_remove(folder *f) { empty(f->root); }

void folder_write_lua(const folder *f, const char *name, const char *code, const char *entries) {
    char text[8192], file[64];
    int size = snprintf(text, sizeof text,
                        "local t = {\n"
                        "name = '%s', op = 'combine', arch = {80, 120}, params = {{'n', {1, 2}}},\n"
                        "default = function(p, d) %s return {n = 1} end,\n"
                        "launch = function() "
                        "return {kernels = {{grid = {'fixed', 1}, block = 32}}} end,\n"
                        "cost = function() return {flops = 0, bytes = 0} end}\n"
                        "for k, v in pairs({\n%s\n}) do t[k] = v end\n"
                        "return moe.template(t)\n",
                        name, code, entries);
    assert_true(size > 0 && (size_t)size < sizeof text);
    snprintf(file, sizeof file, "%s.lua", name);
    folder_write(f, file, text);
}

moe_facts test_facts(void) {
    moe_facts facts = {.arch = "sm_80", .name = "test", .sms = 100, .l2 = 40 << 20,
                       .memory = INT64_C(40) << 30, .clock = 1400, .bandwidth = 1500};
    moe_facts_complete(&facts);
    return facts;
}

moe_op test_op(const char *text) {
    moe_op op = {0};
    CHECK(moe_op_parse(text, &op));
    return op;
}

moe_config test_config(const char *text) {
    moe_config config = {0};
    CHECK(moe_config_parse(text, &config));
    return config;
}

void test_check(moe_status status, const char *call, const char *file, int line) {
    if (status == MOE_OK) return;
    print_error("%s\n  %s: %s\n", call, moe_status_text(status), moe_error_text());
    _fail(file, line);
}

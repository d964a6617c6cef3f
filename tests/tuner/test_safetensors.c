/* label: unit */
/* test_safetensors.c - files written and read back, and every lie that a header can tell. */
#include "models/safetensors.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/moetune-safetensors-XXXXXX";
static char path[64];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/t.safetensors", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    remove(path);
    return rmdir(folder);
}

/* Writes a file as it stands: a length, a header, and `data` zeros behind it. */
static void write_raw(uint64_t length, const char *header, size_t header_size, size_t data) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 8; i++) fputc((int)(length >> 8 * i & 255), file);
    fwrite(header, 1, header_size, file);
    for (size_t i = 0; i < data; i++) fputc(0, file);
    assert_int_equal(fclose(file), 0);
}

static void assert_refused(moe_status want, const char *text) {
    moe_tensor_file *file = NULL;
    moe_status status = moe_tensor_file_open(path, &file);
    if (status != want)
        fail_msg("status %d, should be %d (%s): %s", status, want, text, moe_error_text());
    assert_null(file);
    const char *message = moe_error_text();
    if (!strstr(message, text)) fail_msg("'%s' does not say '%s'", message, text);
    for (const char *c = message; *c; c++) assert_true((unsigned char)*c >= ' ');
    assert_non_null(strstr(message, path));
}

/* ------------------------------------------------------------------------------- round trip */

static const uint16_t halves[6] = {1, 2, 3, 4, 5, 6};
static const int ids[2] = {7, -8};
static const unsigned char bytes[3] = {9, 10, 11};

static const moe_tensor three[3] = {
    {"bytes", MOE_TENSOR_U8, 1, {3}, bytes, sizeof bytes},
    {"x", MOE_TENSOR_BF16, 2, {2, 3}, halves, sizeof halves},
    {"ids", MOE_TENSOR_I32, 2, {2, 1}, ids, sizeof ids},
};

static void written_files_read_back(void **state) {
    (void)state;
    moe_tensor_file *file;
    assert_int_equal(moe_tensor_file_write(path, three, 3), MOE_OK);
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    assert_int_equal(file->tensors, 3);
    for (int i = 0; i < 3; i++) {
        const moe_tensor *got;
        assert_int_equal(
            moe_tensor_get(file, three[i].name, three[i].type, three[i].rank, three[i].shape, &got),
            MOE_OK);
        assert_int_equal(got->bytes, three[i].bytes);
        assert_memory_equal(got->data, three[i].data, three[i].bytes);
    }
    moe_tensor_file_close(file);
}

static size_t read_whole(unsigned char *out, size_t size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(out, 1, size, file);
    fclose(file);
    return n;
}

/* The bytes do not depend on the order given, and are those that the format's own library makes:
 * larger elements first, a header padded to 8. */
static void bytes_are_determined(void **state) {
    (void)state;
    static const char header[] =
        "{\"ids\":{\"dtype\":\"I32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
        "\"x\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
        "\"bytes\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[20,23]}}";
    unsigned char first[512], second[512];
    const moe_tensor turned[3] = {three[2], three[1], three[0]};
    assert_int_equal(moe_tensor_file_write(path, three, 3), MOE_OK);
    size_t size = read_whole(first, sizeof first);
    assert_int_equal(moe_tensor_file_write(path, turned, 3), MOE_OK);
    assert_int_equal(read_whole(second, sizeof second), size);
    assert_memory_equal(first, second, size);
    assert_memory_equal(first + 8, header, sizeof header - 1);
    assert_int_equal(first[0] % 8, 0);
    assert_int_equal(size, 8u + first[0] + 23);
}

static void empty_files_and_tensors(void **state) {
    (void)state;
    moe_tensor_file *file;
    const moe_tensor none[2] = {{"b", MOE_TENSOR_F32, 2, {0, 4}, NULL, 0},
                                {"a", MOE_TENSOR_F32, 0, {0}, halves, 4}};
    assert_int_equal(moe_tensor_file_write(path, none, 0), MOE_OK);
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    assert_int_equal(file->tensors, 0);
    moe_tensor_file_close(file);
    assert_int_equal(moe_tensor_file_write(path, none, 2), MOE_OK);
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    assert_int_equal(moe_tensor_find(file, "b")->bytes, 0);
    assert_int_equal(moe_tensor_find(file, "a")->rank, 0);
    moe_tensor_file_close(file);
}

static void metadata_and_blanks_are_fine(void **state) {
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},\"x\":{\"shape\":[2],"
                                 "\"data_offsets\":[0,4],\"dtype\":\"F16\"}}     ";
    moe_tensor_file *file;
    write_raw(sizeof header - 1, header, sizeof header - 1, 4);
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    assert_int_equal(file->tensors, 1);
    moe_tensor_file_close(file);
}

/* The format allows data at odd places, which are read in place. */
static void unaligned_data_are_read(void **state) {
    (void)state;
    static const char header[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"b\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[1,17]},"
        "\"c\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[17,21]}}";
    unsigned char whole[8 + sizeof header - 1 + 21] = {sizeof header - 1};
    const double b[2] = {1, -2.5};
    const uint16_t c[2] = {0x3f80, 0xc040};
    float got[2];
    moe_tensor_file *file;
    memcpy(whole + 8, header, sizeof header - 1);
    memcpy(whole + sizeof whole - 20, b, sizeof b);
    memcpy(whole + sizeof whole - 4, c, sizeof c);
    assert_int_equal(moe_tensor_file_view(whole, sizeof whole, &file), MOE_OK);
    assert_int_equal(moe_tensor_floats(moe_tensor_find(file, "b"), 0, 2, got), MOE_OK);
    assert_true(got[0] == 1 && got[1] == -2.5f);
    assert_int_equal(moe_tensor_floats(moe_tensor_find(file, "c"), 0, 2, got), MOE_OK);
    assert_true(got[0] == 1 && got[1] == -3);
    moe_tensor_file_close(file);
}

/* A file is mapped, not read: 64 GiB of it take no memory but the pages that are touched. */
static void large_files_stay_on_the_disk(void **state) {
    (void)state;
    static const char header[] =
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[34359738368],\"data_offsets\":[0,68719476736]}}";
    struct rusage before, after;
    moe_tensor_file *file;
    float got[2];
    write_raw(sizeof header - 1, header, sizeof header - 1, 0);
    if (truncate(path, (off_t)sizeof header + 7 + (INT64_C(64) << 30))) skip(); /* a small disk */
    getrusage(RUSAGE_SELF, &before);
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    assert_int_equal(moe_tensor_floats(moe_tensor_find(file, "a"), INT64_C(1) << 34, 2, got),
                     MOE_OK);
    assert_true(got[0] == 0 && got[1] == 0);
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10); /* KiB */
    moe_tensor_file_close(file);
}

/* Elements of less than a byte, which quantised models have, do not make a file unreadable; what
 * cannot be computed with says so when it is asked for. */
static void quantised_tensors_are_there(void **state) {
    (void)state;
    static const struct {
        const char *type;
        const char *says;
    } cases[] = {{"F4", "MXFP4"}, {"F8_E4M3", "FP8"}, {"F8_E8M0", "scales"}, {"U8", "packed"}};
    float got[1];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        moe_tensor_file *file;
        int length = snprintf(header, sizeof header,
                              "{\"x\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,8]}}",
                              cases[i].type, i == 0 ? 16 : 8);
        write_raw((uint64_t)length, header, (size_t)length, 8);
        assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
        assert_int_equal(moe_tensor_floats(moe_tensor_find(file, "x"), 0, 1, got),
                         MOE_E_UNSUPPORTED);
        if (!strstr(moe_error_text(), cases[i].says) || !strstr(moe_error_text(), cases[i].type))
            fail_msg("%s: %s", cases[i].type, moe_error_text());
        moe_tensor_file_close(file);
    }
}

/* ------------------------------------------------------------------------------------- lies */

#define X(rest) "{\"x\":{" rest "}}"
#define F16(shape, offsets)                                                                        \
    "{\"dtype\":\"F16\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

/* Each header stands before 8 bytes of data. */
static const struct {
    const char *header;
    moe_status status;
    const char *text;
} lies[] = {
    {"", MOE_E_CORRUPT, "not JSON"},
    {"[1,2]", MOE_E_CORRUPT, "not JSON"},
    {"   {}", MOE_E_CORRUPT, "not JSON"},
    {"{\"x\":", MOE_E_CORRUPT, "not JSON"},
    {"{}{}", MOE_E_CORRUPT, "not JSON"},
    {"{\"x\":1}", MOE_E_CORRUPT, "'x': its entry is not an object"},
    {X("\"dtype\":\"F16\",\"shape\":[4]"), MOE_E_CORRUPT, "'x': it has no data_offsets"},
    {X("\"dtype\":\"F16\",\"data_offsets\":[0,8]"), MOE_E_CORRUPT, "it has no shape"},
    {X("\"shape\":[4],\"data_offsets\":[0,8]"), MOE_E_CORRUPT, "it has no dtype"},
    {X("\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8],\"more\":1"), MOE_E_CORRUPT,
     "it has keys other than"},
    {X("\"dtype\":16,\"shape\":[4],\"data_offsets\":[0,8]"), MOE_E_CORRUPT, "its dtype is not"},
    {X("\"dtype\":\"F17\",\"shape\":[4],\"data_offsets\":[0,8]"), MOE_E_UNSUPPORTED, "'F17'"},
    {X("\"dtype\":\"F\\n16\",\"shape\":[4],\"data_offsets\":[0,8]"), MOE_E_UNSUPPORTED, "'F?16'"},
    {X("\"dtype\":\"F16\",\"shape\":4,\"data_offsets\":[0,8]"), MOE_E_CORRUPT,
     "shape is not a list"},
    {X("\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0]"), MOE_E_CORRUPT, "not two numbers"},
    {X("\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":8"), MOE_E_CORRUPT, "not two numbers"},
    {"{\"x\":" F16("-4", "0,8") "}", MOE_E_CORRUPT, "its shape holds"},
    {"{\"x\":" F16("4.0", "0,8") "}", MOE_E_CORRUPT, "its shape holds"},
    {"{\"x\":" F16("\"4\"", "0,8") "}", MOE_E_CORRUPT, "its shape holds"},
    {"{\"x\":" F16("9223372036854775807", "0,8") "}", MOE_E_CORRUPT, "more elements than memory"},
    {"{\"x\":" F16("9223372036854775808", "0,8") "}", MOE_E_CORRUPT, "not JSON"},
    {"{\"x\":" F16("4294967296,4294967296,4", "0,8") "}", MOE_E_CORRUPT, "more elements"},
    {X("\"dtype\":\"F4\",\"shape\":[15],\"data_offsets\":[0,8]"), MOE_E_CORRUPT, "half a byte"},
    {"{\"x\":" F16("1,1,1,1,1,1,1,1,4", "0,8") "}", MOE_E_UNSUPPORTED, "9 dimensions"},
    {"{\"x\":" F16("4", "-8,0") "}", MOE_E_CORRUPT, "its data_offsets holds"},
    {"{\"x\":" F16("4", "8,0") "}", MOE_E_CORRUPT, "[8,0] are not within the 8 bytes"},
    {"{\"x\":" F16("8", "0,16") "}", MOE_E_CORRUPT, "[0,16] are not within the 8 bytes"},
    {"{\"x\":" F16("4", "0,9223372036854775807") "}", MOE_E_CORRUPT, "not within the 8 bytes"},
    {"{\"x\":" F16("3", "0,8") "}", MOE_E_CORRUPT, "hold 8 bytes, but its shape and dtype need 6"},
    {"{\"x\":" F16("0", "0,8") "}", MOE_E_CORRUPT, "need 0"},
    {"{\"x\":" F16("2", "0,4") ",\"y\":" F16("3", "2,8") "}", MOE_E_CORRUPT,
     "'y': its data overlap those of 'x'"},
    {"{\"x\":" F16("4", "0,8") ",\"y\":" F16("4", "0,8") "}", MOE_E_CORRUPT, "overlap"},
    {"{\"x\":" F16("1", "0,2") ",\"y\":" F16("2", "4,8") "}", MOE_E_CORRUPT,
     "'y': 2 bytes before its data belong to no tensor"},
    {"{\"x\":" F16("3", "0,6") "}", MOE_E_CORRUPT, "the last 2 bytes belong to no tensor"},
    {"{}", MOE_E_CORRUPT, "the last 8 bytes belong to no tensor"},
    {"{\"x\":" F16("2", "0,4") ",\"x\":" F16("2", "4,8") "}", MOE_E_CORRUPT, "duplicate"},
    {X("\"dtype\":\"F16\",\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]"), MOE_E_CORRUPT,
     "duplicate"},
    {"{\"a\\u0000b\":" F16("4", "0,8") "}", MOE_E_CORRUPT, "not JSON"},
    {"{\"a\xff\":" F16("4", "0,8") "}", MOE_E_CORRUPT, "not JSON"},
    {"{\"two\\nlines\":" F16("3", "0,8") "}", MOE_E_CORRUPT, "'two?lines'"},
    {"{\"__metadata__\":1,\"x\":" F16("4", "0,8") "}", MOE_E_CORRUPT, "__metadata__ is not"},
    {"{\"__metadata__\":{\"k\":1},\"x\":" F16("4", "0,8") "}", MOE_E_CORRUPT, "__metadata__ 'k'"},
};

static void every_lie_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        size_t length = strlen(lies[i].header);
        write_raw(length, lies[i].header, length, 8);
        assert_refused(lies[i].status, lies[i].text);
    }
}

static void lies_about_the_length(void **state) {
    (void)state;
    static const char header[] = "{\"x\":" F16("4", "0,8") "}";
    size_t size = sizeof header - 1;
    write_raw(size + 9, header, size, 8); /* one more than there is */
    assert_refused(MOE_E_CORRUPT, "does not fit");
    write_raw(UINT64_MAX, header, size, 8);
    assert_refused(MOE_E_CORRUPT, "a header of 18446744073709551615 bytes does not fit");
    write_raw(UINT64_C(1) << 63, header, size, 8);
    assert_refused(MOE_E_CORRUPT, "does not fit");
    write_raw(size + 8, header, size, 8); /* swallows the data */
    assert_refused(MOE_E_CORRUPT, "not JSON");
    write_raw(size - 1, header, size, 8);
    assert_refused(MOE_E_CORRUPT, "not JSON");
}

/* A file cut off anywhere is refused. */
static void every_truncation_is_refused(void **state) {
    (void)state;
    moe_tensor_file *file;
    assert_int_equal(moe_tensor_file_write(path, three, 3), MOE_OK);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    for (off_t size = facts.st_size - 1; size >= 0; size--) {
        assert_int_equal(truncate(path, size), 0);
        assert_int_equal(moe_tensor_file_open(path, &file), MOE_E_CORRUPT);
    }
}

/* Damage in any byte of the header is refused or leaves ranges that lie inside the file. */
static void every_damaged_byte_is_survived(void **state) {
    (void)state;
    unsigned char whole[512];
    assert_int_equal(moe_tensor_file_write(path, three, 3), MOE_OK);
    size_t size = read_whole(whole, sizeof whole);
    for (size_t at = 0; at < size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            FILE *out = fopen(path, "wb");
            whole[at] ^= (unsigned char)(1 << bit);
            assert_int_equal(fwrite(whole, 1, size, out), size);
            fclose(out);
            whole[at] ^= (unsigned char)(1 << bit);
            moe_tensor_file *file;
            if (moe_tensor_file_open(path, &file)) continue;
            size_t sum = 0;
            for (int64_t i = 0; i < file->tensors; i++)
                for (size_t b = 0; b < file->tensor[i].bytes; b++)
                    sum += ((const unsigned char *)file->tensor[i].data)[b];
            assert_true(sum <= 255 * size);
            moe_tensor_file_close(file);
        }
    }
}

/* ----------------------------------------------------------------------------------- misuse */

static void wrong_tensors_are_named(void **state) {
    (void)state;
    moe_tensor_file *file;
    const moe_tensor *got = NULL;
    const int64_t shape[2] = {2, 4};
    assert_int_equal(moe_tensor_file_write(path, three, 3), MOE_OK);
    assert_int_equal(moe_tensor_file_open(path, &file), MOE_OK);
    assert_int_equal(moe_tensor_get(file, "y", MOE_TENSOR_F16, 2, shape, &got), MOE_E_NOT_FOUND);
    assert_non_null(strstr(moe_error_text(), "no tensor 'y'; it has: ids, x, bytes"));
    assert_int_equal(moe_tensor_get(file, "x", MOE_TENSOR_F16, 2, shape, &got), MOE_E_INVALID);
    assert_non_null(strstr(moe_error_text(), "is BF16 [2,3], should be F16 [2,4]"));
    assert_int_equal(moe_tensor_get(file, "x", MOE_TENSOR_BF16, 1, shape, &got), MOE_E_INVALID);
    assert_null(got);
    moe_tensor_file_close(file);
}

static void files_that_are_none(void **state) {
    (void)state;
    moe_tensor_file *file;
    assert_int_equal(moe_tensor_file_open("/nowhere/x.safetensors", &file), MOE_E_NOT_FOUND);
    assert_int_equal(moe_tensor_file_open(folder, &file), MOE_E_IO);
    assert_int_equal(moe_tensor_file_open("/dev/zero", &file), MOE_E_IO);
    fclose(fopen(path, "wb"));
    assert_refused(MOE_E_CORRUPT, "it is empty");
    moe_tensor_file_close(NULL);
}

static void tensors_that_cannot_be_written(void **state) {
    (void)state;
    const moe_tensor wrong = {"x", MOE_TENSOR_F16, 1, {4}, halves, 6};
    const moe_tensor twice[2] = {three[0], three[0]},
                     nameless = {"\xff", MOE_TENSOR_U8, 0, {0}, bytes, 1};
    assert_int_equal(moe_tensor_file_write(path, &wrong, 1), MOE_E_INVALID);
    assert_int_equal(moe_tensor_file_write(path, twice, 2), MOE_E_INVALID);
    assert_int_equal(moe_tensor_file_write(path, &nameless, 1), MOE_E_INVALID);
    assert_int_equal(moe_tensor_file_write("/nowhere/x", three, 3), MOE_E_IO);
}

/* Neither a full device nor a file size limit leaves half a file, or harms the one before. */
static void full_disks_leave_no_half_files(void **state) {
    (void)state;
    struct stat before, after;
    assert_int_equal(moe_tensor_file_write("/dev/full", three, 3), MOE_E_IO);
    assert_non_null(strstr(moe_error_text(), "No space left"));
    assert_int_equal(stat("/dev/full", &after), 0);
    assert_true(S_ISCHR(after.st_mode));
    enum { BIG = 1 << 16 };
    void *data = calloc(1, BIG);
    const moe_tensor large = {"large", MOE_TENSOR_U8, 1, {BIG}, data, BIG};
    assert_int_equal(moe_tensor_file_write(path, three, 3), MOE_OK);
    assert_int_equal(stat(path, &before), 0);
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){4096, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    moe_status status = moe_tensor_file_write(path, &large, 1);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, MOE_E_IO);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    char part[80];
    snprintf(part, sizeof part, "%s.part", path);
    assert_int_not_equal(access(part, F_OK), 0);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(bytes_are_determined),
        cmocka_unit_test(empty_files_and_tensors),
        cmocka_unit_test(metadata_and_blanks_are_fine),
        cmocka_unit_test(unaligned_data_are_read),
        cmocka_unit_test(large_files_stay_on_the_disk),
        cmocka_unit_test(quantised_tensors_are_there),
        cmocka_unit_test(every_lie_is_refused),
        cmocka_unit_test(lies_about_the_length),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_damaged_byte_is_survived),
        cmocka_unit_test(wrong_tensors_are_named),
        cmocka_unit_test(files_that_are_none),
        cmocka_unit_test(tensors_that_cannot_be_written),
        cmocka_unit_test(full_disks_leave_no_half_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

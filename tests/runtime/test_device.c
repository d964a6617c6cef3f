/* label: unit - the registry of devices, and the null device. */
#include "check.h"

#include "device/device.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* "auto" is a GPU or an error that tells how to get one, and what else to name; never a simulator
 * in silence. */
static void test_auto(void **unused) {
    (void)unused;
    moe_device *device = NULL;
    if (!moe_device_open("auto", &device)) assert_string_equal(device->name, "cuda:0");
    else CHECK_CONTAINS(moe_error_text(), "device auto: no GPU; name sim:h100 for a simulated one: "
                                          "device cuda:0: ");
    moe_device_close(device);
}

/* A class that is linked in takes the place of what would be opened. */
static void test_register(void **unused) {
    (void)unused;
    const moe_device_class *sim = NULL;
    for (int i = 0; moe_device_classes[i]; i++)
        if (!strcmp(moe_device_classes[i]->prefix, "sim")) sim = moe_device_classes[i];
    assert_non_null(sim);
    assert_non_null(sim->open); /* built_in.c */
    moe_device *device = NULL;
    CHECK(moe_device_open("sim:h100", &device));
    assert_ptr_equal(device->class, sim);
    moe_device_close(device);
}

static void test_registry(void **unused) {
    (void)unused;
    moe_device *device = NULL;
    CHECK_FAILS(moe_device_open("gpu", &device), MOE_E_NOT_FOUND,
                "'gpu' is not a device; use auto; cuda");
    CHECK_FAILS(moe_device_open("nul", &device), MOE_E_NOT_FOUND, "null: accepts every kernel");
    CHECK_FAILS(moe_device_open("", &device), MOE_E_NOT_FOUND, "is not a device");
    CHECK_FAILS(moe_device_open(NULL, &device), MOE_E_INVALID, "no name given");
    CHECK_FAILS(moe_device_open("null:3", &device), MOE_E_NOT_FOUND,
                "device null:3: the null device");
    char name[200];
    memset(name, 'x', sizeof name);
    memcpy(name, "cuda:", 5);
    name[sizeof name - 1] = '\0';
    CHECK_FAILS(moe_device_open(name, &device), MOE_E_INVALID, "too long");
    CHECK(moe_device_open("null", &device));
    assert_string_equal(moe_device_driver(device), "none");
    CHECK_CONTAINS(moe_device_text(device), "sm_90a \"null\" sm=90 sms=132");
    char in[] = "some bytes", out[sizeof in];
    void *memory = NULL;
    CHECK(moe_device_alloc(device, sizeof in, &memory));
    CHECK(moe_device_copy_in(device, memory, in, sizeof in));
    CHECK(moe_device_copy_out(device, out, memory, sizeof in));
    assert_string_equal(in, out);
    CHECK(device->class->poison(device->self, (uintptr_t)memory, 4));
    assert_int_equal(*(unsigned char *)memory, 0xff);
    CHECK(moe_device_free(device, memory));
    CHECK_FAILS(moe_device_alloc(device, SIZE_MAX, &memory), MOE_E_MEMORY, "no host memory");
    moe_device_close(device);
}

int main(void) {
#define TEST(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        TEST(test_auto),
        TEST(test_register),
        TEST(test_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

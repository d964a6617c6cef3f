/* run_layer.c - runs one MoE layer from a tuning database: run_layer DATABASE [DEVICE [TOKENS]].
 * It needs libmoetune and the database, but no compiler and no Lua. Exit status 3 on failure. */
#include <moetune.h>

#include <stdio.h>
#include <stdlib.h>

static const char layer_text[] =
    "d=1024 f=512 e=32 k=8 act=swiglu x=bf16 w=bf16 router=topk>softmax"; /* Granite 3.0 1B-A400M */

static void check(moe_status status) {
    if (status == MOE_OK) return;
    fprintf(stderr, "run_layer: %s: %s\n", moe_status_text(status), moe_error_text());
    exit(3);
}

/* A device array of bf16 numbers, even over +-scale. */
static void *make_random(moe_device *device, size_t count, float scale, uint32_t seed) {
    uint16_t *host = malloc(count * sizeof *host);
    void *array;
    if (!host) exit(3);
    for (size_t i = 0; i < count; i++) {
        union { float value; uint32_t bits; } number;
        seed = seed * 1664525u + 1013904223u;
        number.value = scale * ((float)(seed >> 8) / 8388608.0f - 1.0f);
        host[i] = (uint16_t)(number.bits >> 16);
    }
    check(moe_device_alloc(device, count * sizeof *host, &array));
    check(moe_device_copy_in(device, array, host, count * sizeof *host));
    free(host);
    return array;
}

/* The mean magnitude of the outputs: enough to see that they are there and repeat. */
static double checksum(moe_device *device, const void *array, size_t count) {
    uint16_t *host = malloc(count * sizeof *host);
    double sum = 0;
    if (!host) exit(3);
    check(moe_device_copy_out(device, host, array, count * sizeof *host));
    for (size_t i = 0; i < count; i++) {
        union { uint32_t bits; float value; } number = {(uint32_t)(host[i] & 0x7fff) << 16};
        sum += number.value;
    }
    free(host);
    return sum / (double)count;
}

int main(int argc, char **argv) {
    moe_db *db;
    moe_device *device;
    moe_layer layer;
    moe_plan *plan;
    moe_match match;
    moe_io io = {.size = sizeof io};
    int64_t tokens = argc > 3 ? atoll(argv[3]) : 16;
    check(moe_db_open(argc > 1 ? argv[1] : NULL, &db));
    check(moe_device_open(argc > 2 ? argv[2] : "auto", &device));
    check(moe_layer_parse(layer_text, &layer));
    check(moe_plan_create(db, device, &layer, NULL, &plan));
    check(moe_plan_match(plan, tokens, &match));
    check(moe_plan_workspace(plan, tokens, &io.workspace_size));
    size_t d = (size_t)layer.d, f = (size_t)layer.f, e = (size_t)layer.e, t = (size_t)tokens;
    io.x = make_random(device, t * d, 1.7f, 1); /* a variance of about 1 */
    io.router_weight = make_random(device, e * d, 0.05f, 2);
    io.up = make_random(device, e * 2 * f * d, 0.05f, 3);
    io.down = make_random(device, e * d * f, 0.07f, 4);
    io.y = make_random(device, t * d, 0.0f, 5);
    check(moe_device_alloc(device, io.workspace_size, &io.workspace));
    check(moe_plan_run(plan, &io, tokens, NULL));
    check(moe_device_sync(device, NULL));
    printf("%s\n%lld tokens, match %s, mean |y| %.6f\n", moe_device_text(device),
           (long long)tokens, moe_match_text(match), checksum(device, io.y, t * d));
    moe_plan_destroy(plan);
    moe_db_close(db);
    moe_device_close(device);
    return 0;
}

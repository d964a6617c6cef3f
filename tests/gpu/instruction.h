/* instruction.h - a micro-test of one instruction: golden/NAME.cu.
 *
 * The second line of the file holds `key=value` pairs:
 *   block   threads (128)                    smem   dynamic shared memory, bytes (0)
 *   out     words of the result (256)        twin   1: the second half is computed another way
 *   cluster blocks of the one cluster (1)
 *   data    of `in`: bf16, f16, f32, bits    ulp    allowed distance of f32 results (0: same bits)
 *   in_map, out_map   tensor maps of in and out: size x size:box x box:swizzle; elements as the
 *           data, bits taken for bf16
 * The kernel is k(const __grid_constant__ arguments a), prelude.cuh stands in front of it. */
#ifndef INSTRUCTION_H
#define INSTRUCTION_H

#include "device/device.h"

enum { INSTRUCTION_WORDS = 8192 };

typedef struct instruction {
    char name[64];
    unsigned block, cluster, smem, out, twin, ulp;
    char data[8], in_map[64], out_map[64];
    char *source; /* owned */
} instruction;

/* Reads golden/NAME.cu by its path. Fails the test on a bad line. */
void instruction_read(const char *path, instruction *out);
void instruction_free(instruction *i);

/* Compiles it for sm_90a and runs it on a device; `result` gets i->out words. A status other than
 * MOE_OK is a finding, or the device's error. */
moe_status instruction_run(moe_device *device, const instruction *i, uint32_t *result);

/* The first word that differs by more than i->ulp allows, or -1. */
int instruction_compare(const instruction *i, const uint32_t *a, const uint32_t *b, unsigned count);

/* What a GPU of this arch computed; false if that is not on file. */
bool instruction_golden(const instruction *i, const char *arch, uint32_t *result);
void instruction_write_golden(const instruction *i, const char *arch, const uint32_t *result);

#endif

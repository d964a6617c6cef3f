/* run_help.c - what the files of a run hold, for people. */
#include "command/run_help.h"

#include "core/layer.h"
#include "core/tensor.h"

#include <string.h>

/* Two layers whose tensors have all names that there are: with a gate and without one. */
static const char *const samples[] = {"d=8 f=8 e=2 k=1 x=f16", "d=8 f=8 e=2 k=1 x=f16 act=relu"};

static moe_tensor_desc describe(int sample, moe_arg tensor) {
    moe_layer layer = {.size = sizeof layer};
    moe_status status = moe_layer_parse(samples[sample], &layer);
    const moe_sizes sizes = moe_sizes_make(&layer, 1, 1);
    return (void)status, moe_tensor_describe(&sizes, tensor);
}

/* "(HELD, UP, D)" as [HELD,UP,D]. */
static void add_shape(const char *shape, moe_text *out) {
    moe_text_add(out, "[");
    for (const char *c = shape + 1; c[1]; c++)
        if (*c != ' ') moe_text_add(out, "%c", *c);
    moe_text_add(out, "]");
}

static void add_line(moe_arg tensor, moe_text *out) {
    const moe_tensor_desc gated = describe(0, tensor), plain = describe(1, tensor);
    const char *help = moe_tensor_help(tensor);
    moe_text_add(out, "  %s", gated.file);
    if (strcmp(gated.file, plain.file)) moe_text_add(out, " | %s", plain.file);
    moe_text_add(out, " ");
    add_shape(moe_tensor_shape_text(tensor), out);
    if (gated.dtype != MOE_F16) moe_text_add(out, " %s", moe_dtype_names[gated.dtype]);
    moe_text_add(out, "%s%s\n", *help ? ": " : "", help);
}

static void add_lines(bool outputs, moe_text *out) {
    for (moe_arg i = 0; (int)i < MOE_CALLER_TENSORS; i++) {
        const moe_tensor_desc desc = describe(0, i);
        if (desc.file && outputs == (desc.role == MOE_ROLE_OUTPUT)) add_line(i, out);
    }
}

static const char before[] =
    "Input, as far as the layer has it (`moetune layer L` lists a layer's own):\n";
static const char between[] =
    "T tokens; D F E K are the layer's d f e k; HELD experts of this device; UP rows of up "
    "weights: 2f with a gate, else f; WIDE the shared expert's width; QUERIES = E, or those of "
    "product keys. Types that are not named are the layer's.\n\n"
    "Output; behind weights only with --statistics, and weights are 0 where the capacity dropped "
    "the slot:\n";

void moe_run_help(moe_text *out) {
    moe_text_add(out, "%s", before);
    add_lines(false, out);
    moe_text_add(out, "%s", between);
    add_lines(true, out);
}

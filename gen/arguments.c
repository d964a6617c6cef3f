/* arguments.c - the arguments of an op's kernels as CUDA text. */
#include "arguments.h"

void gen_arguments_print(moe_op_kind kind, int64_t maps, char *text, size_t size) {
    moe_text out = moe_text_start(text, size);
    int count;
    const moe_op_arg *args = moe_op_args(kind, &count);
    moe_text_add(&out, "struct args_%s {\n", moe_op_names[kind]);
    if (maps) moe_text_add(&out, "    tensor_map map[%lld];\n", (long long)maps);
    for (int i = 0; i < count; i++) {
        const moe_arg_info *info = &moe_arg_table[args[i].arg];
        moe_text_add(&out, "    %s%s%s;\n", info->type, info->pointer ? "" : " ", info->name);
    }
    moe_text_add(&out, "};");
}

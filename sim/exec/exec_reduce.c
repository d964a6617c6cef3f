/* exec_reduce.c - what one lane of atom and red does, wherever its memory is. */
#include "exec/exec_reduce.h"

static u64 read_operand(const sim_warp *warp, s32 offset, u32 lane, u32 bytes) {
    if (bytes == 2) return LANES_OF(const u16, warp, offset)[lane];
    if (bytes == 4) return LANES_OF(const u32, warp, offset)[lane];
    return LANES_OF(const u64, warp, offset)[lane];
}

static sim_reduction reduction_of(const sim_instruction *in, bool global) {
    return (sim_reduction){
        .operation = REDUCTION_OPERATION(in), .type = REDUCTION_TYPE(in), .flush = global};
}

void SIM_EXEC(atomic_lane)(sim_warp *warp, const sim_instruction *in, u32 lane, u8 *at,
                           bool global) {
    u32 bytes = memory_bytes(in);
    sim_reduction r = reduction_of(in, global);
    u64 b = read_operand(warp, in->b, lane, bytes);
    u64 c = r.operation == SIM_CAS ? read_operand(warp, in->c, lane, bytes) : 0;
    bool changed;
    u64 old = sim_reduce(at, bytes, r, b, c, &changed);

    if (changed) warp->block->progress++;
    else warp->block->polls++;
    if (!in->d) return;
    if (bytes == 2) LANES_OF(u16, warp, in->d)[lane] = (u16)old;
    else if (bytes == 4) LANES_OF(u32, warp, in->d)[lane] = (u32)old;
    else LANES_OF(u64, warp, in->d)[lane] = old;
}

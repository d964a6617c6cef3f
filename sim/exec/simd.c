/* simd.c - which copy of the handlers this machine runs. */
#include "exec/exec.h"

#if defined(SIM_HAVE_AVX2)
extern const sim_handler sim_handler_table_avx2[SIM_OP_COUNT];
void sim_warp_run_avx2(sim_warp *warp, uint64_t budget);

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("lzcnt");
}

const sim_handler *sim_handlers(bool portable) {
    return !portable && has_avx2() ? sim_handler_table_avx2 : sim_handler_table_base;
}

sim_warp_runner sim_runner(bool portable) {
    return !portable && has_avx2() ? sim_warp_run_avx2 : sim_warp_run_base;
}
#else
const sim_handler *sim_handlers(bool portable) {
    (void)portable;
    return sim_handler_table_base;
}

sim_warp_runner sim_runner(bool portable) {
    (void)portable;
    return sim_warp_run_base;
}
#endif

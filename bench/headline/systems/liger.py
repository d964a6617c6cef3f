"""Liger-Kernel's fused MoE: a gather/scatter MoE in Triton that tunes itself for the GPU."""

from .system import Routed, System, lacks, require_all_experts, require_plain_swiglu


class Liger(System):
    name = "liger"

    def missing(self, env):
        if env.simulated:
            return "Triton has no CPU backend"
        return lacks("liger_kernel.ops.fused_moe")

    def prepare(self, env, case, region):
        from liger_kernel.ops.fused_moe import LigerFusedMoEFunction
        require_plain_swiglu(case, "liger's fused MoE")
        require_all_experts(case, "liger's fused MoE")

        def run(ids, weights):
            return LigerFusedMoEFunction.apply(case.x, case.up, case.down, ids, weights)
        return Routed(case, region, run)

"""vLLM's fused_experts in Triton, with the tuned configurations that it ships."""

from .system import Routed, System, lacks, require_plain_swiglu


class Vllm(System):
    name = "vllm"

    def missing(self, env):
        if env.simulated:
            return "Triton has no CPU backend"
        return lacks("vllm.model_executor.layers.fused_moe")

    def prepare(self, env, case, region):
        from vllm.model_executor.layers.fused_moe import fused_experts
        require_plain_swiglu(case, "vllm's fused_experts")

        def run(ids, weights):
            return fused_experts(case.x, case.up, case.down, weights, ids)
        return Routed(case, region, run)

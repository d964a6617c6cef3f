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

        shard = {}
        if case.held != case.layer.e:
            here = case.local(case.torch.arange(case.layer.e, device=case.place).int())
            shard = {"global_num_experts": case.layer.e,
                     "expert_map": here.masked_fill(here == case.held, -1)}

        def run(ids, weights):
            return fused_experts(case.x, case.up, case.down, weights, ids, **shard)
        return Routed(case, region, run)

"""ScatterMoE's gated MLP in Triton."""

from .system import Routed, System, lacks, require_all_experts, require_plain_swiglu


class ScatterMoe(System):
    name = "scattermoe"

    def missing(self, env):
        if env.simulated:
            return "Triton has no CPU backend"
        return lacks("scattermoe.mlp")

    def prepare(self, env, case, region):
        from scattermoe.mlp import GLUMLP
        require_plain_swiglu(case, "scattermoe's GLUMLP")
        require_all_experts(case, "scattermoe's GLUMLP")
        torch, layer = case.torch, case.layer
        with torch.device("meta"):
            mlp = GLUMLP(layer.d, layer.f, layer.e, layer.k, activation=torch.nn.SiLU())
        gate, up = case.up.chunk(2, dim=1)  # it takes the up rows first
        mlp.experts.weight = torch.nn.Parameter(torch.cat([up, gate], 1), requires_grad=False)
        mlp.output_experts.weight = torch.nn.Parameter(case.down, requires_grad=False)

        def run(ids, weights):
            return mlp(case.x, weights, ids)
        return Routed(case, region, run, torch.int64, case.x.dtype)

"""Hugging Face transformers' experts, in each of its forms."""

from types import SimpleNamespace

from .system import (Routed, System, Unsupported, lacks, require_all_experts,
                     require_weighted_outputs)

FORMS = ("eager", "batched_mm", "grouped_mm", "deepgemm", "sonicmoe")


def parameter(case, tensor):
    return case.torch.nn.Parameter(tensor, requires_grad=False)


def build_plain(case, form):
    """Qwen3's experts: gate rows, then up rows, as the layer has them."""
    from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeExperts
    layer = case.layer
    with case.torch.device("meta"):
        experts = Qwen3MoeExperts(SimpleNamespace(
            num_experts=layer.e, hidden_size=layer.d, moe_intermediate_size=layer.f,
            hidden_act="silu", _experts_implementation=form))
    experts.gate_up_proj = parameter(case, case.up)
    experts.down_proj = parameter(case, case.down)
    return experts


def build_gpt_oss(case, form):
    """GPT-OSS' experts: transposed, gate and up interleaved, as the layer has them."""
    from transformers.models.gpt_oss.modeling_gpt_oss import GptOssExperts
    layer = case.layer
    with case.torch.device("meta"):
        experts = GptOssExperts(SimpleNamespace(
            num_local_experts=layer.e, hidden_size=layer.d, intermediate_size=layer.f,
            _experts_implementation=form))
    experts.gate_up_proj = parameter(case, case.up.transpose(1, 2).contiguous())
    experts.gate_up_proj_bias = parameter(case, case.up_bias)
    experts.down_proj = parameter(case, case.down.transpose(1, 2).contiguous())
    experts.down_proj_bias = parameter(case, case.down_bias)
    return experts


BUILDERS = {("swiglu", "gate_up"): build_plain,
            ("swiglu_clamp(7,1.702)", "interleaved"): build_gpt_oss}


class Transformers(System):
    def __init__(self, form):
        self.form, self.name = form, f"hf_{form}"

    def missing(self, env):
        return lacks("transformers.integrations.moe")

    def prepare(self, env, case, region):
        require_weighted_outputs(case, "transformers' experts interface")
        require_all_experts(case, "transformers' experts interface")
        if (case.act, case.layout) not in BUILDERS:
            raise Unsupported(f"no model of transformers has act={case.act} layout={case.layout}")
        if self.form == "batched_mm":
            self.check_memory(env, case)
        experts = BUILDERS[case.act, case.layout](case, self.form)

        def run(ids, weights):
            return experts(case.x, ids, weights)
        return Routed(case, region, run, case.torch.int64, case.x.dtype)

    def check_memory(self, env, case):
        """It gathers the weights of every (token, choice) into a copy."""
        needed = case.ids.numel() * case.up[0].numel() * 2
        if needed > env.memory // 3:
            raise Unsupported(f"would gather {needed / 1e9:.0f} GB of weights")

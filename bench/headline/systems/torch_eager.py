"""A loop over experts in torch, as models without kernels of their own run it. It stands in where
transformers is not there."""

from case import activate

from .system import Routed, System, lacks, require_weighted_outputs


def loop(case, ids, weights):
    torch = case.torch
    linear = torch.nn.functional.linear
    y = torch.zeros_like(case.x)
    ids = case.local(ids)
    for expert in ids[ids < case.held].unique().tolist():
        token, slot = torch.where(ids == expert)
        up_bias = None if case.up_bias is None else case.up_bias[expert]
        down_bias = None if case.down_bias is None else case.down_bias[expert]
        rows = linear(case.x[token], case.up[expert], up_bias)
        rows = activate(torch, case.act, rows, case.layout)
        rows = linear(rows, case.down[expert], down_bias) * weights[token, slot, None]
        y.index_add_(0, token, rows.to(y.dtype))
    return y


class TorchEager(System):
    name = "torch_eager"

    def missing(self, env):
        there = lacks("transformers.integrations.moe") is None
        return "not needed: hf_eager is the same with transformers' own code" if there else None

    def prepare(self, env, case, region):
        require_weighted_outputs(case, "torch_eager")
        return Routed(case, region, lambda ids, weights: loop(case, ids, weights),
                      weight_type=case.x.dtype)

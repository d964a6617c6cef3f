"""The torch custom op moetune::moe_layer, and MoeLayer, a module that holds a layer's weights.

    import moetune.torch_op
    moe = moetune.torch_op.MoeLayer(plan, router_weight=wr, up=up, down=down)
    y = moe(x)                          # also under torch.compile and in CUDA graphs
"""

from typing import Optional
from weakref import WeakValueDictionary

import torch
from torch import Tensor

plans = WeakValueDictionary()  # number: Plan. An op takes tensors and numbers alone.


@torch.library.custom_op("moetune::moe_layer", mutates_args=())
def moe_layer(plan: int, x: Tensor, router_weight: Optional[Tensor], up: Optional[Tensor],
              down: Tensor, router_keys: Optional[Tensor] = None,
              router_bias: Optional[Tensor] = None, up_bias: Optional[Tensor] = None,
              down_bias: Optional[Tensor] = None, shared_up: Optional[Tensor] = None,
              shared_down: Optional[Tensor] = None, shared_gate: Optional[Tensor] = None,
              logits: Optional[Tensor] = None, ids: Optional[Tensor] = None,
              weights: Optional[Tensor] = None, router_noise: Optional[Tensor] = None,
              token_ids: Optional[Tensor] = None, expert_table: Optional[Tensor] = None,
              seed: Optional[Tensor] = None, first_expert: int = 0) -> Tensor:
    """y of the layer; its router is replaced by logits, or by ids and weights, where given."""
    return plans[plan].run(x, router_weight=router_weight, up=up, down=down,
                           router_keys=router_keys, router_bias=router_bias, up_bias=up_bias,
                           down_bias=down_bias, shared_up=shared_up,
                           shared_down=shared_down, shared_gate=shared_gate,
                           logits=logits, ids=ids, weights=weights, router_noise=router_noise,
                           token_ids=token_ids, expert_table=expert_table, seed=seed,
                           first_expert=first_expert)


@moe_layer.register_fake
def _(plan, x, *_others, **_named):
    return torch.empty_like(x)


class MoeLayer(torch.nn.Module):
    """A layer of frozen weights, by the names of moe_io, with all that Layer.inputs() lists.
    forward(x [..., d]) routes; forward(x, ids, weights) takes the routing as given, and
    forward(x, logits=...) what the router's product would give. token_ids of a layer that picks by
    them, and the seed of one that draws at random, are forward's, too."""

    def __init__(self, plan, first_expert=0, **tensors):
        super().__init__()
        needed = set(plan.layer.inputs()) - {"x", "ids", "weights", "token_ids"}
        if tensors.keys() != needed:
            raise TypeError(f"the layer takes {', '.join(sorted(needed))}, "
                            f"not {', '.join(sorted(tensors))}")
        self.plan, self.first_expert, self.names = plan, first_expert, sorted(tensors)
        self.number = id(plan)
        plans[self.number] = plan
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, x, ids=None, weights=None, logits=None, token_ids=None, seed=None):
        flat = x.reshape(-1, x.shape[-1])
        entry = "given" if ids is not None else "logits" if logits is not None else "router"
        idle = self.plan.layer.idle(entry)
        tensors = {name: getattr(self, name) for name in self.names if name not in idle}
        y = moe_layer(self.number, flat, tensors.pop("router_weight", None),
                      tensors.pop("up", None), **tensors, logits=logits, ids=ids, weights=weights,
                      token_ids=token_ids, seed=seed, first_expert=self.first_expert)
        return y.reshape(x.shape)

"""The torch custom op moetune::moe_layer, and MoeLayer, a module that holds a layer's weights.

    import moetune.torch_op
    moe = moetune.torch_op.MoeLayer(plan, router_weight=wr, up=up, down=down)
    y = moe(x)                          # also under torch.compile and in CUDA graphs
"""

from typing import Optional
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from .layer import BIASES

plans = WeakValueDictionary()  # number: Plan. An op takes tensors and numbers alone.


@torch.library.custom_op("moetune::moe_layer", mutates_args=())
def moe_layer(plan: int, x: Tensor, router_weight: Optional[Tensor], up: Tensor, down: Tensor,
              router_bias: Optional[Tensor] = None, up_bias: Optional[Tensor] = None,
              down_bias: Optional[Tensor] = None, ids: Optional[Tensor] = None,
              weights: Optional[Tensor] = None) -> Tensor:
    """y of the layer; ids and weights, where given, replace its router."""
    return plans[plan].run(x, router_weight=router_weight, up=up, down=down,
                           router_bias=router_bias, up_bias=up_bias, down_bias=down_bias, ids=ids,
                           weights=weights)


@moe_layer.register_fake
def _(plan, x, *_others, **_named):
    return torch.empty_like(x)


class MoeLayer(torch.nn.Module):
    """A layer of frozen weights. forward(x [..., d]) routes; forward(x, ids, weights) takes the
    routing as given."""

    def __init__(self, plan, router_weight, up, down, **biases):
        super().__init__()
        unknown = biases.keys() - {f"{name}_bias" for name in BIASES}
        if unknown:
            raise TypeError(f"a layer has no {', '.join(sorted(unknown))}")
        self.plan = plan
        plans[id(plan)] = plan
        for name, tensor in dict(router_weight=router_weight, up=up, down=down, **biases).items():
            self.register_buffer(name, tensor)
        self.biases = sorted(biases)

    def forward(self, x, ids=None, weights=None):
        flat = x.reshape(-1, x.shape[-1])
        given = ids is not None
        biases = {name: getattr(self, name) for name in self.biases
                  if not (given and name == "router_bias")}
        y = moe_layer(id(self.plan), flat, None if given else self.router_weight, self.up,
                      self.down, ids=ids, weights=weights, **biases)
        return y.reshape(x.shape)

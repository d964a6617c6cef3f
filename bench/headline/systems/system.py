"""What a system is: a name, whether it is here, and how it gets ready for a case."""

import importlib

from case import select


class Unsupported(Exception):
    """The system cannot do the case; the text says why, and is printed beside its name."""


class System:
    """`regions` are those it can do: experts (ids and weights given), layer (with the router),
    maps (the router and the index maps alone)."""
    name = None
    regions = ("experts", "layer")

    def missing(self, env):
        """Why it cannot run here at all, or None."""
        raise NotImplementedError

    def prepare(self, env, case, region):
        """A Runner for the case. Raises Unsupported."""
        raise NotImplementedError


class Runner:
    """run() does the work once, on torch's current stream unless `own_stream`; afterwards y is
    [T,d] (None: it makes none to compare) and ids are the experts it chose, None where given."""
    own_stream = False
    y = None
    ids = None

    def run(self):
        raise NotImplementedError

    def finish(self):
        """Completes y outside the timed work."""


def lacks(module):
    """Why a module cannot be imported, or None."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a package may break in its own ways
        return f"{module} cannot be imported: {str(error) or type(error).__name__}"
    return None


class Routed(Runner):
    """A rival that takes ids and weights: given, or from a router in torch as models run it (the
    GEMM in bf16, the scores in float32)."""

    def __init__(self, case, region, experts, id_type=None, weight_type=None):
        self.case, self.experts = case, experts
        self.id_type = id_type or case.torch.int32
        self.weight_type = weight_type or case.torch.float32
        self.routes = region == "layer"
        self.given = (case.ids.to(self.id_type), case.weights.to(self.weight_type))

    def route(self):
        case = self.case
        bias = None if case.router_bias is None else case.router_bias.to(case.x.dtype)
        logits = case.torch.nn.functional.linear(case.x, case.router_weight, bias).float()
        ids, weights = select(case.torch, logits, case.layer.k, case.router)
        return ids.to(self.id_type), weights.to(self.weight_type)

    def run(self):
        with self.case.torch.no_grad():
            ids, weights = self.route() if self.routes else self.given
            self.y = self.experts(ids, weights)
            self.ids = ids.int() if self.routes else None


def require_plain_swiglu(case, name):
    if case.act != "swiglu" or case.up_bias is not None or case.down_bias is not None:
        raise Unsupported(f"{name} has only swiglu without biases")
    require_no_capacity(case, name)


def require_no_capacity(case, name):
    if "capacity=none" not in str(case.layer):
        raise Unsupported(f"{name} has no capacity limit")

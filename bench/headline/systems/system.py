"""What a system is: a name, whether it is here, and how it gets ready for a case."""

import importlib


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
    GEMM in the weight's dtype, the scores in float32)."""

    def __init__(self, case, region, experts, id_type=None, weight_type=None):
        self.case, self.experts = case, experts
        self.id_type = id_type or case.torch.int32
        self.weight_type = weight_type or case.torch.float32
        self.routes = region == "layer"
        self.given = (case.ids.to(self.id_type), case.weights.to(self.weight_type))

    def route(self):
        case = self.case
        x = case.x.to(case.router_weight.dtype)
        ids, weights = case.choose(case.torch.nn.functional.linear(x, case.router_weight).float())
        return ids.to(self.id_type), weights.to(self.weight_type)

    def run(self):
        with self.case.torch.no_grad():
            ids, weights = self.route() if self.routes else self.given
            self.y = self.experts(ids, weights)
            self.ids = ids.int() if self.routes else None


def sum_slots(case, order, out):
    """y of rows that lie in expert order."""
    slots = case.torch.zeros((case.ids.numel(), out.shape[1]), device=case.place)
    slots[order] = out.float()
    return (slots.view(case.tokens, case.layer.k, -1) * case.weights[..., None]).sum(1)


def require_plain_swiglu(case, name):
    if (case.act != "swiglu" or case.layout != "gate_up" or case.up_bias is not None
            or case.down_bias is not None):
        raise Unsupported(f"{name} has only swiglu of gate rows and up rows, without biases")
    require_weighted_outputs(case, name)


def require_weighted_outputs(case, name):
    """All rows are computed, and their weights are factors of what the experts give."""
    if case.layer.fields["capacity"] != "none":
        raise Unsupported(f"{name} has no capacity limit")
    if case.router.input:
        raise Unsupported(f"{name} does not weigh the experts' inputs")


def require_all_experts(case, name):
    if case.held != case.layer.e:
        raise Unsupported(f"{name} takes no shard of the experts")

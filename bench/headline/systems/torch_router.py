"""The router and the index maps in torch: GEMM, scores, top-k, stable sort, counts."""

from .system import Runner, System


class RouterRunner(Runner):
    def __init__(self, case):
        self.case = case

    def run(self):
        case, torch = self.case, self.case.torch
        x = case.x.to(case.router_weight.dtype)
        logits = torch.nn.functional.linear(x, case.router_weight).float()
        ids, self.weights = case.choose(logits)
        flat = ids.flatten()
        self.order = torch.argsort(flat, stable=True)
        one = torch.ones_like(flat)
        counts = torch.zeros(case.layer.e, dtype=flat.dtype, device=flat.device)
        self.starts = counts.scatter_add_(0, flat.long(), one).cumsum(0)


class TorchRouter(System):
    name = "torch_router"
    regions = ("maps",)

    def missing(self, env):
        return None

    def prepare(self, env, case, region):
        return RouterRunner(case)

"""torch's grouped GEMM on rows that lie ready in expert order: the most that torch can reach.
Gather, permutation and combination are left out of its time."""

from case import activate

from .system import Runner, System, Unsupported, require_weighted_outputs, sum_slots


def grouped_mm(torch):
    return getattr(torch.nn.functional, "grouped_mm", None) or getattr(torch, "_grouped_mm", None)


class Grouped(Runner):
    def __init__(self, case):
        self.case, self.mm = case, grouped_mm(case.torch)
        self.order, counts = case.permutation()
        self.rows = case.x[self.order // case.layer.k].contiguous()
        self.ends = counts.cumsum(0).int()
        self.up, self.down = case.up.transpose(1, 2), case.down.transpose(1, 2)

    def run(self):
        case = self.case
        hidden = activate(case.torch, case.act, self.mm(self.rows, self.up, offs=self.ends),
                          case.layout)
        self.out = self.mm(hidden, self.down, offs=self.ends)

    def finish(self):
        self.y = sum_slots(self.case, self.order, self.out)


class TorchGrouped(System):
    name = "torch_grouped"
    regions = ("experts",)

    def missing(self, env):
        return None if grouped_mm(env.torch) else f"torch {env.torch.__version__} has no grouped_mm"

    def prepare(self, env, case, region):
        require_weighted_outputs(case, "torch's grouped_mm")
        if case.up_bias is not None:
            raise Unsupported("torch's grouped_mm takes no bias")
        return Grouped(case)

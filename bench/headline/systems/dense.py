"""Dense GEMMs of the same FLOPs through torch (cuBLAS on a GPU): what it takes without any
routing."""

from .system import Runner, System


class DenseRunner(Runner):
    def __init__(self, case):
        self.torch, rows = case.torch, len(case.permutation()[0])
        self.x = case.normal((rows, case.layer.d), 1)
        self.hidden = case.normal((rows, case.layer.f), 1)
        self.up, self.down = case.up[0].T, case.down[0].T

    def run(self):
        self.torch.mm(self.x, self.up)
        self.torch.mm(self.hidden, self.down)


class Dense(System):
    name = "dense"
    regions = ("experts",)

    def missing(self, env):
        return None

    def prepare(self, env, case, region):
        return DenseRunner(case)

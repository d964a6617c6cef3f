"""moetune itself, through its Python package and a tuning database."""

from .system import Runner, System, Unsupported


class PlanRunner(Runner):
    """On a GPU: on torch's tensors and stream."""

    def __init__(self, case, plan, region):
        self.case, self.plan = case, plan
        tensors = {n: t for n, t in case.tensors().items() if t is not None}
        self.y = case.torch.empty_like(case.x)
        self.chosen = None
        if region == "layer":
            self.chosen = case.torch.empty_like(case.ids)
            tensors["ids"] = self.chosen
        else:
            given = ("x", "up", "up_bias", "down", "down_bias")
            tensors = {n: t for n, t in tensors.items() if n in given}
            tensors.update(ids=case.ids, weights=case.weights)
        self.tensors = dict(tensors, y=self.y)

    def run(self):
        self.plan.run(first_expert=self.case.first, **self.tensors)

    def finish(self):
        self.ids = self.chosen


class SimulatedRunner(PlanRunner):
    """On a simulated GPU: the same tensors, copied into its memory and back."""

    def __init__(self, case, plan, region):
        super().__init__(case, plan, region)
        self.host = self.tensors
        shapes = case.layer.tensors(case.tokens)
        self.tensors = {name: plan.device.put(*shapes[name], tensor)
                        for name, tensor in self.host.items()}

    def finish(self):
        for name in ("y", "ids"):
            tensor = self.host[name]
            raw = bytearray(self.tensors[name].read())
            tensor.copy_(self.case.torch.frombuffer(raw, dtype=tensor.dtype).view(tensor.shape))
        super().finish()


class Moetune(System):
    name = "moetune"

    def missing(self, env):
        return env.package_missing

    def prepare(self, env, case, region):
        try:
            plan = env.plan(case.layer, case.config.distribution)
            plan.workspace_size(case.tokens)
        except env.moetune.Error as error:
            raise Unsupported(str(error)) from error
        runner = (SimulatedRunner if env.simulated else PlanRunner)(case, plan, region)
        runner.note = f"{plan.match(case.tokens)} match"
        return runner

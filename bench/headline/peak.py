"""What the machine can do at most: a large copy and a large product, measured here."""

from clock import flaws, race
from systems.system import Runner

SIDE = 8192            # of the product's square matrices
COPY_BYTES = 4 << 30   # read, and as many written


class Copy(Runner):
    def __init__(self, torch, place):
        self.source = torch.empty(COPY_BYTES, dtype=torch.uint8, device=place).random_()
        self.target = torch.empty_like(self.source)

    def run(self):
        self.target.copy_(self.source)


class Product(Runner):
    def __init__(self, torch, place):
        self.torch = torch
        self.a, self.b = (torch.randn(SIDE, SIDE, device=place).bfloat16() for _ in range(2))

    def run(self):
        self.torch.mm(self.a, self.b)


def measure(env, clock):
    """(ceilings, rows) on a GPU."""
    run = [clock.prepare(kind(env.torch, env.place)) for kind in (Copy, Product)]
    copy, product = race(clock, run, cold=False)
    gbps = 2 * COPY_BYTES / copy["median_us"] * 1e-3
    tflops = 2 * SIDE**3 / product["median_us"] * 1e-6
    rows = [peak_row("peak_copy", copy, gbps=gbps), peak_row("peak_matmul", product, tflops=tflops)]
    return {"source": "measured", "tflops": tflops, "gbps": gbps}, rows


def peak_row(name, timing, tflops=None, gbps=None):
    return {"config": "peak", "layer": None, "region": "peak", "tokens": 0, "distribution": "-",
            "cache": "warm", "system": name, **timing, "tflops": tflops, "gbps": gbps,
            "roofline": None, "rel_l2": None, "max_over_rms": None, "timer": "events",
            "noisy": flaws(dict(timing, timer="events")), "graph": True, "good": True}


def from_facts(env):
    """The ceilings of a simulated chip: those that its model has."""
    facts = env.device.facts
    tflops = facts["tensor_rate"] * facts["sms"] * facts["clock"] * 1e-6
    return {"source": "the model's facts", "tflops": tflops, "gbps": facts["bandwidth"]}

"""One workload: tensors that every system runs on, and what the layer makes of them in double."""

import math

from router import Router

# Distributions of tokens over experts. The router makes them all: x[:, 0] is 1, so column 0 of the
# router's weights adds a bias to each expert's logit.
#   U      logits N(0,1)
#   Z1     plus log(1/rank): Zipf with exponent 1. The noise is N(0, 1.28), as wide as Gumbel's.
#   ONE    every token to the same k experts
#   EMPTY  half of the experts unreachable
NOISE = {"U": 1.0, "Z1": 1.28, "ONE": 1.0, "EMPTY": 1.0}
FAR = 64.0  # a logit that no noise reaches


def expert_bias(torch, distribution, experts, k):
    rank = torch.arange(experts, dtype=torch.float64)
    alive = max(k, math.ceil(experts / 2))
    return {"U": torch.zeros(experts, dtype=torch.float64), "Z1": -torch.log(rank + 1),
            "ONE": -FAR * (rank >= k), "EMPTY": -FAR * (rank >= alive)}[distribution]


def halves(rows, layout):
    """(gate, up) of up rows [..., 2f] in a layer's layout."""
    if layout == "interleaved":
        return rows[..., 0::2], rows[..., 1::2]
    first, second = rows.chunk(2, dim=-1)
    return (second, first) if layout == "up_gate" else (first, second)


def activate(torch, act, rows, layout):
    """The activation of up rows [R, 2f] in the layer's layout, or [R, f] without a gate."""
    if act == "relu":
        return torch.relu(rows)
    gate, up = halves(rows, layout)
    if act.startswith("swiglu_clamp"):
        limit, alpha = (float(v) for v in act[len("swiglu_clamp("):-1].split(","))
        gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
        return (up + 1) * gate * torch.sigmoid(alpha * gate)
    return torch.nn.functional.silu(gate) * up


class Case:
    """The tensors of a configuration at a token count, on a torch device. Weights are
    N(0, 1/sqrt(fan-in)), x is N(0,1), biases N(0, 0.1); ids [T,k] i32 and weights [T,k] f32 come
    from the router in float32. Where other devices hold a part of the experts, those of up and down
    are `first` and the `held` - 1 behind it."""

    def __init__(self, torch, config, layer, tokens, place, seed=1):
        self.torch, self.config, self.layer, self.tokens = torch, config, layer, tokens
        self.act, self.layout = layer.fields["act"], layer.fields.get("layout", "gate_up")
        self.router = Router(layer.fields["router"])
        self.place, self.held = place, layer.held
        self.first = layer.e // layer.held // 2 * layer.held
        self.generator = torch.Generator(device=place).manual_seed(seed)
        d, f, e, held, rows = layer.d, layer.f, layer.e, layer.held, layer.up_rows
        self.x = self.normal((tokens, d), 1)
        self.router_weight = self.normal((e, d), NOISE[config.distribution] / math.sqrt(d))
        self.x[:, 0] = 1
        self.router_weight[:, 0] = expert_bias(torch, config.distribution, e, layer.k)
        if layer.router_w == "f32":
            self.router_weight = self.router_weight.float()
        self.up = self.normal((held, rows, d), 1 / math.sqrt(d))
        self.down = self.normal((held, d, f), 1 / math.sqrt(f))
        bias = {"router": (e,), "up": (held, rows), "down": (held, d)}
        self.router_bias, self.up_bias, self.down_bias = (
            self.normal(shape, 0.1) if layer.has_bias(name) else None
            for name, shape in bias.items())
        if self.router_bias is not None:
            self.router_bias = self.router_bias.float()
        self.ids, self.weights = self.route()

    def normal(self, shape, scale):
        """bf16 numbers, made in slices so that the float32 ones need little room."""
        out = self.torch.empty(shape, dtype=self.torch.bfloat16, device=self.place)
        flat = out.view(-1)
        for part in flat.split(1 << 26):
            part.copy_(self.torch.randn(part.shape, generator=self.generator, device=self.place)
                       * scale)
        return out

    def route(self):
        return self.choose(self.x.float() @ self.router_weight.float().T)

    def choose(self, logits):
        """(ids, weights) by the layer's rule; its bias is one of the keys, or of the logits."""
        if self.router_bias is not None and not self.router.key_bias:
            logits = logits + self.router_bias
        return self.router.choose(self.torch, logits, self.layer.k, self.router_bias)

    def local(self, ids):
        """Ids as those of up and down; `held` for experts of other devices."""
        here = (ids >= self.first) & (ids < self.first + self.held)
        return self.torch.where(here, ids - self.first, self.held).to(ids.dtype)

    def tensors(self):
        """The inputs of the layer by name; None where it has none."""
        names = ("x", "router_weight", "router_bias", "up", "up_bias", "down", "down_bias")
        return {name: getattr(self, name) for name in names}

    def permutation(self):
        """(slots sorted by expert, int64 rows per expert), of the experts held: slot t*k+j is
        choice j of token t."""
        flat = self.local(self.ids).flatten().long()
        counts = self.torch.bincount(flat, minlength=self.held + 1)[:self.held]
        return self.torch.argsort(flat, stable=True)[:int(counts.sum())], counts

    def kept(self):
        """[T,k]: whether a slot stays within its expert's capacity; first choices go first."""
        capacity = self.layer.capacity(self.tokens)
        by_choice = self.ids.T.flatten().long()
        order = self.torch.argsort(by_choice, stable=True)
        counts = self.torch.bincount(by_choice, minlength=self.layer.e)
        starts = counts.cumsum(0) - counts
        rank = self.torch.empty_like(order)
        rank[order] = self.torch.arange(len(order), device=self.place) - starts[by_choice[order]]
        return (rank < capacity).view(self.layer.k, -1).T

    def reference(self):
        """y [T,d] in double precision from the same rounded inputs, ids and weights."""
        torch, kept = self.torch, self.kept()
        y = torch.zeros((self.tokens, self.layer.d), dtype=torch.float64, device=self.place)
        ids = self.local(self.ids)
        for expert in range(self.held):
            tokens, slots = torch.where((ids == expert) & kept)
            for token, slot in zip(tokens.split(4096), slots.split(4096)):
                weight = self.weights[token, slot, None].double()
                y.index_add_(0, token, self.expert(expert, self.x[token].double(), weight))
        return y

    def expert(self, number, rows, weight):
        """What one of the experts held makes of rows of x, weighted; in double precision."""
        if self.router.input:
            rows = rows * weight
        rows = rows @ self.up[number].double().T
        if self.up_bias is not None:
            rows += self.up_bias[number].double()
        rows = activate(self.torch, self.act, rows, self.layout) @ self.down[number].double().T
        if self.down_bias is not None:
            rows += self.down_bias[number].double()
        return rows if self.router.input else rows * weight

    def work(self, region):
        """(FLOPs, bytes) of the least work: each used weight, x and y once."""
        layer, ids = self.layer, self.local(self.ids)
        rows = int((self.kept() & (ids < self.held)).sum())
        size, d, t = 2, layer.d, self.tokens
        router = 2 * t * d * layer.e, layer.e * d * self.router_weight.element_size()
        if region == "maps":
            return router[0], router[1] + t * d * size
        used = len(ids[ids < self.held].unique())
        flops = 2 * rows * d * (layer.up_rows + layer.f)
        moved = used * d * (layer.up_rows + layer.f) * size + 2 * t * d * size
        return (flops + router[0], moved + router[1]) if region == "layer" else (flops, moved)

    def skew(self):
        """Rows of the fullest expert over the mean."""
        counts = self.permutation()[1].float()
        return float(counts.max() / counts.mean())


def accuracy(torch, case, y, ids, reference):
    """{rel_l2, max_over_rms, routed_alike}: over the tokens that a system sent where the reference
    sent them; their number is routed_alike."""
    alike = torch.ones(case.tokens, dtype=torch.bool, device=case.place)
    if ids is not None:
        alike = (ids.sort(dim=-1).values == case.ids.sort(dim=-1).values).all(dim=-1)
    difference = (y.to(case.place).double() - reference)[alike]
    wanted = reference[alike]
    norm = float(wanted.norm()) or 1.0  # a shard that no token chose gives zeros
    rms = norm / max(1, wanted.numel()) ** 0.5
    return {"rel_l2": float(difference.norm()) / norm,
            "max_over_rms": float(difference.abs().max()) / rms,
            "routed_alike": int(alike.sum())}

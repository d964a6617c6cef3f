"""JAX's ragged_dot on rows that lie ready in expert order, compiled by XLA. It has a stream of its
own, so its time is the wall's, dispatch included."""

from .system import Runner, System, Unsupported, lacks, require_plain_swiglu, sum_slots


class Ragged(Runner):
    own_stream = True

    def __init__(self, case):
        import jax
        self.jax, self.case = jax, case
        self.order, counts = case.permutation()
        rows = case.x[self.order // case.layer.k].contiguous()
        tensors = (rows, case.up.transpose(1, 2).contiguous(),
                   case.down.transpose(1, 2).contiguous(), counts.int())
        self.arrays = [jax.dlpack.from_dlpack(tensor) for tensor in tensors]
        self.experts = jax.jit(self.body)

    def body(self, rows, up, down, counts):
        ragged_dot, silu = self.jax.lax.ragged_dot, self.jax.nn.silu
        hidden = ragged_dot(rows, up, counts)
        width = hidden.shape[-1] // 2
        hidden = silu(hidden[:, :width]) * hidden[:, width:]
        return ragged_dot(hidden, down, counts)

    def run(self):
        self.out = self.experts(*self.arrays).block_until_ready()

    def finish(self):
        out = self.case.torch.from_dlpack(self.out).to(self.case.place)
        self.y = sum_slots(self.case, self.order, out)


class JaxRagged(System):
    name = "jax_ragged"
    regions = ("experts",)

    def missing(self, env):
        reason = lacks("jax")
        if reason or env.simulated:
            return reason
        import jax
        return None if jax.default_backend() == "gpu" else "this JAX has no GPU backend"

    def prepare(self, env, case, region):
        require_plain_swiglu(case, "jax_ragged")
        if 3 * case.up.numel() > env.memory // 2:
            raise Unsupported("the transposed copies of the weights do not fit")
        return Ragged(case)

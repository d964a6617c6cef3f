"""A plan: a layer resolved on a device, ready to run."""

import ctypes
from ctypes import byref, c_int, c_size_t, c_void_p

from .library import MATCHES, Io, PlanOptions, call, create, lib
from .tensor import check, view

ALIGNMENT = 256  # of a workspace, bytes


class Plan:
    """Plan(database, device, layer, max_tokens=0, worst="any", routing=None, cache=None,
    any_order=False): see moe_plan_options."""

    def __init__(self, database, device, layer, max_tokens=0, worst="any", routing=None,
                 cache=None, any_order=False):
        options = PlanOptions(ctypes.sizeof(PlanOptions), max_tokens, MATCHES.index(worst),
                              routing and routing.encode(), cache and cache.encode(), any_order)
        self.device, self.layer = device, layer
        self.handle = create("moe_plan_create", database.handle, device.handle,
                             layer.struct, byref(options))
        self.device_shared = device.shared.hold()
        self.own = OwnMemory(device)

    def workspace_size(self, tokens):
        """Bytes of workspace for a run of up to `tokens` tokens."""
        size = c_size_t()
        call("moe_plan_workspace", self.handle, tokens, byref(size))
        return size.value

    def match(self, tokens):
        """How well the kernels fit: exact, near_tokens, near_device or default."""
        match = c_int()
        call("moe_plan_match", self.handle, tokens, byref(match))
        return lib.moe_match_text(match).decode()

    def explain(self, tokens):
        """A line for each op: template, config, match and reason."""
        text = ctypes.create_string_buffer(16384)
        call("moe_plan_explain", self.handle, tokens, text, len(text))
        return text.value.decode()

    def io(self, tensors):
        """Checks tensors by name against the layer; returns (Io without workspace, tokens)."""
        if "x" not in tensors:
            raise TypeError("x is missing")
        seen = {name: view(name, t) for name, t in tensors.items() if t is not None}
        tokens = seen["x"].shape[0]
        table = seen.get("expert_table")
        vocab = table.shape[0] if table else 0
        expected = self.layer.tensors(tokens, vocab)
        for name, tensor in seen.items():
            if name not in expected:
                raise TypeError(f"a layer has no tensor {name}; it has {', '.join(expected)}")
            check(name, tensor, *expected[name], self.device.name)
        pointers = {name: tensor.pointer for name, tensor in seen.items()}
        return Io(size=ctypes.sizeof(Io), vocab=vocab, **pointers), tokens

    def launch(self, tensors, routing_given, workspace, stream=0, first_expert=0, bias_rate=0.0):
        """Enqueues a run whose tensors, outputs included, all exist. workspace: (pointer, bytes).
        stream: a CUstream as an integer. Returns without waiting."""
        io, tokens = self.filled_io(tensors, routing_given, workspace, first_expert, bias_rate)
        call("moe_plan_run", self.handle, byref(io), tokens, c_void_p(stream))

    def filled_io(self, tensors, routing_given, workspace, first_expert, bias_rate):
        io, tokens = self.io(tensors)
        io.routing_given, io.first_expert, io.bias_rate = routing_given, first_expert, bias_rate
        io.workspace, io.workspace_size = workspace
        return io, tokens

    def run(self, x, stream=None, first_expert=0, bias_rate=0.0, **tensors):
        """Runs the layer on x and returns y.

        tensors are those of moe_io by name: router_weight, up, down, and where the layer has
        them router_noise, router_bias, up_bias, down_bias, shared_up, shared_down, shared_gate,
        token_ids and expert_table; logits replace the router; a router that draws at random draws
        from seed (i64 [1]), and without one nothing. ids and weights are the routing where neither
        router_weight nor logits is given, and outputs otherwise. Outputs (y, counts, losses, ...)
        are written where given; y is made where not. first_expert is the id
        of the first expert of up and down, where the layer is a shard (local=N);
        bias_rate is the step from router_bias to next_router_bias.
        With torch tensors the run goes to torch's current stream; else to `stream`, an integer."""
        memory = self.memory(x)
        tensors, routing_given, workspace, _ = self.complete(memory, {**tensors, "x": x})
        if stream is None:
            stream = memory.stream()
        self.launch(tensors, routing_given, workspace, stream, first_expert, bias_rate)
        return tensors["y"]

    def bind(self, x, first_expert=0, bias_rate=0.0, **tensors):
        """A Bound run on these tensors, which takes what run() does, and checks it once."""
        memory = self.memory(x)
        tensors, routing_given, workspace, block = self.complete(memory, {**tensors, "x": x})
        io, tokens = self.filled_io(tensors, routing_given, workspace, first_expert, bias_rate)
        return Bound(self, memory, io, tokens, (tensors, block))

    def memory(self, x):
        return TorchMemory(x) if hasattr(x, "data_ptr") else self.own

    def complete(self, memory, tensors):
        """Adds y where it is not given, and a workspace: (tensors, whether the routing is given,
        the workspace's pointer and bytes, what holds it)."""
        routing_given = (tensors.get("ids") is not None and tensors.get("router_weight") is None
                         and tensors.get("logits") is None)
        if tensors.get("y") is None:
            tensors["y"] = memory.empty(self.layer.x, tensors["x"].shape)
        size = self.workspace_size(tensors["x"].shape[0])
        block = memory.workspace(size + ALIGNMENT)
        start = -(-view("workspace", block).pointer // ALIGNMENT) * ALIGNMENT
        return tensors, routing_given, (start, size), block

    def __del__(self):
        if hasattr(self, "device_shared"):
            lib.moe_plan_destroy(self.handle)
            self.device_shared.release()


class Bound:
    """A run of a plan on tensors that stay where they are: moe_plan_bind. It holds them, and the
    plan; what is in x, or in any of them, may change between runs."""

    def __init__(self, plan, memory, io, tokens, held):
        self.plan, self.memory, self.held = plan, memory, held
        self.handle = create("moe_plan_bind", plan.handle, byref(io), tokens)

    def run(self, stream=None):
        """Enqueues it, on torch's current stream or on `stream`, and returns y."""
        stream = self.memory.stream() if stream is None else stream
        call("moe_bound_run", self.handle, c_void_p(stream))
        return self.held[0]["y"]

    def __del__(self):
        if hasattr(self, "handle"):
            lib.moe_bound_destroy(self.handle)


class TorchMemory:
    """Memory and streams of torch, on the GPU (or CPU, for the null device) of a tensor."""

    NAMES = {"bf16": "bfloat16", "f16": "float16", "f32": "float32", "i32": "int32",
             "i64": "int64"}

    def __init__(self, like):
        import torch
        self.torch, self.place = torch, like.device

    def empty(self, dtype, shape):
        return self.torch.empty(shape, dtype=getattr(self.torch, self.NAMES[dtype]),
                                device=self.place)

    def workspace(self, size):
        """Torch's allocator hands memory on in stream order and keeps a captured graph's apart,
        so a workspace may go back to it as soon as the run is enqueued."""
        return self.empty("i32", ((size + 3) // 4,))

    def stream(self):
        on_gpu = self.place.type == "cuda"
        return self.torch.cuda.current_stream(self.place).cuda_stream if on_gpu else 0


class OwnMemory:
    """Memory of the device itself, on its default stream."""

    def __init__(self, device):
        self.device, self.kept = device, None

    def empty(self, dtype, shape):
        return self.device.empty(dtype, shape)

    def workspace(self, size):
        """One, as large as the largest run so far."""
        if self.kept is None or self.kept.nbytes < size:
            self.kept = self.device.empty("i32", ((size + 3) // 4,))
        return self.kept

    def stream(self):
        return 0

"""A layer: its sizes, dtypes, activation, router, capacity, biases and shared expert."""

import ctypes

from .library import LOSSES, call, lib


class Layer:
    """Layer("d=2048 f=768 e=128 k=8 ..."): the text form of moe_layer_parse. What the layer is
    stands in its canonical text; the struct stays C's."""

    def __init__(self, text):
        self.struct = ctypes.create_string_buffer(lib.moe_layer_size())
        call("moe_layer_parse_sized", text.encode(), len(self.struct), self.struct)
        self.fields = dict(pair.split("=", 1) for pair in str(self).split())

    def __str__(self):
        text = ctypes.create_string_buffer(512)
        call("moe_layer_print", self.struct, text, len(text))
        return text.value.decode()

    def __repr__(self):
        return f"Layer({str(self)!r})"

    d = property(lambda self: int(self.fields["d"]), doc="width of x and y")
    f = property(lambda self: int(self.fields["f"]), doc="hidden width of one expert")
    e = property(lambda self: int(self.fields["e"]), doc="experts")
    k = property(lambda self: int(self.fields["k"]), doc="experts a token uses")
    x = property(lambda self: self.fields["x"], doc="dtype of x and y: bf16, f16 or f32")
    w = property(lambda self: self.fields["w"], doc="dtype of the weights")

    @property
    def held(self):
        """Experts whose weights a run takes: e, or `local` where other devices hold the rest."""
        return int(self.fields.get("local", 0)) or self.e

    @property
    def shared(self):
        """Hidden width of the expert that every token uses; 0 where there is none."""
        return int(self.fields.get("shared", "0").split(",")[0])

    @property
    def shared_gated(self):
        return self.fields.get("shared", "").endswith(",gated")

    @property
    def router_w(self):
        """dtype of the router's weight: f32 where router_dtype=f32, else w"""
        return {"w": self.w}.get(dtype := self.fields.get("router_dtype", "w"), dtype)

    @property
    def gated(self):
        return bool(lib.moe_layer_gated(self.struct))

    @property
    def up_rows(self):
        """Rows of one expert's up weights: 2f where gated (gate rows, then up rows), 0 where the
        experts are values (act=none), else f."""
        return 0 if self.fields["act"] == "none" else self.f * (2 if self.gated else 1)

    @property
    def peer(self):
        """(heads, keys, width of a query) of a router like peer(8,1024,256); None of others."""
        word, _, numbers = self.fields["router"].rstrip(")").partition("(")
        return tuple(map(int, numbers.split(","))) if word == "peer" else None

    @property
    def routes(self):
        """False where ids and weights are the caller's: router=given."""
        return self.fields["router"] != "given"

    @property
    def noisy(self):
        return "noisy" in self.fields["router"]

    @property
    def hashes(self):
        """Whether experts are picked by token ids, from a table."""
        return "hash" in self.fields["router"].split(">")

    def capacity(self, tokens):
        """Rows that an expert keeps at `tokens` tokens."""
        return lib.moe_layer_capacity(self.struct, tokens)

    def has_bias(self, name):
        """Whether the layer has the bias `router` (of logits or of keys), `up` or `down`."""
        keys = name == "router" and "+bias" in self.fields["router"]
        return keys or name in self.fields["bias"].split(",")

    def tensors(self, tokens, vocab=0):
        """{name: (dtype, shape)} of all that a run of `tokens` tokens may take or give; vocab: rows of
        expert_table."""
        d, e, k, held, rows, wide = self.d, self.e, self.k, self.held, self.up_rows, self.shared
        heads, keys, width = self.peer or (0, 0, 0)
        router = heads * width if self.peer else e
        return {
            "x": (self.x, (tokens, d)), "router_weight": (self.router_w, (router, d)),
            "router_keys": (self.w, (heads, 2, keys, width // 2)),
            "router_noise": (self.router_w, (e, d)), "token_ids": ("i32", (tokens,)),
            "expert_table": ("i32", (vocab, k)), "seed": ("i64", (1,)),
            "router_bias": ("f32", (router,)), "up": (self.w, (held, rows, d)),
            "up_bias": (self.w, (held, rows)), "down": (self.w, (held, d, self.f)),
            "down_bias": (self.w, (held, d)), "shared_up": (self.w, (wide * rows // self.f, d)),
            "shared_down": (self.w, (d, wide)), "shared_gate": (self.w, (d,)),
            "logits": ("f32", (tokens, heads, 2, keys) if self.peer else (tokens, e)),
            "y": (self.x, (tokens, d)), "ids": ("i32", (tokens, k)),
            "weights": ("f32", (tokens, k)), "counts": ("i32", (e,)), "mean_probs": ("f32", (e,)),
            "losses": ("f32", (len(LOSSES),)), "next_router_bias": ("f32", (e,)),
            "slot_rows": ("i32", (tokens, k)),
        }

    def inputs(self):
        """Names of the tensors that a run with the layer's own router needs."""
        needed = ["x", "down"] + (["router_weight"] if self.routes else ["ids", "weights"])
        needed += ["up"] if self.up_rows else []
        needed += ["router_noise"] if self.noisy else []
        needed += ["token_ids", "expert_table"] if self.hashes else []
        needed += ["router_keys"] if self.peer else []
        needed += [f"{name}_bias" for name in ("router", "up", "down") if self.has_bias(name)]
        needed += ["shared_up", "shared_down"] if self.shared else []
        return needed + (["shared_gate"] if self.shared_gated else [])

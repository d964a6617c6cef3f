"""A layer: its sizes, dtypes, activation, router, capacity, biases and shared expert."""

import ctypes

from .library import call, descriptors, lib

ENTRIES = ("router", "logits", "given")  # ORDER moe_entry: where the experts of a token come from
UNUSED, NEEDED = 0, 2  # of moe_need
SIGNED = {"u64": "i64"}  # frameworks call 64 bits by the signed name


class Layer:
    """Layer("d=2048 f=768 e=128 k=8 ..."): the text form of moe_layer_parse. What the layer is
    stands in its canonical text; the struct stays C's."""

    def __init__(self, text):
        self.struct = ctypes.create_string_buffer(lib.moe_layer_size())
        call("moe_layer_parse_sized", text.encode(), len(self.struct), self.struct)
        self.fields = dict(pair.split("=", 1) for pair in str(self).split())
        self.kept = (None, [])

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

    def descriptors(self, tokens=0):
        """TensorDescs of all that a run of `tokens` tokens may take or give; the last list is kept,
        as runs often have as many tokens as the one before."""
        if self.kept[0] != tokens:
            self.kept = (tokens, descriptors(self.struct, tokens))
        return self.kept[1]

    def described(self, name):
        """A tensor's TensorDesc."""
        return next(desc for desc in self.descriptors() if desc.name.decode() == name)

    @property
    def held(self):
        """Experts whose weights a run takes: e, or `local` where other devices hold the rest."""
        return self.described("down").shape[0]

    @property
    def shared(self):
        """Hidden width of the expert that every token uses; 0 where there is none."""
        return self.described("shared_down").shape[1]

    @property
    def shared_gated(self):
        return self.described("shared_gate").present

    @property
    def router_w(self):
        """dtype of the router's weight: f32 where router_dtype=f32, else w"""
        return dtype_of(self.described("router_weight"))

    @property
    def gated(self):
        return bool(lib.moe_layer_gated(self.struct))

    @property
    def up_rows(self):
        """Rows of one expert's up weights: 2f where gated (gate rows, then up rows), 0 where the
        experts are values (act=none), else f."""
        return self.described("up").shape[1]

    def capacity(self, tokens):
        """Rows that an expert keeps at `tokens` tokens."""
        return lib.moe_layer_capacity(self.struct, tokens)

    def has_bias(self, name):
        """Whether the layer has the bias `router` (of logits or of keys), `up` or `down`."""
        return self.described(f"{name}_bias").present

    def tensors(self, tokens, vocab=0):
        """{name: (dtype, shape)} of all that a run of `tokens` tokens may take or give; vocab: rows
        of expert_table."""
        return {desc.name.decode(): (dtype_of(desc), shape_of(desc, vocab))
                for desc in self.descriptors(tokens)}

    def inputs(self):
        """Names of the tensors that a run with the layer's own router needs, by their roles; y,
        which it needs too, run() makes."""
        routes = self.described("router_weight").present
        entry = ENTRIES.index("router" if routes else "given")
        by_role = sorted(self.descriptors(), key=lambda desc: desc.role)
        return [desc.name.decode() for desc in by_role
                if desc.need[entry] == NEEDED and desc.name != b"y"]

    def idle(self, entry):
        """Names of the tensors that a run does not look at where its experts come from `entry`:
        router, logits or given."""
        return [desc.name.decode() for desc in self.descriptors()
                if desc.need[ENTRIES.index(entry)] == UNUSED]


def dtype_of(desc):
    name = lib.moe_dtype_text(desc.dtype).decode()
    return SIGNED.get(name, name)


def shape_of(desc, rows):
    """A size that is the caller's to choose is `rows`."""
    return tuple(rows if size < 0 else size for size in desc.shape[:desc.rank])

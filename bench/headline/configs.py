"""What is timed: ten headline configurations, and regression shapes that have broken kernels."""

import re
from dataclasses import dataclass, replace
from typing import Tuple

QWEN3 = "d=2048 f=768 e=128 k=8 router=softmax>topk>renorm"
MIXTRAL = "d=4096 f=14336 e=8 k=2 router=softmax>topk>renorm"
GPT_OSS = ("d=2880 f=2880 e=32 k=4 act=swiglu_clamp(7,1.702) router=topk>softmax "
           "bias=router,up,down layout=interleaved")
DEEPSEEK_V3 = "e=256 k=8 router=sigmoid+bias>groups(8,4,sum2)>topk>renorm>scale(2.5)"
BOTH = ("experts", "layer")  # ids and weights given; the whole of it with the router


@dataclass(frozen=True)
class Config:
    """A row of the benchmark. `layer` is the layer's text; every dtype is bf16. `targets`: for each
    token count, (must, aim) in us of the experts, or of the router and the maps, on an H100."""
    number: str
    name: str
    layer: str
    tokens: Tuple[int, ...]
    distribution: str = "U"  # see case.py
    regions: Tuple[str, ...] = BOTH
    note: str = ""
    targets: Tuple[Tuple[float, float], ...] = ()


HEADLINE = (
    Config("1", "qwen3-30b-prefill", QWEN3, (16384,), targets=((2250, 2100),)),
    Config("2", "qwen3-30b-skew", QWEN3, (16384,), "Z1", targets=((2360, 2205),)),
    Config("3", "mixtral-prefill", MIXTRAL, (8192,), targets=((9000, 8500),)),
    Config("4", "olmoe-prefill", "d=2048 f=1024 e=64 k=8 router=softmax>topk", (32768,),
           targets=((5700, 5300),)),
    Config("5", "gpt-oss-20b-prefill", GPT_OSS, (8192,), targets=((2900, 2700),)),
    Config("6", "qwen3-next-prefill", "d=2048 f=512 e=512 k=10 router=softmax>topk>renorm",
           (16384,), targets=((2200, 2000),),
           note="without the model's shared expert of 512, which rivals' experts leave out, too"),
    Config("7", "dsv3-ep8-shard", f"d=7168 f=2048 {DEEPSEEK_V3} local=32", (16384,),
           targets=((2500, 2350),),
           note="the fifth of eight shards, without the model's shared expert of 2048"),
    Config("8", "qwen3-30b-decode", QWEN3, (1, 8, 32, 64, 128),
           targets=tuple((us, us) for us in (36, 180, 375, 430, 440))),
    Config("9", "mixtral-decode", MIXTRAL, (1, 8, 32, 64),
           targets=tuple((us, us) for us in (255, 870, 990, 1000))),
    Config("10a", "router-map-256", f"d=7168 f=64 {DEEPSEEK_V3}", (64, 4096, 65536),
           regions=("maps",), targets=tuple((us, us) for us in (8, 45, 480))),
    Config("10b", "router-map-512", "d=2048 f=64 e=512 k=10 router=softmax>topk>renorm",
           (64, 4096, 65536), regions=("maps",)),
)

REGRESSION = (
    Config("r1", "switch-128", "d=768 f=3072 e=128 k=1 act=relu router=softmax>topk capacity=1.25",
           (16384,)),
    Config("r2", "scout", "d=5120 f=8192 e=16 k=1 router=topk>sigmoid>input", (4096,),
           note="without the model's shared expert of 8192"),
    Config("r3", "granite-e40", "d=1536 f=512 e=40 k=8 router=topk>softmax", (1, 127, 4096)),
    Config("r4", "qwen3-one", QWEN3, (4096,), "ONE"),
    Config("r5", "qwen3-empty", QWEN3, (4096,), "EMPTY"),
) + tuple(
    Config(f"rf{f}", f"edge-f{f}", f"d=2048 f={f} e=16 k=2 router=softmax>topk>renorm",
           (7, 129, 2048))
    for f in (176, 192, 352, 704, 1408, 1856)
) + tuple(
    Config(f"re{e}", f"edge-e{e}", f"d=2048 f=512 e={e} k=8 router=softmax>topk>renorm",
           (1, 127, 2048))
    for e in (257, 288, 896)
)


def sizes(layer):
    """The layer's text as a dict, in its order."""
    return dict(word.split("=", 1) for word in layer.split())


def tiny(config):
    """The configuration small enough for a simulated GPU: d and f to a 32nd (a multiple of 8, at
    least 64 and 32), at most 8 experts, 2 of them a token, groups of 2, shards of 4, at most 16
    tokens. It shows that everything runs, and nothing about speed."""
    layer = sizes(config.layer)
    layer["d"] = max(64, int(layer["d"]) // 256 * 8)
    layer["f"] = max(32, int(layer["f"]) // 256 * 8)
    layer["e"] = min(8, int(layer["e"]))
    layer["k"] = min(2, int(layer["k"]))
    layer.update({"local": 4} if "local" in layer else {})
    layer["router"] = re.sub(r"groups\(\d+,\d+", "groups(4,2", layer["router"])
    text = " ".join(f"{key}={value}" for key, value in layer.items())
    most = 144 if "maps" in config.regions else 16
    tokens = tuple(sorted({min(most, t) for t in config.tokens if t <= 16 or t >= most}))
    return replace(config, layer=text, tokens=tokens)


def select(names, is_tiny):
    """The named configurations (numbers, names, `headline`, `regression`, `all`), in order."""
    groups = {"headline": HEADLINE, "regression": REGRESSION, "all": HEADLINE + REGRESSION}
    chosen = []
    for name in names.split(","):
        found = groups.get(name) or [c for c in groups["all"]
                                     if name in (c.number, c.number.rstrip("ab"), c.name)]
        if not found:
            known = ", ".join(f"{c.number} {c.name}" for c in groups["all"])
            raise ValueError(f"no configuration {name}; there are headline, regression, all, "
                             f"{known}")
        chosen += [c for c in found if c not in chosen]
    return [tiny(c) for c in chosen] if is_tiny else chosen

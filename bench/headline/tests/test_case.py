"""The reference of the headline benchmark, against loops that follow the definition."""

import math
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "python")]

try:
    import torch
except ImportError:
    raise unittest.SkipTest("torch is not installed")

import configs
import moetune
from case import Case, accuracy


def make(layer, tokens, distribution="U"):
    config = configs.Config("0", "test", layer, (tokens,), distribution)
    return Case(torch, config, moetune.Layer(layer), tokens, "cpu")


def parts(case, rows):
    """(gate, up) of one row, by the words of the layer's text."""
    f = case.layer.f
    return {"gate_up": (rows[:f], rows[f:]), "up_gate": (rows[f:], rows[:f]),
            "interleaved": (rows[::2], rows[1::2])}[case.layout]


def by_definition(case):
    """y of a swiglu layer, token by token; experts keep first choices before second ones."""
    taken = [0] * case.layer.e
    y = torch.zeros(case.tokens, case.layer.d, dtype=torch.float64)
    for slot in range(case.layer.k):
        for token in range(case.tokens):
            expert = int(case.ids[token, slot])
            taken[expert] += 1
            held = case.first <= expert < case.first + case.layer.held
            if not held or taken[expert] > case.layer.capacity(case.tokens):
                continue
            expert -= case.first
            weight = case.weights[token, slot].double()
            before, after = (weight, 1) if "input" in case.layer.fields["router"] else (1, weight)
            gate, up = parts(case, case.up[expert].double() @ (before * case.x[token].double()))
            hidden = gate / (1 + torch.exp(-gate)) * up
            y[token] += after * (case.down[expert].double() @ hidden)
    return y


def grouped_sigmoid(case, token, groups, kept, scale):
    """{expert: weight} of DeepSeek-V3's router, from its description."""
    scores = torch.sigmoid(case.x[token].float() @ case.router_weight.float().T)
    keys = dict(enumerate((scores + case.router_bias).tolist()))
    size = case.layer.e // groups
    value = {g: sum(sorted(keys[e] for e in range(g * size, (g + 1) * size))[-2:])
             for g in range(groups)}
    best = sorted(value, key=value.get)[-kept:]
    chosen = sorted((e for e in keys if e // size in best), key=keys.get)[-case.layer.k:]
    total = sum(float(scores[e]) for e in chosen)
    return {e: scale * float(scores[e]) / total for e in chosen}


class Reference(unittest.TestCase):
    def test_layers(self):
        for extra in ("", " capacity=0.5", " router=softmax>topk", " router=topk>softmax",
                      " layout=interleaved", " layout=up_gate", " router=topk>sigmoid>input",
                      " local=2"):
            case = make("d=64 f=32 e=8 k=2" + extra, 24)
            with self.subTest(extra):
                torch.testing.assert_close(case.reference(), by_definition(case))

    def test_routers(self):
        grouped = "d=64 f=32 e=16 k=3 router=sigmoid+bias>groups(4,2,sum2)>topk>renorm>scale(2.5)"
        case = make(grouped, 24)
        for token in range(24):
            wanted = grouped_sigmoid(case, token, 4, 2, 2.5)
            found = dict(zip(case.ids[token].tolist(), case.weights[token].tolist()))
            self.assertEqual(found.keys(), wanted.keys())
            for expert, weight in found.items():
                self.assertAlmostEqual(weight, wanted[expert], places=5)

    def test_logits_take_a_bias(self):
        case = make("d=64 f=32 e=8 k=2 router=topk>softmax bias=router", 24)
        logits = case.x.float() @ case.router_weight.float().T + case.router_bias
        best = logits.sort(descending=True, stable=True)
        self.assertEqual(case.ids.tolist(), best.indices[:, :2].tolist())
        torch.testing.assert_close(case.weights, best.values[:, :2].softmax(-1))

    def test_distributions(self):
        wide = "d=256 f=32 e=64 k=4"
        self.assertEqual(len(make(wide, 100, "ONE").ids.unique()), 4)
        self.assertLess(int(make(wide, 100, "EMPTY").ids.max()), 32)
        self.assertGreater(make(wide, 2000, "Z1").skew(), 4)
        self.assertLess(make(wide, 2000, "U").skew(), 1.6)

    def test_shards(self):
        case = make("d=64 f=32 e=8 k=2 local=2", 1000)
        order, counts = case.permutation()
        here = (case.ids >= 4) & (case.ids < 6)
        self.assertEqual((case.first, case.up.shape[0]), (4, 2))
        self.assertEqual(counts.tolist(), [int((case.ids == e).sum()) for e in (4, 5)])
        self.assertTrue(here.flatten()[order].all())
        flops, _ = case.work("experts")
        self.assertEqual(flops, 2 * int(here.sum()) * 3 * 64 * 32)

    def test_work(self):
        case = make("d=64 f=32 e=8 k=2", 1000)
        self.assertEqual(case.work("experts"),
                         (2 * 2000 * 3 * 64 * 32, (8 * 3 * 64 * 32 + 2 * 1000 * 64) * 2))

    def test_accuracy(self):
        case = make("d=64 f=32 e=8 k=2", 24)
        wanted = case.reference()
        found = accuracy(torch, case, wanted * 1.25, None, wanted)
        self.assertAlmostEqual(found["rel_l2"], 0.25)
        ids = case.ids.flip(-1).clone()
        self.assertEqual(accuracy(torch, case, wanted, ids, wanted)["routed_alike"], 24)
        ids[3] = (ids[3] + 1) % 8
        self.assertEqual(accuracy(torch, case, wanted, ids, wanted)["routed_alike"], 23)
        broken = accuracy(torch, case, wanted * math.nan, None, wanted)
        self.assertFalse(broken["rel_l2"] <= 1)


if __name__ == "__main__":
    unittest.main()

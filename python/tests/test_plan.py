"""Layers, devices, databases and plans: what runs, what comes out, and what is refused."""

import array
import math
import random
import unittest

import setting
import moetune

LAYER = moetune.Layer(setting.TEXT)
T = setting.TOKENS


def numbers(generator, count, scale):
    return array.array("f", (generator.gauss(0, scale) for _ in range(count)))


def make_inputs():
    generator = random.Random(7)
    shapes = LAYER.tensors(T)
    scales = {"x": 1, "router_weight": 1, "up": LAYER.d ** -0.5, "down": LAYER.f ** -0.5}
    return {name: numbers(generator, math.prod(shapes[name][1]), scale)
            for name, scale in scales.items()}


def matvec(matrix, start, rows, vector):
    width = len(vector)
    return [sum(a * b for a, b in zip(matrix[start + r * width:start + (r + 1) * width], vector))
            for r in range(rows)]


def expert(inputs, number, x):
    """down(silu(gate x) * (up x)) of one expert, in double precision."""
    d, f = LAYER.d, LAYER.f
    both = matvec(inputs["up"], number * 2 * f * d, 2 * f, x)
    hidden = [g / (1 + math.exp(-g)) * u for g, u in zip(both[:f], both[f:])]
    return matvec(inputs["down"], number * d * f, d, hidden)


def token(inputs, x):
    """(ids, weights, y) of one token; the router is softmax>topk>renorm."""
    logits = matvec(inputs["router_weight"], 0, LAYER.e, x)
    ids = sorted(range(LAYER.e), key=lambda i: (-logits[i], i))[:LAYER.k]
    raw = [math.exp(logits[i] - logits[ids[0]]) for i in ids]
    weights = [w / sum(raw) for w in raw]
    rows = [expert(inputs, i, x) for i in ids]
    return ids, weights, [sum(w * row[c] for w, row in zip(weights, rows))
                          for c in range(LAYER.d)]


def reference(inputs):
    x = inputs["x"]
    tokens = [token(inputs, x[t * LAYER.d:(t + 1) * LAYER.d]) for t in range(T)]
    ids, weights, y = ([item for t in tokens for item in t[part]] for part in range(3))
    return ids, weights, y


def floats(buffer):
    return array.array("f", buffer.read())


class Simulated(unittest.TestCase):
    """A whole layer on a simulated GPU against double precision."""

    @classmethod
    def setUpClass(cls):
        cls.device = moetune.Device("sim:h100")
        cls.plan = moetune.Plan(moetune.Database(setting.database()), cls.device, LAYER)
        cls.host = make_inputs()
        shapes = LAYER.tensors(T)
        cls.inputs = {name: cls.device.put(*shapes[name], data)
                      for name, data in cls.host.items()}
        cls.ids, cls.weights, cls.y = reference(cls.host)

    def output(self, name):
        return self.device.empty(*LAYER.tensors(T)[name])

    def assert_near(self, got, wanted):
        worst = max(abs(a - b) for a, b in zip(got, wanted, strict=True))
        scale = math.sqrt(sum(b * b for b in wanted) / len(wanted))
        self.assertLess(worst, 1e-4 * scale)

    def test_layer(self):
        ids, weights, counts = (self.output(name) for name in ("ids", "weights", "counts"))
        y = self.plan.run(**self.inputs, ids=ids, weights=weights, counts=counts)
        self.assertEqual(list(array.array("i", ids.read())), self.ids)
        self.assert_near(floats(weights), self.weights)
        self.assert_near(floats(y), self.y)
        expected = [self.ids.count(i) for i in range(LAYER.e)]
        self.assertEqual(list(array.array("i", counts.read())), expected)

    def test_given_routing(self):
        shapes = LAYER.tensors(T)
        ids = self.device.put(*shapes["ids"], array.array("i", self.ids))
        weights = self.device.put(*shapes["weights"], array.array("f", self.weights))
        inputs = {name: self.inputs[name] for name in ("x", "up", "down")}
        self.assert_near(floats(self.plan.run(**inputs, ids=ids, weights=weights)), self.y)

    def test_bound(self):
        """Bound once, it runs on what the tensors hold at the time."""
        shape = LAYER.tensors(T)["x"]
        inputs = {**self.inputs, "x": self.device.put(*shape, numbers(random.Random(8), T * 64, 1))}
        bound = self.plan.bind(**inputs)
        bound.run()
        inputs["x"].write(self.host["x"])
        self.assert_near(floats(bound.run()), self.y)

    def test_explain(self):
        self.assertEqual(self.plan.match(T), "exact")
        self.assertIn("route", self.plan.explain(T))

    def test_errors(self):
        cases = [
            (dict(x=self.inputs["up"]), ValueError, r"x is \[8, 64, 64\], the layer takes"),
            (dict(up=self.device.empty("bf16", (8, 64, 64))), TypeError, "up is bf16"),
            (dict(up=moetune.View(256, "f32", (8, 64, 64), "cuda:0")), ValueError, "on cuda:0"),
            (dict(gate=self.inputs["up"]), TypeError, "no tensor gate"),
            (dict(up=[1.0]), TypeError, "up is a list"),
            (dict(up=None), moetune.Error, "up"),
        ]
        for change, kind, text in cases:
            with self.subTest(text), self.assertRaisesRegex(kind, text):
                self.plan.run(**{**self.inputs, **change})


class Null(unittest.TestCase):
    """What needs no numbers."""

    def test_layer_text(self):
        self.assertEqual(moetune.Layer(str(LAYER)).__repr__(), repr(LAYER))
        self.assertEqual((LAYER.d, LAYER.f, LAYER.e, LAYER.k, LAYER.x), (64, 32, 8, 2, "f32"))
        self.assertEqual(LAYER.up_rows, 64)
        self.assertEqual(moetune.Layer(setting.TEXT + " capacity=1.5").capacity(16), 6)
        self.assertEqual((LAYER.held, LAYER.shared, LAYER.shared_gated), (8, 0, False))
        mixed = moetune.Layer("d=64 f=32 e=8 k=2 router_dtype=f32")
        self.assertEqual(mixed.tensors(1)["router_weight"], ("f32", (8, 64)))
        self.assertEqual(mixed.tensors(1)["up"], ("bf16", (8, 64, 64)))
        biased = moetune.Layer(setting.TEXT + " bias=up,down")
        self.assertEqual(biased.inputs()[4:], ["up_bias", "down_bias"])
        with self.assertRaisesRegex(moetune.Error, "k"):
            moetune.Layer("d=64 f=32 e=8 k=9")

    def test_buffers(self):
        device = moetune.Device("null")
        buffer = device.put("i32", (2, 3), array.array("i", range(6)))
        self.assertEqual(list(array.array("i", buffer.read())), list(range(6)))
        with self.assertRaisesRegex(ValueError, "8 bytes for a buffer of 24"):
            buffer.write(bytes(8))
        self.assertEqual(device.facts["sms"], 132)

    def test_array_interface(self):
        class Array:
            __cuda_array_interface__ = {"typestr": "<f2", "shape": (4, 8), "data": (512, False),
                                        "strides": (32, 2), "version": 3}
        from moetune.tensor import view
        with self.assertRaisesRegex(ValueError, "a is not contiguous"):
            view("a", Array())
        Array.__cuda_array_interface__["strides"] = (16, 2)
        self.assertEqual(view("a", Array()), moetune.View(512, "f16", (4, 8)))

    def test_missing_database(self):
        with self.assertRaisesRegex(moetune.Error, "not found"):
            moetune.Database("nothing.db")


if __name__ == "__main__":
    unittest.main()

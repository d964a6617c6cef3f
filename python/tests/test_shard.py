"""A shard of the experts with a shared expert and a bias of the keys, on a simulated GPU: what a
run gives, its losses and the next bias included."""

import array
import math
import random
import unittest

import setting
import moetune

T, FIRST, RATE = 8, 4, 0.25
LAYER = moetune.Layer("d=64 f=32 e=8 k=2 x=f32 w=f32 router=sigmoid+bias>topk>renorm>scale(2.5) "
                      "shared=32,gated local=4")
SCALES = {"x": 1, "router_weight": 0.3, "router_bias": 0.2, "up": 0.125, "down": 0.18,
          "shared_up": 0.125, "shared_down": 0.18, "shared_gate": 0.125}


def make_inputs():
    generator = random.Random(3)
    shapes = LAYER.tensors(T)
    return {name: array.array("f", (generator.gauss(0, scale)
                                    for _ in range(math.prod(shapes[name][1]))))
            for name, scale in SCALES.items()}


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def product(matrix, vector):
    """matrix [rows, len(vector)], flat, times vector."""
    width = len(vector)
    return [sum(a * b for a, b in zip(matrix[i:i + width], vector))
            for i in range(0, len(matrix), width)]


def expert(up, down, x):
    both = product(up, x)
    half = len(both) // 2
    return product(down, [g * sigmoid(g) * u for g, u in zip(both[:half], both[half:])])


def held(inputs, number):
    """(up, down) of an expert of the shard."""
    return (part[number * size:(number + 1) * size]
            for part, size in ((inputs["up"], 2 * LAYER.f * LAYER.d),
                               (inputs["down"], LAYER.f * LAYER.d)))


def token(inputs, x):
    """(logits, ids, y) of one token."""
    logits = product(inputs["router_weight"], x)
    scores = [sigmoid(value) for value in logits]
    keys = [s + b for s, b in zip(scores, inputs["router_bias"])]
    ids = sorted(range(LAYER.e), key=lambda i: -keys[i])[:LAYER.k]
    gate = sigmoid(product(inputs["shared_gate"], x)[0])
    y = [gate * value for value in expert(inputs["shared_up"], inputs["shared_down"], x)]
    for i in ids:
        if FIRST <= i < FIRST + LAYER.held:
            weight = 2.5 * scores[i] / sum(scores[j] for j in ids)
            rows = expert(*held(inputs, i - FIRST), x)
            y = [sum(pair) for pair in zip(y, (weight * value for value in rows))]
    return logits, ids, y


class Shard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        device = moetune.Device("sim:h100")
        plan = moetune.Plan(moetune.Database(setting.database(str(LAYER), T)), device, LAYER)
        shapes, host = LAYER.tensors(T), make_inputs()
        inputs = {name: device.put(*shapes[name], data) for name, data in host.items()}
        names = ("ids", "counts", "losses", "next_router_bias")
        outputs = {name: device.empty(*shapes[name]) for name in names}
        y = plan.run(**inputs, **outputs, first_expert=FIRST, bias_rate=RATE)
        cls.found = {name: array.array("i" if buffer.dtype == "i32" else "f", buffer.read())
                     for name, buffer in dict(outputs, y=y).items()}
        cls.host, cls.plan, cls.inputs = host, plan, inputs
        width = LAYER.d
        cls.tokens = [token(host, host["x"][t * width:(t + 1) * width]) for t in range(T)]
        cls.chosen = [sum(i in ids for _, ids, _ in cls.tokens) for i in range(LAYER.e)]

    def test_inputs(self):
        self.assertEqual(set(LAYER.inputs()), set(SCALES))
        self.assertEqual((LAYER.held, LAYER.shared, LAYER.shared_gated), (4, 32, True))

    def test_sum_of_held_and_shared_experts(self):
        wanted = [value for _, _, y in self.tokens for value in y]
        worst = max(abs(a - b) for a, b in zip(self.found["y"], wanted, strict=True))
        self.assertLess(worst, 1e-4 * math.sqrt(sum(v * v for v in wanted) / len(wanted)))
        self.assertEqual(list(self.found["ids"]), [i for _, ids, _ in self.tokens for i in ids])
        self.assertTrue(0 < sum(self.chosen[FIRST:FIRST + LAYER.held]) < T * LAYER.k)

    def test_losses(self):
        found = dict(zip(moetune.LOSSES, self.found["losses"], strict=True))
        sums = [math.log(sum(map(math.exp, logits))) for logits, _, _ in self.tokens]
        self.assertAlmostEqual(found["z"], sum(s * s for s in sums) / T, places=3)
        mean = sum(self.chosen) / LAYER.e
        variance = sum((c - mean) ** 2 for c in self.chosen) / LAYER.e
        self.assertAlmostEqual(found["load"], variance / mean ** 2, places=4)

    def test_next_bias(self):
        share = T * LAYER.k / LAYER.e
        wanted = [bias + RATE * ((count < share) - (count > share))
                  for bias, count in zip(self.host["router_bias"], self.chosen)]
        for found, want in zip(self.found["next_router_bias"], wanted, strict=True):
            self.assertAlmostEqual(found, want, places=6)

    def test_errors(self):
        with self.assertRaisesRegex(moetune.Error, "first_expert is 5, and 4 of 8"):
            self.plan.run(**self.inputs, first_expert=5)
        with self.assertRaisesRegex(moetune.Error, "shared_gate"):
            self.plan.run(**dict(self.inputs, shared_gate=None), first_expert=FIRST)


if __name__ == "__main__":
    unittest.main()

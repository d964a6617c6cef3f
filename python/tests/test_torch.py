"""The torch path on the null device, which takes CPU tensors and runs nothing."""

import unittest

import setting
import moetune

try:
    import torch
except ImportError:
    raise unittest.SkipTest("torch is not installed")

LAYER = moetune.Layer(setting.TEXT)
T = setting.TOKENS


class Torch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plan = moetune.Plan(moetune.Database(setting.database()), moetune.Device("null"),
                                LAYER)
        shapes = LAYER.tensors(T)
        cls.inputs = {name: torch.randn(shapes[name][1]) for name in LAYER.inputs()}

    def test_run(self):
        y = self.plan.run(**self.inputs)
        self.assertEqual((y.shape, y.dtype), ((T, LAYER.d), torch.float32))

    def test_errors(self):
        cases = [
            (dict(up=self.inputs["up"].double()), TypeError, "up is torch.float64"),
            (dict(up=self.inputs["up"].transpose(1, 2)), ValueError, "up is not contiguous"),
            (dict(up=self.inputs["up"][:4]), ValueError, r"up is \[4, 64, 64\]"),
        ]
        for change, kind, text in cases:
            with self.subTest(text), self.assertRaisesRegex(kind, text):
                self.plan.run(**{**self.inputs, **change})

    @unittest.skipUnless(hasattr(torch.library, "custom_op"), "torch has no custom ops yet")
    def test_op(self):
        import moetune.torch_op
        weights = {name: self.inputs[name] for name in ("router_weight", "up", "down")}
        with self.assertRaisesRegex(TypeError, "the layer takes down, router_weight, up, not up"):
            moetune.torch_op.MoeLayer(self.plan, up=weights["up"])
        layer = moetune.torch_op.MoeLayer(self.plan, **weights)
        x = self.inputs["x"].reshape(4, 4, LAYER.d)
        self.assertEqual(layer(x).shape, x.shape)
        ids = torch.zeros(T, LAYER.k, dtype=torch.int32)
        self.assertEqual(layer(x, ids, torch.rand(T, LAYER.k)).shape, x.shape)
        self.assertEqual(layer(x, logits=torch.rand(T, LAYER.e)).shape, x.shape)
        torch.library.opcheck(moetune.torch_op.moe_layer,
                              (id(self.plan), self.inputs["x"], *weights.values()),
                              test_utils=("test_schema", "test_faketensor"))


if __name__ == "__main__":
    unittest.main()

"""scripts/gpu.sh from tuning to records in slices, and with it the headline benchmark."""

import json
import tempfile
import unittest
from pathlib import Path

from setting import run_gpu


class Slices(unittest.TestCase):
    def test_all_of_it(self):
        with tempfile.TemporaryDirectory() as name:
            out = Path(name)
            nothing = run_gpu(out, "--slice", "0")
            self.assertEqual((nothing.returncode, (out / "state").read_text()), (4, ""))
            whole = run_gpu(out, "--slice", "300")
            self.assertEqual(whole.returncode, 0, whole.stdout + whole.stderr)
            self.check_results(out)
            before = (out / "headline.txt").stat().st_mtime_ns
            self.assertEqual(run_gpu(out, "--slice", "300").returncode, 0)
            self.assertEqual((out / "headline.txt").stat().st_mtime_ns, before)
            self.check_bundle(out)

    def check_results(self, out):
        [path] = (out / "headline").glob("sim-h100/*.json")
        data = json.loads(path.read_text())
        ours = [row for row in data["rows"] if row["system"] == "moetune"]
        self.assertEqual({row["region"] for row in ours}, {"experts", "layer", "maps"})
        for row in ours:
            self.assertTrue(row["good"], row)
            self.assertGreater(row["median_us"], 0)
            self.assertEqual(row["timer"], "model")
        timed = {row["system"] for row in data["rows"]}
        named = timed | {entry["system"] for entry in data["missing"]}
        self.assertGreaterEqual(named, {"moetune", "hf_grouped_mm", "torch_grouped", "liger",
                                        "vllm", "jax_ragged", "dense"})
        self.assertTrue(path.with_suffix(".svg").read_text().startswith("<svg"))
        self.assertTrue(list((out / "records").rglob("*.txt")))

    def check_bundle(self, out):
        with tempfile.TemporaryDirectory() as other:
            done = run_gpu(Path(other), "--from", out / "bundle.tar.gz", "--slice", "300")
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertNotIn("gpu: headline\n", done.stdout)


if __name__ == "__main__":
    unittest.main()

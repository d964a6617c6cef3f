"""scripts/gpu.sh, and with it the headline benchmark, on a simulated GPU at tiny shapes."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("MOETUNE_BUILD", ROOT / "build"))


def run_gpu(out, *extra):
    return subprocess.run(["bash", ROOT / "scripts" / "gpu.sh", "--device", "sim:h100", "--tiny",
                           "--configs", "1,10a", "--build", BUILD, "--out", out,
                           "--stages", "info,tune,check,headline,records", *extra],
                          capture_output=True, text=True)


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


class Misuse(unittest.TestCase):
    def test_options(self):
        with tempfile.TemporaryDirectory() as out:
            for extra in (("--what",), ("--slice", "soon"), ("--slice",)):
                self.assertEqual(run_gpu(out, *extra).returncode, 2, extra)


if __name__ == "__main__":
    unittest.main()

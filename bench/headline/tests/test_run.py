"""What scripts/gpu.sh makes of tools that are not there, and of options."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

from setting import run_gpu


def stand_in(folder, name, text):
    """A tool of NVIDIA's that this machine lacks."""
    path = Path(folder) / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


# Runs what stands behind the options; finds an error if it is told to.
SANITIZER = """echo "$*" >>"$(dirname "$0")/calls"
while [[ $1 == --* ]]; do [[ $1 == *processes || $1 == *tool || $1 == *code ]] && shift; shift; done
"$@" || exit
[ ! -e "$(dirname "$0")/bad" ] || { echo "========= Invalid __global__ read"; exit 99; }"""


def state(out):
    return dict(line.split(" ", 1) for line in (out / "state").read_text().splitlines())


@unittest.skipIf(shutil.which("compute-sanitizer") or shutil.which("ncu"), "the tools are here")
class Tools(unittest.TestCase):
    def test_what_is_not_installed_is_skipped_with_its_reason(self):
        with tempfile.TemporaryDirectory() as name:
            done = run_gpu(name, "--stages", "sanitize,profile")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for step in ("sanitize-memcheck", "sanitize-racecheck"):
                self.assertIn("skipped: no compute-sanitizer in PATH", state(Path(name))[step])
            self.assertIn("skipped: no ncu in PATH", state(Path(name))["profile"])

    def test_sanitizer(self):
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as tools:
            stand_in(tools, "compute-sanitizer", SANITIZER)
            done = run_gpu(name, "--stages", "sanitize", path=tools)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn("combine combine: exit 0",
                          (Path(name) / "sanitize-memcheck.txt").read_text())
            calls = (Path(tools) / "calls").read_text()
            self.assertIn("--tool memcheck", calls)
            self.assertIn("--tool racecheck", calls)
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as tools:
            stand_in(tools, "compute-sanitizer", SANITIZER)
            (Path(tools) / "bad").touch()
            done = run_gpu(name, "--stages", "sanitize", path=tools)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(state(Path(name))["sanitize-memcheck"], "failed(1)")
            self.assertIn("combine combine: exit 99",
                          (Path(name) / "sanitize-memcheck.txt").read_text())

    def test_profile(self):
        row = {"config": "c", "layer": "d=64 f=32 e=4 k=2", "tokens": 4, "region": "experts",
               "cache": "cold", "system": "moetune", "roofline": 0.5, "timer": "events"}
        better = dict(row, layer="d=8 f=8 e=4 k=2", roofline=0.6)
        model = dict(row, roofline=0.1, timer="model")
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as tools:
            stand_in(tools, "ncu", 'echo "$*" >>"$(dirname "$0")/calls"')
            folder = Path(name) / "headline" / "gpu"
            folder.mkdir(parents=True)
            (folder / "r.json").write_text(json.dumps({"rows": [model]}))
            run_gpu(name, "--stages", "profile", path=tools)
            self.assertIn("skipped: no row of the headline was timed on a GPU",
                          state(Path(name))["profile"])
            (Path(name) / "state").write_text("")
            (folder / "r.json").write_text(json.dumps({"rows": [model, better, row]}))
            done = run_gpu(name, "--stages", "profile", path=tools)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            calls = (Path(tools) / "calls").read_text()
            self.assertIn("--layer d=64 f=32 e=4 k=2 --tokens 4", calls)
            self.assertIn("--import", calls)


class Misuse(unittest.TestCase):
    def test_options(self):
        with tempfile.TemporaryDirectory() as out:
            for extra in (("--what",), ("--slice", "soon"), ("--slice",)):
                self.assertEqual(run_gpu(out, *extra).returncode, 2, extra)


if __name__ == "__main__":
    unittest.main()

"""scripts/gpu.sh on a simulated GPU at tiny shapes."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("MOETUNE_BUILD", ROOT / "build"))


def run_gpu(out, *extra, path=None):
    environment = dict(os.environ, PATH=f"{path}:{os.environ['PATH']}") if path else None
    return subprocess.run(["bash", ROOT / "scripts" / "gpu.sh", "--device", "sim:h100", "--tiny",
                           "--configs", "1,10a", "--build", BUILD, "--out", out,
                           "--stages", "info,tune,check,headline,records", *extra],
                          capture_output=True, text=True, env=environment)

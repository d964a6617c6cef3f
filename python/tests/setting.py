"""What the tests share: where things are, a small layer, and a database tuned for it once."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("MOETUNE_BUILD", ROOT / "build"))
os.environ.setdefault("MOETUNE_LIBRARY", str(BUILD / "libmoetune.so"))
sys.path.insert(0, str(ROOT / "python"))

TEXT = "d=64 f=32 e=8 k=2 x=f32 w=f32"
TOKENS = 16

_folder = tempfile.TemporaryDirectory(prefix="moetune-python-")


def database(layer=TEXT, tokens=TOKENS):
    """The path of a database that holds a small layer, tuned on the simulated H100."""
    path = Path(_folder.name) / f"{layer} {tokens}.db"
    if not path.exists():
        subprocess.run([BUILD / "moetune", "tune", "--device", "sim:h100", "--layer", layer,
                        "--tokens", str(tokens), "--limit", "1", "--budget", "0:20", "--quiet",
                        "--db", path], check=True, stdout=subprocess.DEVNULL)
    return path

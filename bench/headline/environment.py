"""Where a benchmark runs: the device, torch on it, the package, the command, the database."""

import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUTING = {"U": "uniform", "Z1": "zipf", "ONE": "one", "EMPTY": "empty"}
VERSIONED = ("torch", "triton", "transformers", "liger_kernel", "scattermoe", "vllm", "jax")
SMI = "driver_version,clocks.sm,clocks.mem,temperature.gpu,power.draw"


class ToolError(Exception):
    """The moetune command failed; the text is what it said."""


def found(module):
    """(module, None) or (None, why not)."""
    try:
        return importlib.import_module(module), None
    except ImportError as error:
        return None, f"{module} cannot be imported: {error}"


def version_of(module):
    try:
        from importlib.metadata import version
        return version(module)
    except Exception:  # not installed
        return None


def commit():
    """The commit of the sources: of the repository, or as noted where they were packed."""
    noted = ROOT / "COMMIT"
    if noted.exists():
        return noted.read_text().strip()
    git = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"],
                         capture_output=True, text=True)
    return git.stdout.strip() or "unknown"


class Environment:
    """device: cuda:N or sim:CHIP. build: the folder of the command and of libmoetune.so."""

    def __init__(self, device, build, database):
        self.device_name, self.build, self.database = device, Path(build), Path(database)
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a rival is what is here, nothing fetched
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        os.environ.setdefault("MOETUNE_LIBRARY", str(self.build / "libmoetune.so"))
        sys.path.insert(0, str(ROOT / "python"))
        self.simulated = not device.startswith("cuda")
        self.torch, self.torch_missing = found("torch")
        self.moetune, self.package_missing = found("moetune")
        if not self.simulated and self.torch is None:
            raise SystemExit(f"headline: {self.torch_missing}; on a GPU install PyTorch, which "
                             "holds the tensors that the systems share")
        self.place = "cpu" if self.simulated else device
        self.device = self.moetune.Device(device) if self.moetune else None
        self.l2 = self.device.facts["l2"] if self.device else 50 << 20
        self.memory = 1 << 30 if self.simulated else self.device.facts["memory"]

    def layer(self, config):
        return self.moetune.Layer(config.layer)

    def plan(self, layer, distribution):
        database = self.moetune.Database(self.database)
        return self.moetune.Plan(database, self.device, layer, routing=ROUTING[distribution])

    def has_exact_plan(self, config, tokens):
        """Whether the database has rows tuned for just this."""
        try:
            return self.plan(self.layer(config), config.distribution).match(tokens) == "exact"
        except self.moetune.Error:
            return False

    def tool(self, *arguments):
        """Runs the command on the device; returns what it printed."""
        command = [str(self.build / "moetune"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode > 1:
            raise ToolError(f"moetune {arguments[0]}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def tune(self, config, tokens, budget, limit):
        """Tunes a layer at a token count; returns what is recorded of it."""
        begin = time.time()
        extra = ("--limit", limit) if limit else ()
        self.tool("tune", "--device", self.device_name, "--layer", config.layer, "--tokens",
                  tokens, "--routing", ROUTING[config.distribution], "--budget", budget, "--db",
                  self.database, "--quiet", *extra)
        return {"config": config.name, "tokens": tokens, "budget": budget,
                "seconds": round(time.time() - begin, 1)}

    def bench(self, config, tokens, cache):
        """{region: row} of `moetune bench`: its own tensors, times and reference."""
        out = self.tool("bench", "--device", self.device_name, "--layer", config.layer, "--tokens",
                        tokens, "--routing", ROUTING[config.distribution], "--cache", cache,
                        "--db", self.database, "--quiet", "--json", "-")
        rows = json.loads(out)["rows"]
        return {row["region"]: row for row in rows if row["system"] == "moetune"}

    def smi(self):
        """What nvidia-smi says of clocks, power and temperature; None without it."""
        if self.simulated:
            return None
        try:
            index = self.device_name.split(":")[-1]
            done = subprocess.run(["nvidia-smi", "-i", index, f"--query-gpu={SMI}",
                                   "--format=csv,noheader,nounits"],
                                  capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        values = [value.strip() for value in done.stdout.split(",")]
        names = SMI.split(",")
        return dict(zip(names, values)) if len(values) == len(names) else None

    def head(self):
        smi = self.smi() or {}
        versions = {name: version_of(name) for name in VERSIONED}
        return {"device": self.device.text if self.device else self.device_name,
                "driver": smi.get("driver_version", "none"),
                "toolkit": getattr(getattr(self.torch, "version", None), "cuda", None) or "none",
                "clock_mhz": int(float(smi.get("clocks.sm", 0) or 0)), "commit": commit(),
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
                "python": platform.python_version(), "versions": versions}

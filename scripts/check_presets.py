#!/usr/bin/env python3
"""check_presets.py - every preset's layer, made smaller, against the reference.

    python3 scripts/check_presets.py                             # on sim:h100, minutes on two cores
    python3 scripts/check_presets.py --only 'qwen3*' --device cuda:0 --by 1

A preset keeps what its rule is made of: e, k, router, capacity, activation, biases, layout, dtypes
and which experts are local. Its widths d and f are divided by N, but stay at least 64 and become
multiples of 8; the shared expert stays as many times f. N is the least power of two for which
a layer's weights and the work of the most tokens are within --weights and --work, so that a
simulated GPU is quick; --by gives one N for all. No tuning database is read: the kernels are the
templates' default configs. Exit status: 0, 1 where a check failed or did not end, 2 misuse.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LEAST = 64  # width
HEAD = ("preset", "rule", "reduced by", "worst error", "tolerance", "checks", "failed")


def presets(build):
    listed = subprocess.run([os.path.join(build, "moetune"), "layer", "--list", "--json"],
                            capture_output=True, text=True, check=True)
    return json.loads(listed.stdout)


def fields(text):
    return dict(pair.split("=", 1) for pair in text.split())


def narrow(width, by):
    return width if by == 1 else min(width, max(LEAST, width // by // 8 * 8))


def reduced(layer, by):
    """The fields of a layer whose widths are divided by `by`."""
    f, shared = int(layer["f"]), layer.get("shared")
    small = dict(layer, d=str(narrow(int(layer["d"]), by)), f=str(narrow(f, by)))
    if shared:
        width, *gated = shared.split(",")
        small["shared"] = ",".join([str(int(width) // f * int(small["f"])), *gated])
    return small


def size(layer):
    """Weights of the experts, and multiplications of a token that uses all of its slots."""
    d, f, e, k = (int(layer[name]) for name in ("d", "f", "e", "k"))
    shared = int(layer.get("shared", "0").split(",")[0]) // f
    return 3 * d * f * (int(layer.get("local", e)) + shared), 3 * d * f * (k + shared)


def reduce(layer, options):
    by = options.by or 1
    tokens = max(int(t) for t in options.tokens.split(","))
    while not options.by:
        small = reduced(layer, by)
        weights, work = size(small)
        wide = max(int(small["d"]), int(small["f"])) > LEAST
        if not wide or weights <= options.weights and work * tokens <= options.work:
            break
        by *= 2
    return by, reduced(layer, by)


def check(text, options):
    """What `moetune check` says of a layer: its JSON, or why there is none."""
    with tempfile.TemporaryDirectory() as empty:
        place = dict(os.environ, XDG_CACHE_HOME=empty)
        place.pop("MOETUNE_DB", None)
        command = [os.path.join(options.build, "moetune"), "check", "--device", options.device,
                   "--layer", text, "--tokens", options.tokens, "--json", "--quiet"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, env=place,
                                 timeout=options.limit)
        except subprocess.TimeoutExpired:
            return f"not done in {options.limit:g} s"
    ended = ran.returncode in (0, 1) and ran.stdout
    return json.loads(ran.stdout) if ended else ran.stderr.strip()


def judged(verdicts):
    """Worst error, its tolerance, checks, failures: the worst is nearest to what it may be."""
    if isinstance(verdicts, str):
        return ["", "", 0, "no result"], [verdicts]
    rows = verdicts["rows"]
    numbers = [(float(row["error"]), float(row["tolerance"])) for row in rows]
    error, tolerance = max(numbers, key=lambda pair: pair[0] / pair[1] if pair[1] else pair[0])
    failed = [f"t={row['t']} {row['name']} {row['what']}: {row['outcome']}: {row['text']}"
              for row in rows if row["outcome"] != "ok"]
    return [f"{error:.2e}", f"{tolerance:.2e}", verdicts["checks"], verdicts["failed"]], failed


def show(row):
    print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def run(chosen, options):
    """The table, a row as soon as it is known; presets that are alike once reduced, checked once.
    The number of layers that failed."""
    alike = {}
    for name, text in chosen:
        by, layer = reduce(fields(text), options)
        small = " ".join(f"{key}={value}" for key, value in layer.items())
        alike.setdefault(small, []).append((name, layer["router"], by))
    show(HEAD)
    show(["---"] * len(HEAD))
    notes = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(check, small, options): small for small in alike}
        for job in concurrent.futures.as_completed(jobs):
            cells, failed = judged(job.result())
            for preset in alike[jobs[job]]:
                show([*preset, *cells])
            if failed:
                notes.append("\n    ".join([jobs[job], *failed]))
    print("\n" + "\n".join([*notes, f"{len(alike)} layers, {len(notes)} failed"]))
    return len(notes)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="sim:h100")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--tokens", default="1,65")
    parser.add_argument("--only", default="*", help="presets, by patterns with commas between")
    parser.add_argument("--by", type=int, help="one N for all, instead of what the limits give")
    parser.add_argument("--weights", type=float, default=2e6, help="of a layer, at most")
    parser.add_argument("--work", type=float, default=3e7, help="multiplications, at most")
    parser.add_argument("--jobs", type=int, default=2, help="presets at once")
    parser.add_argument("--limit", type=float, default=600, help="seconds of a preset")
    options = parser.parse_args()
    chosen = [(name, text) for name, text in presets(options.build).items()
              if any(fnmatch.fnmatchcase(name, one) for one in options.only.split(","))]
    if not chosen or options.by is not None and options.by < 1:
        parser.error("--only fits no preset, or --by is below 1")
    return 1 if run(chosen, options) else 0


if __name__ == "__main__":
    sys.exit(main())

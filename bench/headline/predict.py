#!/usr/bin/env python3
"""What the headline's configurations should take before anything has run: the physical floor, the
range to reach, and the templates' own predictions.

  python3 bench/headline/predict.py --device sim:h100
  python3 bench/headline/predict.py --configs 1,2 --json

Times are of the experts (ids and weights given) by `moetune layer --predict`: default configs, the
best of the forms in which the router stands alone; of row 10, of the router with the index maps;
`layer` is the best form of the whole layer. The floor is the larger of FLOPs over what large
library GEMMs reach and bytes of the used weights (of row 10, of x and the router's weights) over
what copies reach. `must` and `aim` are the range to reach on an H100 (configs.py). Predictions are
estimates for ranking, not measurements.

Exit status: 0, 2 misuse, 3 the command failed."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import configs
from environment import ROOT, ROUTING
from table import aligned

HEAD = ("row", "config", "T", "dist", "floor us", "must us", "aim us", "predicted us", "of floor",
        "verdict", "layer us", "kernels")
CEILINGS = {"h100": (798e12, 3.0e12), "h200": (788e12, 4.3e12)}  # FLOP/s and bytes/s reached
MAP_OPS = ("route", "permute", "route_permute")
VERDICTS = ((lambda us, goal: us <= goal[1], "aim"), (lambda us, goal: us <= goal[0], "must"),
            (lambda us, goal: True, "beyond"))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--device", default="sim:h100", help="cuda:N or sim:CHIP")
    add("--configs", default="headline")
    add("--build", type=Path, default=ROOT / "build")
    add("--templates", help="templates of your own")
    add("--json", action="store_true")
    return parser.parse_args()


def experts_work(size, tokens):
    """(FLOPs, bytes) of the experts' GEMMs, bytes being those of the weights."""
    expert, share = 3 * size["d"] * size["f"], size.get("local", size["e"]) / size["e"]
    used = share * size["e"] * (1 - (1 - size["k"] / size["e"]) ** tokens)
    return 2 * share * tokens * size["k"] * expert, 2 * used * expert


def router_work(size, tokens):
    """(FLOPs, bytes) of the router's GEMM."""
    return 2 * tokens * size["d"] * size["e"], 2 * (tokens + size["e"]) * size["d"]


def floor_us(config, tokens, device):
    """None where nothing is known of what the device reaches."""
    chip = next((chip for chip in CEILINGS if chip in device), None)
    if not chip:
        return None
    size = {key: int(value) for key, value in configs.sizes(config.layer).items()
            if value.isdigit()}
    work = router_work if is_maps(config) else experts_work
    return 1e6 * max(each / reached for each, reached in zip(work(size, tokens), CEILINGS[chip]))


def is_maps(config):
    """Is it about the router and the index maps?"""
    return config.regions == ("maps",)


def forms(options, config, tokens):
    """The forms of the layer as `moetune layer --predict` has them."""
    command = [str(options.build / "moetune"), "layer", config.layer, "--predict", "--json",
               "--device", options.device, "--tokens", str(tokens),
               "--routing", ROUTING[config.distribution]]
    command += ["--templates", options.templates] if options.templates else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{config.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def experts_only(form):
    """The ops behind the router; None where they make its maps together with it."""
    ops = [op for op in form["ops"] if op["op"] != "route"]
    return None if any(op["op"] == "route_permute" for op in ops) else ops


def maps_only(form):
    """The router and what makes its maps; None where the maps are made with the experts."""
    ops = [op for op in form["ops"] if op["op"] in MAP_OPS]
    return ops if ops[-1]["op"] != "route" else None


def predict(options, config, tokens):
    found = forms(options, config, tokens)
    part = maps_only if is_maps(config) else experts_only
    timed = [ops for ops in map(part, found) if ops]
    best = min(timed, key=lambda ops: sum(op["ns"] for op in ops))
    goal = config.targets[config.tokens.index(tokens)] if config.targets else None
    us = sum(op["ns"] for op in best) / 1000
    return {"row": config.number, "config": config.name, "tokens": tokens,
            "distribution": config.distribution,
            "floor_us": floor_us(config, tokens, options.device),
            "must_us": goal and goal[0], "aim_us": goal and goal[1], "predicted_us": us,
            "verdict": goal and next(name for holds, name in VERDICTS if holds(us, goal)),
            "layer_us": min(form["ns"] for form in found) / 1000, "ops": best}


def cells(row):
    def number(value):
        return "-" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"

    share = row["floor_us"] and f"{100 * row['floor_us'] / row['predicted_us']:.0f}%"
    kernels = " ".join(op["template"].split("@")[0] for op in row["ops"])
    return (row["row"], row["config"], str(row["tokens"]), row["distribution"],
            *(number(row[key]) for key in ("floor_us", "must_us", "aim_us", "predicted_us")),
            share or "-", row["verdict"] or "-", number(row["layer_us"]), kernels)


def main():
    options = arguments()
    try:
        chosen = configs.select(options.configs, False)
    except ValueError as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    try:
        rows = [predict(options, config, tokens) for config in chosen for tokens in config.tokens]
    except (OSError, RuntimeError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 3
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print("\n".join(aligned([HEAD] + [cells(row) for row in rows])))
    return 0


if __name__ == "__main__":
    sys.exit(main())

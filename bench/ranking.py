#!/usr/bin/env python3
"""ranking.py - how well each template's cost function orders its candidates.

    python3 bench/ranking.py --device sim:h100                  # every template, some minutes
    python3 bench/ranking.py --device cuda:0 --limit 400 --only grouped_gemm_sm90

For each case a survey: the twelve candidates that the template predicts to be fastest, then others
at random, all verified and timed by `moetune tune`. The table says how the predicted order
correlates with that of the times (Spearman), which place the prediction gave to the fastest, and
what would be lost if the first twelve were all that is tried. On a simulated GPU the times are a
model's. Exit status: 0, or 1 where the twelve lose more than --most, 3 where a case did not run.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

LAYER = "act=swiglu router=softmax>topk>renorm"
ROUTER = "d=2048 f=64 e=128 k=8 " + LAYER
MAPS = "d=64 f=64 e=128 k=8 " + LAYER
EXPERTS = "d=512 f=512 e=8 k=2 " + LAYER
DECODE = "d=1024 f=768 e=32 k=4 " + LAYER
FEW = "d=768 f=3072 e=64 k=1 " + LAYER # tiles, with a long K
ROWS = "d=2048 f=64 e=32 k=8 " + LAYER

# Template, op, layer, tokens: small enough to be simulated, in the range that the template is for.
CASES = (
    ("route", "route", ROUTER, 16),
    ("route", "route", ROUTER, 1024),
    ("route_sm90", "route", ROUTER, 16),
    ("route_sm90", "route", ROUTER, 1024),
    ("permute", "permute", MAPS, 4096),
    ("permute_small", "permute", MAPS, 64),
    ("route_permute", "route_permute", ROUTER, 16),
    ("route_permute", "route_permute", ROUTER, 1024),
    ("grouped_gemm", "gemm_up", EXPERTS, 512),
    ("grouped_gemm", "gemm_down", EXPERTS, 512),
    ("grouped_gemm_sm90", "gemm_up", EXPERTS, 1024),
    ("grouped_gemm_sm90", "gemm_down", EXPERTS, 1024),
    ("decode_gemm", "gemm_up", DECODE, 16),
    ("decode_gemm", "gemm_down", DECODE, 16),
    ("decode_gemm", "gemm_down", FEW, 1),
    ("decode_gemm_sm90", "gemm_up", DECODE, 16),
    ("decode_gemm_sm90", "gemm_down", DECODE, 16),
    ("decode_gemm_sm90", "gemm_down", FEW, 1),
    ("gemv", "gemm_up", DECODE, 4),
    ("gemv", "gemm_down", DECODE, 4),
    ("experts", "experts", DECODE, 8),
    ("combine", "combine", ROWS, 16),
    ("combine", "combine", ROWS, 1024),
)

HEAD = ("template", "op", "t", "space", "timed", "rank corr", "best's place", "first 12 lose")
SERVES = "no template serves"


def survey(case, options):
    """What a survey of one case says of its template, None where the device has no use for it."""
    template, op, layer, tokens = case
    command = [os.path.join(options.build, "moetune"), "tune", "--device", options.device,
               "--layer", layer, "--tokens", str(tokens), "--op", op, "--template", template,
               "--strategy", "survey", "--limit", str(options.limit), "--budget", "10:00",
               "--db", options.db, "--quiet", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode and SERVES in run.stderr:
        return None
    if run.returncode:
        raise RuntimeError(f"{template} {op}: {run.stderr.strip()}")
    return json.loads(run.stdout)["ops"][0]["templates"][0]


def row_of(case, found):
    template, op, _, tokens = case
    order = found["prediction"]
    return (template, op, tokens, found["space"], order["ranked"], f"{order['correlation']:.2f}",
            order["best_rank"], f"{100 * (order['regret'] - 1):.1f}%")


def print_table(rows):
    lines = [HEAD, *rows]
    width = [max(len(str(line[i])) for line in lines) for i in range(len(HEAD))]
    for line in lines:
        cells = [str(cell).ljust(w) if i < 2 else str(cell).rjust(w)
                 for i, (cell, w) in enumerate(zip(line, width))]
        print("  ".join(cells).rstrip())


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="sim:h100")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--only", help="templates, comma-separated")
    parser.add_argument("--limit", type=int, default=60, help="candidates of a case")
    parser.add_argument("--most", type=float, default=5.0, help="percent that twelve may lose")
    parser.add_argument("--db", help="keeps the times, so that another call goes on from them")
    parser.add_argument("--json", action="store_true", help="one object for each case")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    rows, worst = [], 1.0
    with tempfile.TemporaryDirectory() as folder:
        options.db = options.db or os.path.join(folder, "ranking.db")
        for case in CASES:
            if options.only and case[0] not in options.only.split(","):
                continue
            try:
                found = survey(case, options)
            except (RuntimeError, OSError) as error:
                print(f"ranking: {error}", file=sys.stderr)
                return 3
            if not found:
                continue
            worst = max(worst, found["prediction"]["regret"])
            rows.append(row_of(case, found))
            if options.json:
                print(json.dumps({"case": case, **found}), flush=True)
            else:
                print(*rows[-1], file=sys.stderr, flush=True)
    if not options.json:
        print_table(rows)
    return 1 if 100 * (worst - 1) > options.most else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""The headline benchmark: whole MoE layers, moetune beside its rivals, in one process on the same
tensors and ids. See bench/README.md.

  python3 bench/headline/run.py --device cuda:0 --configs headline --tune 1:00
  python3 bench/headline/run.py --device sim:h100 --tiny

Exit status: 0 done, 1 a moetune row is wrong or missing, 2 misuse, 3 something is missing, 4 cases
are left, since the slice is over or a rival took the GPU down: run it again with --resume."""

import argparse
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import chart
import clock as clocks
import configs
import peak
import results as result_files
import systems
import table
from case import Case, accuracy
from environment import ROOT, ROUTING, Environment, ToolError
from systems.system import Unsupported

UNFINISHED = 4
TOLERANCE = 1e-2  # relative L2 error of a bf16 layer where no eager rival was there to compare
EAGER_FACTOR = 1.5  # and where one was: times its error


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--list", action="store_true",
        help="name, tokens, routing and layer of each, and do nothing")
    add("--device", default="cuda:0", help="cuda:N or sim:CHIP")
    add("--configs", default="headline", help="headline, regression, all, or numbers and names")
    add("--systems", help="only these, separated by commas (default: all)")
    add("--regions", default="experts,layer,maps")
    add("--caches", default="cold,warm")
    add("--tiny", action="store_true", help="shapes for a simulated GPU; says nothing of speed")
    add("--db", type=Path, help="tuning database (default: OUT/tuning.db)")
    add("--build", type=Path, default=ROOT / "build", help="folder of moetune, libmoetune.so")
    add("--tune", metavar="MM:SS", help="tune what the database has no exact row for, so long each")
    add("--tune-limit", type=int, help="most candidates of one op then")
    add("--out", type=Path, help="folder of the results (default: bench/results/<device>; "
        "build/headline for a simulated device)")
    add("--slice-seconds", type=float, default=math.inf, help="start no case after so long")
    add("--resume", action="store_true", help="go on with the newest file of this commit")
    return parser.parse_args()


class GpuLost(Exception):
    """This process can use its GPU no more."""


class Bench:
    """A run: what it runs on, with, and into."""

    def __init__(self, options, env, results):
        self.options, self.env, self.results = options, env, results
        self.caches = options.caches.split(",")
        self.regions = options.regions.split(",")
        self.clock = None
        if env.torch:
            kind = clocks.HostClock if env.simulated else clocks.CudaClock
            self.clock = kind(env.torch, env.place, env.l2)
        self.systems = self.present(systems.select(options.systems))

    def present(self, wanted):
        """The systems that are here; the others are recorded with their reasons."""
        here = []
        for system in wanted:
            reason = self.env.torch_missing or system.missing(self.env)
            if reason and system.name != "moetune":
                self.results.add_missing(system.name, reason)
            else:
                here.append(system)
        return here

    # ---------------------------------------------------------------------------- one case

    def run_case(self, config, tokens):
        self.results.drop_rows(config.name, tokens)
        if config.note:
            self.results.data["notes"][config.name] = config.note
        if self.env.moetune and self.options.tune and not self.env.has_exact_plan(config, tokens):
            self.tune(config, tokens)
        case = self.make_case(config, tokens)
        for region in [r for r in config.regions if r in self.regions]:
            for cache in self.caches:
                self.run_region(config, tokens, case, region, cache)
        if self.env.torch and not self.env.simulated:
            del case
            self.env.torch.cuda.empty_cache()

    def tune(self, config, tokens):
        try:
            self.results.data["tuned"].append(
                self.env.tune(config, tokens, self.options.tune, self.options.tune_limit))
        except ToolError as error:
            self.results.add_missing("moetune", str(error), f"{config.name} T={tokens}")

    def make_case(self, config, tokens):
        if not (self.env.torch and self.env.moetune):
            return None
        case = Case(self.env.torch, config, self.env.layer(config), tokens, self.env.place)
        case.y = None if config.regions == ("maps",) else case.reference()
        return case

    def run_region(self, config, tokens, case, region, cache):
        where = f"{config.name} T={tokens} {region} {cache}"
        runners = self.prepare(case, region, where) if case else []
        timings = self.time_rivals(case, region, cache, runners)
        names = {system.name for system, _ in runners}
        errors = [self.judge(case, runner) for _, runner in runners]
        self.smi = self.env.smi()
        self.limit = self.tolerance(runners, errors)
        for (system, runner), timing, error in zip(runners, timings, errors):
            self.add_row(config, tokens, case, region, cache, system.name, timing, error,
                         getattr(runner, "note", ""))
        if self.from_tool(region) and any(s.name == "moetune" for s in self.systems):
            self.add_tool_row(config, tokens, case, region, cache, names)

    def from_tool(self, region):
        """The library times nothing: where its run is simulated, or is a part of a layer, the
        command's own bench gives the time."""
        return self.env.simulated or region == "maps"

    def prepare(self, case, region, where):
        """[(system, runner)] that can do the case, each run once."""
        runners = []
        crashed = self.results.data["crashed"]
        for system in self.systems:
            if region not in system.regions or [system.name, where] in crashed:
                continue
            try:
                runner = system.prepare(self.env, case, region)
                runner.run()
            except Unsupported as reason:
                self.results.add_missing(system.name, str(reason), where)
            except Exception as error:  # a rival may fail in its own way; the run goes on
                self.results.add_missing(system.name, f"{type(error).__name__}: {error}"[:300],
                                         where)
                self.require_gpu(system, where)
            else:
                runners.append((system, runner))
        return runners

    def require_gpu(self, system, where):
        """Some failures leave a context that nothing runs in any more. The next start leaves the
        culprit out."""
        if self.env.simulated:
            return
        try:
            self.env.torch.cuda.synchronize()
        except RuntimeError as error:
            self.results.data["crashed"].append([system.name, where])
            raise GpuLost(f"{system.name} took the GPU's context down: {error}") from error

    def time_rivals(self, case, region, cache, runners):
        """A timing for each runner; None for moetune where the command gives it."""
        timed = [(system, runner) for system, runner in runners
                 if system.name != "moetune" or not self.from_tool(region)]
        prepared = [self.clock.prepare(runner) for _, runner in timed]
        raced = clocks.race(self.clock, prepared, cache == "cold")
        found = {system.name: dict(timing, timer=self.clock.timer(run), graph=run.graph)
                 for (system, _), run, timing in zip(timed, prepared, raced)}
        return [found.get(system.name) for system, _ in runners]

    def judge(self, case, runner):
        """Accuracy after the last timed run; {} where there is nothing to compare."""
        runner.finish()
        if runner.y is None or case.y is None:
            return {}
        return accuracy(self.env.torch, case, runner.y, runner.ids, case.y)

    def tolerance(self, runners, errors):
        """The largest relative L2 error of a right row."""
        eager = [error["rel_l2"] for (system, _), error in zip(runners, errors)
                 if system.name in ("hf_eager", "torch_eager") and error]
        return EAGER_FACTOR * eager[0] if eager else TOLERANCE

    # ------------------------------------------------------------------------------- rows

    def add_tool_row(self, config, tokens, case, region, cache, names):
        """moetune's time by its command; on a simulated GPU a model's. Where the package ran the
        case too, its accuracy on the shared tensors stands."""
        where = f"{config.name} T={tokens} {region} {cache}"
        try:
            rows = self.env.bench(config, tokens, cache)
        except (ToolError, ValueError) as error:
            self.results.add_missing("moetune", str(error), where)
            return
        parts = map_parts(rows) if region == "maps" else [rows[region]]
        if not parts:
            self.results.add_missing("moetune", "its plan makes no index maps", where)
            return
        good, timing = all(part["good"] for part in parts), None
        if good:
            timing = {"median_us": sum(p["median_us"] for p in parts),
                      "mad_us": sum(p["mad_us"] for p in parts), "cv": None, "graph": False,
                      "tries": 1, "n": min(p["n"] for p in parts), "timer": parts[0]["timer"]}
        errors = {key: parts[-1][key] for key in ("rel_l2", "max_over_rms")}
        if region != "maps" and "moetune" in names:
            row = next(r for r in reversed(self.results.data["rows"]) if r["system"] == "moetune")
            self.results.data["rows"].remove(row)
            errors = {key: row[key] for key in ("rel_l2", "max_over_rms", "routed_alike")}
        self.add_row(config, tokens, case, region, cache, "moetune", timing, errors,
                     " + ".join(p.get("text", p["kernel"]) for p in parts), good)

    def add_row(self, config, tokens, case, region, cache, system, timing, errors, note,
                good=True):
        timing = timing or {"median_us": None, "mad_us": None, "cv": None, "n": 0, "tries": 0,
                            "timer": "none", "graph": False}
        error = errors.get("rel_l2")
        row = {"config": config.name, "layer": config.layer, "region": region, "tokens": tokens,
               "distribution": config.distribution, "cache": cache, "system": system, **timing,
               "noisy": clocks.flaws(timing), **self.rates(case, region, timing),
               "rel_l2": error, "max_over_rms": errors.get("max_over_rms"),
               "routed_alike": errors.get("routed_alike"),
               "good": good and (error is None or error <= self.limit),
               "smi": self.smi, "note": note}
        if case:
            row["skew"] = case.skew()
        self.results.data["rows"].append(row)

    def rates(self, case, region, timing):
        """TFLOP/s, GB/s and the share of the roofline, by the least work. A CPU has no share of
        the GPU's."""
        us = timing["median_us"]
        if not us or not case:
            return {"tflops": None, "gbps": None, "roofline": None}
        flops, moved = case.work(region)
        ceilings = self.results.data["ceilings"]
        floor = max(flops / ceilings["tflops"] * 1e-6, moved / ceilings["gbps"] * 1e-3)
        on_cpu = self.env.simulated and timing["timer"] == "wall"
        return {"tflops": flops / us * 1e-6, "gbps": moved / us * 1e-3,
                "roofline": None if on_cpu else floor / us}


def map_parts(rows):
    """The ops that make the maps in the plan that `moetune bench` timed: one, or two."""
    if "route_permute" in rows:
        return [rows["route_permute"]]
    return [rows["route"], rows["permute"]] if "permute" in rows else []


def measure_ceilings(bench):
    data = bench.results.data
    if data["ceilings"]:
        return
    if bench.env.simulated:
        data["ceilings"] = peak.from_facts(bench.env) if bench.env.device else None
    else:
        data["ceilings"], rows = peak.measure(bench.env, bench.clock)
        data["rows"] += rows
        bench.env.torch.cuda.empty_cache()


def run_cases(bench, chosen, deadline):
    """Runs the cases that are left; False where the time is up before the last."""
    for config in chosen:
        for tokens in config.tokens:
            name = f"{config.name}/{tokens}"
            if bench.results.is_done(name):
                continue
            if time.monotonic() > deadline:
                return False
            print(f"headline: {name}", file=sys.stderr, flush=True)
            try:
                bench.run_case(config, tokens)
            except GpuLost as error:
                print(f"headline: {error}", file=sys.stderr)
                bench.results.save()
                return False
            bench.results.data["done"].append(name)
            bench.results.save()
    return True


def write_report(results):
    results.save()
    results.path.with_suffix(".svg").write_text(chart.svg(results.data))
    print(table.text(results.data))
    print(f"written: {results.path} and {results.path.with_suffix('.svg').name}")


def list_layers(chosen):
    """A line a layer and class of routing, with all its token counts: what a tuner has to know
    beforehand."""
    layers = {}
    for config in chosen:
        key = (config.layer, ROUTING[config.distribution])
        name, tokens = layers.setdefault(key, (config.name, set()))
        tokens.update(config.tokens)
    for (layer, routing), (name, tokens) in layers.items():
        print(name, ",".join(map(str, sorted(tokens))), routing, layer, sep="\t")


def main():
    begin, options = time.monotonic(), arguments()
    try:
        chosen = configs.select(options.configs, options.tiny)
        systems.select(options.systems)
    except ValueError as error:
        print(f"headline: {error}", file=sys.stderr)
        return 2
    if options.list:
        list_layers(chosen)
        return 0
    simulated = not options.device.startswith("cuda")
    default = ROOT / "build" / "headline" if simulated else ROOT / "bench" / "results"
    out = (options.out or default).resolve()
    out.mkdir(parents=True, exist_ok=True)
    env = Environment(options.device, options.build.resolve(), options.db or out / "tuning.db")
    if env.package_missing:
        print(f"headline: {env.package_missing}", file=sys.stderr)
        return 3
    head = dict(env.head(), tiny=options.tiny)
    folder = out / result_files.device_folder(head["device"])
    results = result_files.Results.open(folder, head, options.resume)
    bench = Bench(options, env, results)
    measure_ceilings(bench)
    finished = run_cases(bench, chosen, begin + options.slice_seconds)
    write_report(results)
    if not finished:
        print("headline: cases are left; go on with --resume", file=sys.stderr)
        return UNFINISHED
    wrong = [r for r in results.data["rows"] if r["system"] == "moetune" and not r["good"]]
    absent = [m for m in results.data["missing"] if m["system"] == "moetune"]
    return 1 if wrong or absent else 0


if __name__ == "__main__":
    sys.exit(main())

"""Results as text: one line a row, then who leads by how much, then who is missing and why."""

from itertools import groupby

from clock import MOST_SPREAD, WANTED

HEAD = ("config", "T", "dist", "region", "cache", "system", "us", "mad", "n", "cv%", "noisy",
        "TFLOP/s", "GB/s", "roofline", "rel_l2", "max/rms", "timer", "note")


def number(value, form):
    return "-" if value is None else format(value, form)


def marks(row):
    return ",".join(row.get("noisy", ())) or "-"


def cells(row):
    share = row["roofline"]
    return (row["config"], str(row["tokens"]), row["distribution"], row["region"], row["cache"],
            row["system"], number(row["median_us"], ".2f"), number(row["mad_us"], ".2f"),
            str(row["n"]), number(row["cv"] and 100 * row["cv"], ".1f"), marks(row),
            number(row["tflops"], ".1f"), number(row["gbps"], ".0f"),
            "-" if share is None else f"{100 * share:.1f}%", number(row["rel_l2"], ".1e"),
            number(row["max_over_rms"], ".1e"), row["timer"] + ("+graph" if row["graph"] else ""),
            row.get("note", ""))


def aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]


def workload(row):
    return tuple(row[key] for key in ("config", "tokens", "distribution", "region", "cache"))


def reasons(missing):
    """One line a system and reason, with where it holds."""
    places = {}
    for entry in missing:
        key = (entry["system"], entry["reason"].splitlines()[0][:150])
        places.setdefault(key, []).append(entry["where"] or "everywhere")
    return aligned([(system,
                     where[0] + (f" and {len(where) - 1} more" if where[1:] else ""), reason)
                    for (system, reason), where in places.items()])


def leads(rows):
    """For each workload: moetune against the fastest rival. Dense GEMMs are none: they are a
    bound."""
    lines = []
    for key, group in groupby(sorted(rows, key=workload), key=workload):
        group = list(group)
        ours = [r for r in group if r["system"] == "moetune" and r["median_us"]]
        rivals = [r for r in group if r["system"] not in ("moetune", "dense") and r["median_us"]]
        if not ours or not rivals or ours[0]["timer"] == "model":
            continue
        best = min(rivals, key=lambda row: row["median_us"])
        ratio = best["median_us"] / ours[0]["median_us"]
        noisy = {*ours[0].get("noisy", ()), *best.get("noisy", ())}
        lines.append((" ".join(map(str, key)), f"{ratio:.2f}x", f"of {best['system']}",
                      f"noisy: {', '.join(sorted(noisy))}" if noisy else ""))
    return aligned(lines) if lines else []


def worst(data):
    """moetune's row of the least share of the roofline, of those that are timed by a GPU; None
    where there is none."""
    ours = [row for row in data["rows"] if row["system"] == "moetune" and row["roofline"]
            and row["timer"] != "model" and row["region"] != "maps"]
    return min(ours, key=lambda row: row["roofline"], default=None)


def text(data):
    lines = [f"{data['head']['device']}", f"commit {data['head']['commit']}, "
             f"{data['head']['date']}, driver {data['head']['driver']}"]
    if data["head"].get("tiny"):
        lines.append("tiny shapes: they show that everything runs, and nothing of speed")
    ceilings = data["ceilings"]
    if ceilings:
        lines.append(f"ceilings ({ceilings['source']}): {ceilings['tflops']:.1f} TFLOP/s, "
                     f"{ceilings['gbps']:.0f} GB/s")
    if data["rows"]:
        lines += [""] + aligned([HEAD] + [cells(row) for row in data["rows"]])
    ahead = leads(data["rows"])
    if ahead:
        lines += ["", "moetune's speed over the fastest rival's:"] + ahead
    if any(row.get("noisy") for row in data["rows"]):
        lines += ["", f"noisy: a CV above {MOST_SPREAD:.0%} (spread), "
                      f"fewer than {WANTED} samples (few)"]
    if data.get("notes"):
        lines += ["", "about the configurations:"] + aligned(list(data["notes"].items()))
    if data["missing"]:
        lines += ["", "not timed:"] + reasons(data["missing"])
    return "\n".join(lines) + "\n"


def compare(old, new):
    """The rows that two files share: time before, after, and the ratio."""
    before = {(*workload(row), row["system"]): row["median_us"] for row in old["rows"]}
    lines = [("workload", "system", "before us", "after us", "speedup")]
    for row in new["rows"]:
        was, now = before.get((*workload(row), row["system"])), row["median_us"]
        if was and now:
            lines.append((" ".join(map(str, workload(row))), row["system"], f"{was:.2f}",
                          f"{now:.2f}", f"{was / now:.3f}"))
    return "\n".join(aligned(lines)) + "\n"

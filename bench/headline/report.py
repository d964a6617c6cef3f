#!/usr/bin/env python3
"""Renders a result file again: the table, and the chart beside the file. With two files, the rows
that they share, before and after. --worst: layer, tokens and the rest of moetune's row that is
farthest from the roofline, for a profiler; status 1 where no GPU timed one.

  python3 bench/headline/report.py NEW.json [OLD.json]
  python3 bench/headline/report.py --worst NEW.json"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import chart
import results
import table


def print_worst(path):
    row = table.worst(results.load(path))
    if not row:
        print(f"report: no row of {path} was timed on a GPU", file=sys.stderr)
        return 1
    print(row["layer"], row["tokens"], row["config"], row["region"], row["cache"],
          f"{100 * row['roofline']:.1f}%", sep="\t")
    return 0


def main():
    if sys.argv[1:2] == ["--worst"] and len(sys.argv) == 3:
        return print_worst(Path(sys.argv[2]))
    paths = [Path(name) for name in sys.argv[1:]]
    if not 1 <= len(paths) <= 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    new = results.load(paths[0])
    if len(paths) == 2:
        print(table.compare(results.load(paths[1]), new))
        return 0
    print(table.text(new))
    paths[0].with_suffix(".svg").write_text(chart.svg(new))
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Renders a result file again: the table, and the chart beside the file. With two files, the rows
that they share, before and after.

  python3 bench/headline/report.py NEW.json [OLD.json]"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import chart
import results
import table


def main():
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

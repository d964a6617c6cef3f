"""An SVG chart: share of the roofline by configuration, one bar a system."""

from html import escape

COLOURS = ("#0b6e4f", "#c8553d", "#6b7fd7", "#f2a541", "#7d5ba6", "#4d9de0", "#8a8d91", "#b5838d",
           "#588157", "#e07a5f", "#3d405b")
BAR, GAP, LEFT, WIDTH = 12, 14, 250, 560  # pixels; WIDTH is a share of 1


def pick(rows):
    """{configuration: [row]}: cold, the whole layer where it was timed, else what there is."""
    groups = {}
    for row in rows:
        if row["cache"] == "cold" and row["roofline"]:
            groups.setdefault((row["config"], row["tokens"]), []).append(row)
    chosen = {}
    for key, group in groups.items():
        layer = [row for row in group if row["region"] == "layer"]
        chosen[key] = layer or group
    return chosen


def bar(row, y, colour):
    width = WIDTH * min(row["roofline"], 1.1)
    label = f"{100 * row['roofline']:.0f}%  {row['median_us']:.0f} us"
    return (f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'
            f'<text x="{LEFT + width + 5:.1f}" y="{y + BAR - 3}" font-size="9">{label}</text>')


def legend(colours, y):
    parts = []
    for i, (system, colour) in enumerate(colours.items()):
        x, line = 10 + i % 6 * 145, y + i // 6 * 16
        parts.append(f'<rect x="{x}" y="{line}" width="10" height="10" fill="{colour}"/>'
                     f'<text x="{x + 14}" y="{line + 9}">{escape(system)}</text>')
    return parts


def axis(bottom):
    parts = []
    for tenth in range(0, 11, 2):
        x = LEFT + WIDTH * tenth / 10
        parts.append(f'<line x1="{x}" y1="34" x2="{x}" y2="{bottom}" stroke="#ddd"/>'
                     f'<text x="{x}" y="30" text-anchor="middle">{10 * tenth}%</text>')
    return parts


def svg(data):
    """The chart as text. Without a timed row it says so."""
    groups = pick(data["rows"])
    systems = dict.fromkeys(row["system"] for group in groups.values() for row in group)
    colours = {system: COLOURS[i % len(COLOURS)] for i, system in enumerate(systems)}
    parts, y = [], 42
    for (config, tokens), group in groups.items():
        parts.append(f'<text x="{LEFT - 8}" y="{y + BAR - 3}" text-anchor="end">'
                     f'{escape(config)} T={tokens} {group[0]["region"]}</text>')
        for row in group:
            parts.append(bar(row, y, colours[row["system"]]))
            y += BAR
        y += GAP
    if not groups:
        parts.append('<text x="10" y="60">no row has a share of the roofline</text>')
    height = y + 40 + 16 * (len(systems) // 6)
    title = f"share of the roofline, cold: {escape(data['head']['device'][:100])}"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 150}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="16" font-size="13">{title}</text>',
        *axis(y), *parts, *legend(colours, y + 8), "</svg>", ""])

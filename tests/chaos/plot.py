"""`plot`: lines over time as an SVG that any browser shows: no library, no script."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 28, 28
COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2")
Points = Sequence[tuple[float, float]]


def plot(title: str, unit: str, lines: Mapping[str, Points]) -> str:
    """One picture: (minutes, value) of each named line, from zero up."""
    most_x = max((x for points in lines.values() for x, _ in points), default=0.0) or 1.0
    most_y = max((y for points in lines.values() for _, y in points), default=0.0) or 1.0
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<style>text{font:12px system-ui,sans-serif}</style>",
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="17" font-weight="600" fill="#111827">{escape(title)}</text>',
    ]
    for part in (0.0, 0.5, 1.0):
        y = TOP + high * (1 - part)
        parts.append(f'<line x1="{LEFT}" y1="{y:g}" x2="{LEFT + wide}" y2="{y:g}" stroke="#e5e7eb"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end" fill="#4b5563">{_number(most_y * part)}</text>'
        )
        x = LEFT + wide * part
        parts.append(
            f'<text x="{x:g}" y="{HEIGHT - 8}" text-anchor="middle" fill="#4b5563">{most_x * part:.3g} min</text>'
        )
    parts.append(f'<text x="{LEFT - 6}" y="17" text-anchor="end" fill="#4b5563">{escape(unit)}</text>')
    for place, (name, points) in enumerate(lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{LEFT + wide * x / most_x:.1f},{TOP + high * (1 - y / most_y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        y = TOP + 8 + 18 * place
        parts.append(f'<rect x="{LEFT + wide + 12}" y="{y - 8}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + wide + 28}" y="{y + 1}" fill="#111827">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"

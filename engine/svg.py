"""A few marks of SVG, for charts that are drawn without any library; every text is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

INK, QUIET, GRID = "#1b2a35", "#5c6b75", "#e3e8eb"
FONT = "'Source Sans 3','Segoe UI','Helvetica Neue','DejaVu Sans',Arial,sans-serif"
COLORS = ("#1f4e9e", "#e8590c", "#2f9e44", "#862e9c", "#b7791f", "#0b7285", "#c2255c", "#495057")
MARKERS = ("circle", "square", "diamond", "up", "down")
Point = tuple[float, float]


def document(width: float, height: float, marks: Sequence[str], *, label: str) -> str:
    """An SVG of that size in pixels on white; ``label`` is read out in its place."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{escape(label)}" font-family="{FONT}">'
    )
    return "".join([head, f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>', *marks, "</svg>"])


def text(
    at: Point,
    words: str,
    *,
    size: float = 11,
    color: str = INK,
    anchor: str = "start",
    bold: bool = False,
    turn: int = 0,
) -> str:
    """Words with their baseline at ``at``; ``anchor`` start, middle or end; ``turn`` in degrees."""
    x, y = at
    extra = ' font-weight="650"' if bold else ""
    extra += f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{color}" text-anchor="{anchor}"{extra}>'
        f"{escape(words)}</text>"
    )


def line(start: Point, end: Point, *, color: str = INK, width: float = 1, dash: str = "") -> str:
    """A straight line."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{color}" '
        f'stroke-width="{width:g}"{dashes}/>'
    )


def path(points: Sequence[Point], *, color: str, width: float = 2, dash: str = "") -> str:
    """A line through the points."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{_listed(points)}" fill="none" stroke="{color}" stroke-width="{width:g}" '
        f'stroke-linejoin="round"{dashes}/>'
    )


def area(points: Sequence[Point], *, color: str, opacity: float) -> str:
    """A filled shape."""
    return f'<polygon points="{_listed(points)}" fill="{color}" fill-opacity="{opacity:g}"/>'


def marker(at: Point, kind: str, *, color: str, size: float = 3.6) -> str:
    """A mark with a white rim: circle, square, diamond, or a triangle that points up or down."""
    x, y = at
    rim = 'stroke="#fff" stroke-width="1"'
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" fill="{color}" {rim}/>'
    corners = {
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "diamond": [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
        "up": [(0, -1.25), (1.2, 0.95), (-1.2, 0.95)],
        "down": [(0, 1.25), (1.2, -0.95), (-1.2, -0.95)],
    }[kind]
    return f'<polygon points="{_listed([(x + size * u, y + size * v) for u, v in corners])}" fill="{color}" {rim}/>'


def _listed(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart), at most ``most``, from at or below ``low`` to at or above
    ``high``."""
    span = max(high - low, 1e-9)
    power = math.floor(math.log10(span)) - 1
    for exponent in range(power, power + 4):
        for factor in (1, 2, 5):
            step = factor * 10.0**exponent
            first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
            if last - first + 1 <= most:
                return [round(number * step, 12) for number in range(first, last + 1)]
    return [low, high]


def text_width(words: str, size: float) -> float:
    """About the width of the words in pixels, for legends: fonts differ."""
    return 0.62 * size * len(words)

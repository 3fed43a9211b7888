"""Reliability diagram: the share of pixels for which it came true, over the probability that was given to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine import svg
from engine.metrics.calibration import PercentCalibration

_SIDE, _LEFT, _TOP, _BOTTOM, _SHARES = 230.0, 52.0, 34.0, 44.0, 44.0
_NAMES, _ROW = 28.0, 34.0


@dataclass(frozen=True)
class Reliability:
    """A line of the diagram."""

    name: str
    pixels: PercentCalibration
    color: str = svg.COLORS[0]
    marker: str = svg.MARKERS[0]


def reliability_svg(
    panels: Sequence[tuple[str, Sequence[Reliability]]], *, share: str = "share that is water"
) -> str | None:
    """The panels beside each other, each with a title and its lines; None without a pixel. ``share`` names the vertical
    axis.

    Under each diagram stands how the pixels are spread over the bins (of the first line where there is one line, else
    no bars: they would hide each other).
    """
    shown = [(title, [one for one in lines if one.pixels.n]) for title, lines in panels]
    shown = [(title, lines) for title, lines in shown if lines]
    if not shown:
        return None
    marks: list[str] = []
    longest = max(svg.text_width(one.name, 11) for _, lines in shown for one in lines)
    step = _LEFT + _SIDE + _NAMES + max(longest, 120.0) + 10
    for number, (title, lines) in enumerate(shown):
        marks += _panel(number * step + _LEFT, title, lines, share)
    bars = _SHARES if any(len(lines) == 1 for _, lines in shown) else 0.0
    height = max(_TOP + _SIDE + bars + _BOTTOM, _TOP + _ROW * max(len(lines) for _, lines in shown))
    return svg.document(step * len(shown), height, marks, label="Reliability diagram")


def _panel(left: float, title: str, lines: Sequence[Reliability], what: str) -> list[str]:
    def at(probability: float, share: float) -> svg.Point:
        return left + _SIDE * probability, _TOP + _SIDE * (1 - share)

    marks = [svg.text((left, 18), title, size=13, bold=True)]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        marks.append(svg.line(at(0, tick), at(1, tick), color=svg.GRID))
        marks.append(svg.text((left - 7, at(0, tick)[1] + 4), f"{tick:g}", color=svg.QUIET, anchor="end"))
    marks.append(svg.line(at(0, 0), at(1, 1), color=svg.QUIET, dash="4 3"))
    for one in lines:
        bins = [b for b in one.pixels.bins() if b.mean_probability is not None and b.observed_share is not None]
        points = [at(b.mean_probability or 0.0, b.observed_share or 0.0) for b in bins]
        marks.append(svg.path(points, color=one.color))
        marks += [svg.marker(point, one.marker, color=one.color) for point in points]
    base = _TOP + _SIDE
    if len(lines) == 1:
        base = _TOP + _SIDE + _SHARES
        marks += _bars(left, lines[0], base)
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        marks.append(svg.text((left + _SIDE * tick, base + 15), f"{tick:g}", color=svg.QUIET, anchor="middle"))
    marks.append(svg.text((left + _SIDE / 2, base + 32), "probability given", color=svg.QUIET, anchor="middle"))
    marks.append(svg.text((left - 36, _TOP + _SIDE / 2), what, color=svg.QUIET, anchor="middle", turn=-90))
    for row, one in enumerate(lines):
        y = _TOP + 12 + _ROW * row
        marks.append(svg.marker((left + _SIDE + 18, y - 4), one.marker, color=one.color))
        marks.append(svg.text((left + _SIDE + _NAMES, y), one.name))
        marks.append(svg.text((left + _SIDE + _NAMES, y + 14), f"ECE {one.pixels.ece() or 0.0:.3f}", color=svg.QUIET))
    return marks


def _bars(left: float, one: Reliability, base: float) -> list[str]:
    bins = one.pixels.bins()
    most = max(b.n for b in bins)
    marks = []
    for b in bins:
        x, width, height = left + _SIDE * b.low + 1, _SIDE * (b.high - b.low) - 2, (_SHARES - 10) * b.n / most
        corners = [(x, base), (x, base - height), (x + width, base - height), (x + width, base)]
        marks.append(svg.area(corners, color=one.color, opacity=0.35))
    marks.append(svg.line((left, base), (left + _SIDE, base), color=svg.QUIET, width=0.7))
    marks.append(svg.text((left + _SIDE + 18, base - 4), "pixels by probability", size=10, color=svg.QUIET))
    return marks

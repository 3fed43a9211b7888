"""The plot of a study: score over label fraction, a line a method, modes side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine import svg

_WIDTH, _PLOT, _LEFT, _RIGHT, _GAP, _BOTTOM = 1000.0, 280.0, 56.0, 14.0, 44.0, 48.0
_INSIDE = 16.0
MODE_TITLES = {"frozen": "Encoder frozen, decoder trained", "finetuned": "All weights trained"}


@dataclass(frozen=True)
class Look:
    """How a method is drawn, the same in every chart."""

    color: str
    marker: str
    dash: str = ""


def looks(methods: Sequence[str], baseline: str) -> dict[str, Look]:
    """The baseline is grey and dashed, the others have a colour and a marker each."""
    others = [name for name in methods if name != baseline]
    made = {
        name: Look(svg.COLORS[i % len(svg.COLORS)], svg.MARKERS[i % len(svg.MARKERS)]) for i, name in enumerate(others)
    }
    return {name: Look(svg.QUIET, "circle", "5 4") if name == baseline else made[name] for name in methods}


@dataclass(frozen=True)
class _Frame:
    """Where a panel lies and what its axes mean."""

    left: float
    top: float
    width: float
    fractions: Sequence[float]
    ticks: Sequence[float]

    def x(self, fraction: float) -> float:
        low, high = math.log10(self.fractions[0]), math.log10(self.fractions[-1])
        share = (math.log10(fraction) - low) / (high - low) if high > low else 0.5
        return self.left + _INSIDE + (self.width - 2 * _INSIDE) * share

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return self.top + _PLOT * (1 - (value - low) / (high - low))


def efficiency_svg(
    lines: Sequence[dict[str, Any]],
    *,
    score: str,
    title: str,
    modes: Sequence[str],
    fractions: Sequence[float],
    methods: Sequence[str],
    baseline: str,
) -> str | None:
    """The chart of ``lines`` (as :func:`engine.training.study.summary.summarise` gives them); None with no value.

    Points are means over seeds, bands reach from the lowest seed to the highest.
    """
    values = [
        line[score][key]
        for line in lines
        for key in ("value", "lowest_seed", "highest_seed")
        if line[score][key] is not None
    ]
    if not values:
        return None
    ticks = svg.round_ticks(min(values), max(values), 8)
    if len(ticks) < 2:
        ticks = [ticks[0] - 0.05, ticks[0] + 0.05]
    look = looks(methods, baseline)
    legend, height = _legend(methods, look)
    top = height + 34
    width = (_WIDTH - _LEFT - _RIGHT - _GAP * (len(modes) - 1)) / len(modes)
    marks = list(legend)
    for number, mode in enumerate(modes):
        frame = _Frame(_LEFT + number * (width + _GAP), top, width, fractions, ticks)
        marks += _axes(frame, MODE_TITLES[mode])
        own = [line for line in lines if line["mode"] == mode]
        drawn = [(look[name], [line for line in own if line["method"] == name]) for name in methods]
        marks += [_band(frame, one, here, score) for one, here in drawn]
        for one, here in drawn:
            marks += _curve(frame, one, here, score)
    marks.append(svg.text((15, top + _PLOT / 2), title, color=svg.QUIET, anchor="middle", turn=-90))
    return svg.document(_WIDTH, top + _PLOT + _BOTTOM, marks, label=f"{title} over the share of labels")


def _legend(methods: Sequence[str], look: dict[str, Look]) -> tuple[list[str], float]:
    marks, x, y = [], _LEFT, 16.0
    for name in methods:
        wide = 34 + svg.text_width(name, 12) + 26
        if x + wide > _WIDTH - _RIGHT and x > _LEFT:
            x, y = _LEFT, y + 20
        one = look[name]
        marks.append(svg.path([(x, y - 4), (x + 26, y - 4)], color=one.color, dash=one.dash))
        marks.append(svg.marker((x + 13, y - 4), one.marker, color=one.color))
        marks.append(svg.text((x + 34, y), name, size=12))
        x += wide
    return marks, y + 4


def _axes(frame: _Frame, title: str) -> list[str]:
    left, right, base = frame.left, frame.left + frame.width, frame.top + _PLOT
    marks = [svg.text((left, frame.top - 10), title, size=13, bold=True)]
    for tick in frame.ticks:
        y = frame.y(tick)
        marks.append(svg.line((left, y), (right, y), color=svg.GRID))
        marks.append(svg.text((left - 7, y + 4), _number(tick, frame.ticks), color=svg.QUIET, anchor="end"))
    marks.append(svg.line((left, base), (right, base), color=svg.QUIET))
    before = -math.inf
    for fraction in frame.fractions:
        x = frame.x(fraction)
        marks.append(svg.line((x, base), (x, base + 4), color=svg.QUIET))
        words = f"{100 * fraction:g} %"
        if x - before > svg.text_width(words, 11) + 6:  # else they would run into each other
            marks.append(svg.text((x, base + 17), words, color=svg.QUIET, anchor="middle"))
            before = x
    middle = left + frame.width / 2
    marks.append(svg.text((middle, base + 36), "share of the labelled squares", color=svg.QUIET, anchor="middle"))
    return marks


def _number(tick: float, ticks: Sequence[float]) -> str:
    step = ticks[1] - ticks[0]
    return f"{tick:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _band(frame: _Frame, look: Look, lines: Sequence[dict[str, Any]], score: str) -> str:
    found = [(frame.x(line["fraction"]), line[score]) for line in lines if line[score]["lowest_seed"] is not None]
    if len(found) < 2:
        return ""
    above = [(x, frame.y(one["highest_seed"])) for x, one in found]
    below = [(x, frame.y(one["lowest_seed"])) for x, one in found]
    return svg.area([*above, *reversed(below)], color=look.color, opacity=0.13)


def _curve(frame: _Frame, look: Look, lines: Sequence[dict[str, Any]], score: str) -> list[str]:
    known = [line for line in lines if line[score]["value"] is not None]
    points = [(frame.x(line["fraction"]), frame.y(line[score]["value"])) for line in known]
    marks = []
    if len(points) == 1 and known[0][score]["lowest_seed"] is not None:  # one fraction has no band: a bar tells it
        x, one = points[0][0], known[0][score]
        marks.append(svg.line((x, frame.y(one["lowest_seed"])), (x, frame.y(one["highest_seed"])), color=look.color))
    if len(points) > 1:
        marks.append(svg.path(points, color=look.color, dash=look.dash))
    return marks + [svg.marker(point, look.marker, color=look.color) for point in points]

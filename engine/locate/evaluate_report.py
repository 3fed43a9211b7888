"""The report of an evaluation of the search: curves and tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from engine.crossview.search.scoring import RADII, RANKS
from engine.mapping.report.sheet import page_facts, write_sheet
from engine.mapping.report.wording import percent_text

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 420, 230, 42, 30


def write_evaluate_report(path: Path, *, result: dict[str, Any]) -> None:
    """Write ``report.html`` from ``result.json``'s content; raises OutputError."""
    figures = result["figures"]
    pooled = figures["pooled"]
    first = pooled["recall@1<50m"]
    lead = (
        f"{percent_text(100 * first['value'])} of {figures['inside']} photos are within 50 m at the first guess."
        if first
        else "No photo was taken inside the region."
    )
    told = figures["told_not_here"]
    facts = [
        ("Median error of the first candidate", _metres(figures["median_error_m"])),
        (
            f"Heading within 10° (first candidate within 50 m, {figures['heading_n']} photos)",
            _percent(figures["heading_within_10deg_at_rank_1"]),
        ),
        ("“Not here” said of photos taken inside", _percent(told["inside"])),
        (f"“Not here” said of {figures['outside']} photos taken outside", _percent(told["outside"])),
        ("Area under the ROC of “not here”", _number(figures["not_here_auc"])),
        *((f"Brier score of the probability within {name}", _number(v)) for name, v in figures["brier"].items()),
        ("Skipped photos", str(len(figures["skipped"]))),
    ]
    write_sheet(
        path,
        Path(__file__).with_name("evaluate.html"),
        {
            "page": page_facts(result, kind="Evaluation of the search", title=f"{figures['photos']} photos"),
            "lead": lead,
            "words": f"{figures['cells']} cells of {figures['cell_m']:g} m, method {figures['method']}, "
            f"{figures['search']} search.",
            "error_chart": chart(figures["error_curve"], "m"),
            "area_chart": chart(figures["area_curve"], "%"),
            "radii": [f"{r:.0f}" for r in RADII],
            "rows": [
                {"k": k, "cells": [_cell(pooled[f"recall@{k}<{radius:.0f}m"]) for radius in RADII]} for k in RANKS
            ],
            "facts": facts,
        },
    )


def chart(points: list[tuple[float, float]], unit: str) -> str:
    """A rising curve on a logarithmic axis as SVG: ``points`` (x, share); shares of the region are shown as per
    cent."""
    if not points:
        return '<svg viewBox="0 0 420 40"><text x="10" y="25" font-size="12">not measured</text></svg>'
    low, high = math.log10(points[0][0]), math.log10(points[-1][0])
    wide, tall = _WIDTH - _LEFT - 12, _HEIGHT - _BOTTOM - 12

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + wide * (math.log10(x) - low) / max(high - low, 1e-9), 12 + tall * (1 - y)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="11" fill="#5c6b75" role="img">']
    for y in (0, 0.25, 0.5, 0.75, 1.0):
        _, py = place(points[0][0], y)
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + wide}" y1="{py:.1f}" y2="{py:.1f}" stroke="#d9dfe3"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{py + 4:.1f}" text-anchor="end">{100 * y:.0f} %</text>')
    for x, _ in points:
        px, _ = place(x, 0)
        label = f"{100 * x:g} %" if unit == "%" else f"{x:g} m"
        parts.append(f'<text x="{px:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{label}</text>')
    line = " ".join(f"{px:.1f},{py:.1f}" for px, py in (place(x, y) for x, y in points))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1f4e9e" stroke-width="2.2"/>')
    for x, y in points:
        px, py = place(x, y)
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="#1f4e9e"/>')
    return "".join([*parts, "</svg>"])


def _cell(estimate: dict[str, Any] | None) -> dict[str, str]:
    if not estimate or estimate["value"] is None:
        return {"value": "–", "interval": ""}
    return {
        "value": percent_text(100 * estimate["value"]),
        "interval": f"{100 * estimate['low']:.0f} to {100 * estimate['high']:.0f} %",
    }


def _metres(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} m"


def _percent(value: float | None) -> str:
    return "–" if value is None else percent_text(100 * value)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"

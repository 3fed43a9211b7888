"""The report of an evaluation of the search: curves and tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from engine import svg
from engine.crossview.search.scoring import RADII, RANKS
from engine.mapping.report.sheet import page_facts, write_sheet
from engine.mapping.report.wording import percent_text

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 230, 42, 24, 12, 30


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
        *((f"Brier score of the probability within {name[:-1]} m", _number(v)) for name, v in figures["brier"].items()),
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
        return svg.document(_WIDTH, 40, [svg.text((10, 25), "not measured", color=svg.QUIET)], label="not measured")
    low, high = math.log10(points[0][0]), math.log10(points[-1][0])
    wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _BOTTOM - _TOP

    def place(x: float, y: float) -> svg.Point:
        return _LEFT + wide * (math.log10(x) - low) / max(high - low, 1e-9), _TOP + tall * (1 - y)

    marks = []
    for y in (0, 0.25, 0.5, 0.75, 1.0):
        _, py = place(points[0][0], y)
        marks.append(svg.line((_LEFT, py), (_LEFT + wide, py), color=svg.GRID))
        marks.append(svg.text((_LEFT - 5, py + 4), f"{100 * y:.0f} %", color=svg.QUIET, anchor="end"))
    for x, _ in points:
        label = f"{100 * x:g} %" if unit == "%" else f"{x:g} m"
        marks.append(svg.text((place(x, 0)[0], _HEIGHT - 10), label, color=svg.QUIET, anchor="middle"))
    marks.append(svg.path([place(x, y) for x, y in points], color=svg.COLORS[0], width=2.2))
    marks += [svg.marker(place(x, y), "circle", color=svg.COLORS[0], size=3) for x, y in points]
    return svg.document(_WIDTH, _HEIGHT, marks, label="A rising curve")


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

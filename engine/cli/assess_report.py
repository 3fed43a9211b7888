"""``engine assess report``."""

from __future__ import annotations

from typing import Any

from engine.assess.requests import ReportRequest
from engine.cli.request_command import Layout, request_command

LAYOUT = Layout(
    job="assess-report",
    help="Accuracy of a map and areas of its classes with 95 % intervals, from labelled points: a page and CSV files. "
    "Points of 'engine assess sample' give estimates; any other layer of points gives indicative figures.",
    positional=("sample",),
    metavars={"sample": "SAMPLE", "out": "OUT", "map": "MAP", "label_field": "NAME", "legend": "LEGEND"},
    sections={
        "Input and output": ("sample", "out", "overwrite", "map", "legend"),
        "Labels": ("label_field", "confident_only"),
    },
    examples="""
    engine assess report sample -o accuracy
    engine assess report sample --map other-map.tif -o accuracy-of-other
    engine assess report field-points.gpkg --map landcover.tif --label-field class -o indicative
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """Overall accuracy, and each class with its area."""
    figures = result["figures"]
    indicative = ", indicative only" if figures["indicative"] else ""
    lines = [
        f"{figures['points']['used']} labelled points of {figures['points']['drawn']}; {figures['estimator']}",
        f"  overall accuracy {_told(figures['overall_accuracy'])}{indicative}",
    ]
    for one in figures["classes"]:
        text = f"  {one['code']:>5} {one['name']:<28} user's {_told(one['users_accuracy'])}"
        text += f", producer's {_told(one['producers_accuracy'])}"
        area = one["area_m2"]
        if area is not None and area["value"] is not None:
            half = "" if area["low"] is None else f" ± {1.96 * area['se'] / 1e6:.3f}"
            text += f", {area['value'] / 1e6:.3f}{half} km²"
        lines.append(text)
    lines.append(f"Report: {result['out']}/{result['outputs']['report']}")
    return lines


def _told(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "not known"
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


command = request_command(LAYOUT, ReportRequest, summary=summary)

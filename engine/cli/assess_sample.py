"""``engine assess sample``."""

from __future__ import annotations

from typing import Any

from engine.assess.requests import SampleRequest
from engine.cli.request_command import Layout, request_command

LAYOUT = Layout(
    job="assess-sample",
    help="Draw points on a map for an accuracy assessment: a layer of points to label that does not hold the map's "
    "class, and the design apart from it. The same seed gives the same points.",
    positional=("map",),
    metavars={
        "map": "MAP",
        "out": "OUT",
        "points": "N",
        "target_se": "SE",
        "allocation": "RULE",
        "min_points": "N",
        "expected": "LIST",
        "strata": "FILE",
        "exclude": "CODES",
        "legend": "LEGEND",
        "aoi": "FILE|W,S,E,N",
        "seed": "N",
    },
    sections={
        "Input and output": ("map", "out", "overwrite", "legend"),
        "What is sampled": ("aoi", "exclude", "strata"),
        "Design": ("design", "points", "target_se", "allocation", "min_points", "expected", "seed"),
    },
    examples="""
    engine assess sample landcover/landcover.tif --points 600 -o sample
    engine assess sample change/change.tif --allocation optimal --expected 0=.98,1=.7,2=.6 --target-se 0.01 -o sample
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """How many points in which stratum."""
    figures = result["figures"]
    lines = [f"{figures['points']} points, {figures['design']}:"]
    lines += [
        f"  {one['code']:>5} {one['name']:<28}{one['points']:7d} points  {one['area_m2'] / 1e6:14.3f} km²"
        for one in figures["strata"]
    ]
    lines.append(f"Label: {result['out']}/{result['outputs']['points']}")
    return lines


command = request_command(LAYOUT, SampleRequest, summary=summary)

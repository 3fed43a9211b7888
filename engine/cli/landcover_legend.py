"""``engine landcover-legend``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.mapping.landcover.legend_request import LandcoverLegendRequest

LAYOUT = Layout(
    job="landcover-legend",
    help="Write a land-cover map in another legend or with classes merged, without running the model again.",
    positional=("map",),
    metavars={
        "map": "MAP",
        "out": "OUT",
        "legend": "LEGEND",
        "source_legend": "LEGEND",
        "merge": "LIST",
        "mapping": "FILE",
    },
    sections={
        "Input and output": ("map", "out", "overwrite"),
        "Classes": ("legend", "source_legend", "merge", "mapping"),
    },
    examples="""
    engine landcover-legend landcover.tif --legend dynamic-world -o in-dynamic-world
    engine landcover-legend landcover.tif --merge 20+30=30 -o merged
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """The classes of the new map."""
    lines = [f"Map in {result['figures']['legend'] or 'classes of its own'}:"]
    lines += [
        f"  {one['code']:>4} {one['name']:<36}{one['area_m2'] / 1e6:14.3f} km²" for one in result["figures"]["classes"]
    ]
    lines.append(f"{result['out']}/{result['outputs']['landcover']}")
    return lines


command = request_command(LAYOUT, LandcoverLegendRequest, summary=summary)

"""``engine landcover-change``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.mapping.landcover.change_request import LandcoverChangeRequest

LAYOUT = Layout(
    job="landcover-change",
    help="What became of what between two land-cover maps: a from-to raster, areas by pair of classes and by zone, and "
    "a report in OUT. Maps on any grids that overlap, in any of the known legends.",
    positional=("map_a", "map_b"),
    metavars={
        "map_a": "MAP_A",
        "map_b": "MAP_B",
        "out": "OUT",
        "legend": "LEGEND",
        "aoi": "FILE|W,S,E,N",
        "zones": "FILE",
        "zone_field": "NAME",
        "min_area": "M2",
    },
    sections={
        "Input and output": ("map_a", "map_b", "out", "overwrite", "aoi", "legend"),
        "Report by zones": ("zones", "zone_field"),
        "Method": ("min_area",),
    },
    examples="""
    engine landcover-change map-2019/landcover.tif map-2023/landcover.tif -o change
    engine landcover-change a.tif b.tif --zones districts.gpkg --zone-field name --min-area 5000 -o change
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """How much changed, and the largest changes."""
    figures = result["figures"]
    lines = [
        f"Changed: {figures['changed_m2'] / 1e6:.3f} of {figures['compared_m2'] / 1e6:.3f} km² "
        f"({figures['changed_percent']:.2f} %)"
    ]
    ranked = sorted(figures["transitions"], key=lambda row: -row["area_m2"])
    lines += [f"  {row['name']:<52}{row['area_m2'] / 1e6:12.3f} km²" for row in ranked[:8]]
    lines.append(f"Report: {result['out']}/{result['outputs']['report']}")
    return lines


command = request_command(LAYOUT, LandcoverChangeRequest, summary=summary)

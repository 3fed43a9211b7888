"""``engine landcover``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.mapping.landcover.request import LandcoverRequest

LAYOUT = Layout(
    job="landcover",
    help="Map land cover from Sentinel-2 (Level-1C or 2A), Sentinel-1, or both: classes, confidence, tables, and a "
    "report in OUT.",
    positional=("scene",),
    metavars={
        "scene": "SCENE…",
        "out": "OUT",
        "scl": "FILE",
        "aoi": "FILE|W,S,E,N",
        "zones": "FILE",
        "zone_field": "NAME",
        "model": "MODEL",
        "legend": "LEGEND",
        "unknown_below": "PERCENT",
        "min_area": "M2",
        "bands": "LIST",
        "observed_at": "TIME",
        "device": "DEVICE",
    },
    sections={
        "Input and output": ("scene", "out", "overwrite", "scl", "aoi"),
        "Report by zones": ("zones", "zone_field"),
        "Method": ("model", "legend", "unknown_below", "min_area", "device"),
        "What the files do not tell": ("units", "bands", "observed_at"),
    },
    examples="""
    engine landcover image.tif -o land-cover
    engine landcover S2A_MSIL2A_20220612T101559_N0400_R022_T32TNR_20220612T170000.SAFE -o land-cover
    engine landcover s2_10m.tif s2_20m.tif s1.tif --scl scl.tif --zones districts.gpkg --legend dfc2020 -o land-cover
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was found, in a few lines."""
    figures = result["figures"]
    observed = f", observed {figures['observed_at']}" if figures.get("observed_at") else ""
    scenes = [facts["path"] for name, facts in result["inputs"].items() if name.startswith("scene")]
    more = f" and {len(scenes) - 1} more" if len(scenes) > 1 else ""
    lines = [f"Land cover of {scenes[0]}{more} by {figures['model']}{observed}:"]
    width = max(len(row["name"]) for row in figures["classes"])
    lines += [
        f"  {row['name']:<{width}}{row['area_m2'] / 1e6:12.3f} km² {100 * row['share']:6.1f} %   "
        f"confidence {row['mean_confidence']:.0f} %"
        for row in figures["classes"]
        if row["pixels"]
    ]
    if figures["observed_percent"] is not None:
        lines.append(f"  {'observed':<{width}}{figures['observed_percent']:23.1f} %")
    lines.append(f"Report: {result['out']}/{result['outputs']['report']}")
    return lines


command = request_command(LAYOUT, LandcoverRequest, summary=summary)

"""``engine flood``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.mapping.flood.request import FloodRequest

LAYOUT = Layout(
    job="flood",
    help="Map water and flood from a Sentinel-1 scene or, with a model, from Sentinel-2 or both: raster, probability, "
    "polygons, and a report in OUT.",
    positional=("post",),
    metavars={
        "post": "POST",
        "out": "OUT",
        "before": "PRE",
        "s2": "FILE",
        "scl": "FILE",
        "reference_water": "MASK",
        "dem": "DEM",
        "hand": "HAND",
        "aoi": "FILE|W,S,E,N",
        "zones": "FILE",
        "zone_field": "NAME",
        "method": "METHOD",
        "bands": "LIST",
        "probability": "PERCENT",
        "min_area": "M2",
        "max_hand": "M",
        "max_slope": "DEGREES",
        "observed_at": "TIME",
        "device": "DEVICE",
    },
    sections={
        "Input and output": ("post", "out", "overwrite", "before", "reference_water", "dem", "hand", "aoi"),
        "Sentinel-2": ("s2", "scl"),
        "Report by zones": ("zones", "zone_field"),
        "Method": ("method", "probability", "min_area", "max_hand", "max_slope", "device"),
        "What the files do not tell": ("units", "bands", "observed_at"),
    },
    examples="""
    engine flood after.tif -o flood-map
    engine flood after.tif --before before.tif --dem dem.tif --zones districts.gpkg --zone-field name -o flood-map
    engine flood after.vrt --aoi 12.1,41.8,12.6,42.2 --probability 70 -o flood-map
    """,
)

_ROWS = (
    ("flood", "flood"),
    ("water", "water (no reference)"),
    ("reference_water", "reference water"),
    ("dry", "dry land"),
    ("excluded", "set aside"),
    ("not_observed", "not observed"),
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was found, in a few lines."""
    figures = result["figures"]
    areas = figures["area_m2"]
    observed = f", observed {figures['observed_at']}" if figures.get("observed_at") else ""
    lines = [f"Flood map of {result['inputs']['post']['path']} by {figures['method']}{observed}:"]
    lines += [f"  {title:<21}{areas[key] / 1e6:12.3f} km²" for key, title in _ROWS if areas.get(key)]
    if figures.get("flooded_low_m2") is not None and figures.get("flooded_high_m2") is not None:
        low, high = figures["flooded_low_m2"] / 1e6, figures["flooded_high_m2"] / 1e6
        lines.append(f"  flooded, low to high  {low:.3f} to {high:.3f} km²")
    lines.append(f"  observed             {figures['observed_percent']:12.1f} %")
    lines.append(f"Report: {result['out']}/{result['outputs']['report']}")
    return lines


command = request_command(LAYOUT, FloodRequest, summary=summary)

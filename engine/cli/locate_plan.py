"""``engine locate plan``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.errors import EngineError, GridError
from engine.locate.requests import LocatePlanRequest

LAYOUT = Layout(
    job="locate-plan",
    help="Tell cells, disk and time of an index of a region before it is made, and whether the imagery is fine enough. "
    "Nothing is fetched and nothing is written.",
    positional=("reference",),
    metavars={
        "reference": "[REFERENCE]",
        "region": "FILE|W,S,E,N",
        "index": "INDEX",
        "method": "METHOD",
        "cell": "M",
        "scales": "LIST",
        "attribution": "TEXT",
        "max_zoom": "Z",
        "per_second": "N",
        "max_tiles": "N",
    },
    sections={
        "Input": ("reference", "region", "index", "attribution"),
        "Method": ("method", "cell", "scales", "precision"),
        "Tile servers": ("tms", "max_zoom", "per_second", "max_tiles"),
    },
    examples="""
    engine locate plan orthophoto.tif --region 9.15,48.76,9.20,48.79
    engine locate plan 'https://tiles.example.org/{z}/{x}/{y}.jpg' --region town.gpkg --method geometric
    engine locate plan orthophoto.tif --region next.gpkg --index town
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """The figures, and what would be refused."""
    about = "" if result["counted"] else "about "
    new = "" if result["new_cells"] == result["cells"] else f", {result['new_cells']} of them new"
    lines = [
        f"Method: {result['method']}, cells of {result['cell_m']:g} m, {result['area_m2'] / 1e6:.3g} km²",
        f"Cells: {about}{result['cells']}{new}",
        f"Disk: about {result['bytes'] / 1e6:.1f} MB, time: about {duration(result['seconds'])} on one core",
        f"Imagery: pixels of {result['finest_m']:g} m are best, {result['coarsest_m']:g} m the coarsest"
        + ("" if result["gsd_m"] is None else f"; this one has {result['gsd_m']:.3g} m"),
    ]
    if result["tiles"] is not None:
        lines.append(f"Tiles: about {result['tiles']} at zoom {result['zoom']}")
    if result["note"]:
        lines.append(f"Note: {result['note']}")
    return lines


def verdict(result: dict[str, Any]) -> EngineError | None:
    """What ``engine locate index`` would refuse."""
    problem = next(iter(result["problems"]), None)
    return None if problem is None else GridError(problem["message"], remedy=problem["remedy"])


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


command = request_command(LAYOUT, LocatePlanRequest, summary=summary, verdict=verdict)

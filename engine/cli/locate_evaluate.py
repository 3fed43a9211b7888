"""``engine locate evaluate``."""

from __future__ import annotations

from typing import Any

from engine.cli.locate_index import TILES
from engine.cli.locate_search import PHOTO_METAVARS
from engine.cli.locate_skipped import skipped_photos
from engine.cli.request_command import Layout, request_command
from engine.locate.requests import LocateEvaluateRequest

LAYOUT = Layout(
    job="locate-evaluate",
    help="How far off the search of an index is, from photos of known position: error curve, recall by rank and "
    "radius, the area that must be searched, and how well it is told that a photo was not taken here.",
    positional=("index", "panorama"),
    metavars={**PHOTO_METAVARS, "positions": "FILE", "seed": "N"},
    sections={
        "Input and output": ("index", "panorama", "out", "overwrite", "positions"),
        "Method": ("method", "search", "verify", "top", "seed", "reference", "inside", "hfov", "vfov", "device"),
        "Tile servers": TILES,
    },
    examples="""
    engine locate evaluate town drive/*.jpg --positions drive.csv -o evaluated
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """Recall at the first guess and among twenty."""
    figures = result["figures"]
    lines = []
    for name in ("recall@1<50m", "recall@20<50m"):
        found = figures["pooled"][name]
        if found:
            lines.append(f"{name}: {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f}, n {found['n']})")
    if figures["median_error_m"] is not None:
        lines.append(f"Median error: {figures['median_error_m']:.0f} m")
    lines.append(f"Report: {result['out']}/{result['outputs']['report']}")
    return lines


command = request_command(LAYOUT, LocateEvaluateRequest, summary=summary, verdict=skipped_photos)

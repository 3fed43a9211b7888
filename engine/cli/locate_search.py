"""``engine locate search``."""

from __future__ import annotations

from typing import Any

from engine.cli.locate_index import TILE_METAVARS, TILES
from engine.cli.locate_skipped import skipped_photos
from engine.cli.request_command import Layout, request_command
from engine.locate.requests import LocateSearchRequest

PHOTO_METAVARS = {
    "index": "INDEX",
    "panorama": "PANORAMA…",
    "out": "OUT",
    "method": "METHOD",
    "hfov": "DEG",
    "vfov": "DEG",
    "reference": "REFERENCE",
    "inside": "SHARE",
    "verify": "N",
    "device": "DEVICE",
    "top": "N",
    **TILE_METAVARS,
}

LAYOUT = Layout(
    job="locate-search",
    help="Rank the places of an indexed region where photos may have been taken, with heading and probability. It says "
    "so where the honest answer is: not in this region.",
    positional=("index", "panorama"),
    metavars={**PHOTO_METAVARS, "heading": "DEG", "heading_tolerance": "DEG", "track": "FILE"},
    sections={
        "Input and output": ("index", "panorama", "out", "overwrite", "top"),
        "What is known of the photos": (
            "heading",
            "heading_tolerance",
            "ignore_heading",
            "inside",
            "hfov",
            "vfov",
            "sequence",
            "track",
        ),
        "Method": ("method", "search", "verify", "reference", "check", "device"),
        "Tile servers": TILES,
    },
    examples="""
    engine locate search stuttgart pano.jpg -o found
    engine locate search stuttgart drive/*.jpg --sequence --top 5 -o found
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """The best place of each photo, or that there is none."""
    lines = []
    for photo in result["figures"]["photos"]:
        best = photo["best"]
        heading = "heading unknown" if best["heading_deg"] is None else f"heading {best['heading_deg']:.0f}°"
        place = f"{best['lat']:.5f}, {best['lon']:.5f}, {heading}, {100 * best['probability_50m']:.0f} % within 50 m"
        lines.append(f"{photo['photo']}: {place if photo['match'] else f'not in this region (best {place})'}")
    lines.append(f"Report: {result['out']}/{result['outputs']['report']}")
    return lines


command = request_command(LAYOUT, LocateSearchRequest, summary=summary, verdict=skipped_photos)

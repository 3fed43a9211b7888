"""``engine crossview adapt``."""

from __future__ import annotations

from typing import Any

from engine.cli.locate_index import TILE_METAVARS, TILES
from engine.cli.request_command import Layout, request_command
from engine.training.crossview.adapt.request import CrossviewAdaptRequest

LAYOUT = Layout(
    job="crossview-adapt",
    help="Learn an area: train a cross-view network on your own 360° photos and imagery of the area, without any pair. "
    "A model that verifies its candidates learns from the places that a search by it finds with confidence. Photos of "
    "known position tell what it was worth; these positions are never learned from. A run that was stopped goes on by "
    "the same command.",
    positional=("photos",),
    metavars={
        "photos": "PHOTO|FOLDER",
        "reference": "REFERENCE",
        "region": "FILE|W,S,E,N",
        "out": "OUT",
        "name": "NAME",
        "register_as": "NAME",
        "start": "MODEL",
        "width": "FACTOR",
        "steps": "N",
        "batch": "N",
        "cell": "M",
        "extent": "M",
        "most_tiles": "N",
        "camera_height": "M",
        "positions": "FILE",
        "apart": "SHARE",
        "max_tiles": "N",
        "attribution": "TEXT",
        "memory": "GB",
        "seed": "N",
        "device": "DEVICE",
        **TILE_METAVARS,
    },
    sections={
        "Input and output": ("photos", "reference", "region", "out", "name", "register_as", "overwrite", "attribution"),
        "Network": ("start", "size", "encoder", "width", "steps", "batch", "seed", "device"),
        "Photos": ("heading", "camera_height", "positions", "ignore_positions", "apart"),
        "Imagery": ("cell", "extent", "most_tiles", "memory"),
        "Tile servers": (*TILES, "max_tiles"),
    },
    examples="""
    engine crossview adapt drive/ --reference orthophoto.tif --region 9.15,48.76,9.20,48.79 -o learned
    engine crossview adapt drive/ --reference orthophoto.tif --region town.gpkg --register-as town-2026 -o learned
    engine locate index orthophoto.tif --region town.gpkg --method town-2026 -o index
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was learned from, what it was worth, and where the model is."""
    figures = result["figures"]
    lines = [
        f"Learned from {figures['believed'] or figures['photos']} photos and {figures['tiles']} tiles in "
        f"{figures['steps']} steps, from {figures['start']}.",
        *figures["summary"],
        *(line for group in figures["said"].values() for line in group),
    ]
    if not figures["measured"]:
        lines.append("Nothing was measured: too few photos of known position stand in the region.")
    registered = result.get("registered")
    if registered:
        lines.append(f"Added to your models: {registered['name']}")
    return [*lines, f"Model: {result['out']}/model", f"Report: {result['out']}/{result['outputs']['report']}"]


command = request_command(LAYOUT, CrossviewAdaptRequest, summary=summary)

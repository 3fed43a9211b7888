"""``engine locate index``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.locate.requests import LocateIndexRequest

TILES = ("tms", "max_zoom", "tile_cache", "tile_cache_gb", "connections", "per_second")
TILE_METAVARS = {
    "max_zoom": "Z",
    "tile_cache": "FOLDER",
    "tile_cache_gb": "GB",
    "connections": "N",
    "per_second": "N",
}

LAYOUT = Layout(
    job="locate-index",
    help="Describe a region cell by cell from imagery seen from above, so that photos can be searched for in it. A run "
    "that was stopped goes on by the same command.",
    positional=("reference",),
    metavars={
        "reference": "REFERENCE",
        "region": "FILE|W,S,E,N",
        "out": "INDEX",
        "method": "METHOD",
        "cell": "M",
        "scales": "LIST",
        "imagery_date": "DATE",
        "attribution": "TEXT",
        "max_tiles": "N",
        "memory": "GB",
        "device": "DEVICE",
        **TILE_METAVARS,
    },
    sections={
        "Input and output": ("reference", "region", "out", "update", "overwrite", "imagery_date", "attribution"),
        "Method": ("method", "cell", "scales", "precision", "device", "memory"),
        "Tile servers": (*TILES, "max_tiles"),
    },
    examples="""
    engine locate index orthophoto.tif --region 9.15,48.76,9.20,48.79 -o stuttgart
    engine locate index 'https://tiles.example.org/{z}/{x}/{y}.jpg' --region town.gpkg --attribution '© Example' -o town
    engine locate index orthophoto.vrt --region next.gpkg --update -o town
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What the index holds."""
    figures = result["figures"]
    lines = [f"Cells: {figures['cells']} ({figures['added']} new), method {figures['method']}"]
    if figures["gaps"]:
        lines.append(f"Without imagery: {figures['gaps']}")
    lines.append(f"Size: {figures['bytes'] / 1e6:.1f} MB, {figures['bytes_per_cell']:.0f} bytes a cell")
    lines.append(f"Index: {result['out']}")
    return lines


command = request_command(LAYOUT, LocateIndexRequest, summary=summary)

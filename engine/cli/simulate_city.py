"""``engine simulate city``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.simulate.city.request import SimulateCityRequest

LAYOUT = Layout(
    job="simulate-city",
    help="Make a simulated city: panoramas with exact position and heading, and its picture from above.",
    metavars={"out": "OUT", "seed": "N", "size": "M", "panoramas": "N", "pano_size": "WxH", "vfov": "DEG"}
    | {
        "camera_height": "M",
        "overhead_gsd": "M",
        "tile_size": "PIXELS",
        "offset": "M",
        "samples": "N",
        "split": "NAME",
    },
    sections={
        "Output": ("out", "overwrite", "image_format", "split"),
        "City": ("seed", "size", "character", "same_day"),
        "Panoramas": ("panoramas", "heading", "pano_size", "vfov", "camera_height", "samples"),
        "From above": ("overhead_gsd", "tile_size", "offset"),
    },
    examples="""
    engine simulate city --seed 1 --panoramas 200 -o city
    engine simulate city --seed 2 --vfov 65.45 --pano-size 512x128 --heading north -o strips
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was made, in a few lines."""
    figures = result["figures"]
    lines = [f"Simulated city ({figures['character']}, no real place): {figures['panoramas']} panoramas"]
    lines += [f"  {name:<16}{file}" for name, file in result["outputs"].items()]
    lines.append(f"Folder: {result['out']}")
    return lines


command = request_command(LAYOUT, SimulateCityRequest, summary=summary)

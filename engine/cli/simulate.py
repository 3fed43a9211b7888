"""``engine simulate scene``."""

from __future__ import annotations

import re
from typing import Any

import click

from engine.cli.lazy import Entry, LazyGroup
from engine.cli.request_command import Layout, request_command
from engine.simulate.request import SceneRequest

LAYOUT = Layout(
    job="simulate-scene",
    help="Make a simulated scene: Sentinel-1 before and after a flood, Sentinel-2, land cover, DEM, and exact truth.",
    metavars={"out": "OUT", "seed": "N", "products": "LIST", "crs": "CRS", "observed_at": "TIME"}
    | {"before_observed_at": "TIME", "width": "COLUMNS", "height": "ROWS", "gsd": "M", "flood": "M", "relief": "M"}
    | {"clouds": "SHARE", "wind": "SHARE", "looks": "NUMBER"},
    sections={
        "Output": ("out", "overwrite", "products"),
        "Extent": ("size", "width", "height", "gsd", "crs"),
        "Scene": (
            "seed",
            "flood",
            "relief",
            "towns",
            "lookalikes",
            "wet_fields",
            "bright_fields",
            "wind",
            "clouds",
            "looks",
            "border",
        ),
        "Times": ("observed_at", "before_observed_at"),
    },
    examples="""
    engine simulate scene --seed 1 -o scene
    engine simulate scene --seed 7 --size 10980 --products s1 -o large
    """,
)


def _with_size(given: dict[str, Any]) -> dict[str, Any]:
    """``--size N`` or ``--size WIDTHxHEIGHT`` as width and height."""
    size = given.pop("size", None)
    if size is None:
        return given
    match = re.fullmatch(r"(\d+)(?:[x×,](\d+))?", size.strip().lower())
    if match is None:
        raise click.BadParameter(f"{size!r} is not N or WIDTHxHEIGHT.", param_hint="--size")
    if "width" in given or "height" in given:
        raise click.UsageError("--size stands for --width and --height; give one or the other.")
    return {**given, "width": int(match[1]), "height": int(match[2] or match[1])}


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was made, in a few lines."""
    lines = ["Simulated scene (no real observation):"]
    lines += [f"  {name:<16}{file}" for name, file in result["outputs"].items()]
    lines.append(f"Folder: {result['out']}")
    return lines


command = request_command(
    LAYOUT,
    SceneRequest,
    summary=summary,
    extra=[click.Option(["--size"], metavar="N|WxH", help="Pixels of a square scene, or columns x rows.")],
    prepare=_with_size,
)

group = LazyGroup(
    "simulate",
    {
        "scene": Entry("engine.cli.simulate:command", "Sentinel-1 and Sentinel-2 scenes with exact flood truth."),
        "city": Entry("engine.cli.simulate_city:command", "Cities seen from the street and from above."),
    },
    help="Make simulated scenes and cities with exact truth.",
)

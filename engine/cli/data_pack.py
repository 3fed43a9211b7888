"""``engine data pack``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.training.data.request import DataPackRequest

LAYOUT = Layout(
    job="data-pack",
    help="Cut a data set into squares and write them as memory-mapped files, for fast random reads while training.",
    positional=("path",),
    metavars={
        "path": "PATH",
        "out": "OUT",
        "crop": "PIXELS",
        "shard": "N",
        "workers": "N",
        "s2_bands": "LIST",
        "max_days": "DAYS",
    }
    | {"max_missing": "SHARE", "max_cloud": "SHARE", "max_broken": "SHARE", "need": "WHAT", "labels": "WHAT"},
    sections={
        "Input and output": ("path", "out", "overwrite", "need", "labels"),
        "Squares": ("crop", "s2_bands", "shard", "workers"),
        "What is left out": ("max_days", "max_missing", "max_cloud", "max_broken"),
    },
    examples="""
    engine data pack ssl4eo-s12:ssl4eo@l2a --crop 264 --need pairs -o packs/ssl4eo
    engine data pack sen1floods11:v1.1@train --need labels -o packs/floods-train
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was packed, in a few lines."""
    bands = sum(len(names) for names in result["bands"].values())
    rate = result["read_rate"]
    lines = [
        f"Pack: {result['samples']} squares of {result['side']} pixels, {bands} bands, {result['shards']} shards, "
        f"{result['bytes'] / 1e6:.1f} MB",
        f"Random batches of {rate['batch']:.0f}: {rate['samples_per_second']:.0f} samples/s, "
        f"{rate['megabytes_per_second']:.0f} MB/s",
    ]
    lines += [f"Left out: {one['why']}" for one in result["left_out"][:10]]
    if len(result["left_out"]) > 10:
        lines.append(f"Left out: {len(result['left_out']) - 10} more, listed in index.json")
    lines.append(f"Folder: {result['out']}")
    return lines


command = request_command(LAYOUT, DataPackRequest, summary=summary)

"""``engine pretrain``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.cli.training import METAVARS, RUN_SECTIONS, closing_lines
from engine.training.requests import PretrainRequest

LAYOUT = Layout(
    job="pretrain",
    help="Learn encoders for Sentinel-1 and Sentinel-2 from unlabelled pairs; 'engine finetune' takes them.",
    metavars=METAVARS | {"s2_bands": "LIST"},
    sections={
        "Input and output": ("data", "s2_bands", "out", "config", "max_days", "resample_days", "max_cloud", "broken"),
        "Method": ("method", "temperature", "learn_temperature", "dimensions", "queue", "momentum"),
        "Encoder": ("encoder", "width"),
        **RUN_SECTIONS,
    },
    examples="""
    engine pretrain --data ssl4eo-s12:/data/ssl4eo --steps 20000 --batch 256 -o runs/pairs
    engine pretrain --data simulated:scenes --width 0.25 --crop 64 --batch 32 --steps 300 -o runs/try
    engine pretrain --resume -o runs/pairs
    torchrun --nproc-per-node 4 -m engine pretrain --data packs/ssl4eo -o runs/pairs
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was learned, in a few lines."""
    figures = result.get("figures", {})
    lines = []
    if figures:
        lines.append(f"{figures['samples']} squares, {figures['steps']} steps.")
        last = figures.get("last", {})
        if "loss" in last:
            lines.append(f"Loss at the end: {last['loss']:.4f}")
        lines += [f"Encoder: {file.rpartition('/')[0]}" for n, file in result["outputs"].items() if "encoder" in n]
    return closing_lines(result, lines)


command = request_command(LAYOUT, PretrainRequest, summary=summary)

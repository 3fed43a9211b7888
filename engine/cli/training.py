"""What the commands that train have in common."""

from __future__ import annotations

from typing import Any

from engine.training.processes import is_main_process

METAVARS = {"out": "RUN", "data": "KIND:PATH", "config": "FILE", "device": "DEVICE", "seed": "N", "lr": "RATE"}
RUN_SECTIONS = {
    "Length and size": ("steps", "epochs", "batch", "accumulate", "crop"),
    "Optimiser": ("lr", "warmup", "weight_decay", "optimiser", "clip", "ema", "precision"),
    "Run": ("seed", "device", "workers", "checkpoint_every", "log_every", "tensorboard", "resume", "overwrite"),
}


def closing_lines(result: dict[str, Any], what: list[str]) -> list[str]:
    """Lines for stdout: ``what`` was made, the report, the folder; none in the processes of a torchrun that only
    compute."""
    if not is_main_process():
        return []
    return [*what, f"Report: {result['out']}/{result['outputs']['report']}", f"Folder: {result['out']}"]

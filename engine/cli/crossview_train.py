"""``engine crossview train``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.cli.training import METAVARS, closing_lines
from engine.training.crossview.request import CrossViewTrainRequest

LAYOUT = Layout(
    job="crossview-train",
    help="Train a network that finds the place of a panorama among tiles seen from above. --labels 0 needs no pairs: "
    "panoramas are projected to the ground, restyled and matched; --labels 1 learns from all pairs.",
    metavars=METAVARS
    | {"labels": "SHARE", "stages": "LIST", "start": "WEIGHTS", "ground_size": "ROWSxCOLUMNS", "overhead_size": "N"}
    | {"heading_error": "DEGREES"}
    | {"hfov": "DEGREES", "vfov": "DEGREES", "extent": "METRES", "camera_height": "METRES", "test": "KIND:PATH"},
    sections={
        "Input and output": ("data", "test", "out", "config"),
        "Labels and stages": (
            "labels", "stages", "intra_epochs", "cross_epochs", "geometric_epochs", "epochs", "steps",
        ),
        "Network": ("encoder", "width", "depth", "encoder_stages", "maps", "start"),
        "Images": (
            "ground_size", "overhead_size", "heading", "heading_error", "test_heading", "hfov", "vfov", "extent",
            "camera_height", "colour", "disguise", "tilt", "cache_gb",
        ),
        "Restyling": ("restyle", "gan_epochs", "gan_batch", "gan_blocks", "gan_width"),
        "Pseudo-labels": (
            "gap", "gap_of", "mutual", "curriculum", "geometric_gap", "geometric_doubt", "least_labels",
            "labelled_share", "dustbin", "rehearse",
        ),
        "Hard negatives": ("mine_after", "neighbours", "turns"),
        "Choice of the weights": ("choose", "validation_share"),
        "Optimiser": ("batch", "lr", "warmup", "weight_decay", "clip", "temperature", "smoothing", "precision"),
        "Run": ("seed", "device", "workers", "checkpoint_every", "log_every", "tensorboard", "resume", "overwrite"),
    },
    examples="""
    engine crossview train --data cvusa:/data/CVUSA --labels 1 --start convnext_base.safetensors --lr 1e-4 -o runs/all
    engine crossview train --data vigor:/data/VIGOR@cross-train --encoder convnext_small -o runs/none
    engine crossview train --data city --stages geometric,curriculum -o runs/first
    engine crossview train --data city --stages geometric,curriculum --heading found -o runs/headings
    engine crossview train --data city --heading unknown --width 0.25 --encoder resnet18 --batch 32 -o runs/try
    engine crossview train --resume -o runs/none
    torchrun --nproc-per-node 4 -m engine crossview train --data cvact:/data/CVACT -o runs/four
    """,
)  # fmt: skip


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was learned from, and how well it finds."""
    figures = result.get("figures", {})
    lines = []
    if figures:
        lines.append(
            f"{figures['panoramas']} panoramas, {figures['tiles']} tiles, {figures['labelled']} true pairs used, "
            f"{figures['steps']} steps."
        )
        for place, found in figures["test"].items():
            one = found["r@1"]
            lines.append(
                f"R@1 of {place}: {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f}), {found['n']} panoramas "
                f"among {found['gallery']} tiles"
            )
        lines.append(f"Model: {result['out']}/model")
    return closing_lines(result, lines)


command = request_command(LAYOUT, CrossViewTrainRequest, summary=summary)

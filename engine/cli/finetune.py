"""``engine finetune``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.cli.training import METAVARS, RUN_SECTIONS, closing_lines
from engine.training.requests import FinetuneRequest

LAYOUT = Layout(
    job="finetune",
    help="Train a flood or land-cover model on labelled chips of Sentinel-1, Sentinel-2 or both, from pretrained "
    "encoders or from nothing; 'engine flood --method RUN/model' or 'engine landcover --model RUN/model' maps with it.",
    metavars=METAVARS
    | {"encoder": "RUN|MODEL", "validation": "KIND:PATH", "labels": "SHARE", "s2_bands": "LIST"}
    | {
        "legend": "LEGEND",
        "needed_bands": "LIST",
        "gsd": "METRES",
        "hide_bands": "SHARE",
        "balance": "SHARE",
        "unknown_share": "SHARE",
    }
    | {
        "scene": "RASTER",
        "labels_from": "LAYER",
        "class_field": "FIELD",
        "class_colors": "JSON|FILE",
        "block_m": "METRES",
        "time_limit": "MINUTES",
        "register_as": "NAME",
    },
    sections={
        "Input and output": (
            "data",
            "sensors",
            "s2_bands",
            "gsd",
            "validation",
            "labels",
            "out",
            "config",
            "broken",
            "name",
            "licence",
        ),
        "Task": ("task", "legend", "unknown_share"),
        "One's own labels (land cover)": (
            "scene",
            "labels_from",
            "class_field",
            "class_colors",
            "point_size",
            "block_m",
            "head",
            "time_limit",
            "register_as",
        ),
        "Network": ("encoder", "architecture", "width", "indices", "freeze", "layer_decay"),
        "Objective": ("loss", "class_weights", "label_smoothing", "balance", "drop_sensor"),
        "Variation of the squares": (
            "jitter",
            "common_jitter",
            "gain",
            "scale",
            "shrink",
            "brightness",
            "tint",
            "haze",
            "hide_bands",
            "needed_bands",
        ),
        **RUN_SECTIONS,
    },
    examples="""
    engine finetune --task flood --data sen1floods11:/data/v1.1@train --encoder runs/pairs -o runs/flood
    engine finetune --task flood --data chips/train --validation chips/val --labels 0.1 -o runs/tenth
    engine finetune --task flood --sensors both --data simulated:scenes --encoder runs/pairs -o runs/two
    engine flood after.tif --method runs/flood/model -o flood-map
    engine finetune --task landcover --data chips/train --validation chips/val --crop 128 -o runs/cover
    engine finetune --task landcover --scene s2.tif --labels-from fields.gpkg --class-field class -o runs/fields
    engine landcover scene.tif --model runs/cover/model -o cover-map
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was learned, in a few lines."""
    figures = result.get("figures", {})
    lines = []
    if "classes" in figures and "blocks" in figures:
        return closing_lines(result, _of_labels(result, figures))
    if figures:
        lines.append(f"{figures['squares']} squares of {figures['events']} events, {figures['steps']} steps.")
        cover = figures.get("validation", {})
        told = {"Overall accuracy": cover.get("overall_accuracy"), "Mean IoU": cover.get("miou")}
        for title, figure in ({"Water IoU": figures["validation_iou"]} if not cover else told).items():
            if figure["value"] is not None:
                interval = f"95 % interval {figure['low']:.3f} to {figure['high']:.3f}"
                lines.append(f"{title} on {figure['n']} validation squares: {figure['value']:.3f} ({interval})")
        lines.append(f"Model: {result['out']}/{result['outputs']['model'].rpartition('/')[0]}")
    return closing_lines(result, lines)


def _of_labels(result: dict[str, Any], figures: dict[str, Any]) -> list[str]:
    """Lines of a model from one's own labels."""
    lines = [
        f"{figures['pixels']:,} pixels of {figures['features']:,} features in {figures['blocks']} blocks of "
        f"{figures['block_m']:,.0f} m, {len(figures['classes'])} classes."
    ]
    for name, key in (("Overall accuracy", "overall_accuracy"), ("Mean IoU", "miou")):
        one = figures[key]
        if one["value"] is not None:
            interval = f"95 % interval {one['low']:.3f} to {one['high']:.3f}"
            lines.append(f"{name} on held-out blocks: {one['value']:.3f} ({interval})")
    lines.append(f"Model: {result['out']}/{result['outputs']['model'].rpartition('/')[0]}")
    if "registered" in result:
        lines.append(f"Registered as {result['registered']['name']}: {result['registered']['folder']}")
    return lines


command = request_command(LAYOUT, FinetuneRequest, summary=summary)

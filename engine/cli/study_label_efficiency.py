"""``engine study label-efficiency``."""

from __future__ import annotations

from typing import Any

from engine.cli.request_command import Layout, request_command
from engine.cli.training import METAVARS, closing_lines
from engine.training.study.request import LabelEfficiencyRequest

LAYOUT = Layout(
    job="study-label-efficiency",
    help="How many labels does a flood or land-cover model need, and does pretraining save any? Fine-tunes every "
    "encoder at every share of the labels with every seed, scores each model on the test data, and compares the "
    "methods with intervals over test chips. All methods of a seed get the same squares.",
    metavars={name: shown for name, shown in METAVARS.items() if name != "seed"}
    | {
        "out": "OUT",
        "encoder": "NAME=START",
        "test": "KIND:PATH",
        "validation": "KIND:PATH",
        "baseline": "NAME",
        "fractions": "SHARES",
        "seeds": "SEEDS",
        "modes": "MODES",
        "s2_bands": "LIST",
        "legend": "LEGEND",
        "gsd": "METRES",
    },
    sections={
        "Input and output": (
            "data",
            "test",
            "validation",
            "task",
            "legend",
            "sensors",
            "s2_bands",
            "gsd",
            "out",
            "config",
            "broken",
        ),
        "Grid": ("encoder", "baseline", "fractions", "seeds", "modes", "score"),
        "Network and objective": ("architecture", "width", "layer_decay", "loss", "class_weights", "drop_sensor"),
        "Variation of the squares": ("jitter", "common_jitter", "gain", "scale"),
        "Length and size": ("steps", "epochs", "batch", "accumulate", "crop"),
        "Optimiser": ("lr", "warmup", "weight_decay", "optimiser", "clip", "ema", "precision"),
        "Run": ("device", "workers", "checkpoint_every", "log_every", "keep_models", "resume", "overwrite"),
    },
    examples="""
    engine study label-efficiency --data chips/train --test chips/test --encoder random --encoder mm=runs/mm -o study
    engine study label-efficiency --data PACK --test PACK --encoder random --encoder mm=runs/mm-{seed} -o study
    engine study label-efficiency --resume -o study
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """What was compared, and each method at the smallest and the largest share."""
    figures = result["figures"]
    score, baseline = figures["score"], figures["baseline"]
    lines = [f"{figures['cells']} cells, {figures['chips']} test chips; {score} and its difference to {baseline}:"]
    shares = sorted({line["fraction"] for line in figures["summary"]})
    ends = [line for line in figures["summary"] if line["fraction"] in (shares[0], shares[-1])]
    lines += [f"  {_told(line, score)}" for line in ends]
    return closing_lines(result, lines)


def _told(line: dict[str, Any], score: str) -> str:
    name = f"{line['method']}, {line['mode']}, {100 * line['fraction']:g} % of the labels"
    found = line[score]
    if found["value"] is None:
        return f"{name}: not defined"
    text = f"{name}: {found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    one = line["differences"][score] if line["differences"] else None
    if one is None or one["value"] is None:
        return text
    return f"{text}, {one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"


command = request_command(LAYOUT, LabelEfficiencyRequest, summary=summary)

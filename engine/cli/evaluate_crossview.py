"""``engine evaluate crossview``."""

from __future__ import annotations

from typing import Any

from engine.cli.evaluate import skipped_error
from engine.cli.request_command import Layout, request_command
from engine.crossview.evaluation.request import EvaluateCrossviewRequest
from engine.errors import EngineError

LAYOUT = Layout(
    job="evaluate-crossview",
    help="Score how panoramas are found among overhead images: recall, rank and heading with intervals, and how well "
    "'not here' is told. Full panoramas are turned by an angle that matching does not know.",
    positional=("path",),
    options={"out": ("--json", "-o", "--out")},
    metavars={"path": "PATH", "out": "FILE", "method": "METHOD", "distractors": "FILE", "device": "DEVICE"},
    sections={
        "Input and output": ("path", "distractors", "out"),
        "Method": ("method", "sun", "seed", "device"),
    },
    examples="""
    engine evaluate crossview pairs --json scores.json
    engine evaluate crossview vigor:VIGOR@same-test --method geometric --json scores.json
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """The pooled figures with their intervals."""
    shown = sum(1 for item in result["items"] if item["n"])
    method, model = result["method"], result["model"]["name"]
    by = method if method == model else f"{method} (model {model})"
    lines = [f"Panoramas by {by}: {shown} searched among {result['gallery']} overhead images:"]
    for name, estimate in result["pooled"].items():
        if estimate["value"] is None:
            lines.append(f"  {name:<26}not defined")
        else:
            interval = f"95 % interval {estimate['low']:.3f} to {estimate['high']:.3f}, n = {estimate['n']}"
            lines.append(f"  {name:<26}{estimate['value']:.3f}  ({interval})")
    for name, found in (result["open_gallery"] or {}).items():
        auc = found["auc"]
        lines.append(f"  'not here' by {name:<12}AUC {auc['value']:.3f}  ({auc['low']:.3f} to {auc['high']:.3f})")
    if "out" in options:
        lines.append(f"Figures: {options['out']}")
    return lines


def verdict(result: dict[str, Any]) -> EngineError | None:
    """An error that names what was skipped."""
    return skipped_error(result["skipped"], "panoramas or overhead images could not be used")


command = request_command(LAYOUT, EvaluateCrossviewRequest, summary=summary, verdict=verdict)

"""``engine evaluate flood``."""

from __future__ import annotations

from typing import Any

from engine.cli.lazy import Entry, LazyGroup
from engine.cli.request_command import Layout, request_command
from engine.errors import EngineError
from engine.mapping.flood.evaluate_request import EvaluateFloodRequest

LAYOUT = Layout(
    job="evaluate-flood",
    help="Score flood maps against labelled chips: IoU, F1, precision and recall of water, pooled and chip by chip.",
    positional=("path",),
    options={"out": ("--json", "-o", "--out")},
    metavars={"path": "PATH", "out": "FILE", "method": "METHOD", "probability": "PERCENT", "min_area": "M2"}
    | {"bands": "LIST", "device": "DEVICE"},
    sections={
        "Input and output": ("path", "sensors", "out"),
        "Method": ("method", "probability", "min_area", "compare", "device"),
        "What the files do not tell": ("units", "bands"),
    },
    examples="""
    engine evaluate flood chips --json scores.json
    engine evaluate flood sen1floods11:v1.1@test --compare --json scores.json
    engine evaluate flood chips --sensors s2 --method runs/flood-s2/model --compare --json scores.json
    """,
)

FIGURES = ("iou", "f1", "precision", "recall")


class SkippedError(EngineError):
    """Some chips could not be scored; the figures of the others were written."""

    kind = "skipped"


def _cell(value: float | None) -> str:
    return "   –  " if value is None else f"{value:6.3f}"


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """A table of the chips, then the pooled figures with their intervals."""
    width = max([24, *(len(item["name"]) for item in result["items"])])
    lines = [f"Water by {result['method']} from {result['sensors']}:"]
    lines.append(f"  {'chip':<{width}}  {'water':>6}  " + "  ".join(f"{name:>6.6}" for name in FIGURES))
    for item in result["items"]:
        figures = "  ".join(_cell(item[name]) for name in FIGURES)
        lines.append(f"  {item['name']:<{width}}  {_cell(item['water_share'])}  {figures}")
    for name, estimate in result["pooled"].items():
        if estimate["value"] is not None:
            interval = f"95 % interval {estimate['low']:.3f} to {estimate['high']:.3f}"
            lines.append(f"  {name:<10} {estimate['value']:.3f}  ({interval}, {estimate['n']} chips)")
        else:
            lines.append(f"  {name:<10} not defined ({estimate['n']} chips)")
    for name, baseline in result.get("baselines", {}).items():
        pooled = baseline["pooled"]
        lines.append(f"  {name}: iou {_cell(pooled['iou']['value'])}, mean_iou {_cell(pooled['mean_iou']['value'])}")
    if "out" in options:
        lines.append(f"Figures: {options['out']}")
    return lines


def verdict(result: dict[str, Any]) -> EngineError | None:
    """An error that names the chips that were skipped."""
    total = len(result["skipped"]) + len(result["items"])
    return skipped_error(result["skipped"], f"of {total} chips could not be scored")


def skipped_error(skipped: list[dict[str, str]], what: str) -> SkippedError | None:
    """N ``what``, and name and reason of the first three; None where nothing was skipped."""
    if not skipped:
        return None
    named = " ".join(f"{one['name']}: {one['why']}" for one in skipped[:3])
    more = f" And {len(skipped) - 3} more." if len(skipped) > 3 else ""
    return SkippedError(f"{len(skipped)} {what}. {named}{more}")


command = request_command(LAYOUT, EvaluateFloodRequest, summary=summary, verdict=verdict)

group = LazyGroup(
    "evaluate",
    {
        "flood": Entry("engine.cli.evaluate:command", "Water against hand-labelled chips."),
        "landcover": Entry("engine.cli.evaluate_landcover:command", "Land cover against labelled chips."),
        "crossview": Entry("engine.cli.evaluate_crossview:command", "Panoramas against overhead images."),
    },
    help="Score maps against labelled chips, and panoramas against overhead images.",
)

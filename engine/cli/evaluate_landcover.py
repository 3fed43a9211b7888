"""``engine evaluate landcover``."""

from __future__ import annotations

from typing import Any

from engine.cli.evaluate import verdict
from engine.cli.request_command import Layout, request_command
from engine.mapping.landcover.evaluate_request import EvaluateLandcoverRequest

LAYOUT = Layout(
    job="evaluate-landcover",
    help="Score land-cover maps against labelled chips: overall accuracy, mean IoU and IoU by class, pooled and "
    "by chip.",
    positional=("path",),
    options={"out": ("--json", "-o", "--out")},
    metavars={"path": "PATH", "out": "FILE", "model": "MODEL", "legend": "LEGEND", "unknown_below": "PERCENT"}
    | {"min_area": "M2", "bands": "LIST", "device": "DEVICE"},
    sections={
        "Input and output": ("path", "sensors", "out"),
        "Method": ("model", "legend", "unknown_below", "min_area", "compare", "device"),
        "What the files do not tell": ("units", "bands"),
    },
    examples="""
    engine evaluate landcover chips --json scores.json
    engine evaluate landcover dfc2020:DFC2020@test --sensors both --model landcover-s1s2 --json scores.json
    """,
)


def summary(result: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """The pooled figures with their intervals."""
    names = {f"iou_{one['code']}": one["name"] for one in result["classes"]}
    scored = sum(1 for item in result["items"] if item["n"])
    lines = [f"Land cover by {result['model']['name']}, {scored} chips, legend {result['legend']}:"]
    width = max([24, *(len(text) + 4 for text in names.values())])
    for name, estimate in result["pooled"].items():
        title = f"iou {names[name]}" if name in names else name.replace("_", " ")
        if estimate["value"] is None:
            lines.append(f"  {title:<{width}}not defined")
        else:
            interval = f"95 % interval {estimate['low']:.3f} to {estimate['high']:.3f}"
            lines.append(f"  {title:<{width}}{estimate['value']:.3f}  ({interval})")
    if result["unknown_share"] is not None:
        lines.append(f"  {'unknown':<{width}}{100 * result['unknown_share']:.1f} % of the scored pixels")
    for name, baseline in result.get("baselines", {}).items():
        pooled = baseline["pooled"]
        if pooled["miou"]["value"] is not None:
            lines.append(
                f"  {name + ' class':<{width}}overall accuracy {pooled['overall_accuracy']['value']:.3f}, "
                f"miou {pooled['miou']['value']:.3f}"
            )
    if "out" in options:
        lines.append(f"Figures: {options['out']}")
    return lines


command = request_command(LAYOUT, EvaluateLandcoverRequest, summary=summary, verdict=verdict)

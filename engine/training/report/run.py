"""The one-page report of a training run: self-contained HTML."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.training.progress import duration
from engine.training.report.charts import Rgb, draw_curves, picture_png
from engine.training.report.page import run_template
from engine.training.report.reliability import Reliability, reliability_svg

_TEMPLATE = Path(__file__).with_name("run.html")
_LEFT_OUT_SHOWN = 30
Picture = tuple[str, Rgb]
"""A caption and (rows, columns, 3) uint8."""


def run_report_html(
    *,
    result: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    title: str,
    cards: Sequence[tuple[str, str]],
    samples: Sequence[Sequence[Picture]] = (),
    samples_title: str = "Samples",
    reliability: Sequence[Reliability] = (),
    reliability_of: str = "share that is water",
) -> str:
    """The report as text: ``cards`` are label and value, ``rows`` the lines of metrics.jsonl, ``samples`` rows of
    pictures, ``reliability`` the lines of a reliability diagram. Every text is escaped; nothing is loaded from
    elsewhere."""
    template = run_template(_TEMPLATE)
    diagram = reliability_svg([("After calibration", reliability)], share=reliability_of)
    return template.render(
        job=result["job"],
        title=title,
        version=result["engine_version"],
        cards=[{"label": label, "value": value} for label, value in cards],
        warnings=result["warnings"],
        curves=_curves(rows),
        samples=[[{"title": name, "uri": png_uri(picture_png(pixels))} for name, pixels in line] for line in samples],
        samples_title=samples_title,
        reliability=svg_uri(diagram) if diagram is not None else None,
        left_out=_left_out(result["figures"].get("left_out", [])),
        parameters=[(k, _shown(v)) for k, v in result["parameters"].items() if v not in (None, [], False)],
        command=result["command"],
        device=result["device"],
        seconds=duration(float(result["seconds"])),
    )


def _curves(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    names = {name for row in rows for name in row}

    def like(*starts: str) -> list[str]:
        return sorted(name for name in names if name.startswith(starts))

    wanted = (
        ("Loss", like("loss"), False),
        ("Partner found first in the batch, share", like("top1"), False),
        ("Agreement on what was held out, no label used", like("match_"), False),
        ("Pseudo-labels: share, gap, and share that is right", like("labels_"), False),
        ("R@1 on what was held out (told, never used)", like("held_out_r1"), False),
        ("IoU on validation data", [n for n in ("iou", "mean_iou", "miou") if n in names], False),
        ("Overall accuracy on validation data", [n for n in ("overall_accuracy",) if n in names], False),
        ("Right pixels in the batch, share", like("accuracy"), False),
        ("Learning rate", ["rate"], False),
        ("Norm of the gradient", ["gradient_norm"], True),
        ("Effective rank of the embeddings", like("rank_"), False),
        ("Spread of the embeddings (1: even, 0: collapsed)", like("spread_"), False),
        ("Samples per second", ["samples_per_s"], False),
    )
    found = []
    for title, series, log in wanted:
        png = draw_curves(rows, series, title=title, log=log)
        if png is not None:
            found.append({"title": title, "uri": png_uri(png)})
    return found


def _left_out(lines: Sequence[str]) -> list[str]:
    shown = list(lines[:_LEFT_OUT_SHOWN])
    if len(lines) > _LEFT_OUT_SHOWN:
        shown.append(f"and {len(lines) - _LEFT_OUT_SHOWN} more")
    return shown


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def svg_uri(drawing: str) -> str:
    """A drawing as what an image of a page that loads nothing shows."""
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode("utf-8")).decode("ascii")


def png_uri(png: bytes) -> str:
    """A picture as what an image of a page that loads nothing shows."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")

"""The report of a model from labels: one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.training.progress import duration
from engine.training.report.charts import Rgb, draw_curves, picture_png
from engine.training.report.page import run_template
from engine.training.report.run import png_uri

_TEMPLATE = Path(__file__).with_name("report.html")
_SHOWN = 40
Picture = tuple[str, Rgb]


def labels_report_html(
    *,
    result: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    title: str,
    pictures: Sequence[Picture],
    reliability: str | None,
) -> str:
    """The page as text, from ``result.json``'s content and the lines of metrics.jsonl; ``reliability`` is the address
    of the diagram. Every text is escaped; nothing is loaded from elsewhere."""
    figures = result["figures"]
    return run_template(_TEMPLATE).render(
        job=result["job"],
        title=title,
        version=result["engine_version"],
        cards=_cards(figures),
        split=_split(figures),
        warnings=result["warnings"],
        pictures=[{"title": words, "uri": png_uri(picture_png(pixels))} for words, pixels in pictures],
        classes=[_class(one) for one in figures["classes"]],
        matrix=_matrix(figures["confusion"]),
        curves=_curves(rows),
        reliability=reliability,
        left_out=_left_out(figures["left_out"]),
        parameters=[(k, _shown(v)) for k, v in result["parameters"].items() if v not in (None, [], False)],
        command=result["command"],
        device=result["device"],
        seconds=duration(float(result["seconds"])),
    )


def _cards(figures: dict[str, Any]) -> list[dict[str, str]]:
    told = [
        ("Overall accuracy, held-out blocks", _percent(figures["overall_accuracy"])),
        ("Mean IoU, held-out blocks", _percent(figures["miou"])),
        ("Classes", str(len(figures["classes"]))),
        ("Labelled features", f"{figures['features']:,}"),
        ("Labelled pixels", f"{figures['pixels']:,}"),
        ("Blocks", f"{figures['blocks']:,} of {figures['block_m']:,.0f} m"),
        ("Unknown below a confidence of", f"{figures['unknown_below']:.0%}"),
    ]
    return [{"label": label, "value": value} for label, value in told]


def _split(figures: dict[str, Any]) -> str:
    if figures["folds"] < 2:
        return "Nothing could be held out."
    return (
        f"Figures are of labelled pixels in spatial blocks of {figures['block_m']:,.0f} m that were held out in turn "
        f"({figures['folds']} folds): no pixel of a feature is on both sides. In brackets: 95 % intervals over blocks."
    )


def _class(one: dict[str, Any]) -> dict[str, Any]:
    told = []
    for name in ("precision", "recall", "iou"):
        figure = one[name]
        if figure["value"] is None:
            told.append({"value": "–", "interval": ""})
        else:
            told.append({"value": f"{figure['value']:.2f}", "interval": f"{figure['low']:.2f} to {figure['high']:.2f}"})
    plain = {key: one[key] for key in ("name", "value", "color", "features", "blocks")}
    return {**plain, "pixels": f"{one['pixels']:,}", "figures": told}


def _matrix(counts: list[list[int]]) -> list[list[dict[str, Any]]]:
    if not sum(map(sum, counts)):
        return []
    return [[{"text": f"{n:,}", "share": n / max(1, sum(row))} for n in row] for row in counts]


def _curves(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    found = []
    for title, names in (
        ("Loss on held-out blocks, by choice", ["validation_loss"]),
        ("Share of right pixels on held-out blocks, by choice", ["validation_accuracy"]),
        ("Loss of the last fit", ["loss"]),
    ):
        png = draw_curves(rows, names, title=title)
        if png is not None:
            found.append({"title": title, "uri": png_uri(png)})
    return found


def _percent(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "–"
    return f"{figure['value']:.0%} ({figure['low']:.0%}–{figure['high']:.0%})"


def _left_out(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [*lines[:_SHOWN], *more]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

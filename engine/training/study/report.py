"""The page of a study: one plot, one table, reliability; self-contained HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.training.progress import duration
from engine.training.report.page import run_template
from engine.training.report.reliability import Reliability, reliability_svg
from engine.training.report.run import svg_uri
from engine.training.study.chart import MODE_TITLES, efficiency_svg, looks
from engine.training.study.measures import Measure
from engine.training.study.summary import reliability_of

_TEMPLATE = Path(__file__).with_name("study.html")
_LEFT_OUT_SHOWN = 30


def study_report_html(
    study: Mapping[str, Any],
    cells: Sequence[dict[str, Any]],
    measure: Measure,
    *,
    command: str,
    device: str,
    seconds: float,
) -> str:
    """The report as text: ``study`` is the content of study.json, ``cells`` are the finished cells with their
    reliability, ``measure`` what it is about. Every text is escaped; nothing is loaded from elsewhere."""
    template = run_template(_TEMPLATE)
    lines, score = study["summary"], study["score"]
    methods, modes, fractions = list(study["methods"]), study["modes"], study["fractions"]
    plot = efficiency_svg(
        lines,
        score=score,
        title=measure.scores[score].title,
        modes=modes,
        fractions=fractions,
        methods=methods,
        baseline=study["baseline"],
    )
    diagram = _diagram(cells, methods, modes, fractions[-1], study["baseline"], measure.task.reliability)
    left_out = [one["why"] for one in study["test"]["left_out"]]
    return template.render(
        version=study["engine_version"],
        score=measure.scores[score].title,
        undefined=measure.undefined,
        reliability=measure.reliability,
        baseline=study["baseline"],
        cards=_cards(study, measure),
        warnings=study["warnings"],
        plot=svg_uri(plot) if plot is not None else None,
        diagram=svg_uri(diagram) if diagram is not None else None,
        largest=_percent(fractions[-1]),
        heads=[_head(lines, fraction) for fraction in fractions],
        blocks=[
            {"title": MODE_TITLES[mode], "rows": _rows(lines, score, mode, methods, fractions, study["baseline"])}
            for mode in modes
        ],
        left_out=[
            *left_out[:_LEFT_OUT_SHOWN],
            *([f"and {len(left_out) - _LEFT_OUT_SHOWN} more"] * (len(left_out) > _LEFT_OUT_SHOWN)),
        ],
        chips=study["test"]["scored"],
        seeds=len(study["seeds"]),
        parameters=[(k, _shown(v)) for k, v in study["parameters"].items() if v not in (None, [], False)],
        command=command,
        device=device,
        seconds=duration(seconds),
    )


def _cards(study: Mapping[str, Any], measure: Measure) -> list[dict[str, str]]:
    test = study["test"]
    return [
        {"label": "Methods", "value": f"{len(study['methods'])}"},
        {"label": "Cells", "value": f"{len(study['cells'])}"},
        {"label": "Seeds", "value": f"{len(study['seeds'])}"},
        {"label": "Test chips", "value": f"{test['scored']}"},
        *({"label": label, "value": value} for label, value in measure.cards(test)),
    ]


def _head(lines: Sequence[Mapping[str, Any]], fraction: float) -> dict[str, str]:
    here = [line for line in lines if line["fraction"] == fraction]
    squares = sorted({round(line["squares"]) for line in here})
    told = "" if not squares else f"{squares[0]:,} squares" if len(squares) == 1 else f"{squares[0]:,}–{squares[-1]:,}"
    return {
        "percent": _percent(fraction),
        "squares": told.replace("1 squares", "1 square") if told == "1 squares" else told,
    }


def _rows(
    lines: Sequence[Mapping[str, Any]],
    score: str,
    mode: str,
    methods: Sequence[str],
    fractions: Sequence[float],
    baseline: str,
) -> list[dict[str, Any]]:
    by_key = {(line["method"], line["fraction"]): line for line in lines if line["mode"] == mode}
    look = looks(methods, baseline)
    return [
        {
            "method": method,
            "color": look[method].color,
            "cells": [_cell(by_key.get((method, fraction)), score) for fraction in fractions],
        }
        for method in methods
    ]


def _cell(line: Mapping[str, Any] | None, score: str) -> dict[str, str]:
    found = line[score] if line is not None else None
    if found is None or found["value"] is None:
        return {"value": "–", "interval": "", "difference": "", "range": "", "sign": ""}
    cell = {
        "value": f"{found['value']:.3f}",
        "interval": f"{found['low']:.3f} to {found['high']:.3f}",
        "difference": "",
        "range": "",
        "sign": "",
    }
    difference = (line or {}).get("differences")
    one = difference[score] if difference else None
    if one is not None and one["value"] is not None:
        cell["difference"] = _signed(one["value"])
        cell["range"] = f"{_signed(one['low'])} to {_signed(one['high'])}"
        least, most = min(one["low"], one["lowest_seed"]), max(one["high"], one["highest_seed"])
        cell["sign"] = "better" if least > 0 else "worse" if most < 0 else ""
    return cell


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _diagram(
    cells: Sequence[dict[str, Any]],
    methods: Sequence[str],
    modes: Sequence[str],
    fraction: float,
    baseline: str,
    share: str,
) -> str | None:
    look = looks(methods, baseline)
    panels = []
    for mode in modes:
        shown = []
        for name in methods:
            own = [c for c in cells if (c["mode"], c["method"], c["fraction"]) == (mode, name, fraction)]
            shown.append(Reliability(name, reliability_of(own), look[name].color, look[name].marker))
        panels.append((MODE_TITLES[mode], shown))
    return reliability_svg(panels, share=share)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

"""The report of an adaptation: what it was worth, what it was made of, and what it must not be taken for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.mapping.report.sheet import page_facts, write_sheet
from engine.mapping.report.wording import percent_text
from engine.training.crossview.adapt.words import NAMES
from engine.training.progress import duration

_SHOWN = (
    ("recall@1<50m", "first guess < 50 m"),
    ("recall@5<50m", "first 5 < 50 m"),
    ("recall@20<50m", "first 20 < 50 m"),
)
_LEFT_OUT = 30
_GROUPS = {
    "apart": (
        "Photos kept apart",
        "The training never saw these photos: this is what new photos of the area may expect.",
    ),
    "learned": (
        "Photos that were learned from",
        "The training had these photos, but not where they were taken: this is what finding them may expect.",
    ),
}


def write_report(path: Path, *, result: dict[str, Any]) -> None:
    """Write ``report.html`` from ``result.json``'s content; raises OutputError."""
    figures = result["figures"]
    measured, said = figures["measured"], figures["said"]
    lead = figures["summary"][0] if figures["summary"] else (
        "Nothing was measured: too few photos of known position stand in the region."
    )  # fmt: skip
    facts = [
        *_learned(figures),
        ("Photos kept apart", f"{figures['apart']:,}"),
        ("Tiles", f"{figures['tiles']:,}, {figures['cell_m']:g} m apart, {figures['extent_m']:g} m wide"),
        ("Tiles without imagery", f"{figures['gaps']:,}"),
        ("Start", figures["start"]),
        ("Headings", figures["heading"]),
        ("Steps", f"{figures['steps']:,} in {duration(float(figures['training_seconds']))}"),
    ]
    left = figures["left_out"]
    more = [f"and {len(left) - _LEFT_OUT} more"] if len(left) > _LEFT_OUT else []
    write_sheet(
        path,
        Path(__file__).with_name("adapt.html"),
        {
            "page": page_facts(result, kind="Learned area", title=str((result.get("model") or {}).get("name"))),
            "lead": lead,
            "words": "Trained on photos and imagery of one area, at the places where a search found the photos."
            if figures["believed"]
            else "Trained without any pair of photo and place, on photos and imagery of one area.",
            "heads": [title for _, title in _SHOWN],
            "groups": [_group(name, measured[name], said[name]) for name in _GROUPS if name in measured],
            "expect": figures["expect"],
            "facts": facts,
            "left_out": [*left[:_LEFT_OUT], *more],
        },
    )


def _learned(figures: dict[str, Any]) -> list[tuple[str, str]]:
    if not figures["believed"]:
        return [("Photos learned from", f"{figures['photos']:,}")]
    right = figures["believed_right"]
    lines = [
        ("Photos searched for", f"{figures['photos']:,}"),
        ("Photos learned from, where they were found", f"{figures['believed']:,}"),
        ("Of these within 25 m, as the search expects", percent_text(100 * right["expected"])),
    ]
    if right["measured"] is not None:
        share = _cell(right["measured"])
        lines.append((f"and as {right['n']:,} known positions say", f"{share['value']} ({share['interval']})"))
    return lines


def _group(name: str, measured: dict[str, Any], said: list[str]) -> dict[str, Any]:
    title, words = _GROUPS[name]
    n = next(iter(measured.values()))["n"]
    rows = [
        {
            "name": NAMES[method],
            "cells": [_cell(one["pooled"][key]) for key, _ in _SHOWN],
            "median": f"{one['median_error_m']:,.0f} m",
        }
        for method, one in measured.items()
    ]
    return {"title": f"{title}: {n}", "words": words, "rows": rows, "said": said}


def _cell(estimate: dict[str, Any]) -> dict[str, str]:
    interval = "" if estimate["low"] is None else f"{100 * estimate['low']:.0f} to {100 * estimate['high']:.0f} %"
    return {"value": percent_text(100 * estimate["value"]), "interval": interval}

"""The page that tells how right a map is: matrix, accuracies and areas with their intervals, in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.mapping.report import wording
from engine.mapping.report.page import file_name
from engine.mapping.report.sheet import page_facts, write_sheet

_TEMPLATE = Path(__file__).with_name("report.html")
_RIGHT, _WRONG = (47, 132, 90), (200, 74, 49)


def write_report_page(path: Path, *, result: dict[str, Any]) -> None:
    """Write the page of a ``result`` (the content of ``result.json``) at ``path``; raises OutputError."""
    figures = result["figures"]
    name = (result["inputs"].get("map") or {}).get("path") or "map"
    indicative = figures["indicative"]
    kind = "Accuracy of a map, indicative" if indicative else "Accuracy and area of a map"
    areas = None if indicative else _areas(figures)
    write_sheet(
        path,
        _TEMPLATE,
        {
            "page": page_facts(result, kind=kind, title=file_name(name)),
            "indicative": indicative,
            "figures": figures,
            "overall": _told(figures["overall_accuracy"]),
            "matrix": _matrix(figures["matrix"]),
            "accuracies": _accuracies(figures),
            "areas": areas,
            "notes": [] if indicative else _notes(figures),
            "area_unit": _unit(figures)[1],
            "total": wording.area_text(figures["total_area_m2"]),
            "words": _words(figures),
        },
    )


def _percent(value: float | None) -> str:
    return "not known" if value is None else wording.percent_text(100 * value)


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """An accuracy as text, with its places on a line from 0 to 100."""
    interval = found["low"] is not None
    return {
        "value": _percent(found["value"]),
        "interval": f"{100 * found['low']:.1f} to {100 * found['high']:.1f}\u00a0%" if interval else "",
        "at": None if found["value"] is None else round(100 * found["value"], 2),
        "low": round(100 * found["low"], 2) if interval else None,
        "high": round(100 * found["high"], 2) if interval else None,
        "n": found["n"],
        "why": found.get("why", ""),
    }


def _matrix(matrix: dict[str, Any]) -> dict[str, Any]:
    """Rows with counts, shares and a shade: green on the diagonal, red beside it, stronger the larger the part."""
    counts, shares = matrix["counts"], matrix["proportions"]
    rows = []
    for i, (code, name) in enumerate(zip(matrix["codes"], matrix["names"], strict=True)):
        total = sum(counts[i])
        cells = []
        for j, count in enumerate(counts[i]):
            part = count / total if total else 0.0
            tone = _RIGHT if i == j and code >= 0 else _WRONG
            shade = (
                "#fafbfb"
                if not count
                else "#" + "".join(f"{round(255 - (255 - c) * (0.12 + 0.68 * part)):02x}" for c in tone)
            )
            cells.append(
                {
                    "count": count,
                    "share": None if shares is None else _share(shares[i][j]),
                    "shade": shade,
                    "ink": "#fff" if count and part > 0.6 else "inherit",
                }
            )
        rows.append(
            {
                "code": code if code >= 0 else "",
                "name": name,
                "cells": cells,
                "total": total,
                "share": None if shares is None else _share(sum(shares[i])),
            }
        )
    columns = range(len(counts))
    return {
        "heads": [
            {"code": c if c >= 0 else "", "name": n} for c, n in zip(matrix["codes"], matrix["names"], strict=True)
        ],
        "rows": rows,
        "totals": [sum(row[j] for row in counts) for j in columns],
        "total_shares": None if shares is None else [_share(sum(row[j] for row in shares)) for j in columns],
        "total": sum(map(sum, counts)),
    }


def _share(value: float) -> str:
    return "0" if value == 0 else f"{100 * value:.2f}" if value < 0.1 else f"{100 * value:.1f}"


def _accuracies(figures: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "code": one["code"],
            "name": one["name"],
            "color": one["color"],
            "users": _told(one["users_accuracy"]),
            "producers": _told(one["producers_accuracy"]),
            "f1": _told(one["f1"]),
        }
        for one in figures["classes"]
    ]


def _notes(figures: dict[str, Any]) -> list[str]:
    """Reasons why something has no value or no usual interval, each once with what it concerns."""
    found: dict[str, list[str]] = {}
    for key, title in (
        ("users_accuracy", "user's accuracy"),
        ("producers_accuracy", "producer's accuracy"),
        ("f1", "F1"),
        ("area_m2", "area"),
    ):
        by_why: dict[str, list[str]] = {}
        for one in figures["classes"]:
            if one[key] and one[key].get("why"):
                by_why.setdefault(one[key]["why"], []).append(str(one["code"]))
        for why, codes in by_why.items():
            found.setdefault(why, []).append(f"{title} of {', '.join(codes)}")
    return [f"{why[0].upper()}{why[1:]}: {'; '.join(what)}." for why, what in found.items()]


def _unit(figures: dict[str, Any]) -> tuple[float, str]:
    total = figures["total_area_m2"] or 0.0
    return (1e6, "km²") if total >= 1e7 else (1e4, "ha") if total >= 1e5 else (1.0, "m²")


def _areas(figures: dict[str, Any]) -> dict[str, Any]:
    size, _ = _unit(figures)
    tops = [0.0]
    for one in figures["classes"]:
        area = one["area_m2"] or {}
        tops += [v for v in (one["mapped_m2"], area.get("value"), area.get("high")) if v is not None]
    top = max(tops) or 1.0
    rows = []
    for one in figures["classes"]:
        area, mapped = one["area_m2"], one["mapped_m2"]
        value = area["value"]
        outside = mapped is not None and area["low"] is not None and not area["low"] <= mapped <= area["high"]
        rows.append(
            {
                "code": one["code"],
                "name": one["name"],
                "color": one["color"],
                "mapped": "not known" if mapped is None else wording.number_text(mapped / size),
                "value": "not known" if value is None else wording.number_text(value / size),
                "half": "" if area["low"] is None else f"±\u00a0{wording.number_text(1.96 * area['se'] / size)}",
                "outside": outside,
                "why": area.get("why", ""),
                **{
                    key: None if v is None else round(97 * v / top + 1, 2)
                    for key, v in (("at", value), ("low", area["low"]), ("high", area["high"]), ("hollow", mapped))
                },
            }
        )
    return {"rows": rows, "top": f"{wording.number_text(top / size)}"}


def _words(figures: dict[str, Any]) -> list[str]:
    """What the figures mean, in sentences."""
    overall = figures["overall_accuracy"]
    lines = []
    if overall["value"] is not None:
        text = (
            f"Of the {'points' if figures['indicative'] else 'area'}, {_percent(overall['value'])} has the right class"
        )
        if overall["low"] is not None:
            text += f"; with 95 % confidence between {100 * overall['low']:.1f} and {100 * overall['high']:.1f} %"
        lines.append(text + ".")
    if figures["indicative"]:
        return lines
    size, unit = _unit(figures)
    for one in figures["classes"]:
        area, mapped = one["area_m2"], one["mapped_m2"]
        if mapped is None or area["low"] is None or area["low"] <= mapped <= area["high"]:
            continue
        side = "too large" if mapped > area["high"] else "too small"
        count, value, half = (wording.number_text(v / size) for v in (mapped, area["value"], 1.96 * area["se"]))
        found = f"{count} {unit} on the map, {value} ± {half} {unit} by the sample"
        lines.append(f"The map shows {one['name'].lower()} {side}: {found}.")
    if len(lines) == 1 and any(one["mapped_m2"] is not None for one in figures["classes"]):
        lines.append("For no class does the sample contradict the area on the map.")
    return lines

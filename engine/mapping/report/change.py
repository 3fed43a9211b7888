"""The page that tells what changed between two land-cover maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.mapping.report import wording
from engine.mapping.report.maps import draw_map
from engine.mapping.report.page import file_name, uri
from engine.mapping.report.sheet import page_facts, write_sheet
from engine.raster.grid import Grid

_TEMPLATE = Path(__file__).with_name("change.html")
_ZONES_SHOWN, _CHANGES_SHOWN = 25, 12


def write_change_report(
    path: Path, *, result: dict[str, Any], pictures: dict[str, NDArray[np.uint8]], grid: Grid
) -> None:
    """Write the page of a ``result`` (the content of ``result.json``) at ``path``; raises OutputError.

    ``pictures``: RGB ``before``, ``after``, ``change`` (rows, columns, 3) whose pixels lie on ``grid``.
    """
    figures = result["figures"]
    inputs = result["inputs"]
    names = [file_name(inputs[key]["path"]) for key in ("map_a", "map_b")]
    size, unit = _unit(figures["compared_m2"])
    widths = {"before": 560, "after": 560, "change": 1000}
    write_sheet(
        path,
        _TEMPLATE,
        {
            "page": page_facts(result, kind="Change of land cover", title=f"{names[0]} → {names[1]}"),
            "dates": [wording.time_text(figures[key]) or "date unknown" for key in ("observed_at_a", "observed_at_b")],
            "names": names,
            "legend": figures["legend"],
            "changed": wording.area_text(figures["changed_m2"]),
            "changed_percent": wording.percent_text(figures["changed_percent"]),
            "compared": wording.area_text(figures["compared_m2"]),
            "not_comparable": wording.area_text(figures["not_comparable_m2"]),
            "min_area": result["parameters"].get("min_area") or 0,
            "unit": unit,
            "maps": {name: uri(draw_map(pictures[name], grid, width_px=width)) for name, width in widths.items()},
            "classes": _classes(figures["classes"], size),
            "matrix": _matrix(figures, size),
            "transitions": _transitions(figures, size),
            "zones": _zones(figures["zones"]),
        },
    )


def _number(value: float) -> str:
    return "<\u00a00.01" if 0 < value < 0.005 else wording.number_text(value)


def _unit(total: float) -> tuple[float, str]:
    return (1e6, "km²") if total >= 1e7 else (1e4, "ha") if total >= 1e5 else (1.0, "m²")


def _classes(classes: list[dict[str, Any]], size: float) -> list[dict[str, Any]]:
    """Rows with bars in per cent of half the width: losses to the left, gains to the right."""
    top = max((max(one["gain_m2"], one["loss_m2"]) for one in classes), default=0.0) or 1.0
    rows = []
    for one in classes:
        net = one["net_m2"]
        rows.append(
            {
                **{key: one[key] for key in ("code", "name", "color")},
                **{key: _number(one[f"{key}_m2"] / size) for key in ("before", "after", "gain", "loss")},
                "net": f"{'+' if net > 0 else '−' if net < 0 else ''}{_number(abs(net) / size)}",
                "left": round(48 * one["loss_m2"] / top, 2),
                "right": round(48 * one["gain_m2"] / top, 2),
                "mark": round(50 + 48 * net / top, 2),
            }
        )
    return rows


def _matrix(figures: dict[str, Any], size: float) -> dict[str, Any]:
    codes = [one["code"] for one in figures["classes"]]
    area = {(row["from_code"], row["to_code"]): row["area_m2"] for row in figures["matrix"]}
    largest = max((v for (a, b), v in area.items() if a != b), default=0.0) or 1.0
    rows = []
    for one in figures["classes"]:
        cells = []
        for code in codes:
            value = area.get((one["code"], code), 0.0)
            part = (value / largest) ** 0.5 if code != one["code"] else 0.0
            shade = "#eef1f3" if code == one["code"] else _shade(part)
            cells.append({"text": _number(value / size) if value else "", "shade": shade, "dark": part > 0.75})
        rows.append(
            {
                "name": one["name"],
                "code": one["code"],
                "cells": cells,
                "total": _number(one["before_m2"] / size),
            }
        )
    return {
        "heads": [{"code": one["code"], "name": one["name"]} for one in figures["classes"]],
        "rows": rows,
        "totals": [_number(one["after_m2"] / size) for one in figures["classes"]],
        "total": _number(figures["compared_m2"] / size),
    }


def _shade(part: float) -> str:
    if part <= 0:
        return "#fcfcfc"
    return "#" + "".join(f"{round(255 - (255 - c) * (0.1 + 0.8 * part)):02x}" for c in (200, 84, 28))


def _transitions(figures: dict[str, Any], size: float) -> dict[str, Any]:
    ranked = sorted(figures["transitions"], key=lambda row: -row["area_m2"])
    top = ranked[0]["area_m2"] if ranked else 1.0
    total = figures["changed_m2"] or 1.0
    colors = {one["code"]: one["color"] for one in figures["classes"]}
    rows = [
        {
            "code": row["code"],
            "from_name": row["from_name"],
            "to_name": row["to_name"],
            "from_color": colors.get(row["from_code"], "#888888"),
            "to_color": colors.get(row["to_code"], "#888888"),
            "area": _number(row["area_m2"] / size),
            "share": wording.percent_text(100 * row["area_m2"] / total),
            "width": round(100 * row["area_m2"] / (top or 1.0), 2),
        }
        for row in ranked[:_CHANGES_SHOWN]
    ]
    return {"rows": rows, "count": len(ranked)}


def _zones(zones: list[dict[str, Any]]) -> dict[str, Any]:
    ranked = sorted(zones, key=lambda z: (-(z["changed_m2"] or 0.0), str(z["zone_id"])))
    rows = [
        {
            "name": str(zone["zone_id"]),
            "changed": wording.area_text(zone["changed_m2"]),
            "percent": wording.percent_text(zone["changed_percent"]),
            "compared": wording.percent_text(zone["compared_percent"]),
            "largest": zone["largest_change"] or "none",
            "largest_area": wording.area_text(zone["largest_change_m2"]) if zone["largest_change"] else "",
        }
        for zone in ranked[:_ZONES_SHOWN]
    ]
    return {"rows": rows, "count": len(zones)}

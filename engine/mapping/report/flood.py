"""The one-page report of a flood map: self-contained HTML that prints on A4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.mapping.flood.classes import CLASS_COLORS, CLASS_NAMES, REASON_NAMES
from engine.mapping.report import wording
from engine.mapping.report.charts import draw_histograms
from engine.mapping.report.maps import draw_map
from engine.mapping.report.page import (
    figure,
    file_name,
    hex_color,
    is_simulated,
    making,
    map_template,
    observed_text,
    probability_scale,
    uri,
    write_page,
)
from engine.mapping.report.pictures import UNSEEN
from engine.raster.grid import Grid

_TEMPLATE = Path(__file__).with_name("flood.html")
_ZONES_SHOWN = 25
_CLASS_ORDER = (
    (2, "flood"),
    (3, "water"),
    (1, "reference_water"),
    (0, "dry"),
    (254, "excluded"),
    (255, "not_observed"),
)


def write_flood_report(
    path: Path,
    *,
    result: dict[str, Any],
    pictures: dict[str, NDArray[np.uint8]],
    preview_grid: Grid,
    zones: list[dict[str, Any]],
) -> None:
    """Write the report of a flood ``result`` (the content of ``result.json``) as one HTML file at ``path``.

    ``pictures``: RGB (rows, columns, 3) named ``backscatter`` (or ``image``: Sentinel-2), ``classes``,
    ``probability``; those present are shown.
    ``preview_grid``: where their pixels lie. ``zones``: rows of layer ``zones``. Every text is escaped; nothing is
    loaded from elsewhere. Raises OutputError when the file cannot be written.
    """
    html = flood_report_html(result=result, pictures=pictures, preview_grid=preview_grid, zones=zones)
    write_page(path, html)


def flood_report_html(
    *,
    result: dict[str, Any],
    pictures: dict[str, NDArray[np.uint8]],
    preview_grid: Grid,
    zones: list[dict[str, Any]],
) -> str:
    """The report as text; see :func:`write_flood_report`."""
    template = map_template(_TEMPLATE)
    widths = {"classes": 1150, "backscatter": 640, "image": 640, "probability": 640}
    maps = {
        name: uri(draw_map(pictures[name], preview_grid, width_px=widths[name])) for name in widths if name in pictures
    }
    figures = result.get("figures") or {}
    histogram = draw_histograms(figures.get("detector") or {}, width_px=760)
    return template.render(
        head=_head(result),
        headline=_headline(figures, result.get("inputs") or {}),
        legend=_legend(figures),
        reasons=_reasons(figures),
        maps=maps,
        image_bands=_image_bands(figures),
        probability_scale=probability_scale(),
        histogram=uri(histogram) if histogram else None,
        thresholds=_thresholds(figures.get("detector") or {}),
        zones=_zones(zones),
        warnings=list(result.get("warnings") or []),
        making=making(result, scenes=("post",)),
        unseen=hex_color(UNSEEN),
    )


def _head(result: dict[str, Any]) -> dict[str, Any]:
    figures, inputs = result.get("figures") or {}, result.get("inputs") or {}
    post = inputs.get("post") or {}
    before = wording.time_text(figures.get("before_observed_at"))
    if "before" not in inputs:
        before_line = "No scene before the event was given."
    elif before is None:
        before_line = "Compared with a scene before the event; its acquisition time is unknown."
    else:
        gap = wording.days_text(figures.get("days_between"))
        before_line = f"Compared with a scene of {before}{', ' + gap if gap else ''}."
    method = figures.get("method") or "unknown"
    method_line = wording.method_text(method, (figures.get("detector") or {}).get("auto"))
    return {
        "scene": file_name(str(post.get("path") or "unnamed scene")),
        "simulated": is_simulated(result),
        "observed": observed_text(figures.get("observed_at")),
        "before": before_line,
        "method": method_line,
        "version": result.get("engine_version") or "unknown",
    }


def _image_bands(figures: dict[str, Any]) -> str:
    """What the picture of a Sentinel-2 scene shows, in words; empty for backscatter."""
    bands = [str(name) for name in figures.get("image_bands") or []]
    if len(bands) != 3:
        return ", ".join(bands)
    return ", ".join(f"{color} {name}" for color, name in zip(("red", "green", "blue"), bands, strict=True))


def _headline(figures: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    area = figures.get("area_m2") or {}
    observed = sum(area.get(key) or 0.0 for key in ("dry", "reference_water", "flood", "water"))
    referenced = "before" in inputs or "reference_water" in inputs
    return {
        "nothing": observed <= 0,
        "referenced": referenced,
        "untold": not referenced or (area.get("water") or 0.0) > 0,
        "alike": figures.get("flooded_low_m2") == figures.get("flooded_high_m2"),
        "best": figure("flooded_best_m2", figures),
        "low": figure("flooded_low_m2", figures),
        "high": figure("flooded_high_m2", figures),
        "reference": figure("reference_water", area),
        "dry": figure("dry", area),
        "excluded": figure("excluded", area),
        "not_observed": figure("not_observed", area),
        "observed_percent": {
            "key": "observed_percent",
            "value": figures.get("observed_percent"),
            "text": wording.percent_text(figures.get("observed_percent")),
        },
    }


def _legend(figures: dict[str, Any]) -> list[dict[str, Any]]:
    area = figures.get("area_m2") or {}
    nothing = not any(area.get(key) for _, key in _CLASS_ORDER[:4])
    always = (255,) if nothing else (0, 255) if area.get("water") else (0, 2, 255)
    rows = []
    for code, key in _CLASS_ORDER:
        color = UNSEEN if code == 255 else (236, 236, 232) if code == 0 else CLASS_COLORS[code][:3]
        if code in always or (area.get(key) or 0) > 0:
            name = "excluded" if code == 254 else CLASS_NAMES[code]
            rows.append({"name": name, "color": hex_color(color), "area": figure(key, area)})
    return rows


def _reasons(figures: dict[str, Any]) -> list[dict[str, Any]]:
    found = figures.get("excluded_m2_by_reason") or {}
    names = {str(code): name for code, name in REASON_NAMES.items()}
    rows = [
        {"name": names.get(str(reason), str(reason).replace("_", " ")), "area": figure(str(reason), found)}
        for reason, area in found.items()
        if area
    ]
    return sorted(rows, key=lambda row: -row["area"]["value"])


def _thresholds(detector: dict[str, Any]) -> list[dict[str, str]]:
    sources = {"tiles": "bimodal tiles", "scene": "the whole scene", "prior": "prior (too few bimodal tiles)"}
    rows = []
    for pol, found in (detector.get("thresholds") or {}).items():
        if not isinstance(found, dict) or found.get("value_db") is None:
            continue
        used, seen = found.get("tiles_used"), found.get("tiles_seen")
        tiles = f", {used} of {seen} tiles" if used is not None and seen is not None else ""
        rows.append(
            {
                "pol": str(pol),
                "value": f"{found['value_db']:.1f} dB",
                "source": sources.get(str(found.get("source")), str(found.get("source") or "unknown")) + tiles,
                "reason": str(found.get("reason") or ""),
            }
        )
    return rows


def _zones(zones: list[dict[str, Any]]) -> dict[str, Any]:
    ranked = sorted(zones, key=lambda z: (-(z.get("flooded_best_m2") or 0.0), str(z.get("zone_id"))))
    largest = max((z.get("flooded_high_m2") or z.get("flooded_best_m2") or 0.0 for z in ranked), default=0.0)
    rows = []
    for zone in ranked[:_ZONES_SHOWN]:
        observed = zone.get("observed_percent")
        rows.append(
            {
                "name": wording.value_text(zone.get("zone_id")),
                "best": figure("flooded_best_m2", zone),
                "low": figure("flooded_low_m2", zone),
                "high": figure("flooded_high_m2", zone),
                "observed": wording.percent_text(observed),
                "unseen": observed is not None and observed <= 0,
                "bar": None if observed is not None and observed <= 0 else _bar(zone, largest),
            }
        )
    return {"rows": rows, "count": len(zones), "shown": len(rows)}


def _bar(zone: dict[str, Any], largest: float) -> dict[str, str]:
    """Per cent of the widest bar: up to low, from there to best, from there to high."""

    def share(key: str) -> float:
        return 100 * (zone.get(key) or 0.0) / largest if largest > 0 else 0.0

    low, best, high = share("flooded_low_m2"), share("flooded_best_m2"), share("flooded_high_m2")
    return {"low": f"{low:.2f}", "best": f"{max(best - low, 0):.2f}", "high": f"{max(high - best, 0):.2f}"}

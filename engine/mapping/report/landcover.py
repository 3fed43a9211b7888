"""The one-page report of a land-cover map: self-contained HTML that prints on A4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.mapping.report import wording
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

_TEMPLATE = Path(__file__).with_name("landcover.html")
_ZONES_SHOWN = 25
_COLUMNS_SHOWN = 6
_WIDTHS = {"classes": 1150, "image": 640, "confidence": 640}
_SENSORS = {"s1": "Sentinel-1", "s2": "Sentinel-2"}


def write_landcover_report(
    path: Path, *, result: dict[str, Any], pictures: dict[str, NDArray[np.uint8]], preview_grid: Grid
) -> None:
    """Write the report of a land-cover ``result`` (the content of ``result.json``) as one HTML file at ``path``.

    ``pictures``: RGB (rows, columns, 3) named ``classes``, ``image``, ``confidence``. ``preview_grid``: where their
    pixels lie. Every text is escaped; nothing is loaded from elsewhere. Raises OutputError when it cannot be written.
    """
    write_page(path, landcover_report_html(result=result, pictures=pictures, preview_grid=preview_grid))


def landcover_report_html(*, result: dict[str, Any], pictures: dict[str, NDArray[np.uint8]], preview_grid: Grid) -> str:
    """The report as text; see :func:`write_landcover_report`."""
    figures = result["figures"]
    rows = _classes(figures)
    known = [row for row in figures["classes"] if row["code"] != 0 and row["pixels"]]
    pixels = sum(row["pixels"] for row in known)
    confidence = sum(row["pixels"] * row["mean_confidence"] for row in known) / pixels if pixels else None
    return map_template(_TEMPLATE).render(
        head=_head(result),
        nothing=figures["observed_percent"] in (None, 0),
        largest=_largest(known),
        confidence=wording.percent_text(confidence),
        observed_percent=_percent("observed_percent", figures),
        unknown_percent=_percent("unknown_percent", figures),
        legend=[row for row in rows if not row["empty"]] + [{"name": "not observed", "color": hex_color(UNSEEN)}],
        classes=rows,
        maps={name: uri(draw_map(pictures[name], preview_grid, width_px=width)) for name, width in _WIDTHS.items()},
        picture=_picture(figures),
        scale=probability_scale(),
        unseen=hex_color(UNSEEN),
        unknown=_unknown(figures),
        small_patches=_small_patches(result),
        zones=_zones(figures),
        warnings=list(result.get("warnings") or []),
        model=_model(result["model"]),
        making=making(result, scenes=("scene",)),
    )


def _head(result: dict[str, Any]) -> dict[str, Any]:
    figures = result["figures"]
    scenes = [facts for name, facts in result["inputs"].items() if name.startswith("scene")]
    name = file_name(str(scenes[0]["path"])) + (f" and {len(scenes) - 1} more" if len(scenes) > 1 else "")
    why = figures["detector"].get("why")
    sensors = " and ".join(_SENSORS[sensor] for sensor in figures["sensors"])
    return {
        "scene": name,
        "simulated": is_simulated(result),
        "observed": observed_text(figures.get("observed_at")),
        "sensors": f"From {sensors}.",
        "model": f"Model {result['model']['name']}{f', taken since {why}' if why else ''}.",
        "legend": figures["legend_title"],
        "version": result["engine_version"],
    }


def _largest(known: list[dict[str, Any]]) -> dict[str, Any]:
    if not known:
        return {"name": "unknown", "color": hex_color(UNSEEN), "area": None, "share": ""}
    top = max(known, key=lambda row: row["area_m2"])
    share = wording.percent_text(100 * top["share"])
    return {"name": top["name"], "color": top["color"], "area": figure("area_m2", top), "share": share}


def _percent(key: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "value": figures.get(key), "text": wording.percent_text(figures.get(key))}


def _classes(figures: dict[str, Any]) -> list[dict[str, Any]]:
    top = max((row["share"] or 0.0 for row in figures["classes"]), default=0.0)
    return [
        {
            "name": row["name"],
            "code": row["code"],
            "color": row["color"],
            "empty": not row["pixels"],
            "area": figure("area_m2", row),
            "share": wording.percent_text(100 * row["share"]) if row["pixels"] else "",
            "confidence": wording.percent_text(row["mean_confidence"]) if row["pixels"] else "",
            "bar": f"{100 * row['share'] / top:.2f}" if row["pixels"] and top > 0 else None,
        }
        for row in figures["classes"]
    ]


def _picture(figures: dict[str, Any]) -> dict[str, str]:
    bands = figures["image_bands"]
    if not bands:
        return {"title": "Backscatter", "text": "red VV, green VH, blue VV/VH."}
    if len(bands) != 3:
        return {"title": "Sentinel-2", "text": f"{', '.join(bands)}."}
    colors = ", ".join(f"{color} {name}" for color, name in zip(("red", "green", "blue"), bands, strict=True))
    natural = "natural colour, " if list(bands) == ["B04", "B03", "B02"] else ""
    return {"title": "Sentinel-2", "text": f"{natural}{colors}."}


def _unknown(figures: dict[str, Any]) -> list[str]:
    lines = ["Unknown is ground that was looked at and not told; not observed is ground without a valid value."]
    if figures["clouds"] is not None:
        lines.append(f"Clouds hide the ground. They were found by: {figures['clouds']}.")
    if figures["unknown_below"]:
        lines.append(f"So is every pixel whose best class has less than {figures['unknown_below']} % confidence.")
    else:
        lines.append("Every other pixel has its likeliest class, however unlikely: no threshold of confidence was set.")
    return lines


def _small_patches(result: dict[str, Any]) -> str:
    area = result["parameters"].get("min_area") or 0
    if area <= 0:
        return "No minimum mapping unit: single pixels stand as they were found."
    return (
        f"Patches below {wording.area_text(area)} went to the neighbour with the longest border; their confidence is "
        "at most what their own class left over."
    )


def _zones(figures: dict[str, Any]) -> dict[str, Any]:
    zones = figures["zones"]
    there = [row for row in figures["classes"] if row["code"] != 0 and row["pixels"]]
    columns = sorted(there, key=lambda row: -row["area_m2"])[:_COLUMNS_SHOWN]
    rows = [
        {
            "name": wording.value_text(zone["zone_id"]),
            "areas": [figure(f"class_{column['code']}_m2", zone) for column in columns],
            "unknown": figure("unknown_m2", zone),
            "observed": wording.percent_text(zone["observed_percent"]),
            "unseen": zone["observed_percent"] <= 0,
        }
        for zone in zones[:_ZONES_SHOWN]
    ]
    return {
        "columns": [column["name"] for column in columns],
        "rows": rows,
        "count": len(zones),
        "shown": len(rows),
        "left_out": len(there) > len(columns),
    }


def _model(model: dict[str, Any]) -> dict[str, Any]:
    low, high = model["gsd_m"]
    trained = [f"{one['name']} ({one['licence']})" for one in model["trained_on"]]
    return {
        **{key: model[key] for key in ("name", "title", "licence")},
        "gsd": f"{low:g} to {high:g} m" if low != high else f"{low:g} m",
        "trained_on": ", ".join(trained) or "data that its card does not name",
        "figures": [
            {
                "metric": one["metric"].replace("_", " "),
                "value": f"{one['value']:.3f}",
                "interval": f"{one['low']:.3f} to {one['high']:.3f}",
                "n": one["n"],
                "data": one["data"],
            }
            for one in model["figures"]
        ],
    }

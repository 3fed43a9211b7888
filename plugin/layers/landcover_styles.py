"""The styles of land-cover maps: classes as the result names them, confidence, zones, areas."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsColorRampShader,
    QgsMapLayer,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRendererCategory,
    QgsSingleBandPseudoColorRenderer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from .palette import cased_outline, label_settings, outline, quoted, set_aliases, set_labels, set_palette, tip_text
from .product import Result

UNKNOWN = 0
_CONFIDENCE = (
    (40, "#ffffcc", "below 40 %"),
    (60, "#a1dab4", "40 – 60 %"),
    (75, "#41b6c4", "60 – 75 %"),
    (90, "#2c7fb8", "75 – 90 %"),
    (float("inf"), "#253494", "90 % and more"),
)
"""Upper limit (not part of the class), colour and name of each class of confidence: light to dark, in any eye."""
_ALIASES = {
    "zone_id": "Zone",
    "observed_percent": "Observed (%)",
    "unknown_m2": "Unknown (m²)",
    "code": "Code",
    "name": "Class",
    "color": "Colour",
    "pixels": "Pixels",
    "area_m2": "Area (m²)",
    "share": "Share of the observed area (0–1)",
    "mean_confidence": "Mean confidence (%)",
}


def class_rows(result: Result) -> list[dict[str, Any]]:
    """The classes that occur, in the legend's order, unknown last: ``code``, ``name``, ``color``, ``share`` (0–1)."""
    rows = result.get("figures", {}).get("classes") or []
    return [row for row in rows if row.get("pixels", 1)]


def share_text(share: float | None) -> str:
    """A share (0–1) in per cent as a legend says it."""
    if share is None:
        return ""
    percent = 100 * share
    return "< 0.1 %" if 0 < percent < 0.1 else f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %"


def style_landcover(layer: QgsRasterLayer, result: Result) -> None:
    """The classes that occur, each in its colour, with its share of the observed area."""
    entries = []
    for row in class_rows(result):
        share = share_text(row.get("share"))
        entries.append((int(row["code"]), f"{row['name']} ({share})" if share else row["name"], row["color"]))
    if entries:
        set_palette(layer, entries)


def style_confidence(layer: QgsRasterLayer, result: Result) -> None:
    """Per cent in five classes, the surer the darker."""
    ramp = QgsColorRampShader(0, 100, None, QgsColorRampShader.Type.Discrete)
    # A value up to the limit has the class's colour: whole per cents, so half a per cent below the next class.
    ramp.setColorRampItemList(
        [QgsColorRampShader.ColorRampItem(limit - 0.5, QColor(color), name) for limit, color, name in _CONFIDENCE]
    )
    shader = QgsRasterShader(0, 100)
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(0)
    renderer.setClassificationMax(100)
    layer.setRenderer(renderer)


def style_zones(layer: QgsVectorLayer, result: Result) -> None:
    """Outlines by the class that covers most of each zone, labelled with it and its share."""
    rows = [row for row in class_rows(result) if row["code"] != UNKNOWN]
    rows = [row for row in rows if layer.fields().lookupField(_field(row)) >= 0]
    set_aliases(layer, {**_ALIASES, **{_field(row): f"{row['name']} (m²)" for row in rows}})
    if not rows:
        layer.setRenderer(QgsSingleSymbolRenderer(outline("#495057", 0.6)))
        return
    main = main_class(rows)
    zones = result.get("figures", {}).get("zones") or []
    leading = {_main_code(zone, rows) for zone in zones}
    categories = [
        QgsRendererCategory(int(row["code"]), cased_outline(row["color"]), f"mostly {_lower(row['name'])}")
        for row in rows
        if not leading or row["code"] in leading
    ]
    if not leading or UNKNOWN in leading:
        categories.append(QgsRendererCategory(UNKNOWN, cased_outline("#606060"), "nothing mapped"))
    layer.setRenderer(QgsCategorizedSymbolRenderer(main, categories))
    names = ", ".join(f"'{row['code']}', {quoted(row['name'])}" for row in rows)
    largest, total = _largest(rows), " + ".join(f'coalesce("{_field(row)}", 0)' for row in rows)
    share = f"CASE WHEN {total} > 0 THEN ' ' || round(100 * {largest} / ({total})) || ' %' ELSE '' END"
    name = f"coalesce(map_get(map({names}), to_string({main})), 'nothing mapped')"
    text = f"\"zone_id\" || '\\n' || {name} || {share}"
    set_labels(layer, label_settings(text))
    layer.setDisplayExpression(text.replace("'\\n'", "', '"))
    table = "".join(
        f"<tr><td>{tip_text(row['name'])}</td>"
        f'<td align="right">[% format_number("{_field(row)}" / 1e6, 2) %] km²</td></tr>'
        for row in rows
    )
    layer.setMapTipTemplate(
        f'<b>[% "zone_id" %]</b><table>{table}</table>[% format_number("observed_percent", 0) %] % observed'
    )


def main_class(rows: list[dict[str, Any]]) -> str:
    """An expression: the code of the class with the largest area of a zone, 0 where nothing was mapped."""
    largest = _largest(rows)
    cases = " ".join(f'WHEN "{_field(row)}" = {largest} THEN {row["code"]}' for row in rows)
    return f"CASE WHEN {largest} <= 0 OR {largest} IS NULL THEN 0 {cases} ELSE 0 END"


def style_areas(layer: QgsMapLayer, result: Result) -> None:
    """A table without a map: names of its fields."""
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression("\"name\" || ', ' || format_number(\"area_m2\" / 1e6, 2) || ' km²'")


def _largest(rows: list[dict[str, Any]]) -> str:
    return f"max({', '.join(_quoted_field(row) for row in rows)})"


def _main_code(zone: dict[str, Any], rows: list[dict[str, Any]]) -> int:
    """The class with the largest area of a zone, 0 where nothing was mapped: what :func:`main_class` says."""
    areas = [(zone.get(_field(row)) or 0, row["code"]) for row in rows]
    largest = max(area for area, _ in areas)
    return next(code for area, code in areas if area == largest) if largest > 0 else UNKNOWN


def _field(row: dict[str, Any]) -> str:
    return f"class_{row['code']}_m2"


def _quoted_field(row: dict[str, Any]) -> str:
    return f'"{_field(row)}"'


def _lower(name: str) -> str:
    """``Tree cover`` within a line; names that are not written as a sentence stay."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name

"""Styles of result layers, and the default styles saved beside the files so that they open alone as well."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsGraduatedSymbolRenderer,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsPalLayerSettings,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsRendererRange,
    QgsSingleSymbolRenderer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtGui import QColor

from .names import EXCLUDED_REASONS, FLOOD, FLOOD_CLASSES, REFERENCE_WATER, WATER, FloodClass
from .threshold import threshold_renderer

if TYPE_CHECKING:
    from .results import LayerToLoad

_KM2 = '"flooded_best_m2" / 1e6'
_ZONE_COLORS = ("#868E96", "#F4B183", "#F08C42", "#D9480F", "#7F2704")
_ALIASES = {
    "class": "Class",
    "area_m2": "Area (m²)",
    "mean_probability": "Mean water probability (%)",
    "observed_at": "Observed at",
    "zone_id": "Zone",
    "flooded_best_m2": "Flooded, best estimate (m²)",
    "flooded_low_m2": "Flooded, low (m²)",
    "flooded_high_m2": "Flooded, high (m²)",
    "observed_percent": "Observed (%)",
}


def style_layer(layer: QgsMapLayer, role: str, result: dict[str, Any]) -> None:
    """Give a result layer of ``role`` its style; nothing of the project is touched."""
    pixels = result.get("figures", {}).get("pixels") or {}
    shown = [c for c in FLOOD_CLASSES if pixels.get(c.key, 1)] or [FLOOD_CLASSES[0]]
    if role == "flood":
        _palette(layer, [(c.value, c.name, c.color) for c in shown])
    elif role == "excluded":
        _palette(layer, list(EXCLUDED_REASONS))
    elif role == "probability":
        percent = int(result.get("parameters", {}).get("probability") or 50)
        value = WATER if pixels.get("water") and not pixels.get("flood") else FLOOD
        color = next(c.color for c in FLOOD_CLASSES if c.value == value)
        layer.setRenderer(threshold_renderer(layer, percent, color))
    elif role == "polygons":
        _outline_by_class(layer, shown)
    elif role == "zones":
        _grade_by_area(layer, result.get("figures", {}).get("zones") or [])


def _palette(layer: QgsRasterLayer, entries: list[tuple[int, str, str]]) -> None:
    classes = [QgsPalettedRasterRenderer.Class(value, QColor(color), name) for value, name, color in entries]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))


def _outline_by_class(layer: QgsVectorLayer, shown: list[FloodClass]) -> None:
    classes = [c for c in shown if c.value in (FLOOD, REFERENCE_WATER, WATER)] or [FLOOD_CLASSES[0]]
    layer.setRenderer(
        QgsCategorizedSymbolRenderer("class", [QgsRendererCategory(c.name, _outline(c.color), c.name) for c in classes])
    )
    _aliases(layer)
    layer.setDisplayExpression("\"class\" || ', ' || format_number(\"area_m2\" / 10000, 1) || ' ha'")
    layer.setMapTipTemplate(
        '<b>[% "class" %]</b><br>[% format_number("area_m2" / 10000, 2) %] ha<br>'
        'mean water probability [% round("mean_probability") %] %<br>[% "observed_at" %]'
    )


def _outline(color: str, width_mm: float = 0.4) -> QgsFillSymbol:
    return QgsFillSymbol.createSimple(
        {
            "style": "no",
            "outline_color": color,
            "outline_width": str(width_mm),
            "outline_style": "solid",
            "joinstyle": "round",
        }
    )


def _grade_by_area(layer: QgsVectorLayer, rows: list[dict[str, Any]]) -> None:
    # Outlines only: a fill would change the colours of the flood map below.
    breaks = area_breaks([row["flooded_best_m2"] for row in rows if row.get("flooded_best_m2") is not None])
    ranges = []
    for number, (low, high) in enumerate(zip(breaks, breaks[1:])):
        color = _ZONE_COLORS[round(number * (len(_ZONE_COLORS) - 1) / max(1, len(breaks) - 2))]
        ranges.append(QgsRendererRange(low, high, _outline(color, 0.6), f"{low:.2f} – {high:.2f} km² flooded"))
    plain = QgsSingleSymbolRenderer(_outline("#495057", 0.6))
    layer.setRenderer(QgsGraduatedSymbolRenderer(_KM2, ranges) if ranges else plain)
    _label(layer)
    _aliases(layer)
    layer.setDisplayExpression("\"zone_id\" || ', ' || format_number(" + _KM2 + ", 2) || ' km² flooded'")
    layer.setMapTipTemplate(
        '<b>[% "zone_id" %]</b><br>flooded [% format_number(' + _KM2 + ", 2) %] km² "
        '([% format_number("flooded_low_m2" / 1e6, 2) %] to [% format_number("flooded_high_m2" / 1e6, 2) %])<br>'
        '[% format_number("observed_percent", 0) %] % observed'
    )


def _label(layer: QgsVectorLayer) -> None:
    text = QgsTextFormat()
    text.setSize(9)
    text.setColor(QColor("#212529"))
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(0.8)
    halo.setColor(QColor(255, 255, 255, 210))
    text.setBuffer(halo)
    settings = QgsPalLayerSettings()
    settings.setFormat(text)
    settings.isExpression = True
    settings.fieldName = "\"zone_id\" || '\n' || format_number(" + _KM2 + ", 2) || ' km²'"
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)


def _aliases(layer: QgsVectorLayer) -> None:
    for field, alias in _ALIASES.items():
        index = layer.fields().lookupField(field)
        if index >= 0:
            layer.setFieldAlias(index, alias)


def area_breaks(areas_m2: list[float], *, classes: int = 5) -> list[float]:
    """Limits in km² of at most ``classes`` classes with about as many zones in each; empty for one distinct area."""
    areas = sorted({area / 1e6 for area in areas_m2})
    if len(areas) < 2:
        return []
    count = min(classes, len(areas) - 1)
    limits = [round(areas[round(number * (len(areas) - 1) / count)], 2) for number in range(count + 1)]
    # Rounded outwards at both ends, or the smallest and the largest zone would be in no class.
    limits[0], limits[-1] = math.floor(areas[0] * 100) / 100, math.ceil(areas[-1] * 100) / 100
    return sorted(set(limits)) if len(set(limits)) > 1 else []


def save_default_styles(items: list[LayerToLoad], result: dict[str, Any]) -> list[str]:
    """Save the style of each result beside its file (``flood.qml``) or in its GeoPackage, as the default.

    Opened alone in another project or another QGIS, the files then look the same. Returns one line for each style
    that could not be saved (a read-only folder); a missing style is no failure of a run.
    """
    faults = []
    for item in items:
        layer = item.open()
        if not layer.isValid():
            faults.append(f"{item.source}: it cannot be opened to save its style.")
            continue
        style_layer(layer, item.role, result)
        if item.vector:
            fault = layer.saveStyleToDatabase("default", "SameScene", True, "")
        else:
            message, saved = layer.saveNamedStyle(str(Path(item.source).with_suffix(".qml")))
            fault = "" if saved else message
        if fault:
            faults.append(f"{item.source}: its default style cannot be saved ({' '.join(fault.split())}).")
    return faults

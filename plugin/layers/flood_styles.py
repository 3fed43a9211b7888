"""The styles of flood results."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsGraduatedSymbolRenderer,
    QgsMapLayer,
    QgsRendererCategory,
    QgsRendererRange,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)

from .names import EXCLUDED_REASONS, FLOOD, FLOOD_CLASSES, REFERENCE_WATER, WATER, FloodClass
from .palette import area_breaks, label_settings, outline, set_aliases, set_labels, set_palette
from .product import Result
from .threshold import threshold_renderer

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


def _pixels(result: Result) -> dict[str, Any]:
    return result.get("figures", {}).get("pixels") or {}


def _shown(result: Result) -> list[FloodClass]:
    """The classes that occur; all where nothing is known of them."""
    pixels = _pixels(result)
    return [c for c in FLOOD_CLASSES if pixels.get(c.key, 1)] or [FLOOD_CLASSES[0]]


def run_percent(result: Result) -> int:
    """The probability (per cent) from which the run called it water."""
    return int(result.get("parameters", {}).get("probability") or 50)


def style_flood(layer: QgsMapLayer, result: Result) -> None:
    """The classes that occur, each in its colour."""
    set_palette(layer, [(c.value, c.name, c.color) for c in _shown(result)])


def style_excluded(layer: QgsMapLayer, result: Result) -> None:
    """The reasons for which valid input was set aside."""
    set_palette(layer, EXCLUDED_REASONS)


def style_probability(layer: QgsMapLayer, result: Result) -> None:
    """What is water at the run's threshold."""
    pixels = _pixels(result)
    value = WATER if pixels.get("water") and not pixels.get("flood") else FLOOD
    color = next(c.color for c in FLOOD_CLASSES if c.value == value)
    layer.setRenderer(threshold_renderer(layer, run_percent(result), color))


def style_polygons(layer: QgsVectorLayer, result: Result) -> None:
    """Outlines by class."""
    classes = [c for c in _shown(result) if c.value in (FLOOD, REFERENCE_WATER, WATER)] or [FLOOD_CLASSES[0]]
    layer.setRenderer(
        QgsCategorizedSymbolRenderer("class", [QgsRendererCategory(c.name, outline(c.color), c.name) for c in classes])
    )
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression("\"class\" || ', ' || format_number(\"area_m2\" / 10000, 1) || ' ha'")
    layer.setMapTipTemplate(
        '<b>[% "class" %]</b><br>[% format_number("area_m2" / 10000, 2) %] ha<br>'
        'mean water probability [% round("mean_probability") %] %<br>[% "observed_at" %]'
    )


def style_zones(layer: QgsVectorLayer, result: Result) -> None:
    """Outlines graded and labelled by flooded area."""
    rows = result.get("figures", {}).get("zones") or []
    breaks = area_breaks([row["flooded_best_m2"] for row in rows if row.get("flooded_best_m2") is not None])
    ranges = []
    for number, (low, high) in enumerate(zip(breaks, breaks[1:])):
        color = _ZONE_COLORS[round(number * (len(_ZONE_COLORS) - 1) / max(1, len(breaks) - 2))]
        ranges.append(QgsRendererRange(low, high, outline(color, 0.6), f"{low:.2f} – {high:.2f} km² flooded"))
    plain = QgsSingleSymbolRenderer(outline("#495057", 0.6))
    layer.setRenderer(QgsGraduatedSymbolRenderer(_KM2, ranges) if ranges else plain)
    set_labels(layer, label_settings("\"zone_id\" || '\n' || format_number(" + _KM2 + ", 2) || ' km²'"))
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression("\"zone_id\" || ', ' || format_number(" + _KM2 + ", 2) || ' km² flooded'")
    layer.setMapTipTemplate(
        '<b>[% "zone_id" %]</b><br>flooded [% format_number(' + _KM2 + ", 2) %] km² "
        '([% format_number("flooded_low_m2" / 1e6, 2) %] to [% format_number("flooded_high_m2" / 1e6, 2) %])<br>'
        '[% format_number("observed_percent", 0) %] % observed'
    )

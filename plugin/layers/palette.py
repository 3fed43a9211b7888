"""Short ways to the styles that several products have: paletted rasters, outlines, labels, names of fields."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape

from qgis.core import (
    QgsFillSymbol,
    QgsPalettedRasterRenderer,
    QgsPalLayerSettings,
    QgsRasterLayer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtGui import QColor


def set_palette(layer: QgsRasterLayer, entries: Iterable[tuple[int, str, str]]) -> None:
    """Values with name and colour; other values are not drawn."""
    classes = [QgsPalettedRasterRenderer.Class(value, QColor(color), name) for value, name, color in entries]
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))


def outline(color: str, width_mm: float = 0.4) -> QgsFillSymbol:
    """A line around polygons, nothing inside: a fill would change the colours of the map below."""
    return QgsFillSymbol.createSimple(
        {
            "style": "no",
            "outline_color": color,
            "outline_width": str(width_mm),
            "outline_style": "solid",
            "joinstyle": "round",
        }
    )


def cased_outline(color: str) -> QgsFillSymbol:
    """A line with a white rim, which shows on a map of its own colour too."""
    symbol, line = outline("#ffffff", 1.8), outline(color, 0.9)
    symbol.appendSymbolLayer(line.symbolLayer(0).clone())
    return symbol


def label_settings(expression: str, *, size: float = 9) -> QgsPalLayerSettings:
    """Dark text with a light halo, readable on any map."""
    text = QgsTextFormat()
    text.setSize(size)
    text.setColor(QColor("#212529"))
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(0.8)
    halo.setColor(QColor(255, 255, 255, 210))
    text.setBuffer(halo)
    settings = QgsPalLayerSettings()
    settings.setFormat(text)
    settings.isExpression = True
    settings.fieldName = expression
    return settings


def set_labels(layer: QgsVectorLayer, settings: QgsPalLayerSettings) -> None:
    """Label every feature."""
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)


def set_aliases(layer: QgsVectorLayer, aliases: Mapping[str, str]) -> None:
    """What fields are called in forms and tables; fields that are not there are passed over."""
    for field, alias in aliases.items():
        index = layer.fields().lookupField(field)
        if index >= 0:
            layer.setFieldAlias(index, alias)


def tip_text(text: str) -> str:
    """A text as it stands in a map tip, which is HTML with expressions in ``[% %]``."""
    return escape(text).replace("[%", "[&#37;")


def quoted(text: str) -> str:
    """A text as it stands in a QGIS expression."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


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

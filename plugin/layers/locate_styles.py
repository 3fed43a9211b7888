"""The styles of a search for photos: arrows along the heading, the first standing out; a see-through heat map."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsColorRampShader,
    QgsFeatureRequest,
    QgsMarkerSymbol,
    QgsPalLayerSettings,
    QgsProperty,
    QgsRasterLayer,
    QgsRasterShader,
    QgsRuleBasedLabeling,
    QgsRuleBasedRenderer,
    QgsSingleBandPseudoColorRenderer,
    QgsSingleSymbolRenderer,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from .palette import cased_outline, label_settings, quoted, set_aliases
from .product import Result

BEST, GOOD, FURTHER, DOUBTED = "#e8590c", "#1f4e9e", "#7b8794", "#ffffff"
"""Colours of the first candidate, of ranks 2 to 5, of those behind, and of photos with no match."""
NORTH = (
    'coalesce(degrees(azimuth(transform(make_point("lon", "lat"), \'EPSG:4326\', @map_crs), '
    'transform(make_point("lon", "lat" + 0.0001), \'EPSG:4326\', @map_crs))), 0)'
)
"""Where true north lies on the map, clockwise from its upper edge (before the map is turned)."""
TURNED = f'coalesce("heading_deg", 0) + {NORTH}'
PERCENT = (
    'CASE WHEN "probability" > 0 AND "probability" < 0.01 THEN \'< 1 %\' '
    'WHEN "probability" > 0.99 AND "probability" < 1 THEN \'> 99 %\' '
    "ELSE round(100 * \"probability\") || ' %' END"
)
"""The probability as :func:`plugin.gui.locate.answer_text.percent` says it: what is not nothing is never 0 %."""
_SIZES = ((BEST, 7.0), (GOOD, 5.2), (FURTHER, 3.8))
_HEAT = (
    (0, "#ffd43b", 0, "0"),
    (5, "#ffd43b", 65, "5"),
    (15, "#ff922b", 130, "15"),
    (40, "#e03131", 175, "40"),
    (100, "#862e9c", 205, "100 (likeliest cell)"),
)
"""Per cent, colour, opacity (0 to 255) and label of the steps between which the heat map's colours run."""
_ALIASES = {
    "photo": "Photo",
    "rank": "Rank",
    "score": "Score",
    "probability": "Probability within the radius",
    "heading_deg": "Heading (°)",
    "radius_m": "Radius (m)",
    "probability_25m": "Probability within 25 m",
    "probability_100m": "Probability within 100 m",
    "lon": "Longitude",
    "lat": "Latitude",
}

_AREA_ALIASES = {
    "method": "Method",
    "cell_m": "Metres between cells",
    "cells": "Cells",
    "gaps": "Cells without imagery",
    "imagery_date": "Date of the imagery",
    "attribution": "Attribution",
    "updated": "Made or added to at",
}


def photo_rows(result: Result) -> list[dict[str, Any]]:
    """The photos of a search: ``photo``, ``match``, ``best``."""
    rows = result.get("figures", {}).get("photos")
    return rows if isinstance(rows, list) else []


def style_candidates(layer: QgsVectorLayer, result: Result) -> None:
    """Arrows by rank, hollow for photos that have no match; a dot where the heading is not known."""
    doubted = [str(row.get("photo")) for row in photo_rows(result) if not row.get("match")]
    root = QgsRuleBasedRenderer.Rule(None)
    for title, where, color, size in _groups(doubted, len(photo_rows(result))):
        for known in (True, False):
            test = f'({where}) AND "heading_deg" IS {"NOT NULL" if known else "NULL"}'
            rule = QgsRuleBasedRenderer.Rule(marker(color, size, arrow=known), 0, 0, test)
            rule.setLabel(title if known else f"{title}, heading unknown")
            if known or not _always_known(layer):
                root.appendChild(rule)
    renderer = QgsRuleBasedRenderer(root)
    # The first candidate is drawn last, above all others.
    renderer.setOrderBy(QgsFeatureRequest.OrderBy([QgsFeatureRequest.OrderByClause('"rank"', False)]))
    renderer.setOrderByEnabled(True)
    layer.setRenderer(renderer)
    _label(layer, many=len(photo_rows(result)) > 1)
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression('"photo" || \' · \' || "rank"')
    layer.setMapTipTemplate(
        f'<b>[% "photo" %] · candidate [% "rank" %]</b><br>[% {PERCENT} %] within '
        "[% \"radius_m\" %] m<br>[% if(\"heading_deg\" IS NULL, 'heading unknown', 'heading ' || "
        "round(\"heading_deg\") || '°') %]"
    )


def style_heatmap(layer: QgsRasterLayer, result: Result) -> None:
    """From nothing over yellow and red to violet at the likeliest cell; the map below stays readable."""
    function = QgsColorRampShader(0, 100)
    function.setColorRampType(QgsColorRampShader.Type.Interpolated)
    items = []
    for value, color, alpha, label in _HEAT:
        shade = QColor(color)
        shade.setAlpha(alpha)
        items.append(QgsColorRampShader.ColorRampItem(value, shade, label))
    function.setColorRampItemList(items)
    shader = QgsRasterShader(0, 100)
    shader.setRasterShaderFunction(function)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(0)
    renderer.setClassificationMax(100)
    layer.setRenderer(renderer)


def style_area(layer: QgsVectorLayer, result: Result) -> None:
    """A dashed outline: what lies in it stays readable."""
    symbol = cased_outline(GOOD)
    symbol.symbolLayer(1).setStrokeStyle(Qt.PenStyle.DashLine)
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    set_aliases(layer, _AREA_ALIASES)
    layer.setDisplayExpression('"cells" || \' cells, \' || "method"')


def marker(color: str, size: float, *, arrow: bool) -> QgsSymbol:
    """A dot at the place and, where the heading is known, an arrow from it; ``size`` in mm."""
    rim = "#212529" if color == DOUBTED else "#ffffff"
    symbol = QgsMarkerSymbol.createSimple(
        {"name": "circle", "size": f"{size * 0.42:.2f}", "color": color, "outline_color": rim, "outline_width": "0.3"}
    )
    if arrow:
        head = QgsMarkerSymbol.createSimple(
            {
                "name": "arrow",
                "size": f"{size:.2f}",
                "color": color,
                "outline_color": rim,
                "outline_width": "0.3",
                "offset": f"0,{-size * 0.5:.2f}",
            }
        )
        symbol.insertSymbolLayer(0, head.symbolLayer(0).clone())
        symbol.setDataDefinedAngle(QgsProperty.fromExpression(TURNED))
    return symbol


def _groups(doubted: list[str], photos: int) -> list[tuple[str, str, str, float]]:
    """(title, where, colour, size) of the candidates that are drawn alike, in the order of the legend."""
    names = ", ".join(quoted(name) for name in doubted)
    believed = f'"photo" NOT IN ({names}) AND ' if doubted else ""
    found = []
    if len(doubted) < photos or not photos:
        found = [
            ("First candidate", f'{believed}"rank" = 1', BEST, _SIZES[0][1]),
            ("Rank 2 to 5", f'{believed}"rank" > 1 AND "rank" <= 5', GOOD, _SIZES[1][1]),
            ("Rank 6 and behind", f'{believed}"rank" > 5', FURTHER, _SIZES[2][1]),
        ]
    if doubted:
        found += [
            ("No match: best guess", f'"photo" IN ({names}) AND "rank" = 1', DOUBTED, _SIZES[1][1]),
            ("No match: other guesses", f'"photo" IN ({names}) AND "rank" > 1', DOUBTED, _SIZES[2][1]),
        ]
    return found


def _always_known(layer: QgsVectorLayer) -> bool:
    """Whether every candidate has a heading: then the legend says nothing of those without."""
    field = layer.fields().lookupField("heading_deg")
    return field >= 0 and all(value is not None and str(value) != "NULL" for value in layer.uniqueValues(field))


def _label(layer: QgsVectorLayer, *, many: bool) -> None:
    """Rank and probability of the first five, the photo too where there are several; those in front win the room."""
    who = "\"photo\" || ' · ' || " if many else ""
    text = f"{who}\"rank\" || ' · ' || {PERCENT}"
    root = QgsRuleBasedLabeling.Rule(None)
    for where, size, priority in (('"rank" = 1', 10, 10), ('"rank" > 1 AND "rank" <= 5', 8, 5)):
        settings: QgsPalLayerSettings = label_settings(text, size=size)
        settings.priority = priority
        settings.dist = 2.5  # beside the arrow (mm)
        rule = QgsRuleBasedLabeling.Rule(settings)
        rule.setFilterExpression(where)
        root.appendChild(rule)
    layer.setLabeling(QgsRuleBasedLabeling(root))
    layer.setLabelsEnabled(True)

"""How accepted places of photos look: an arrow in the photo's direction, a dot where it is not known, with its name."""

from __future__ import annotations

from qgis.core import (
    QgsMarkerSymbol,
    QgsProperty,
    QgsRuleBasedRenderer,
    QgsSymbolLayer,
    QgsVectorLayer,
)

from ..compat import scoped
from .palette import label_settings, set_aliases, set_labels

_ALIASES = {
    "photo": "Photo",
    "path": "File",
    "sha256": "SHA-256 of the file",
    "lon": "Longitude",
    "lat": "Latitude",
    "heading_deg": "Heading of the middle (°)",
    "how": "How it was found",
    "rank": "Rank among the candidates",
    "score": "Score",
    "probability": "Probability",
    "radius_m": "Within (m)",
    "index": "Index",
    "method": "Method",
    "imagery": "Imagery",
    "imagery_date": "Imagery taken",
    "result": "Search",
    "reviewer": "Accepted by",
    "decided_at": "Accepted at",
    "note": "Note",
}
_ANGLE = scoped((QgsSymbolLayer, "Property.PropertyAngle"), (QgsSymbolLayer, "Property.Angle"))
_INK, _FILL = "#0b3d2e", "#12b886"


def style_located(layer: QgsVectorLayer) -> None:
    """Dress the layer; nothing of the project is touched."""
    arrow = QgsMarkerSymbol.createSimple(
        {"name": "arrow", "size": "6", "color": _FILL, "outline_color": _INK, "outline_width": "0.4"}
    )
    arrow.symbolLayer(0).setDataDefinedProperty(_ANGLE, QgsProperty.fromField("heading_deg"))
    dot = QgsMarkerSymbol.createSimple(
        {"name": "circle", "size": "3.4", "color": _FILL, "outline_color": _INK, "outline_width": "0.4"}
    )
    root = QgsRuleBasedRenderer.Rule(None)
    root.appendChild(QgsRuleBasedRenderer.Rule(arrow, 0, 0, '"heading_deg" IS NOT NULL', "Located, with its heading"))
    root.appendChild(QgsRuleBasedRenderer.Rule(dot, 0, 0, '"heading_deg" IS NULL', "Located, heading unknown"))
    layer.setRenderer(QgsRuleBasedRenderer(root))
    name = label_settings('"photo"', size=8)
    name.dist = 2.2  # beside the arrow (mm), not on it
    set_labels(layer, name)
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression('"photo"')
    layer.setMapTipTemplate(
        '<b>[% "photo" %]</b><br>[% "how" %]'
        "[% coalesce(', ' || round(100 * \"probability\") || ' % within ' || \"radius_m\" || ' m', '') %]"
        '<br>[% "reviewer" %], [% "decided_at" %]'
    )

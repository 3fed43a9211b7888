"""How accepted places of photos look: green arrows in the photo's direction, dots where it is not known, with names."""

from __future__ import annotations

from qgis.core import QgsRuleBasedRenderer, QgsVectorLayer

from .locate_styles import marker
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
_COLOR = "#0ca678"


def style_located(layer: QgsVectorLayer) -> None:
    """Dress the layer; nothing of the project is touched."""
    root = QgsRuleBasedRenderer.Rule(None)
    for known, title in ((True, "Located"), (False, "Located, heading unknown")):
        test = f'"heading_deg" IS {"NOT NULL" if known else "NULL"}'
        root.appendChild(QgsRuleBasedRenderer.Rule(marker(_COLOR, 5.5, arrow=known), 0, 0, test, title))
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

"""The styles of a change between two land-cover maps."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsRasterLayer, QgsSingleSymbolRenderer, QgsVectorLayer

from .landcover_styles import share_text
from .palette import label_settings, outline, set_aliases, set_labels, set_palette
from .product import Result

_ALIASES = {
    "zone_id": "Zone",
    "changed_m2": "Changed (m²)",
    "compared_m2": "Compared (m²)",
    "observed_percent": "Observed (%)",
}


def transitions(result: Result) -> list[dict[str, Any]]:
    """The changes that occur, by the class that gained, the larger first."""
    rows = result.get("figures", {}).get("transitions") or []
    return [row for row in rows if row.get("pixels", 1)]


def style_change(layer: QgsRasterLayer, result: Result) -> None:
    """What became what, in the colour of the class that it became; no change is not drawn."""
    entries = []
    for row in transitions(result):
        share = share_text(row.get("share"))
        entries.append((int(row["value"]), f"{row['name']} ({share})" if share else row["name"], row["color"]))
    if entries:
        set_palette(layer, entries)


def style_zones(layer: QgsVectorLayer, result: Result) -> None:
    """Outlines labelled with the changed area."""
    layer.setRenderer(QgsSingleSymbolRenderer(outline("#495057", 0.6)))
    set_labels(layer, label_settings("\"zone_id\" || '\\n' || format_number(\"changed_m2\" / 1e6, 2) || ' km²'"))
    set_aliases(layer, _ALIASES)

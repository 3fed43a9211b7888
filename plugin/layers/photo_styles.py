"""How photos look on the map: a dot where each was taken, with a point towards where it looks."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsEditorWidgetSetup, QgsMarkerSymbol, QgsProperty, QgsSingleSymbolRenderer, QgsSymbolLayer
from qgis.core import QgsVectorLayer as Layer
from qgis.PyQt.QtCore import QPointF

from ..compat import scoped
from .palette import label_settings, set_aliases, set_labels

_ANGLE = scoped((QgsSymbolLayer, "Property.Angle"), (QgsSymbolLayer, "Property.PropertyAngle"))
_ENABLED = scoped((QgsSymbolLayer, "Property.LayerEnabled"), (QgsSymbolLayer, "Property.PropertyLayerEnabled"))
_INK, _FILL = "#ffffff", "#1864ab"
_ALIASES = {
    "photo": "File",
    "filename": "Photo",
    "directory": "Folder",
    "altitude": "Altitude (m)",
    "direction": "Looks to (° from true north)",
    "rotation": "Rotation by EXIF (°)",
    "longitude": "Longitude",
    "latitude": "Latitude",
    "timestamp": "Taken",
    "kind": "Kind",
    "width": "Width (pixels)",
    "height": "Height (pixels)",
    "hfov_deg": "Field of view across (°)",
    "vfov_deg": "Field of view up (°)",
    "camera": "Camera",
    "notes": "Notes",
    "thumbnail": "Small picture",
}


def style_photos(layer: Layer, result: dict[str, Any] | None = None) -> None:
    """Dress a layer with the fields of :mod:`engine.photos.points`; nothing of the project is touched."""
    layer.setRenderer(QgsSingleSymbolRenderer(photo_symbol()))
    name = label_settings('"filename"', size=8)
    name.dist = 2.4  # beside the point of the arrow (mm), not on it
    name.scaleVisibility = True
    name.minimumScale, name.maximumScale = 5_000.0, 0.0  # farther away the names of a drive would cover the street
    set_labels(layer, name)
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression('"filename"')
    layer.setMapTipTemplate(_tip(layer))
    link = layer.fields().lookupField("photo")
    if link >= 0:
        # A link and no picture: a form that decodes a panorama keeps the window waiting for a second.
        layer.setEditorWidgetSetup(link, QgsEditorWidgetSetup("ExternalResource", {"UseLink": True, "FullUrl": True}))


def photo_symbol() -> QgsMarkerSymbol:
    """A dot, and in front of it a point that is turned by the field ``direction``; the dot alone without one."""
    outline = {"outline_color": _INK, "outline_width": "0.4"}
    symbol = QgsMarkerSymbol.createSimple({"name": "circle", "size": "3", "color": _FILL, **outline})
    other = QgsMarkerSymbol.createSimple({"name": "triangle", "size": "3.2", "color": _FILL, **outline})
    beak = other.symbolLayer(0).clone()
    beak.setOffset(QPointF(0, -2.6))  # turned with the symbol
    beak.setDataDefinedProperty(_ANGLE, QgsProperty.fromExpression('coalesce("direction", 0)'))
    beak.setDataDefinedProperty(_ENABLED, QgsProperty.fromExpression('"direction" IS NOT NULL'))
    symbol.insertSymbolLayer(0, beak)  # under the dot
    return symbol


def _tip(layer: Layer) -> str:
    small = ""
    if layer.fields().lookupField("thumbnail") >= 0:
        picture = "'<img src=\"file:///' || ltrim(\"thumbnail\", '/') || '\"><br>'"
        small = f"[% CASE WHEN \"thumbnail\" <> '' THEN {picture} END %]"
    return (
        f'{small}<b>[% "filename" %]</b><br>'
        "[% CASE WHEN \"kind\" = 'panorama' THEN '360° panorama' WHEN \"kind\" = 'strip' THEN 'part of a panorama' "
        "ELSE 'photo of one lens' END %]"
        "[% coalesce(', looks to ' || round(\"direction\") || '°', '') %]"
    )

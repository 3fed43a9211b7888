"""Brings places to the middle of the map, whatever its CRS."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsReferencedRectangle,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QColor

_FLASH = QColor("#ffe600")


def zoom_to(canvas: QgsMapCanvas, box: QgsReferencedRectangle, *, margin: float = 1.1) -> str:
    """Show a rectangle on the map; one line where it cannot be shown there, else the empty string."""
    try:
        shown = _transform(box.crs(), canvas).transformBoundingBox(box)
    except QgsCsException:
        return QCoreApplication.translate("SameScene", "The map's CRS cannot show this place.")
    shown.scale(margin)
    canvas.setExtent(shown)
    canvas.refresh()
    return ""


def zoom_to_place(canvas: QgsMapCanvas, lon: float, lat: float, half_m: float) -> str:
    """Show the ground within ``half_m`` metres of a place in degrees, and flash it; as :func:`zoom_to` answers."""
    from .circles import WGS84, circle

    degrees = QgsCoordinateReferenceSystem(WGS84)
    try:
        around = circle(lon, lat, half_m).boundingBox()
    except (ValueError, QgsCsException):
        return QCoreApplication.translate("SameScene", "There is no such place on the map.")
    fault = zoom_to(canvas, QgsReferencedRectangle(around, degrees), margin=1.0)
    if not fault:
        canvas.flashGeometries([QgsGeometry.fromPointXY(QgsPointXY(lon, lat))], degrees, _FLASH, QColor(255, 230, 0, 0))
    return fault


def _transform(crs: QgsCoordinateReferenceSystem, canvas: QgsMapCanvas) -> QgsCoordinateTransform:
    return QgsCoordinateTransform(crs, canvas.mapSettings().destinationCrs(), QgsProject.instance())

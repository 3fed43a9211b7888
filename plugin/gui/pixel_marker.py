"""Marks the pixel to be labelled on the map."""

from __future__ import annotations

import math

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtGui import QColor

from ..compat import scoped

_POLYGON = scoped((Qgis, "GeometryType.Polygon"), (QgsWkbTypes, "GeometryType.PolygonGeometry"))


class PixelMarker:
    """Two outlines, dark around light, so that one of them stands out on any ground."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        self._canvas = canvas
        self._bands = []
        for color, width in ((QColor(0, 0, 0, 200), 5), (QColor("#ffe600"), 2)):
            band = QgsRubberBand(canvas, _POLYGON)
            band.setStrokeColor(color)
            band.setFillColor(QColor(0, 0, 0, 0))
            band.setWidth(width)
            band.hide()
            self._bands.append(band)

    def show(self, square: list[QgsPointXY]) -> None:
        """Mark a square that is given by its corners in the canvas's CRS."""
        for band in self._bands:
            band.setToGeometry(QgsGeometry.fromPolygonXY([square]), None)
            band.show()

    def clear(self) -> None:
        """Mark nothing."""
        for band in self._bands:
            band.reset(_POLYGON)
            band.hide()

    def remove(self) -> None:
        """Take the outlines out of the canvas for good."""
        for band in self._bands:
            self._canvas.scene().removeItem(band)
        self._bands.clear()


class PixelGrid:
    """The pixels of a map: the square around a point. Without a map that can be opened squares have 10 m sides."""

    SIDE_M = 10.0

    def __init__(self, map_path: str) -> None:
        layer = QgsRasterLayer(map_path, "map", "gdal") if map_path else None
        self._extent, self._crs, self._size = None, QgsCoordinateReferenceSystem(), (0.0, 0.0)
        if layer is not None and layer.isValid() and layer.width() and layer.height():
            self._extent, self._crs = layer.extent(), layer.crs()
            self._size = (layer.extent().width() / layer.width(), layer.extent().height() / layer.height())

    def square(
        self, place: QgsPointXY, crs: QgsCoordinateReferenceSystem, canvas_crs: QgsCoordinateReferenceSystem
    ) -> list[QgsPointXY]:
        """Corners, in the canvas's CRS, of the pixel that a point of ``crs`` lies in; raises QgsCsException."""
        if self._extent is None or not self._crs.isValid():
            center = _moved(place, crs, canvas_crs)
            half = self.SIDE_M / 2 if not canvas_crs.isGeographic() else self.SIDE_M / 2 / 111_320
            return [QgsPointXY(center.x() + dx * half, center.y() + dy * half) for dx, dy in _CORNERS]
        inside = _moved(place, crs, self._crs)
        wide, high = self._size
        left = self._extent.xMinimum() + wide * math.floor((inside.x() - self._extent.xMinimum()) / wide)
        top = self._extent.yMaximum() - high * math.floor((self._extent.yMaximum() - inside.y()) / high)
        corners = [QgsPointXY(left + x * wide, top - y * high) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))]
        return [_moved(corner, self._crs, canvas_crs) for corner in corners]


_CORNERS = ((-1, 1), (1, 1), (1, -1), (-1, -1), (-1, 1))


def _moved(point: QgsPointXY, source: QgsCoordinateReferenceSystem, target: QgsCoordinateReferenceSystem) -> QgsPointXY:
    if not source.isValid() or not target.isValid():
        raise QgsCsException("a CRS is missing")
    return QgsCoordinateTransform(source, target, QgsProject.instance()).transform(point)

"""The map tool that draws the area of interest: drag a rectangle, or click a polygon."""

from __future__ import annotations

from qgis.core import Qgis, QgsGeometry, QgsPointXY, QgsRectangle, QgsWkbTypes
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor

from ..compat import scoped

_STROKE, _FILL = QColor("#2B6CC4"), QColor(47, 164, 231, 50)


def _polygon():
    return scoped((Qgis, "GeometryType.Polygon"), (QgsWkbTypes, "GeometryType.PolygonGeometry"))


class DrawAreaTool(QgsMapTool):
    """Press, drag and release for a rectangle; click corner by corner for a polygon, right click (or Enter) ends it.

    Escape drops what was begun. :attr:`drawn` carries the polygon in the canvas's CRS; the rubber band stays on the
    map until :meth:`clear`.
    """

    drawn = pyqtSignal(QgsGeometry)
    stopped = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self._band = QgsRubberBand(canvas, _polygon())
        self._band.setStrokeColor(_STROKE)
        self._band.setFillColor(_FILL)
        self._band.setWidth(2)
        self._points: list[QgsPointXY] = []
        self._press = None

    def show_area(self, geometry: QgsGeometry) -> None:
        """Show an area in the canvas's CRS without drawing."""
        self._band.setToGeometry(geometry, None)

    def clear(self) -> None:
        """Take the drawing off the map."""
        self._points, self._press = [], None
        self._band.reset(_polygon())

    def remove(self) -> None:
        """Take the rubber band out of the canvas for good."""
        self.clear()
        self.canvas().scene().removeItem(self._band)

    def canvasPressEvent(self, event):
        if event.button() == Qt.MouseButton.LeftButton:
            self._press = (event.pos(), self.toMapCoordinates(event.pos()))

    def canvasMoveEvent(self, event):
        here = self.toMapCoordinates(event.pos())
        if self._press and not self._points and self._dragged(event.pos()):
            self._band.setToGeometry(QgsGeometry.fromRect(QgsRectangle(self._press[1], here)), None)
        elif self._points:
            self._band.setToGeometry(QgsGeometry.fromPolygonXY([[*self._points, here]]), None)

    def canvasReleaseEvent(self, event):
        if event.button() == Qt.MouseButton.RightButton:
            self._finish_polygon()
            return
        if self._press is None:
            return
        pressed, start = self._press
        self._press = None
        if not self._points and self._dragged(event.pos(), pressed):
            self._emit(QgsGeometry.fromRect(QgsRectangle(start, self.toMapCoordinates(event.pos()))))
        else:
            self._points.append(start)

    def keyPressEvent(self, event):
        if event.key() == Qt.Key.Key_Escape:
            self.clear()
            self.stopped.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._finish_polygon()

    def _dragged(self, position, pressed=None) -> bool:
        pressed = pressed or self._press[0]
        return (position - pressed).manhattanLength() > 6

    def _finish_polygon(self) -> None:
        if len(self._points) >= 3:
            self._emit(QgsGeometry.fromPolygonXY([self._points]))
        else:
            self.clear()

    def _emit(self, geometry: QgsGeometry) -> None:
        if not geometry.isGeosValid():
            geometry = geometry.makeValid()
        self._points, self._press = [], None
        self._band.setToGeometry(geometry, None)
        self.drawn.emit(geometry)

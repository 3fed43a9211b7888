"""The square of a scene around a clicked point, and the map tool that is clicked with."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)
from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt.QtCore import Qt, pyqtSignal


class PreviewTool(QgsMapTool):
    """:attr:`clicked` carries the place of a left click in the canvas's CRS; :attr:`left` follows Escape."""

    clicked = pyqtSignal(QgsPointXY)
    left = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def canvasReleaseEvent(self, event):
        if event.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(self.toMapCoordinates(event.pos()))

    def keyPressEvent(self, event):
        if event.key() == Qt.Key.Key_Escape:
            self.left.emit()


def square_around(
    point: QgsPointXY, crs: QgsCoordinateReferenceSystem, scene: QgsRasterLayer, side: int
) -> QgsReferencedRectangle | None:
    """``side`` × ``side`` pixels of the scene around a point of ``crs``, cut at the scene's edges, in the scene's CRS.

    None where the point is not on the scene.
    """
    try:
        place = QgsCoordinateTransform(crs, scene.crs(), QgsProject.instance()).transform(point)
    except QgsCsException:
        return None
    extent = scene.extent()
    if not extent.contains(place) or not scene.width() or not scene.height():
        return None
    wide = side * extent.width() / scene.width() / 2
    high = side * extent.height() / scene.height() / 2
    square = QgsRectangle(place.x() - wide, place.y() - high, place.x() + wide, place.y() + high).intersect(extent)
    return QgsReferencedRectangle(square, scene.crs())

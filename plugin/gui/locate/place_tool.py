"""Clicking a place on QGIS's map: the tool, and giving the map back the tool that it had."""

from __future__ import annotations

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..preview_area import PreviewTool


class PlaceTool(QObject):
    """:attr:`clicked` carries a place in degrees (EPSG:4326); :attr:`left` follows Escape and another tool."""

    clicked = pyqtSignal(QgsPointXY)
    left = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._tool = PreviewTool(canvas)
        self._earlier = None
        self._tool.clicked.connect(self._clicked)
        self._tool.left.connect(self.left)
        self._tool.deactivated.connect(self.left)

    @property
    def active(self) -> bool:
        """Whether clicks on the map are taken."""
        return self._canvas.mapTool() is self._tool

    def set_active(self, on: bool) -> None:
        """Take the clicks, or give the map back its tool."""
        if on == self.active:
            return
        if on:
            self._earlier = self._canvas.mapTool()
            self._canvas.setMapTool(self._tool)
        elif self._earlier is not None:
            self._canvas.setMapTool(self._earlier)
        else:
            self._canvas.unsetMapTool(self._tool)

    def shut_down(self) -> None:
        """Take no more clicks."""
        self.set_active(False)
        self._tool.deactivated.disconnect(self.left)

    def _clicked(self, point: QgsPointXY) -> None:
        crs = self._canvas.mapSettings().destinationCrs()
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        try:
            self.clicked.emit(QgsCoordinateTransform(crs, degrees, QgsProject.instance()).transform(point))
        except QgsCsException:
            return  # outside of the world: there is no place

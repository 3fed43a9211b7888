"""An area that is drawn on the map: the button that begins it, the map tool, and the polygon that it gave."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from .draw_area import DrawAreaTool
from .icons import icon


class DrawnArea(QWidget):
    """:attr:`geometry` in :attr:`crs`, None until something was drawn. The map tool that was in use comes back."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.geometry: QgsGeometry | None = None
        self.crs = QgsCoordinateReferenceSystem()
        self._earlier_tool = None
        self.draw = QToolButton(self)
        self.draw.setIcon(icon("draw-area"))
        self.draw.setText(self.tr("Draw"))
        self.draw.setCheckable(True)
        self.draw.setToolTip(
            self.tr("Drag a rectangle, or click the corners of a polygon and end with a right click. Escape drops it.")
        )
        self.draw.setAccessibleName(self.tr("Draw the area on the map"))
        self._note = QLabel(self)
        self._note.setEnabled(False)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._note, 1)
        row.addWidget(self.draw)
        self.tool = DrawAreaTool(canvas)
        self.tool.drawn.connect(self._drawn)
        self.tool.stopped.connect(self._drop)
        self.tool.deactivated.connect(lambda: self.draw.setChecked(False))
        self.draw.toggled.connect(self._toggled)
        self._tell()

    def take(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> None:
        """Use a polygon as if it had been drawn."""
        self.geometry, self.crs = geometry, crs
        self._tell()
        self.changed.emit()

    def show_on_map(self, on: bool) -> None:
        """Whether the polygon is shown on the map."""
        if on and self.geometry is not None:
            self.tool.show_area(self.geometry)
        elif not on:
            self.tool.clear()

    def close_tool(self) -> None:
        """Leave the canvas as it was: earlier map tool, no rubber band."""
        self._leave()
        self.tool.remove()

    def _toggled(self, on: bool) -> None:
        if on:
            self._earlier_tool = self._canvas.mapTool()
            self.tool.clear()
            self._canvas.setMapTool(self.tool)
        else:
            self._leave()

    def _leave(self) -> None:
        if self._canvas.mapTool() is not self.tool:
            return
        self._canvas.unsetMapTool(self.tool)
        if self._earlier_tool is not None:
            self._canvas.setMapTool(self._earlier_tool)

    def _drawn(self, geometry: QgsGeometry) -> None:
        self.take(geometry, self._canvas.mapSettings().destinationCrs())
        self.draw.setChecked(False)

    def _drop(self) -> None:
        self.geometry = None
        self.draw.setChecked(False)
        self._tell()
        self.changed.emit()

    def _tell(self) -> None:
        self._note.setText(self.tr("No area drawn yet") if self.geometry is None else self.tr("Area drawn"))


def drawn_layer(geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem, name: str = "Drawn area"):
    """A polygon layer in memory with one area: what a vector parameter of an algorithm takes."""
    from qgis.core import QgsFeature, QgsVectorLayer

    layer = QgsVectorLayer("MultiPolygon", name, "memory")
    layer.setCrs(crs)
    feature = QgsFeature()
    multi = QgsGeometry(geometry)
    multi.convertToMultiType()
    feature.setGeometry(multi)
    layer.dataProvider().addFeatures([feature])
    layer.updateExtents()
    return layer

"""The area of interest: the whole scene, what the map shows, what is drawn on the map, or a polygon layer."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsReferencedRectangle, QgsSettings
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QLabel, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from .draw_area import DrawAreaTool
from .icons import icon, theme_icon
from .layer_picker import POLYGON, LayerPicker

WHOLE, CANVAS, DRAWN, LAYER = range(4)


class AreaPicker(QWidget):
    """Gives the parameter ``AOI_LAYER`` (polygons) or ``AOI_EXTENT`` (a rectangle) or neither."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._drawn: QgsGeometry | None = None
        self._drawn_crs = QgsCoordinateReferenceSystem()
        self._earlier_tool = None
        self.kind = QComboBox(self)
        self.kind.addItem(theme_icon("mActionZoomFullExtent.svg"), self.tr("Whole scene"))
        self.kind.addItem(theme_icon("mActionZoomToLayer.svg"), self.tr("What the map shows"))
        self.kind.addItem(icon("draw-area"), self.tr("Drawn on the map"))
        self.kind.addItem(theme_icon("mIconPolygonLayer.svg"), self.tr("Polygon layer"))
        self.kind.setAccessibleName(self.tr("Area of interest"))
        self.setToolTip(self.tr("Only this area is mapped; its surroundings still help to find the threshold."))
        self.layer = LayerPicker(POLYGON, title=self.tr("Area of interest"), optional=False, parent=self)
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
        drawing = QWidget(self)
        row = QHBoxLayout(drawing)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._note, 1)
        row.addWidget(self.draw)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(drawing)
        self._stack.addWidget(self.layer)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.kind)
        column.addWidget(self._stack)
        self.setFocusProxy(self.kind)
        self._tool = DrawAreaTool(canvas)
        self._tool.drawn.connect(self._take)
        self._tool.stopped.connect(self._drop)
        self._tool.deactivated.connect(self._tool_left)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.draw.toggled.connect(self._draw_toggled)
        self.layer.changed.connect(self.changed)
        self._show()

    def parameters(self) -> dict[str, Any]:
        """``AOI_LAYER`` or ``AOI_EXTENT`` for the algorithm; empty for the whole scene."""
        kind = self.kind.currentIndex()
        if kind == CANVAS:
            crs = self._canvas.mapSettings().destinationCrs()
            return {"AOI_EXTENT": QgsReferencedRectangle(self._canvas.extent(), crs)}
        if kind == DRAWN and self._drawn is not None:
            box = self._drawn.boundingBox()
            if self._drawn.isGeosEqual(QgsGeometry.fromRect(box)):
                return {"AOI_EXTENT": QgsReferencedRectangle(box, self._drawn_crs)}
            return {"AOI_LAYER": drawn_layer(self._drawn, self._drawn_crs)}
        if kind == LAYER and self.layer.value():
            return {"AOI_LAYER": self.layer.value()}
        return {}

    def fault(self) -> str:
        """What is missing, or the empty string."""
        kind = self.kind.currentIndex()
        if kind == DRAWN and self._drawn is None:
            return self.tr("Draw the area on the map, or choose another kind of area.")
        if kind == LAYER and not self.layer.value():
            return self.tr("Choose the polygon layer of the area.")
        return ""

    def drawn_area(self) -> tuple[QgsGeometry | None, QgsCoordinateReferenceSystem]:
        """The drawn polygon with its CRS."""
        return self._drawn, self._drawn_crs

    def take_drawn(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> None:
        """Use a polygon as if it had been drawn."""
        self._drawn, self._drawn_crs = geometry, crs
        self._show()
        self.changed.emit()

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember which kind of area was used, and the layer; a drawing is not kept."""
        settings.setValue(f"{prefix}/area_kind", self.kind.currentIndex())
        settings.setValue(f"{prefix}/area_layer", self.layer.source())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        self.layer.restore(settings.value(f"{prefix}/area_layer", "", type=str))
        kind = settings.value(f"{prefix}/area_kind", WHOLE, type=int)
        if kind == CANVAS or (kind == LAYER and self.layer.value()):
            self.kind.setCurrentIndex(kind)

    def close_tool(self) -> None:
        """Leave the canvas as it was: earlier map tool, no rubber band."""
        if self._canvas.mapTool() is self._tool:
            self._canvas.unsetMapTool(self._tool)
            if self._earlier_tool is not None:
                self._canvas.setMapTool(self._earlier_tool)
        self._tool.remove()

    def _show(self) -> None:
        kind = self.kind.currentIndex()
        self._stack.setVisible(kind in (DRAWN, LAYER))
        self._stack.setCurrentIndex(1 if kind == LAYER else 0)
        self._note.setText(self.tr("No area drawn yet") if self._drawn is None else self.tr("Area drawn"))
        if kind == DRAWN and self._drawn is not None:
            self._tool.show_area(self._drawn)
        elif kind != DRAWN:
            self._tool.clear()

    def _kind_changed(self) -> None:
        self._show()
        wants_drawing = self.kind.currentIndex() == DRAWN and self._drawn is None and self.isVisible()
        self.draw.setChecked(wants_drawing)
        self.changed.emit()

    def _draw_toggled(self, on: bool) -> None:
        if on:
            self._earlier_tool = self._canvas.mapTool()
            self._tool.clear()
            self._canvas.setMapTool(self._tool)
        elif self._canvas.mapTool() is self._tool:
            if self._earlier_tool is not None:
                self._canvas.setMapTool(self._earlier_tool)
            else:
                self._canvas.unsetMapTool(self._tool)

    def _take(self, geometry: QgsGeometry) -> None:
        self.take_drawn(geometry, self._canvas.mapSettings().destinationCrs())
        self.draw.setChecked(False)

    def _drop(self) -> None:
        self._drawn = None
        self.draw.setChecked(False)
        self._show()
        self.changed.emit()

    def _tool_left(self) -> None:
        self.draw.setChecked(False)


def drawn_layer(geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem):
    """A polygon layer in memory with the drawn area: what the algorithm's AOI parameter takes."""
    from qgis.core import QgsFeature, QgsVectorLayer

    layer = QgsVectorLayer("MultiPolygon", "Drawn area", "memory")
    layer.setCrs(crs)
    feature = QgsFeature()
    multi = QgsGeometry(geometry)
    multi.convertToMultiType()
    feature.setGeometry(multi)
    layer.dataProvider().addFeatures([feature])
    layer.updateExtents()
    return layer

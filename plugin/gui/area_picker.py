"""The area of interest: the whole scene, what the map shows, what is drawn on the map, or a polygon layer."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsReferencedRectangle, QgsSettings
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QStackedWidget, QVBoxLayout, QWidget

from .drawn_area import DrawnArea, drawn_layer
from .icons import icon, theme_icon
from .layer_picker import POLYGON, LayerPicker

WHOLE, CANVAS, DRAWN, LAYER = range(4)


class AreaPicker(QWidget):
    """Gives the parameter ``AOI_LAYER`` (polygons) or ``AOI_EXTENT`` (a rectangle) or neither."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.kind = QComboBox(self)
        self.kind.addItem(theme_icon("mActionZoomFullExtent.svg"), self.tr("Whole scene"))
        self.kind.addItem(theme_icon("mActionZoomToLayer.svg"), self.tr("What the map shows"))
        self.kind.addItem(icon("draw-area"), self.tr("Drawn on the map"))
        self.kind.addItem(theme_icon("mIconPolygonLayer.svg"), self.tr("Polygon layer"))
        self.kind.setAccessibleName(self.tr("Area of interest"))
        self.setToolTip(self.tr("Only this area is mapped; its surroundings still help to find the threshold."))
        self.layer = LayerPicker(POLYGON, title=self.tr("Area of interest"), optional=False, parent=self)
        self.drawing = DrawnArea(canvas, self)
        self.draw, self._tool = self.drawing.draw, self.drawing.tool
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.drawing)
        self._stack.addWidget(self.layer)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.kind)
        column.addWidget(self._stack)
        self.setFocusProxy(self.kind)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.drawing.changed.connect(self._drawing_changed)
        self.layer.changed.connect(self.changed)
        self._show()

    def parameters(self) -> dict[str, Any]:
        """``AOI_LAYER`` or ``AOI_EXTENT`` for the algorithm; empty for the whole scene."""
        kind = self.kind.currentIndex()
        if kind == CANVAS:
            crs = self._canvas.mapSettings().destinationCrs()
            return {"AOI_EXTENT": QgsReferencedRectangle(self._canvas.extent(), crs)}
        drawn, crs = self.drawn_area()
        if kind == DRAWN and drawn is not None:
            box = drawn.boundingBox()
            if drawn.isGeosEqual(QgsGeometry.fromRect(box)):
                return {"AOI_EXTENT": QgsReferencedRectangle(box, crs)}
            return {"AOI_LAYER": drawn_layer(drawn, crs)}
        if kind == LAYER and self.layer.value():
            return {"AOI_LAYER": self.layer.value()}
        return {}

    def fault(self) -> str:
        """What is missing, or the empty string."""
        kind = self.kind.currentIndex()
        if kind == DRAWN and self.drawing.geometry is None:
            return self.tr("Draw the area on the map, or choose another kind of area.")
        if kind == LAYER and not self.layer.value():
            return self.tr("Choose the polygon layer of the area.")
        return ""

    def drawn_area(self) -> tuple[QgsGeometry | None, QgsCoordinateReferenceSystem]:
        """The drawn polygon with its CRS."""
        return self.drawing.geometry, self.drawing.crs

    def take_drawn(self, geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem) -> None:
        """Use a polygon as if it had been drawn."""
        self.drawing.take(geometry, crs)

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
        self.drawing.close_tool()

    def _show(self) -> None:
        kind = self.kind.currentIndex()
        self._stack.setVisible(kind in (DRAWN, LAYER))
        self._stack.setCurrentIndex(1 if kind == LAYER else 0)
        self.drawing.show_on_map(kind == DRAWN)

    def _kind_changed(self) -> None:
        self._show()
        wants_drawing = self.kind.currentIndex() == DRAWN and self.drawing.geometry is None and self.isVisible()
        self.draw.setChecked(wants_drawing)
        self.changed.emit()

    def _drawing_changed(self) -> None:
        self._show()
        self.changed.emit()

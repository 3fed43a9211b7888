"""Where to search: what the map shows, what is drawn on it, a polygon layer, or a circle round a prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsReferencedRectangle,
    QgsSettings,
)
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from ..drawn_area import DrawnArea, drawn_layer
from ..form_parts import narrow_combo
from ..icons import icon, theme_icon
from ..layer_picker import POLYGON, LayerPicker
from .circle_picker import CirclePicker
from .circles import WGS84

if TYPE_CHECKING:
    from ...photos.facts import PhotoSet

CANVAS, CIRCLE, DRAWN, LAYER = range(4)


class RegionPicker(QWidget):
    """Gives the parameter ``REGION`` (polygons) or ``EXTENT`` (a rectangle)."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, photos: PhotoSet | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.kind = narrow_combo(self)
        self.kind.addItem(theme_icon("mActionZoomToLayer.svg"), self.tr("What the map shows"))
        self.kind.addItem(theme_icon("mActionAddCircleCenterPoint.svg"), self.tr("Around a place or photo"))
        self.kind.addItem(icon("draw-area"), self.tr("Drawn on the map"))
        self.kind.addItem(theme_icon("mIconPolygonLayer.svg"), self.tr("Polygon layer"))
        self.kind.setAccessibleName(self.tr("Region"))
        self.setToolTip(self.tr("Photos are searched in this region only: as small as is certain, as large as needed."))
        self.circle = CirclePicker(canvas, photos, self)
        self.drawing = DrawnArea(canvas, self)
        self.layer = LayerPicker(POLYGON, title=self.tr("Region"), optional=False, parent=self)
        self._stack = QStackedWidget(self)
        for part in (self.circle, self.drawing, self.layer):
            self._stack.addWidget(part)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.kind)
        column.addWidget(self._stack)
        self.setFocusProxy(self.kind)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        for part in (self.circle, self.drawing, self.layer):
            part.changed.connect(self._part_changed)
        canvas.extentsChanged.connect(self._map_moved)
        self._show()

    def parameters(self) -> dict[str, Any]:
        """``EXTENT`` or ``REGION`` for the algorithm; empty where nothing is chosen yet."""
        kind = self.kind.currentIndex()
        if kind == CANVAS:
            crs = self._canvas.mapSettings().destinationCrs()
            return {"EXTENT": QgsReferencedRectangle(self._canvas.extent(), crs)}
        if kind == LAYER:
            return {"REGION": self.layer.value()} if self.layer.value() else {}
        polygon, crs = self._polygon()
        if polygon is None:
            return {}
        box = polygon.boundingBox()
        if polygon.isGeosEqual(QgsGeometry.fromRect(box)):
            return {"EXTENT": QgsReferencedRectangle(box, crs)}
        return {"REGION": drawn_layer(polygon, crs, self.tr("Region"))}

    def key(self) -> tuple[str, ...]:
        """Equal for regions that are the same."""
        kind = self.kind.currentIndex()
        if kind == CANVAS:
            return (self._canvas.extent().asWktPolygon(), self._canvas.mapSettings().destinationCrs().authid())
        if kind == LAYER:
            return (str(self.layer.value()), self.layer.source())
        polygon, crs = self._polygon()
        return (polygon.asWkt(8) if polygon is not None else "", crs.authid())

    def fault(self) -> str:
        """What is missing, or the empty string."""
        kind = self.kind.currentIndex()
        if kind == CANVAS and self._canvas.extent().isEmpty():
            return self.tr("The map shows nothing yet: add the imagery to the project and zoom to the region.")
        if kind == CIRCLE:
            return self.circle.fault()
        if kind == DRAWN:
            if self.drawing.geometry is None:
                return self.tr("Draw the region on the map, or choose another kind of region.")
            if self.drawing.geometry.area() <= 0:
                return self.tr("The drawn region has no area: draw it again.")
        if kind == LAYER and not self.layer.value():
            return self.tr("Choose the polygon layer of the region.")
        return ""

    def bounds(self) -> QgsReferencedRectangle | None:
        """About where the region lies, to zoom to it; None where it is not known."""
        kind = self.kind.currentIndex()
        if kind == CANVAS:
            return QgsReferencedRectangle(self._canvas.extent(), self._canvas.mapSettings().destinationCrs())
        if kind == LAYER:
            layer = self.layer.layer()
            return QgsReferencedRectangle(layer.extent(), layer.crs()) if layer is not None else None
        polygon, crs = self._polygon()
        return QgsReferencedRectangle(polygon.boundingBox(), crs) if polygon is not None else None

    def use_degrees(self, west: float, south: float, east: float, north: float) -> None:
        """Take a rectangle in degrees as if it had been drawn."""
        crs = self._canvas.mapSettings().destinationCrs()
        polygon = QgsGeometry.fromPolygonXY([[*_corners(west, south, east, north)]])
        try:
            degrees = QgsCoordinateReferenceSystem(WGS84)
            polygon.transform(QgsCoordinateTransform(degrees, crs, QgsProject.instance()))
        except QgsCsException:
            crs = QgsCoordinateReferenceSystem(WGS84)
            polygon = QgsGeometry.fromPolygonXY([[*_corners(west, south, east, north)]])
        self.kind.setCurrentIndex(DRAWN)
        self.drawing.draw.setChecked(False)
        self.drawing.take(polygon, crs)

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember which kind of region was used, radius and layer; drawings and clicked places are not kept."""
        settings.setValue(f"{prefix}/region_kind", self.kind.currentIndex())
        settings.setValue(f"{prefix}/region_radius", self.circle.radius.value())
        settings.setValue(f"{prefix}/region_layer", self.layer.source())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        self.layer.restore(settings.value(f"{prefix}/region_layer", "", type=str))
        self.circle.radius.setValue(settings.value(f"{prefix}/region_radius", 500.0, type=float))
        kind = settings.value(f"{prefix}/region_kind", CANVAS, type=int)
        if kind in (CANVAS, CIRCLE) or (kind == LAYER and self.layer.value()):
            self.kind.setCurrentIndex(kind)

    def close_tool(self) -> None:
        """Leave the canvas as it was: earlier map tool, no rubber bands."""
        self._canvas.extentsChanged.disconnect(self._map_moved)
        self.drawing.close_tool()
        self.circle.close_tool()

    def show_on_map(self, on: bool) -> None:
        """Whether the region is drawn on the map: only while its page is in front."""
        kind = self.kind.currentIndex()
        self.drawing.show_on_map(on and kind == DRAWN)
        self.circle.show_on_map(on and kind == CIRCLE)

    def _polygon(self) -> tuple[QgsGeometry | None, QgsCoordinateReferenceSystem]:
        if self.kind.currentIndex() == CIRCLE:
            return self.circle.region(), QgsCoordinateReferenceSystem(WGS84)
        return self.drawing.geometry, self.drawing.crs

    def _show(self) -> None:
        kind = self.kind.currentIndex()
        self._stack.setVisible(kind != CANVAS)
        if kind != CANVAS:
            self._stack.setCurrentIndex(kind - 1)
        self.show_on_map(self.isVisible())

    def _kind_changed(self) -> None:
        self._show()
        kind, seen = self.kind.currentIndex(), self.isVisible()
        self.drawing.draw.setChecked(kind == DRAWN and self.drawing.geometry is None and seen)
        self.circle.pick.setChecked(kind == CIRCLE and not self.circle.places() and seen)
        self.changed.emit()

    def _part_changed(self) -> None:
        self.show_on_map(self.isVisible())
        self.changed.emit()

    def _map_moved(self) -> None:
        if self.kind.currentIndex() == CANVAS:
            self.changed.emit()


def _corners(west: float, south: float, east: float, north: float) -> list[QgsPointXY]:
    return [QgsPointXY(x, y) for x, y in ((west, north), (east, north), (east, south), (west, south), (west, north))]

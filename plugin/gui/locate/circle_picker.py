"""The region around a prior: a radius about a photo's position, or about a place that is clicked on the map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsWkbTypes,
)
from qgis.gui import QgsMapCanvas, QgsMapToolEmitPoint, QgsRubberBand
from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from ...compat import scoped
from ..form_parts import number
from ..icons import theme_icon
from .circles import WGS84, circles

if TYPE_CHECKING:
    from ...photos.facts import PhotoSet

CLICKED, ALL = "", "*"
_POLYGON = scoped((Qgis, "GeometryType.Polygon"), (QgsWkbTypes, "GeometryType.PolygonGeometry"))


class CirclePicker(QWidget):
    """:meth:`region` is a polygon in EPSG:4326, or None until there is a place; it is shown on the map while the widget
    is in use (:meth:`show_on_map`)."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, photos: PhotoSet | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas, self._photos = canvas, photos
        self._clicked: tuple[float, float] | None = None
        self._earlier_tool = None
        self._shown = False
        self.around = QComboBox(self)
        self.around.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.around.setMinimumContentsLength(8)
        self.around.setAccessibleName(self.tr("Place that the region lies around"))
        self.pick = QToolButton(self)
        self.pick.setIcon(theme_icon("mActionCapturePoint.svg"))
        self.pick.setCheckable(True)
        self.pick.setToolTip(self.tr("Click the place on the map"))
        self.pick.setAccessibleName(self.pick.toolTip())
        self.radius = number(self, 20, 100_000, 500, 0, " m")
        self.radius.setSingleStep(50)
        self.radius.setPrefix(self.tr("within "))
        self.radius.setAccessibleName(self.tr("Radius of the region"))
        self.radius.setToolTip(self.tr("How far off the photo may have been taken: the region is this circle"))
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.around, 1)
        row.addWidget(self.pick)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.radius)
        self._band = QgsRubberBand(canvas, _POLYGON)
        self._band.setStrokeColor(QColor("#2B6CC4"))
        self._band.setFillColor(QColor(47, 164, 231, 40))
        self._band.setWidth(2)
        self._tool = QgsMapToolEmitPoint(canvas)
        self._tool.setCursor(Qt.CursorShape.CrossCursor)
        self._tool.canvasClicked.connect(self._take)
        self._tool.deactivated.connect(lambda: self.pick.setChecked(False))
        self.pick.toggled.connect(self._pick_toggled)
        self.radius.valueChanged.connect(self._changed)
        self.around.currentIndexChanged.connect(self._around_changed)
        canvas.destinationCrsChanged.connect(self._draw)
        if photos is not None:
            photos.changed.connect(self._list)
        self._list()

    def places(self) -> list[tuple[float, float]]:
        """(longitude, latitude) of the chosen places; empty where there is none."""
        wanted = self.around.currentData()
        if wanted == CLICKED:
            return [self._clicked] if self._clicked is not None else []
        return [place for path, _, place in self._known() if wanted in (ALL, path)]

    def region(self) -> QgsGeometry | None:
        """The circle, or several in one, in EPSG:4326; None where there is no place, or it has no usable circle."""
        places = self.places()
        try:
            return circles(places, self.radius.value()) if places else None
        except (ValueError, QgsCsException):
            return None

    def fault(self) -> str:
        """What is missing, or the empty string."""
        if not self.places():
            return self.tr("Click the place on the map that the photo was taken near.")
        if self.region() is None:
            return self.tr("There is no region around this place: it lies at a pole or at longitude 180°.")
        return ""

    def set_place(self, lon: float, lat: float) -> None:
        """Use a place as if it had been clicked."""
        self._clicked = (lon, lat)
        with QSignalBlocker(self.around):
            self.around.setCurrentIndex(0)
        self._name_clicked()
        self._changed()

    def show_on_map(self, on: bool) -> None:
        """Whether the circle is drawn on the map."""
        self._shown = on
        if not on:
            self.pick.setChecked(False)
        self._draw()

    def close_tool(self) -> None:
        """Leave the canvas as it was, and follow nothing any more."""
        self._shown = False
        self.pick.setChecked(False)
        self._canvas.destinationCrsChanged.disconnect(self._draw)
        if self._photos is not None:
            self._photos.changed.disconnect(self._list)
        self._canvas.scene().removeItem(self._band)

    def _known(self) -> list[tuple[str, str, tuple[float, float]]]:
        """(path, name, place) of the photos whose position may be used."""
        if self._photos is None or self._photos.hide_positions:
            return []
        return [
            (photo.path, Path(photo.path).name, (photo.lon, photo.lat))
            for photo in self._photos.photos()
            if photo.lon is not None and photo.lat is not None
        ]

    def _list(self) -> None:
        chosen, before = self.around.currentData(), self.places()
        known = self._known()
        with QSignalBlocker(self.around):
            self.around.clear()
            self.around.addItem("", CLICKED)
            if len(known) > 1:
                self.around.addItem(self.tr("All {} photos with a position").format(len(known)), ALL)
            for path, name, _ in known:
                self.around.addItem(self.tr("Photo {}").format(name), path)
            index = self.around.findData(chosen)
            # The first photos that have a position are the likeliest prior, as long as none was chosen.
            self.around.setCurrentIndex(index if chosen and index >= 0 else int(bool(known) and self._clicked is None))
        self._name_clicked()
        if self.places() != before:
            self._changed()

    def _name_clicked(self) -> None:
        if self._clicked is None:
            text = self.tr("A place on the map (click it)")
        else:
            text = self.tr("Place {:.5f}, {:.5f}").format(self._clicked[1], self._clicked[0])
        self.around.setItemText(0, text)

    def _around_changed(self) -> None:
        if self.around.currentData() == CLICKED and self._clicked is None and self.isVisible():
            self.pick.setChecked(True)
        self._changed()

    def _changed(self, *_) -> None:
        self._draw()
        self.changed.emit()

    def _draw(self) -> None:
        region = self.region() if self._shown else None
        if region is None:
            self._band.reset(_POLYGON)
            return
        self._band.setToGeometry(region, QgsCoordinateReferenceSystem(WGS84))
        self._band.show()

    def _pick_toggled(self, on: bool) -> None:
        if on:
            self._earlier_tool = self._canvas.mapTool()
            self._canvas.setMapTool(self._tool)
        elif self._canvas.mapTool() is self._tool:
            self._canvas.unsetMapTool(self._tool)
            if self._earlier_tool is not None:
                self._canvas.setMapTool(self._earlier_tool)

    def _take(self, point: QgsPointXY, _button) -> None:
        move = QgsCoordinateTransform(
            self._canvas.mapSettings().destinationCrs(), QgsCoordinateReferenceSystem(WGS84), QgsProject.instance()
        )
        try:
            place = move.transform(point)
        except QgsCsException:
            return  # a click beside the Earth names no place
        self.pick.setChecked(False)
        self.set_place(place.x(), place.y())

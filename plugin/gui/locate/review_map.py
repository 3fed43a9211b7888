"""What a review does on QGIS's map: the view cone at the place in front, and clicks that propose a place."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsPointXY
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..label_keys import KeyFilter
from .place_tool import PlaceTool
from .view_cone import ViewCone
from .viewer import PanoramaViewer


class ReviewMap(QObject):
    """:attr:`pointed` carries a clicked place (degrees, EPSG:4326); :attr:`turned` the azimuth that the cone was turned
    to; :attr:`left` follows the end of proposing. ``keys`` hears the keys that are pressed on the map."""

    pointed = pyqtSignal(QgsPointXY)
    turned = pyqtSignal(float)
    left = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, keys: KeyFilter, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._heard = (canvas, canvas.viewport())
        self._keys = keys
        self._tool = PlaceTool(canvas, self)
        self._cone = ViewCone(canvas)
        self._tool.clicked.connect(self.pointed)
        self._tool.left.connect(self.left)
        self._cone.turned.connect(self.turned)
        for widget in self._heard:
            widget.installEventFilter(keys)

    @property
    def proposing(self) -> bool:
        """Whether clicks propose a place."""
        return self._tool.active

    def set_proposing(self, on: bool) -> None:
        """Take clicks as proposals, or give the map back its tool."""
        self._tool.set_active(on)

    def show(self, place: QgsPointXY | None, viewer: PanoramaViewer) -> None:
        """The cone at a place (degrees): what the viewer shows; none where the heading is not known."""
        if place is None or viewer.photo is None or viewer.heading_deg is None:
            self._cone.hide()
        else:
            crs = QgsCoordinateReferenceSystem("EPSG:4326")
            self._cone.show(place, crs, viewer.azimuth_deg, viewer.sight.fov)

    def hide(self) -> None:
        """Leave the map alone."""
        self._tool.set_active(False)
        self._cone.hide()

    def shut_down(self) -> None:
        """Leave the map as it was."""
        for widget in self._heard:
            widget.removeEventFilter(self._keys)
        self._tool.shut_down()
        self._cone.remove()

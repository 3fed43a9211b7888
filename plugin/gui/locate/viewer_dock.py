"""The window of the viewer: the photo, the photo from above, and the cone on the map, which turn together."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsCsException, QgsPointXY, QgsSettings
from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QSize, Qt, QTimer
from qgis.PyQt.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QSplitter, QToolButton, QVBoxLayout, QWidget

from ...photos.facts import Photo
from ...photos.picture import PictureLoader
from ...photos.projection import CAMERA_HEIGHT_M
from ..icons import icon, theme_icon
from .above_view import AboveView
from .elided_label import ElidedLabel
from .heading_box import HeadingBox
from .map_place import MapPlace
from .view_cone import ViewCone
from .viewer import PanoramaViewer

_CONE, _ABOVE = "samescene/viewer/cone", "samescene/viewer/above"


class ViewerDock(QgsDockWidget):
    """One photo at a time: :meth:`show_photo`. What is set by hand of a photo's heading is kept while it is open."""

    def __init__(self, iface) -> None:
        super().__init__("", iface.mainWindow())
        self.setWindowTitle(self.tr("SameScene: photo"))
        self.setObjectName("SameSceneViewerDock")
        self.setWindowIcon(icon("panorama"))
        self._canvas = iface.mapCanvas()
        self._place: tuple[QgsPointXY, QgsCoordinateReferenceSystem] | None = None
        self._given: float | None = None  # the heading that came with the photo
        self._in_front = False
        self._by_hand: dict[str, float] = {}
        self.loader = PictureLoader(self)
        self.viewer = PanoramaViewer(loader=self.loader)
        self.above = AboveView(self.loader)
        self.cone = ViewCone(self._canvas)
        self.name = ElidedLabel()
        self.cone_button = self._switch("view-cone", self.tr("Show on the map where one looks"), _CONE)
        self.above_button = self._switch("from-above", self.tr("Show the photo from above, north up"), _ABOVE)
        self.heading = self._heading_box()
        self.heading_reset = self._button(theme_icon("mActionUndo.svg"), self.tr("Back to the heading it came with"))
        self.camera = self._camera_box()
        self._build()
        self._soon = QTimer(self)  # the map tells several changes at once
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._follow_map)
        self._connect()
        self._show_above(self.above_button.isChecked())
        self._show_heading()

    def show_photo(
        self,
        photo: Photo | None,
        heading_deg: float | None = None,
        place: tuple[QgsPointXY, QgsCoordinateReferenceSystem] | None = None,
    ) -> None:
        """Show a photo. ``heading_deg`` of its middle and ``place`` (point and CRS) stand before what its file says,
        for example those of a candidate."""
        if place is None and photo is not None and photo.lon is not None and photo.lat is not None:
            place = (QgsPointXY(photo.lon, photo.lat), QgsCoordinateReferenceSystem("EPSG:4326"))
        self._place, self._given = place, heading_deg
        if photo is not None and heading_deg is not None:
            self._by_hand.pop(photo.path, None)
        shown = heading_deg if photo is None else self._by_hand.get(photo.path, heading_deg)
        self.name.setText("" if photo is None else photo.name)
        self.name.setToolTip("" if photo is None else photo.path)
        self.viewer.show_photo(photo, shown)
        self.above.show_photo(photo, self.viewer.heading_deg)
        self._show_heading()
        self._follow_map()

    @property
    def heading_by_hand(self) -> float | None:
        """The heading that was set here for the photo in view; None where none was."""
        return None if self.viewer.photo is None else self._by_hand.get(self.viewer.photo.path)

    def shut_down(self) -> None:
        """Take the cone off the map and wait for what is being read and drawn."""
        self._soon.stop()
        for signal in (self._canvas.extentsChanged, self._canvas.destinationCrsChanged, self._canvas.rotationChanged):
            signal.disconnect(self._soon.start)
        self.cone.remove()
        self.viewer.shut_down()
        self.above.shut_down()
        self.loader.shut_down()

    # Parts

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(2)
        top.addWidget(self.name, 1)
        zoom_in = self._button(theme_icon("mActionZoomIn.svg"), self.tr("Come closer (+)"))
        zoom_out = self._button(theme_icon("mActionZoomOut.svg"), self.tr("See more (−)"))
        home = self._button(theme_icon("mActionZoomFullExtent.svg"), self.tr("Look at the photo's middle (Home)"))
        zoom_in.clicked.connect(lambda: self.viewer.zoom(1.25))
        zoom_out.clicked.connect(lambda: self.viewer.zoom(0.8))
        home.clicked.connect(lambda: self.viewer.look_home())
        for button in (zoom_in, zoom_out, home, self.cone_button, self.above_button):
            top.addWidget(button)
        heading_label = QLabel(self.tr("Heading"))
        heading_label.setBuddy(self.heading)
        camera_label = QLabel(self.tr("Camera"))
        camera_label.setBuddy(self.camera)
        self._above_pane = _pane(self.above, camera_label, self.camera)
        self.split = QSplitter(Qt.Orientation.Vertical)
        self.split.setChildrenCollapsible(False)
        self.split.addWidget(_pane(self.viewer, heading_label, self.heading, self.heading_reset))
        self.split.addWidget(self._above_pane)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 4, 6, 6)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self.split, 1)
        self.setWidget(content)
        self.setMinimumWidth(300)

    def _button(self, picture, tip: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(picture)
        button.setIconSize(QSize(18, 18))
        button.setAutoRaise(True)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button

    def _switch(self, name: str, tip: str, setting: str) -> QToolButton:
        button = self._button(icon(name), tip)
        button.setCheckable(True)
        button.setChecked(QgsSettings().value(setting, True, type=bool))
        button.toggled.connect(lambda on: QgsSettings().setValue(setting, on))
        return button

    def _heading_box(self) -> HeadingBox:
        box = HeadingBox()
        box.setToolTip(self.tr("Compass direction of the photo's middle. Change it until the view fits the map."))
        box.setAccessibleName(self.tr("Heading of the photo's middle"))
        return box

    def _camera_box(self) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(0.5, 50.0)
        box.setDecimals(1)
        box.setSingleStep(0.1)
        box.setSuffix(" m")
        box.setValue(CAMERA_HEIGHT_M)
        tip = self.tr("How high above the ground the camera stood; from above everything is as much nearer or farther")
        box.setToolTip(tip)
        box.setAccessibleName(tip)
        return box

    def _connect(self) -> None:
        self.viewer.looked.connect(self._looked)
        self.above.turned.connect(self.viewer.look_at)
        self.cone.turned.connect(self.viewer.look_at)
        self.cone_button.toggled.connect(lambda _on: self._show_cone())
        self.above_button.toggled.connect(self._show_above)
        self.heading.headed.connect(self._set_heading)
        self.heading_reset.clicked.connect(self._reset_heading)
        self.camera.valueChanged.connect(self.above.set_camera_height)
        self.visibilityChanged.connect(self._seen)
        for signal in (self._canvas.extentsChanged, self._canvas.destinationCrsChanged, self._canvas.rotationChanged):
            signal.connect(self._soon.start)

    # What turns with what

    def _looked(self, azimuth: float, _pitch: float, fov: float) -> None:
        self.above.look(azimuth, fov)
        self._show_cone()

    def _show_cone(self) -> None:
        wanted = self.cone_button.isChecked() and self._in_front and self._place is not None
        photo = self.viewer.photo
        if wanted and photo is not None and not photo.fault and self.viewer.heading_deg is not None:
            self.cone.show(*self._place, self.viewer.azimuth_deg, self.viewer.sight.fov)
        else:
            self.cone.hide()

    def _seen(self, on: bool) -> None:
        self._in_front = on  # also False behind another dock's tab
        self._show_cone()

    def _show_above(self, on: bool) -> None:
        self._above_pane.setVisible(on)

    def _follow_map(self) -> None:
        """The photo from above is as large as the map at the photo's place, or in the map's middle."""
        place = self._place or (self._canvas.center(), self._canvas.mapSettings().destinationCrs())
        try:
            self.above.set_map_scale(MapPlace(self._canvas, *place).metres_per_pixel())
        except QgsCsException:
            self.above.set_map_scale(None)
        self._show_cone()

    def _show_heading(self) -> None:
        photo = self.viewer.photo
        self.heading.show_heading(self.viewer.heading_deg)
        self.heading.setEnabled(photo is not None and not photo.fault)
        self.heading_reset.setEnabled(self.heading_by_hand is not None)

    def _set_heading(self, heading_deg: float | None) -> None:
        if self.viewer.photo is None:
            return
        if heading_deg is None:
            self._reset_heading()
            return
        self._by_hand[self.viewer.photo.path] = heading_deg
        self.viewer.set_heading(heading_deg)
        self._headed()

    def _reset_heading(self) -> None:
        if self.viewer.photo is not None:
            self._by_hand.pop(self.viewer.photo.path, None)
            self.viewer.set_heading(self._given)
            self._headed()

    def _headed(self) -> None:
        self.above.show_photo(self.viewer.photo, self.viewer.heading_deg)
        self._show_heading()
        self._show_cone()

    def resizeEvent(self, event):
        super().resizeEvent(event)
        flat = self.width() > 1.3 * self.height()
        self.split.setOrientation(Qt.Orientation.Horizontal if flat else Qt.Orientation.Vertical)


def _pane(view: QWidget, *below: QWidget) -> QWidget:
    """A view with a row of widgets below it."""
    pane = QWidget()
    row = QHBoxLayout()
    row.setSpacing(4)
    for widget in below:
        row.addWidget(widget)
    row.addStretch(1)
    column = QVBoxLayout(pane)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(4)
    column.addWidget(view, 1)
    column.addLayout(row)
    return pane

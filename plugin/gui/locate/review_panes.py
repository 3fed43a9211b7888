"""The photo beside the map at one place: a viewer or the photo from above on the left, the map crop on the right."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsPointXY
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QImage
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...photos.facts import Photo
from ...photos.picture import PictureLoader
from ...photos.projection import CAMERA_HEIGHT_M
from .crop_renderer import CropRenderer
from .crop_view import CropView
from .near_plane import NearPlane
from .photo_above import PhotoAbove
from .viewer import PanoramaViewer

_MOST_SIDE = 1200
_SOON_MS = 40


class ReviewPanes(QWidget):
    """:attr:`turned` carries a heading set by dragging; :attr:`pointed` a clicked place (degrees, EPSG:4326);
    :attr:`looked` what the viewer shows, as its own signal does; :attr:`faulted` one line: what cannot be drawn."""

    turned = pyqtSignal(float)
    pointed = pyqtSignal(QgsPointXY)
    looked = pyqtSignal(float, float, float)
    faulted = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._photo: Photo | None = None
        self._place: QgsPointXY | None = None
        self._layers: list[QgsMapLayer] = []
        self._camera_height = CAMERA_HEIGHT_M
        self._ground_drawn: tuple | None = None
        self._loader = PictureLoader(self)
        self.viewer = PanoramaViewer(loader=self._loader)
        self.above, self.crop = CropView(), CropView()
        self.viewer.setMinimumSize(self.crop.minimumSize())  # neither side pushes the other
        self.above.setToolTip(
            self.tr("The photo from above, north up, as large as the map beside it. Drag around the middle to turn it.")
        )
        self.crop.setToolTip(
            self.tr(
                "The map, north up, with the photo from above laid over it. Drag around the middle to turn the"
                " photo, turn the wheel to come closer."
            )
        )
        self.above.setAccessibleName(self.tr("The photo from above"))
        self.crop.setAccessibleName(self.tr("Map at the place"))
        self._maker = PhotoAbove(self._loader, self)
        self._renderer = CropRenderer(self)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SOON_MS)
        self._soon.timeout.connect(self._draw)
        self.title = QLabel()
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self._stack = QStackedWidget()
        self._stack.addWidget(self.viewer)
        self._stack.addWidget(self.above)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        bar = QHBoxLayout()
        bar.setContentsMargins(0, 0, 0, 0)
        bar.setSpacing(0)
        for number, (text, tip) in enumerate(
            (
                (self.tr("Photo"), self.tr("The photo, to look around in")),
                (self.tr("From above"), self.tr("The ground of the photo, north up")),
            )
        ):
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self._group.addButton(button, number)
            bar.addWidget(button)
        self._group.button(0).setChecked(True)
        self.title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        switch = QWidget()
        switch.setLayout(bar)
        for head, view in ((switch, self._stack), (self.title, self.crop)):
            # As high as each other, so that a metre is as long on the left as on the right.
            head.setFixedHeight(self._group.button(0).sizeHint().height())
            side = QWidget()
            column = QVBoxLayout(side)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(3)
            column.addWidget(head)
            column.addWidget(view, 1)
            self.splitter.addWidget(side)
        for number in range(2):
            self.splitter.setStretchFactor(number, 1)
        self.splitter.setSizes([1000, 1000])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.splitter)

    def _connect(self) -> None:
        # Clicked by the user and by show_above alike.
        self._group.buttonToggled.connect(self._stack_turned)
        for view in (self.above, self.crop):
            view.turned.connect(self.turned)
            view.zoomed.connect(self.set_half_width)
        self.crop.pointed.connect(self._pointed)
        self.viewer.looked.connect(self._looked)
        self._maker.made.connect(self._photo_made)
        self._maker.failed.connect(self.faulted)
        self._renderer.rendered.connect(self._ground_made)
        self._renderer.failed.connect(self.faulted)

    # what is shown

    def show_photo(self, photo: Photo | None) -> None:
        """The photo; None while nothing is known of it."""
        if photo is not self._photo:
            self._photo = photo
            self.above.show_photo(None)
            self.crop.show_photo(None)
            self.viewer.show_photo(photo, self.crop.heading)
            self._again()

    def show_place(self, place: QgsPointXY | None, title: str) -> None:
        """The map at a place (degrees, EPSG:4326)."""
        self.title.setText(title)
        if place != self._place:
            self._place, self._ground_drawn = place, None
            self.crop.show_ground(None)
            self.crop.set_other(None)
            self._again()

    def set_heading(self, heading_deg: float | None) -> None:
        """The compass direction of the photo's middle; None where it is not known."""
        self.above.set_heading(heading_deg)
        self.crop.set_heading(heading_deg)
        self.viewer.set_heading(heading_deg)

    def set_layers(self, layers: list[QgsMapLayer]) -> None:
        """What the map crop is drawn of, the first on top."""
        if self._layers != layers:
            self._layers, self._ground_drawn = list(layers), None
            self.crop.show_ground(None)
            self._again()

    def set_text(self, text: str) -> None:
        """What stands in place of the map while there is none."""
        self.crop.set_text(text)

    def set_opacity(self, share: float) -> None:
        """How much of the photo covers the map, 0 to 1."""
        self.crop.set_opacity(share)

    def set_camera_height(self, metres: float) -> None:
        """How high the camera stood over the ground."""
        self._camera_height = metres
        self._again()

    def set_half_width(self, metres: float) -> None:
        """Metres from the place to an edge of the map crop."""
        for view in (self.above, self.crop):
            view.set_half_width(metres)
        self._again()

    def show_above(self, on: bool) -> None:
        """The photo from above in place of the viewer."""
        self._group.button(1 if on else 0).setChecked(True)

    def mark(self, place: QgsPointXY | None) -> None:
        """Mark another place on the map crop."""
        if place is None or self._place is None:
            self.crop.set_other(None)
            return
        self.crop.set_other(*NearPlane.near(self._place).offset(self._place, place))

    def turn_splitter(self, side_by_side: bool) -> None:
        """Photo and map beside or above each other."""
        wanted = Qt.Orientation.Horizontal if side_by_side else Qt.Orientation.Vertical
        if self.splitter.orientation() != wanted:
            self.splitter.setOrientation(wanted)
            self.splitter.setSizes([1000, 1000])

    @property
    def busy(self) -> bool:
        """Whether something is still to be drawn."""
        return self._soon.isActive() or self._renderer.busy

    def shut_down(self) -> None:
        """Draw nothing more, and wait for what is being drawn."""
        self._soon.stop()
        self._renderer.shut_down()
        self._maker.shut_down()
        self.viewer.shut_down()
        self._loader.shut_down()
        self._layers = []

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._again()

    def showEvent(self, event):
        super().showEvent(event)
        self._again()

    # drawing

    def _again(self) -> None:
        self._soon.start()

    def _draw(self) -> None:
        if not self.isVisible():
            return
        half, side = self.crop.half_width, min(_MOST_SIDE, self.crop.side)
        if self._place is not None and self._layers:
            wanted = (self._place.x(), self._place.y(), half, side, *[layer.id() for layer in self._layers])
            if wanted != self._ground_drawn:
                self._ground_drawn = wanted
                self._renderer.ask(self._layers, self._place, half, side)
        else:
            self._renderer.stop()
            self._ground_drawn = None
            self.crop.show_ground(None)
        if self._photo is not None and not self._photo.fault:
            self._maker.ask(self._photo, half, side, self._camera_height)
        else:
            self._maker.clear()

    def _ground_made(self, image: QImage, half_width: float) -> None:
        self.crop.show_ground(image, half_width)

    def _photo_made(self, image: QImage, radius: float) -> None:
        self.above.show_photo(image, radius)
        self.crop.show_photo(image, radius)

    # what the user does

    def _stack_turned(self, button, on: bool) -> None:
        if on:
            self._stack.setCurrentIndex(self._group.id(button))
            self._show_cone()

    def _looked(self, azimuth: float, pitch: float, fov: float) -> None:
        self._show_cone()
        self.looked.emit(azimuth, pitch, fov)

    def _show_cone(self) -> None:
        viewer = self.viewer
        looking = viewer.photo is not None and viewer.heading_deg is not None and self._stack.currentIndex() == 0
        self.crop.set_cone(viewer.azimuth_deg if looking else None, viewer.sight.fov)

    def _pointed(self, east_m: float, north_m: float) -> None:
        if self._place is not None:
            self.pointed.emit(NearPlane.near(self._place).beside(self._place, east_m, north_m))

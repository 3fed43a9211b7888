"""A square of ground, north up: imagery, and the photo's bird's-eye view laid over it that is turned by hand."""

from __future__ import annotations

import math

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPalette, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from .ground_marks import draw_cone, draw_cross, draw_heading, draw_north, draw_scale_bar, draw_text

NEAREST_M, FARTHEST_M = 8.0, 250.0
_DRAG_PX = 4
_STEP = 1.25


class CropView(QWidget):
    """The view knows no map and no photo: it is given images and tells what the mouse does.

    :attr:`turned` follows a drag around the middle: the new heading in degrees. :attr:`pointed` a click where clicks
    are wanted: metres to the east and to the north of the middle. :attr:`zoomed` the wheel: the half width wanted.
    """

    turned = pyqtSignal(float)
    pointed = pyqtSignal(float, float)
    zoomed = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ground: tuple[QImage, float] | None = None
        self._photo: tuple[QImage, float] | None = None
        self._half_width = 30.0
        self._heading: float | None = None
        self._opacity = 0.5
        self._cone: tuple[float, float] | None = None
        self._other: tuple[float, float] | None = None
        self._text = ""
        self._pointing = self._turning = False
        self._press: QPointF | None = None
        self._press_heading = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(140, 140)
        self._show_cursor()

    # what is shown

    def show_ground(self, image: QImage | None, half_width_m: float = 0.0) -> None:
        """Imagery, ``half_width_m`` metres from its middle to an edge; None for none."""
        self._ground = None if image is None or image.isNull() else (image, half_width_m)
        self.update()

    def show_photo(self, image: QImage | None, half_width_m: float = 0.0) -> None:
        """The photo from above with its middle up; None for none."""
        self._photo = None if image is None or image.isNull() else (image, half_width_m)
        self._show_cursor()
        self.update()

    def set_heading(self, heading_deg: float | None) -> None:
        """The compass direction of the photo's middle; None where it is not known (the middle is drawn up)."""
        self._heading = None if heading_deg is None else heading_deg % 360
        self.update()

    def set_opacity(self, share: float) -> None:
        """How much of the photo covers the imagery, 0 to 1."""
        self._opacity = min(1.0, max(0.0, share))
        self.update()

    def set_half_width(self, metres: float) -> None:
        """Metres from the middle to an edge; images of another width are scaled until new ones come."""
        self._half_width = min(FARTHEST_M, max(NEAREST_M, metres))
        self.update()

    def set_cone(self, azimuth_deg: float | None, fov_deg: float = 0.0) -> None:
        """Where a viewer looks; None: no viewer does."""
        self._cone = None if azimuth_deg is None else (azimuth_deg, fov_deg)
        self.update()

    def set_other(self, east_m: float | None, north_m: float = 0.0) -> None:
        """Another place to be marked, for example the one that fits best; None for none."""
        self._other = None if east_m is None else (east_m, north_m)
        self.update()

    def set_text(self, text: str) -> None:
        """What stands in place of imagery that is not there."""
        self._text = text
        self.update()

    def set_pointing(self, on: bool) -> None:
        """Whether a click proposes a place."""
        self._pointing = on
        self._show_cursor()

    @property
    def half_width(self) -> float:
        """Metres from the middle to an edge."""
        return self._half_width

    @property
    def heading(self) -> float | None:
        """The heading that is drawn."""
        return self._heading

    @property
    def side(self) -> int:
        """Pixels of a side of the square, on the screen's own grid: how large images should be."""
        return max(1, round(self.square().width() * self.devicePixelRatioF()))

    def square(self) -> QRectF:
        """Where the ground is drawn."""
        side = min(self.width(), self.height())
        return QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)

    # painting

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        square = self.square()
        painter.fillRect(square, self.palette().color(QPalette.ColorRole.Mid))
        painter.setClipRect(square)
        self._draw(painter, square, self._ground, 0.0, 1.0)
        opacity = self._opacity if self._ground is not None else 1.0
        self._draw(painter, square, self._photo, self._heading or 0.0, opacity)
        middle, metre = square.center(), square.width() / 2 / self._half_width
        if self._cone is not None:
            draw_cone(painter, middle, square.width() * 0.46, *self._cone)
        if self._heading is not None:
            draw_heading(painter, middle, square.width() * 0.36, self._heading)
        draw_cross(painter, middle)
        if self._other is not None:
            draw_cross(painter, middle + QPointF(self._other[0], -self._other[1]) * metre, QColor("#ffd43b"))
        draw_north(painter, square)
        draw_scale_bar(painter, square, metre)
        if self._text:
            draw_text(painter, square, self._text)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Dark), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(square.adjusted(0.5, 0.5, -0.5, -0.5))

    def _draw(
        self, painter: QPainter, square: QRectF, image: tuple[QImage, float] | None, turn: float, opacity: float
    ) -> None:
        if image is None or opacity <= 0:
            return
        half = square.width() / 2 * image[1] / self._half_width
        painter.save()
        painter.setOpacity(opacity)
        painter.translate(square.center())
        painter.rotate(turn)
        painter.drawImage(QRectF(-half, -half, 2 * half, 2 * half), image[0])
        painter.restore()

    # the mouse

    def mousePressEvent(self, event):
        if event.button() == Qt.MouseButton.LeftButton and self.square().contains(QPointF(event.pos())):
            self._press, self._press_heading, self._turning = QPointF(event.pos()), self._heading or 0.0, False
            event.accept()

    def mouseMoveEvent(self, event):
        if self._press is None or self._photo is None:
            return
        here = QPointF(event.pos())
        if not self._turning and (here - self._press).manhattanLength() < _DRAG_PX:
            return
        self._turning = True
        heading = (self._press_heading + self._angle(here) - self._angle(self._press)) % 360
        self.set_heading(heading)
        self.turned.emit(heading)

    def mouseReleaseEvent(self, event):
        press, turning, self._press, self._turning = self._press, self._turning, None, False
        if press is None or turning or not self._pointing:
            return
        square = self.square()
        place = (QPointF(event.pos()) - square.center()) * (self._half_width / (square.width() / 2))
        self.pointed.emit(place.x(), -place.y())

    def wheelEvent(self, event):
        notches = event.angleDelta().y() / 120
        if notches:
            wanted = self._half_width * _STEP**-notches
            self.zoomed.emit(min(FARTHEST_M, max(NEAREST_M, wanted)))
            event.accept()

    def sizeHint(self):
        return QSize(300, 300)

    def _angle(self, place: QPointF) -> float:
        from_middle = place - self.square().center()
        return math.degrees(math.atan2(from_middle.x(), -from_middle.y()))

    def _show_cursor(self) -> None:
        if self._pointing:
            self.setCursor(Qt.CursorShape.CrossCursor)
        elif self._photo is not None:
            self.setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            self.unsetCursor()

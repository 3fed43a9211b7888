"""The ground of a photo from above, north up, drawn to the map's scale."""

from __future__ import annotations

import math
from collections.abc import Callable

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ...photos.background import Background
from ...photos.facts import Photo
from ...photos.picture import Picture, PictureLoader
from ...photos.projection import CAMERA_HEIGHT_M, birds_eye, columns_from_above
from .viewer import as_image

FARTHEST_M = 40.0
"""Half the width at most: farther off a photo shows too little of the ground to be read from above."""
NEAREST_M = 4.0
MOST_SIDE = 1000
_NOTHING = QColor("#2f3336")


class AboveView(QWidget):
    """North up, the camera in the middle; without a heading the photo's middle is up.

    Drawn in a thread. Pulling the pointer around the middle turns: :attr:`turned` carries the azimuth as
    :attr:`PanoramaViewer.looked <plugin.gui.locate.viewer.PanoramaViewer.looked>` does. Call :meth:`shut_down` before
    the widget goes.
    """

    turned = pyqtSignal(float)

    def __init__(self, loader: PictureLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._loader = loader
        self._photo: Photo | None = None
        self._heading: float | None = None
        self._camera_height_m = CAMERA_HEIGHT_M
        self._map_scale: float | None = None
        self._azimuth, self._fov = 0.0, 0.0
        self._image: QImage | None = None
        self._drawn = 1.0  # metres a pixel of what is shown
        self._painter = Background(self)
        self._painter.done.connect(self._take)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(30)
        self._soon.timeout.connect(self._draw)
        self._fault = ""
        self._painter.failed.connect(lambda _key, fault: self._say(fault))
        loader.ready.connect(self._take_picture)
        loader.failed.connect(self._fail)
        self.setMinimumSize(140, 140)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName(self.tr("The photo from above"))
        self.setToolTip(
            self.tr(
                "The ground around the camera as the photo shows it, taken as flat; what stands upright smears"
                " outwards. Click or drag to look that way."
            )
        )

    def sizeHint(self) -> QSize:
        return QSize(300, 300)

    @property
    def metres_per_pixel(self) -> float:
        """Of the ground: the map's scale, held where the photo shows something."""
        half = max(1, min(self.width(), self.height())) / 2
        wanted = self._map_scale if self._map_scale is not None else 15.0 / half
        return min(max(wanted, NEAREST_M / half), FARTHEST_M / half)

    @property
    def at_map_scale(self) -> bool:
        """Whether it is as large as the map."""
        return self._map_scale is not None and math.isclose(self.metres_per_pixel, self._map_scale, rel_tol=1e-6)

    @property
    def camera_height_m(self) -> float:
        """Of the camera over the ground."""
        return self._camera_height_m

    def show_photo(self, photo: Photo | None, heading_deg: float | None) -> None:
        """Show a photo whose middle looks to ``heading_deg`` (None: not known)."""
        usable = photo is not None and not photo.fault
        if not usable or self._photo is None or self._photo.path != photo.path:
            self._image, self._fault = None, ""
            self._painter.forget()
        self._photo, self._heading = (photo if usable else None), heading_deg
        self._change()

    def look(self, azimuth: float, fov: float) -> None:
        """Show which way one looks."""
        self._azimuth, self._fov = azimuth, fov
        self.update()

    def set_map_scale(self, metres_per_pixel: float | None) -> None:
        """Follow the map; None: a scale of its own."""
        if metres_per_pixel != self._map_scale:
            self._map_scale = metres_per_pixel
            self._change()

    def set_camera_height(self, metres: float) -> None:
        """How high the camera stood: what is seen is as much nearer or farther."""
        self._camera_height_m = metres
        self._change()

    def shut_down(self) -> None:
        """Draw nothing more, and wait for what is being drawn."""
        self._soon.stop()
        self._painter.shut_down()

    def _change(self) -> None:
        if self.isVisible() and self._photo is not None:
            self._soon.start()
        self.update()

    def _draw(self) -> None:
        photo = self._photo
        if photo is None or not self.isVisible():
            return
        picture, scale = self._loader.picture(photo.path), self.metres_per_pixel
        ratio = self.devicePixelRatioF()
        wide = max(self.width(), self.height())
        side = max(1, min(MOST_SIDE, round(wide * ratio)))
        half = wide * scale / 2
        needed = columns_from_above(photo, 2 * half / side, self._camera_height_m)
        if picture is None or not picture.serves(min(needed, 4096)):
            self._loader.ask(photo.path, min(needed, 4096), upright=photo.kind == "photo")
        if picture is not None:
            heading = self._heading if self._heading is not None else 0.0
            work = _drawing(picture, photo, heading, half, side, self._camera_height_m, needed)
            self._painter.ask("above", work)

    def _take_picture(self, path: str, _pixels) -> None:
        if self._photo is not None and path == self._photo.path:
            self._soon.start()

    def _fail(self, path: str, fault: str) -> None:
        if self._photo is not None and path == self._photo.path and self._image is None:
            self._say(fault)

    def _say(self, fault: str) -> None:
        self._fault = fault
        self.update()

    def _take(self, _key: str, drawn: tuple[str, float, QImage]) -> None:
        path, half, image = drawn
        if self._photo is not None and path == self._photo.path:
            self._image, self._drawn = image, 2 * half / image.width()
            self.update()

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), _NOTHING)
        if self._photo is None or self._image is None:
            painter.setPen(QColor(230, 230, 230))
            text = self.tr("No photo is chosen.") if self._photo is None else self._fault or self.tr("Drawing …")
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(9, 9, -9, -9), int(flags), text)
            painter.end()
            return
        middle = QPointF(self.width() / 2, self.height() / 2)
        half = self._image.width() * self._drawn / self.metres_per_pixel / 2
        painter.drawImage(QRectF(middle.x() - half, middle.y() - half, 2 * half, 2 * half), self._image)
        self._paint_sight(painter, middle)
        self._paint_scale(painter)
        self._paint_north(painter)
        painter.end()

    def _paint_sight(self, painter: QPainter, middle: QPointF) -> None:
        reach = min(self.width(), self.height()) * 0.42
        edges = [math.radians(self._azimuth + sign * self._fov / 2) for sign in (-1, 1)]
        for color, width in ((QColor(0, 0, 0, 170), 3.0), (QColor("#ffe600"), 1.4)):
            painter.setPen(QPen(color, width))
            for angle in edges:
                painter.drawLine(middle, middle + QPointF(math.sin(angle) * reach, -math.cos(angle) * reach))
        painter.setPen(QPen(QColor(0, 0, 0, 220), 1.2))
        painter.setBrush(QColor("#ffe600"))
        painter.drawEllipse(middle, 4, 4)

    def _paint_scale(self, painter: QPainter) -> None:
        metres = round_length(self.width() * 0.35 * self.metres_per_pixel)
        length = metres / self.metres_per_pixel
        text = f"{metres:g} m"
        if self._map_scale is not None:
            text += " · " + (self.tr("as the map") if self.at_map_scale else self._beside_the_map())
        metrics = QFontMetricsF(painter.font())
        wide = min(max(length, metrics.horizontalAdvance(text)) + 14, self.width() - 12.0)
        plate = QRectF(6, self.height() - metrics.height() - 18, wide, metrics.height() + 12)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawRoundedRect(plate, 4, 4)
        painter.setPen(QColor(255, 255, 255))
        fitting = metrics.elidedText(text, Qt.TextElideMode.ElideRight, plate.width() - 12)
        flags = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        painter.drawText(plate.adjusted(7, 2, 0, 0), flags, fitting)
        painter.setPen(QPen(QColor(255, 255, 255), 2))
        left, y = plate.left() + 7, plate.bottom() - 5
        painter.drawLine(QPointF(left, y), QPointF(left + length, y))
        for x in (left, left + length):
            painter.drawLine(QPointF(x, y - 3), QPointF(x, y + 3))

    def _beside_the_map(self) -> str:
        times = self._map_scale / self.metres_per_pixel
        if times >= 1:
            return self.tr("{}× the map").format(f"{times:.1f}" if times < 9.95 else f"{times:.0f}")
        return self.tr("1/{} of the map").format(f"{1 / times:.1f}")

    def _paint_north(self, painter: QPainter) -> None:
        metrics = QFontMetricsF(painter.font())
        known = self._heading is not None
        text = self.tr("N") if known else self.tr("photo's middle")
        wide = max(18.0, metrics.horizontalAdvance(text) + 10)
        plate = QRectF(self.width() - wide - 6, 6, wide, metrics.height() + 20)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawRoundedRect(plate, 4, 4)
        x, y = plate.center().x(), plate.top() + 4
        painter.setBrush(QColor("#ffb86b") if known else QColor(255, 255, 255))
        painter.drawPolygon(
            QPolygonF([QPointF(x, y), QPointF(x + 5, y + 12), QPointF(x, y + 9), QPointF(x - 5, y + 12)])
        )
        painter.setPen(QColor("#ffb86b") if known else QColor(255, 255, 255))
        flags = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom)
        painter.drawText(plate.adjusted(0, 0, 0, -2), flags, text)

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._change()

    def showEvent(self, event):
        super().showEvent(event)
        self._change()

    def mousePressEvent(self, event):
        if event.button() == Qt.MouseButton.LeftButton:
            self._turn(QPointF(event.pos()))

    def mouseMoveEvent(self, event):
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._turn(QPointF(event.pos()))

    def _turn(self, place: QPointF) -> None:
        right, down = place.x() - self.width() / 2, place.y() - self.height() / 2
        if self._image is not None and math.hypot(right, down) > 3:
            self.turned.emit(math.degrees(math.atan2(right, -down)) % 360.0)


def round_length(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above ``most``."""
    power = 10.0 ** math.floor(math.log10(max(most, 1e-6)))
    return next(step * power for step in (5, 2, 1) if step * power <= most * (1 + 1e-9))


def _drawing(
    picture: Picture, photo: Photo, heading: float, half: float, side: int, height: float, needed: int
) -> Callable[[], tuple[str, float, QImage]]:
    def draw() -> tuple[str, float, QImage]:
        return photo.path, half, as_image(birds_eye(picture.level(needed), photo, heading, half, side, height))

    return draw

"""A viewer of panoramas and photos: drag to look around, turn the wheel to come closer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ...photos.background import Background
from ...photos.facts import Photo
from ...photos.picture import Picture, PictureLoader
from ...photos.projection import columns_for_lens, perspective
from ...photos.sight import Reach, Sight, first_sight
from .compass import degrees_at, paint_compass
from .view_text import ViewText

DRAFT_PIXELS = 250_000
"""What is drawn while the view moves: about 15 ms of one processor."""
MOST_PIXELS = 4_000_000
REST_MS = 90
_NOTHING = QColor("#2f3336")  # where the photo shows nothing


class PanoramaViewer(QWidget):
    """Shows one photo as a lens at its place would.

    :attr:`looked` carries the azimuth (compass, or degrees right of the photo's middle while
    :attr:`heading_deg` is None), the pitch and the horizontal field of view, all in degrees, whenever one of them
    changes. Reading and drawing happen in threads; call :meth:`shut_down` before the widget goes.
    """

    looked = pyqtSignal(float, float, float)

    def __init__(self, parent: QWidget | None = None, loader: PictureLoader | None = None) -> None:
        super().__init__(parent)
        self.photo: Photo | None = None
        self.heading_deg: float | None = None
        self._sight, self._reach, self._moved = Sight(), Reach(None, -90, 90, 120), False
        self._frame: QImage | None = None
        self._fault = ""
        self._grip: QPointF | None = None
        self._own_loader = loader is None
        self._loader = loader or PictureLoader(self)
        self._loader.ready.connect(self._take_picture)
        self._loader.failed.connect(self._fail)
        self._painter = Background(self)
        self._painter.done.connect(self._take_frame)
        self._painter.failed.connect(lambda _key, fault: self._say(fault))
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._draw_sharp)
        self._text = ViewText()
        self.setMinimumSize(200, 140)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(self.tr("View of the photo"))
        self.setToolTip(
            self.tr("Drag to look around, turn the wheel to come closer. Keys: arrows, + and −, Home for the middle.")
        )

    def sizeHint(self) -> QSize:
        return QSize(480, 320)

    # What is shown

    def show_photo(self, photo: Photo | None, heading_deg: float | None = None) -> None:
        """Show a photo (None: nothing). ``heading_deg``: direction of its middle where it is known or guessed from
        elsewhere; else the photo's own; where neither is known azimuths count from the middle."""
        same = self.photo is not None and photo is not None and self.photo.path == photo.path
        self.photo, self._fault = photo, "" if photo is None else photo.fault
        self.heading_deg = None if photo is None else photo.heading_deg if heading_deg is None else heading_deg
        self._painter.forget()
        if not same:
            self._frame, self._moved = None, False
        if photo is not None and not self._fault:
            self._reach = Reach.of(photo)
            self._sight = self._reach.keep(self._sight if same and self._moved else self._first())
            self._loader.ask(photo.path, upright=photo.kind == "photo")
        self._changed()

    def set_heading(self, heading_deg: float | None) -> None:
        """Say where the photo's middle looks; None: as the photo has it. One goes on looking at the same part of the
        photo, which lies in another direction now."""
        if self.photo is not None:
            self.heading_deg = self.photo.heading_deg if heading_deg is None else heading_deg % 360.0
            self._changed()

    def look_at(self, azimuth_deg: float, pitch_deg: float | None = None) -> None:
        """Look to a direction, as far as the photo shows it; azimuths as :attr:`looked` has them."""
        pitch = self._sight.pitch if pitch_deg is None else pitch_deg
        self._go(Sight(azimuth_deg - (self.heading_deg or 0.0), pitch, self._sight.fov))

    def zoom(self, factor: float) -> None:
        """Come ``factor`` times closer."""
        self._go(self._sight.zoomed(factor))

    def look_home(self) -> None:
        """Look as at first: at the photo's middle."""
        if self._showing:
            self._go(self._first())
            self._moved = False

    @property
    def azimuth_deg(self) -> float:
        """Where one looks: 0…360 of the compass, or −180…180 from the photo's middle without a heading."""
        if self.heading_deg is None:
            return self._sight.turn
        return (self._sight.turn + self.heading_deg) % 360.0

    @property
    def sight(self) -> Sight:
        """Where one looks in the photo."""
        return self._sight

    @property
    def supposed(self) -> bool:
        """Whether the heading is not the one that the photo's file tells."""
        return self.photo is not None and self.heading_deg is not None and self.heading_deg != self.photo.heading_deg

    def shut_down(self) -> None:
        """Draw and read nothing more, and wait for what is being done."""
        self._rest.stop()
        self._painter.shut_down()
        if self._own_loader:
            self._loader.shut_down()

    @property
    def _showing(self) -> bool:
        return self.photo is not None and not self._fault

    def _first(self) -> Sight:
        return first_sight(self.photo, max(1, self.width()) / max(1, self.height()))

    def _go(self, sight: Sight) -> None:
        if self._showing:
            kept = self._reach.keep(sight)
            if kept != self._sight:
                self._sight, self._moved = kept, True
                self._changed()

    def _changed(self) -> None:
        """Draw anew, quickly now and sharp when it rests, and tell who listens."""
        if self._showing:
            self._draw(DRAFT_PIXELS)
            self._rest.start()
            self.looked.emit(self.azimuth_deg, self._sight.pitch, self._sight.fov)
            self.setAccessibleDescription(" ".join(self._text.lines(self.photo, self)))
        self.update()

    # Drawing

    def _draw(self, most_pixels: int) -> None:
        picture = self._loader.picture(self.photo.path)
        ratio = self.devicePixelRatioF()
        wide, high = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        if picture is None:
            return
        shrink = min(1.0, (most_pixels / (wide * high)) ** 0.5)
        size = (max(1, round(high * shrink)), max(1, round(wide * shrink)))
        self._painter.ask("view", _drawing(picture, self.photo, self._sight, size))

    def _draw_sharp(self) -> None:
        if not self._showing:
            return
        self._draw(MOST_PIXELS)
        needed = columns_for_lens(self.photo, self._sight.fov, round(self.width() * self.devicePixelRatioF()))
        picture = self._loader.picture(self.photo.path)
        if picture is not None and not picture.serves(0.75 * needed):
            self._loader.ask(self.photo.path, round(0.75 * needed), upright=self.photo.kind == "photo")

    def _take_picture(self, path: str, _pixels: np.ndarray) -> None:
        if self._showing and path == self.photo.path:
            self._draw(DRAFT_PIXELS if self._frame is None else MOST_PIXELS)
            self._rest.start()

    def _take_frame(self, _key: str, frame: tuple[str, QImage]) -> None:
        if self._showing and frame[0] == self.photo.path:
            self._frame = frame[1]
            self.update()

    def _fail(self, path: str, fault: str) -> None:
        if self.photo is not None and path == self.photo.path and self._frame is None:
            self._say(fault)

    def _say(self, fault: str) -> None:
        self._fault, self._frame = fault, None
        self.update()

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), _NOTHING)
        box = QRectF(self.rect())
        if self._showing and self._frame is not None:
            painter.drawImage(box, self._frame)
            paint_compass(painter, self._compass_box(), self._sight, self.heading_deg)
            self._text.paint(painter, box, self._text.lines(self.photo, self))
        else:
            self._text.paint_alone(painter, box, self._notice())
        if self.hasFocus():
            painter.setPen(QPen(self.palette().highlight().color(), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box.adjusted(1, 1, -1, -1))
        painter.end()

    def _notice(self) -> str:
        if self.photo is None:
            return self.tr("No photo is chosen.")
        return self._fault or self.tr("Reading {} …").format(self.photo.name)

    def _compass_box(self) -> QRectF:
        high = self.fontMetrics().height() + 9
        return QRectF(0, self.height() - high, self.width(), high)

    def resizeEvent(self, event):
        super().resizeEvent(event)
        if self._showing:
            if not self._moved:
                self._sight = self._first()
            self._changed()

    # Mouse and keys

    def mousePressEvent(self, event):
        if event.button() != Qt.MouseButton.LeftButton or not self._showing:
            super().mousePressEvent(event)
            return
        place = QPointF(event.pos())
        if self._compass_box().contains(place):
            turn = degrees_at(place.x() - self.width() / 2, self._sight, self.width())
            self._go(Sight(self._sight.turn + turn, self._sight.pitch, self._sight.fov))
            return
        self._grip = place
        self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event):
        if self._grip is not None:
            here = QPointF(event.pos())
            pulled, self._grip = here - self._grip, here
            self._go(self._sight.dragged(pulled.x(), pulled.y(), self.width()))

    def mouseReleaseEvent(self, event):
        if event.button() == Qt.MouseButton.LeftButton and self._grip is not None:
            self._grip = None
            self.setCursor(Qt.CursorShape.OpenHandCursor)

    def wheelEvent(self, event):
        steps = event.angleDelta().y() / 120
        if steps and self._showing:
            off = event.position() - QPointF(self.width() / 2, self.height() / 2)
            self._go(self._sight.zoomed(1.2**steps, off.x(), off.y(), self.width()))
        event.accept()

    def keyPressEvent(self, event):
        step = self._sight.fov / (24 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 8)
        turns = {
            Qt.Key.Key_Left: (-step, 0.0),
            Qt.Key.Key_Right: (step, 0.0),
            Qt.Key.Key_Up: (0.0, step),
            Qt.Key.Key_Down: (0.0, -step),
        }
        if event.key() in turns:
            right, up = turns[event.key()]
            self._go(Sight(self._sight.turn + right, self._sight.pitch + up, self._sight.fov))
        elif event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom(1.25)
        elif event.key() == Qt.Key.Key_Minus:
            self.zoom(0.8)
        elif event.key() == Qt.Key.Key_Home:
            self.look_home()
        else:
            super().keyPressEvent(event)


def _drawing(picture: Picture, photo: Photo, sight: Sight, size: tuple[int, int]) -> Callable[[], tuple[str, QImage]]:
    """What draws a view in any thread: the path of the photo and the image."""

    def draw() -> tuple[str, QImage]:
        level = picture.level(columns_for_lens(photo, sight.fov, size[1]))
        seen = perspective(level, photo, sight.turn, sight.pitch, sight.fov, size, heading_deg=0.0)
        return photo.path, as_image(seen)

    return draw


def as_image(pixels: np.ndarray) -> QImage:
    """An image of (rows, columns, 4) uint8 red, green, blue, alpha; the memory is its own."""
    rows, columns = pixels.shape[:2]
    memory = pixels.tobytes()  # has to outlive the image that is only laid over it
    image = QImage(memory, columns, rows, 4 * columns, QImage.Format.Format_RGBA8888)
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)

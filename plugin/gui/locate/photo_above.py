"""The photo from above with its middle up, made in a thread; turned by hand it is only drawn turned."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QImage

from ...photos.background import Background
from ...photos.facts import Photo
from ...photos.picture import Picture, PictureLoader
from ...photos.projection import CAMERA_HEIGHT_M, birds_eye, columns_from_above
from .viewer import as_image

REACH_M = 60.0
"""Metres from the camera beyond which nothing is drawn: a pixel of the photo spans metres there."""
MOST_SIDE, MOST_COLUMNS = 1000, 4096


class PhotoAbove(QObject):
    """:attr:`made` carries the image of what was asked last, a disc with the photo's middle up, and its radius in
    metres; :attr:`failed` one line. Call :meth:`shut_down` before it goes."""

    made = pyqtSignal(QImage, float)
    failed = pyqtSignal(str)

    def __init__(self, loader: PictureLoader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loader = loader
        self._asked: tuple[Photo, float, int, float] | None = None
        self._work = Background(self)
        self._work.done.connect(self._take)
        self._work.failed.connect(lambda _key, fault: self.failed.emit(fault))
        loader.ready.connect(self._take_picture)
        loader.failed.connect(self._fail)

    def ask(self, photo: Photo, half_width_m: float, side: int, camera_height_m: float = CAMERA_HEIGHT_M) -> None:
        """Make the disc that covers a square of ``side`` pixels, ``half_width_m`` from its middle to an edge, however
        it is turned; not farther than :data:`REACH_M`."""
        radius = min(half_width_m * math.sqrt(2), REACH_M)
        pixels = max(8, min(MOST_SIDE, round(side * radius / half_width_m)))
        self._asked = (photo, radius, pixels, camera_height_m)
        self._make()

    def clear(self) -> None:
        """Nothing is wanted any more."""
        self._asked = None
        self._work.forget()

    def shut_down(self) -> None:
        """Make nothing more, and wait for what is being made."""
        self._asked = None
        self._work.shut_down()

    def _make(self) -> None:
        photo, radius, side, height = self._asked
        needed = columns_from_above(photo, 2 * radius / side, height)
        picture = self._loader.picture(photo.path)
        if picture is not None:
            self._work.ask("above", _making(picture, self._asked, needed))
        if picture is None or not picture.serves(min(needed, MOST_COLUMNS)):
            self._loader.ask(photo.path, min(needed, MOST_COLUMNS), upright=photo.kind == "photo")

    def _take_picture(self, path: str, _pixels) -> None:
        if self._asked is not None and self._asked[0].path == path:
            photo, radius, side, height = self._asked
            needed = columns_from_above(photo, 2 * radius / side, height)
            self._work.ask("above", _making(self._loader.picture(path), self._asked, needed))

    def _fail(self, path: str, fault: str) -> None:
        if self._asked is not None and self._asked[0].path == path:
            self.failed.emit(fault)

    def _take(self, _key: str, made: tuple[tuple, QImage]) -> None:
        asked, image = made
        if asked == self._asked:
            self.made.emit(image, asked[1])


def _making(
    picture: Picture, asked: tuple[Photo, float, int, float], needed: int
) -> Callable[[], tuple[tuple, QImage]]:
    photo, radius, side, height = asked

    def make() -> tuple[tuple, QImage]:
        return asked, as_image(disc(birds_eye(picture.level(needed), photo, 0.0, radius, side, height)))

    return make


def disc(pixels: np.ndarray) -> np.ndarray:
    """(side, side, 4) uint8 with alpha 0 outside of the circle that touches the edges; changed in place."""
    side = len(pixels)
    steps = np.arange(side, dtype=np.float32) + np.float32(0.5 - side / 2)
    pixels[steps[:, None] ** 2 + steps[None, :] ** 2 > (side / 2) ** 2] = 0
    return pixels

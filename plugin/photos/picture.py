"""Photos as arrays, read in the background at the size that is needed."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from qgis.PyQt.QtCore import QObject, QSize, pyqtSignal
from qgis.PyQt.QtGui import QImage, QImageIOHandler, QImageReader

from .background import Background

FIRST_WIDTH = 2048
MOST_PIXELS = 64_000_000
"""What is larger is read smaller: 256 MB at four bytes a pixel. A panorama of 11,000 × 5,500 is read as it is."""
KEPT_BYTES = 600_000_000
_STRIP = 1 << 20  # pixels worked on at once, so that other threads get their turn between


class PictureError(Exception):
    """A file that is no picture, or cannot be read; one line."""


@dataclass(frozen=True)
class Picture:
    """A photo at several sizes. ``levels``: (rows, columns, 4) uint8, red, green, blue and one byte more, each half as
    large as the one before; ``width``: columns of the file; ``whole``: the first level is no smaller than the file."""

    levels: tuple[np.ndarray, ...]
    width: int
    whole: bool

    @property
    def pixels(self) -> np.ndarray:
        """The finest level."""
        return self.levels[0]

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return sum(level.nbytes for level in self.levels)

    def level(self, columns: float) -> np.ndarray:
        """The smallest level that still has about as many columns as are needed, else the finest."""
        return next((level for level in reversed(self.levels) if level.shape[1] >= 0.75 * columns), self.levels[0])

    def serves(self, columns: float) -> bool:
        """Whether reading the file again would not make it sharper."""
        return self.whole or self.pixels.shape[1] >= columns


class PictureLoader(QObject):
    """Reads photos in a thread and keeps a few. :attr:`ready` carries the path and the finest pixels, as
    :class:`Picture` has them; :attr:`failed` the path and one line that names the file."""

    ready = pyqtSignal(str, object)
    failed = pyqtSignal(str, str)

    def __init__(self, parent: QObject | None = None, kept_bytes: int = KEPT_BYTES) -> None:
        super().__init__(parent)
        self._kept: OrderedDict[str, Picture] = OrderedDict()
        self._kept_bytes = kept_bytes
        self._asked: dict[str, int] = {}
        self._background = Background(self)
        self._background.done.connect(self._take)
        self._background.failed.connect(self._fail)

    def ask(self, path: str, columns: int = FIRST_WIDTH, *, upright: bool = False) -> None:
        """Read a photo at least ``columns`` wide, or as wide as it is. ``upright``: turned as EXIF says, for flat
        photos (a panorama's columns are never turned). What is kept already is told at once."""
        kept = self.picture(path)
        if kept is not None and kept.serves(columns):
            self._asked.pop(path, None)
            self.ready.emit(path, kept.pixels)
            return
        width = FIRST_WIDTH
        while width < columns:
            width *= 2
        if self._asked.get(path, 0) < width:
            self._asked[path] = width
            self._background.ask(path, lambda: read_picture(path, width, upright=upright))

    def picture(self, path: str) -> Picture | None:
        """What was read of a file so far."""
        if path in self._kept:
            self._kept.move_to_end(path)
        return self._kept.get(path)

    def forget(self, path: str) -> None:
        """Keep nothing of a file, for example because it has changed."""
        self._kept.pop(path, None)
        self._asked.pop(path, None)
        self._background.forget(path)

    def shut_down(self) -> None:
        """Read nothing more, and wait for what is being read."""
        self._background.shut_down()
        self._kept.clear()

    def _take(self, path: str, picture: Picture) -> None:
        if picture.serves(self._asked.get(path, 0)):
            self._asked.pop(path, None)
        self._kept[path] = picture
        self._kept.move_to_end(path)
        while len(self._kept) > 1 and sum(one.size_bytes for one in self._kept.values()) > self._kept_bytes:
            self._kept.popitem(last=False)
        self.ready.emit(path, picture.pixels)

    def _fail(self, path: str, fault: str) -> None:
        self._asked.pop(path, None)
        self.failed.emit(path, fault)


def read_picture(path: str, columns: int, *, upright: bool = False) -> Picture:
    """The photo about ``columns`` wide (never enlarged) and its smaller levels; in any thread. Raises PictureError."""
    reader = QImageReader(path)
    reader.setDecideFormatFromContent(True)
    reader.setAutoTransform(upright)
    size = reader.size()
    scale = 1.0
    if size.isValid() and not size.isEmpty():
        turned = upright and _on_its_side(reader)
        scale = min(1.0, columns / (size.height() if turned else size.width()))
        scale = min(scale, math.sqrt(MOST_PIXELS / (size.width() * size.height())))
        if scale < 1:
            reader.setScaledSize(QSize(max(1, round(size.width() * scale)), max(1, round(size.height() * scale))))
    image = reader.read()
    if image.isNull():
        raise PictureError(f"{path}: the photo cannot be shown: {reader.errorString()}")
    pixels = as_array(image)
    levels = [pixels]
    while levels[-1].shape[1] >= 1024 and levels[-1].shape[0] >= 4:
        levels.append(halved(levels[-1]))
    return Picture(tuple(levels), round(pixels.shape[1] / scale), scale >= 1)


def as_array(image: QImage) -> np.ndarray:
    """(rows, columns, 4) uint8 of an image, red, green, blue; the fourth is of no meaning. The pixels of a 32-bit
    image are not copied: the array holds the image. Others are converted strip by strip."""
    direct = image.format() in (QImage.Format.Format_RGB32, QImage.Format.Format_ARGB32)
    pixels = np.asarray(_Pixels(image)) if direct else np.empty((image.height(), image.width(), 4), np.uint8)
    rows = max(1, _STRIP // max(1, image.width()))
    for top in range(0, image.height(), rows):
        strip = pixels[top : top + rows]
        if not direct:
            part = image.copy(0, top, image.width(), len(strip)).convertToFormat(QImage.Format.Format_RGB32)
            strip[...] = np.asarray(_Pixels(part))
        strip[..., :3] = strip[..., 2::-1].copy()  # Qt has blue first on machines of today
    return pixels


class _Pixels:
    """What numpy holds on to, so that the memory of an image lives as long as the array."""

    def __init__(self, image: QImage) -> None:
        self.image = image
        address = int(image.bits())
        shape = (image.height(), image.width(), 4)
        self.__array_interface__ = {
            "shape": shape,
            "typestr": "|u1",
            "data": (address, False),
            "strides": (image.bytesPerLine(), 4, 1),
            "version": 3,
        }


def halved(pixels: np.ndarray) -> np.ndarray:
    """(rows // 2, columns // 2, 4) uint8: means of four pixels; an odd last row or column is left out."""
    rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
    answer = np.empty((rows, columns, 4), np.uint8)
    step = max(1, _STRIP // max(1, pixels.shape[1]))
    for top in range(0, rows, step):
        part = pixels[2 * top : 2 * min(top + step, rows), : 2 * columns]
        wide = part[0::2].astype(np.uint16)
        wide += part[1::2]
        answer[top : top + step] = (wide[:, 0::2] + wide[:, 1::2] + np.uint16(2)) >> 2
    return answer


def _on_its_side(reader: QImageReader) -> bool:
    """Whether EXIF turns the image by a quarter."""
    return bool(reader.transformation() & QImageIOHandler.Transformation.TransformationRotate90)

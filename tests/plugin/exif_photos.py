"""Photo files for tests of the plugin, whose Python has no Pillow: JPEG by Qt, EXIF written byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice
from qgis.PyQt.QtGui import QColor, QImage, QPainter


def make_photo(path: Path, size=(256, 128), *, lon=None, lat=None, heading=None, color="#3a7bd5") -> str:
    """A JPEG of one colour with a darker lower half; with a position where ``lon`` and ``lat`` are given."""
    image = QImage(size[0], size[1], QImage.Format.Format_RGB32)
    image.fill(QColor(color))
    painter = QPainter(image)
    painter.fillRect(0, size[1] // 2, size[0], size[1], QColor("#555555"))
    painter.end()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "JPEG", 90)
    jpeg = bytes(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    if lon is not None:
        content = b"Exif\x00\x00" + exif_block(lon, lat, heading)
        jpeg = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]
    path.write_bytes(jpeg)
    return str(path)


def exif_block(lon, lat, heading) -> bytes:
    """A TIFF of one directory that leads to a GPS directory."""
    entries = [(1, 2, 2, (b"N" if lat >= 0 else b"S") + b"\x00\x00\x00"), (2, 5, 3, angle(lat)),
               (3, 2, 2, (b"E" if lon >= 0 else b"W") + b"\x00\x00\x00"), (4, 5, 3, angle(lon))]  # fmt: skip
    if heading is not None:
        entries += [(16, 2, 2, b"T\x00\x00\x00"), (17, 5, 1, struct.pack("<II", round(heading * 100), 100))]
    start = 26
    values_at = start + 2 + 12 * len(entries) + 4
    head, values = b"", b""
    for tag, kind, count, data in entries:
        field = data
        if len(data) > 4:
            field = struct.pack("<I", values_at + len(values))
            values += data
        head += struct.pack("<HHI", tag, kind, count) + field
    first = struct.pack("<H", 1) + struct.pack("<HHII", 0x8825, 4, 1, start) + struct.pack("<I", 0)
    gps = struct.pack("<H", len(entries)) + head + struct.pack("<I", 0) + values
    return b"II*\x00" + struct.pack("<I", 8) + first + gps


def angle(degrees: float) -> bytes:
    parts = round(abs(degrees) * 3600 * 10_000)
    minutes, seconds = divmod(parts, 600_000)
    return struct.pack("<6I", minutes // 60, 1, minutes % 60, 1, seconds, 10_000)

"""Photos that tests draw themselves: what is where in them is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from qgis.PyQt.QtGui import QImage

from plugin.photos.facts import Photo, photo_of

COLORS = {"N": (220, 40, 40), "E": (40, 200, 40), "S": (40, 60, 220), "W": (220, 200, 40)}


def quarters(width: int, heading_deg: float = 0.0) -> np.ndarray:
    """(width // 2, width, 3): a panorama, red to the north, green east, blue south, yellow west, darker below."""
    azimuth = ((np.arange(width) + 0.5) / width * 360 - 180 + heading_deg) % 360
    columns = np.array(list(COLORS.values()), np.float32)[np.round(azimuth / 90).astype(int) % 4]
    shade = np.linspace(1.1, 0.6, width // 2, dtype=np.float32)[:, None, None]
    return np.clip(columns * shade, 0, 255).astype(np.uint8)


def save(pixels: np.ndarray, path: Path, quality: int = 92) -> str:
    """Write (rows, columns, 3) as the kind of image that the path's ending names."""
    data = np.ascontiguousarray(pixels)
    rows, columns = data.shape[:2]
    image = QImage(data.tobytes(), columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()
    assert image.save(str(path), None, quality)
    return str(path)


def panorama(path: str, width: int, **facts) -> Photo:
    known = {"width": width, "height": width // 2, "kind": "panorama", "hfov_deg": 360.0, "vfov_deg": 180.0}
    return photo_of({"path": path, **known, **facts})


def flat(path: str, width: int, height: int, hfov_deg: float, **facts) -> Photo:
    vfov = float(2 * np.degrees(np.arctan(np.tan(np.radians(hfov_deg) / 2) * height / width)))
    known = {"width": width, "height": height, "kind": "photo", "hfov_deg": hfov_deg, "vfov_deg": vfov}
    return photo_of({"path": path, **known, **facts})


def color_at(widget, x: float, y: float) -> str:
    """Which of :data:`COLORS` a widget shows at shares of its size."""
    image = widget.grab().toImage()
    seen = image.pixelColor(int(x * image.width()), int(y * image.height()))
    found = np.array([seen.red(), seen.green(), seen.blue()], float)
    found /= max(1.0, np.linalg.norm(found))
    apart = {name: np.linalg.norm(found - np.array(c) / np.linalg.norm(c)) for name, c in COLORS.items()}
    return min(apart, key=apart.get)

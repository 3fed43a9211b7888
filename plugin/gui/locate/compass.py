"""The compass along the lower edge of a view: a scale of directions that turns with it."""

from __future__ import annotations

import math

from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from ...photos.sight import Sight

_STEPS = (1, 5, 15, 45, 90)  # each divides the next, and 45: N, NE, E … are always among the marks
_NAMED = {0: "N", 45: "NE", 90: "E", 135: "SE", 180: "S", 225: "SW", 270: "W", 315: "NW"}


def offset_of(degrees: float, sight: Sight, width: float) -> float:
    """Pixels right of the middle at which a place on the horizon stands that many degrees off; ±inf behind."""
    if abs(degrees) >= 85:
        return math.copysign(math.inf, degrees)
    return _stretch(sight, width) * math.tan(math.radians(degrees))


def degrees_at(offset: float, sight: Sight, width: float) -> float:
    """The inverse of :func:`offset_of`."""
    return math.degrees(math.atan(offset / _stretch(sight, width)))


def _stretch(sight: Sight, width: float) -> float:
    """Pixels of one radian in the middle of the scale: more where one looks steeply up or down."""
    steep = max(0.2, math.cos(math.radians(sight.pitch)))
    return width / 2 / math.tan(math.radians(sight.fov) / 2) / steep


def marks(sight: Sight, heading_deg: float | None, width: float, room: float) -> list[tuple[float, str]]:
    """(pixels right of the middle, text) of the directions to be written, ``room`` pixels apart at least.

    With a heading texts are points of the compass and azimuths; without one degrees right (+) and left (−) of the
    photo's middle.
    """
    closest = math.degrees(room / _stretch(sight, width))  # the marks are closest together in the middle
    step = next((one for one in _STEPS if one >= closest), 90)
    middle = sight.turn + (heading_deg or 0.0)
    half = min(84.0, degrees_at(width / 2, sight, width))
    numbers = range(math.ceil((middle - half) / step), math.floor((middle + half) / step) + 1)
    # Between two of them there may be nothing to read: then the whole degree nearest to the middle.
    values = [number * step for number in numbers] or [round(middle)]
    return [(offset_of(value - middle, sight, width), _text(value, heading_deg)) for value in values]


def _text(value: int, heading_deg: float | None) -> str:
    if heading_deg is None:
        value = (value + 180) % 360 - 180
        return "0°" if value == 0 else f"{value:+d}°".replace("-", "−")
    return _NAMED.get(value % 360, f"{value % 360}°")


def paint_compass(painter: QPainter, box: QRectF, sight: Sight, heading_deg: float | None) -> None:
    """Draw the scale in ``box``, the middle of the view marked."""
    painter.save()
    painter.fillRect(box, QColor(0, 0, 0, 150))
    painter.setClipRect(box)
    metrics = QFontMetricsF(painter.font())
    middle = box.center().x()
    strong = painter.font()
    strong.setBold(True)
    usual = painter.font()
    for offset, text in marks(sight, heading_deg, box.width(), metrics.horizontalAdvance("+180°") + 14):
        x = middle + offset
        named = text[0].isalpha() or text == "0°"
        painter.setPen(QPen(QColor(255, 255, 255, 235), 1.6 if named else 1.0))
        painter.drawLine(QPointF(x, box.top()), QPointF(x, box.top() + 5))
        painter.setFont(strong if named else usual)
        painter.setPen(QColor("#ffb86b") if text == "N" else QColor(255, 255, 255, 235))
        half = metrics.horizontalAdvance(text) / 2 + 2
        if box.left() <= x - half and x + half <= box.right():  # what would be cut off is not written
            room = QRectF(x - 40, box.top() + 5, 80, box.height() - 6)
            painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), text)
    painter.setPen(QPen(QColor(0, 0, 0, 200), 1))
    painter.setBrush(QColor("#ffe600"))
    top = box.top()
    painter.drawPolygon(QPolygonF([QPointF(middle - 5, top), QPointF(middle + 5, top), QPointF(middle, top + 7)]))
    painter.restore()

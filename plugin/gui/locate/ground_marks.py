"""Marks on a square of ground: cross, heading, view cone, north, scale bar. Each light on dark, to be seen anywhere."""

from __future__ import annotations

import math

from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPen, QPolygonF

from .above_view import round_length

INK, LIGHT, HEADING, CONE = QColor(20, 28, 36, 220), QColor(255, 255, 255, 240), QColor("#ff922b"), QColor("#ffe600")


def direction(azimuth_deg: float) -> QPointF:
    """A step of length 1 to a compass direction, on a screen whose rows go south."""
    a = math.radians(azimuth_deg)
    return QPointF(math.sin(a), -math.cos(a))


def draw_cross(painter: QPainter, middle: QPointF, color: QColor = LIGHT) -> None:
    """Where the camera is thought to have stood."""
    for pen in (QPen(INK, 4), QPen(color, 2)):
        painter.setPen(pen)
        for dx, dy in ((1, 0), (0, 1)):
            step = QPointF(dx, dy)
            painter.drawLine(middle - step * 9, middle - step * 3)
            painter.drawLine(middle + step * 3, middle + step * 9)


def draw_heading(painter: QPainter, middle: QPointF, length: float, heading_deg: float) -> None:
    """An arrow to where the photo's middle looks."""
    ahead = direction(heading_deg)
    side = QPointF(-ahead.y(), ahead.x())
    tip = middle + ahead * length
    head = QPolygonF([tip, tip - ahead * 13 + side * 6, tip - ahead * 13 - side * 6])
    for color, width in ((INK, 5), (HEADING, 2.6)):
        painter.setPen(QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(middle + ahead * 11, tip - ahead * 11)
    painter.setPen(QPen(INK, 1.4))
    painter.setBrush(HEADING)
    painter.drawPolygon(head)


def draw_cone(painter: QPainter, middle: QPointF, length: float, azimuth_deg: float, fov_deg: float) -> None:
    """A sector: what a viewer shows just now."""
    fill = QColor(CONE)
    fill.setAlpha(60)
    painter.setPen(QPen(CONE, 1.6))
    painter.setBrush(fill)
    circle = QRectF(middle.x() - length, middle.y() - length, 2 * length, 2 * length)
    # Qt counts sixteenths of a degree from three o'clock, anticlockwise.
    start = round((90 - azimuth_deg - fov_deg / 2) * 16)
    painter.drawPie(circle, start, round(fov_deg * 16))


def draw_north(painter: QPainter, square: QRectF) -> None:
    """N at the top: the ground is never turned."""
    place = QRectF(square.right() - 24, square.top() + 4, 20, 20)
    painter.setPen(QPen(INK, 1))
    painter.setBrush(QColor(255, 255, 255, 215))
    painter.drawEllipse(place)
    font = painter.font()
    font.setBold(True)
    font.setPixelSize(12)
    painter.setFont(font)
    painter.drawText(place, Qt.AlignmentFlag.AlignCenter, "N")


def draw_scale_bar(painter: QPainter, square: QRectF, metre_px: float) -> None:
    """How long a round number of metres is."""
    metres = round_length(square.width() / 3 / metre_px)
    length = metres * metre_px
    left, bottom = square.left() + 10, square.bottom() - 9
    text = f"{metres:g} m"
    font = painter.font()
    font.setBold(False)
    font.setPixelSize(11)
    painter.setFont(font)
    wide = max(length, painter.fontMetrics().horizontalAdvance(text)) + 10
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(255, 255, 255, 205))
    painter.drawRoundedRect(QRectF(left - 5, bottom - 18, wide, 23), 3, 3)
    painter.setPen(QPen(INK, 2))
    painter.drawLine(QPointF(left, bottom), QPointF(left + length, bottom))
    for x in (left, left + length):
        painter.drawLine(QPointF(x, bottom - 4), QPointF(x, bottom))
    painter.setPen(INK)
    painter.drawText(QRectF(left, bottom - 18, wide, 14), Qt.AlignmentFlag.AlignLeft, text)


def draw_text(painter: QPainter, square: QRectF, text: str) -> None:
    """A line or two in the middle of what is empty."""
    font = painter.font()
    font.setBold(False)
    font.setPixelSize(12)
    painter.setFont(font)
    room = square.adjusted(14, 30, -14, -34)
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    bounds = painter.boundingRect(room, flags, text)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(255, 255, 255, 220))
    painter.drawRoundedRect(bounds.adjusted(-8, -5, 8, 5), 4, 4)
    painter.setPen(INK)
    painter.drawText(room, flags, text)

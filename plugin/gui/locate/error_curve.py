"""How far off the first guesses are: the share of photos nearer than so many metres, drawn over a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFontMetrics, QPainter, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..curve_view import COLORS


class ErrorCurve(QWidget):
    """:meth:`show_points` takes (metres, share of 0 to 1) pairs; without any it says so."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: list[tuple[float, float]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Error curve"))

    def sizeHint(self):
        return QSize(300, 190)

    def show_points(self, points: Sequence[Sequence[float]]) -> None:
        """Draw these; points with no positive distance are left out."""
        self._points = [(float(x), float(y)) for x, y in points if x > 0]
        told = ", ".join(self.tr("{:.0f} % within {:g} m").format(100 * y, x) for x, y in self._points)
        self.setAccessibleDescription(told)
        self.setToolTip(told)
        self.update()

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(self.font())
        ink = self.palette().color(QPalette.ColorRole.Text)
        line = metrics.height()
        if not self._points:
            painter.setPen(self.palette().color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text))
            painter.drawText(
                self.rect(), int(Qt.AlignmentFlag.AlignCenter), self.tr("No photo was taken in the region")
            )
            painter.end()
            return
        faint = QColor(ink)
        faint.setAlphaF(0.18)
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(ink)
        painter.drawText(QPointF(4, 2 + metrics.ascent()), self.tr("First guess nearer than"))
        font.setBold(False)
        painter.setFont(font)
        left = metrics.horizontalAdvance("100 %") + 8
        box = QRectF(left, line + 8, max(10.0, self.width() - left - 18), max(10.0, self.height() - 2 * line - 18))
        low, high = math.log10(self._points[0][0]), math.log10(self._points[-1][0])

        def at(x: float, y: float) -> QPointF:
            across = (math.log10(x) - low) / (high - low) if high > low else 0.5
            return QPointF(box.left() + across * box.width(), box.bottom() - y * box.height())

        right = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        middle = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            y = at(self._points[0][0], share).y()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))
            painter.setPen(ink)
            painter.drawText(QRectF(0, y - line / 2, left - 5, line), right, f"{100 * share:.0f} %")
        free = -math.inf
        for x, _ in self._points:
            text = f"{x / 1000:g} km" if x >= 1000 else f"{x:g} m"
            wide = metrics.horizontalAdvance(text) + 6
            start = min(at(x, 0).x() - wide / 2, self.width() - wide)
            painter.setPen(QPen(faint, 1))
            painter.drawLine(at(x, 0), QPointF(at(x, 0).x(), box.bottom() + 3))
            if start >= free:
                painter.setPen(ink)
                painter.drawText(QRectF(start, box.bottom() + 4, wide, line), middle, text)
                free = start + wide
        color = QColor(COLORS[0])
        places = [at(x, y) for x, y in self._points]
        painter.setPen(QPen(color, 1.8))
        painter.drawPolyline(QPolygonF(places))
        painter.setBrush(color)
        for place in places:
            painter.drawEllipse(place, 2.6, 2.6)
        painter.end()

"""Curves of a training run, drawn as it goes on: loss above, validation figures below."""

from __future__ import annotations

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QFontMetrics, QPainter, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from .curve_data import as_number, ticks

COLORS = ("#2b6cc4", "#e8590c", "#2e7d32", "#7570b3", "#a6761d", "#c2255c")


class CurveView(QWidget):
    """One chart: lines over steps, axes with titles and round numbers, a legend above. Nothing is smoothed."""

    def __init__(self, title: str, empty: str, *, between: tuple[float, float] | None = None, parent=None) -> None:
        super().__init__(parent)
        self._title, self._empty, self._between = title, empty, between
        self._series: dict[str, list[tuple[float, float]]] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(120)
        self.setAccessibleName(title)

    def sizeHint(self):
        return QSize(300, 170)

    def show_series(self, series: dict[str, list[tuple[float, float]]]) -> None:
        """Draw these series by name."""
        self._series = {name: list(points) for name, points in series.items() if points}
        told = ", ".join(f"{spoken(name)} {points[-1][1]:.3f}" for name, points in self._series.items())
        self.setAccessibleDescription(told)
        self.setToolTip(told)
        self.update()

    def paintEvent(self, event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = QFontMetrics(self.font())
        ink = self.palette().color(QPalette.ColorRole.Text)
        faint = QColor(ink)
        faint.setAlphaF(0.18)
        line = metrics.height()
        if not self._series:
            painter.setPen(self.palette().color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Text))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(9, 9, -9, -9), int(flags), self._empty)
            painter.end()
            return
        low_x, high_x, low_y, high_y = self._range()
        numbers = ticks(low_y, high_y)
        left = max(metrics.horizontalAdvance(as_number(value)) for value in numbers) + 8
        top = self._legend(painter, metrics, ink)
        box = QRectF(left, top, max(10.0, self.width() - left - 10), max(10.0, self.height() - top - 2.0 * line - 6))

        def at(x: float, y: float) -> QPointF:
            across = (x - low_x) / (high_x - low_x) if high_x > low_x else 0.5
            up = (y - low_y) / (high_y - low_y) if high_y > low_y else 0.5
            return QPointF(box.left() + across * box.width(), box.bottom() - up * box.height())

        right = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        middle = int(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        for value in numbers:
            y = at(low_x, value).y()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))
            painter.setPen(ink)
            painter.drawText(QRectF(0, y - line / 2, left - 5, line), right, as_number(value))
        wide = max(metrics.horizontalAdvance(as_number(high_x)), 24) + 12
        for value in ticks(low_x, high_x, most=max(2, int(box.width() // wide)), whole=True):
            x = at(value, low_y).x()
            painter.setPen(QPen(faint, 1))
            painter.drawLine(QPointF(x, box.bottom()), QPointF(x, box.bottom() + 3))
            painter.setPen(ink)
            half = wide / 2
            start = min(max(0.0, x - half), self.width() - wide)
            painter.drawText(QRectF(start, box.bottom() + 3, wide, line), middle, as_number(value))
        painter.drawText(QRectF(box.left(), box.bottom() + 3 + line, box.width(), line), middle, self.tr("step"))
        painter.setPen(QPen(ink, 1))
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        painter.drawLine(box.bottomLeft(), box.topLeft())
        painter.setClipRect(box.adjusted(-3, -3, 3, 3))
        for number, points in enumerate(self._series.values()):
            color = QColor(COLORS[number % len(COLORS)])
            places = [at(x, y) for x, y in points]
            painter.setPen(QPen(color, 1.8))
            painter.drawPolyline(QPolygonF(places))
            if len(places) <= 30:
                painter.setBrush(color)
                for place in places:
                    painter.drawEllipse(place, 2.2, 2.2)
                painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.end()

    def _range(self) -> tuple[float, float, float, float]:
        xs = [x for points in self._series.values() for x, _ in points]
        ys = [y for points in self._series.values() for _, y in points]
        low, high = self._between or (min(0.0, *ys, 0.0), max(ys))
        if self._between is not None:
            low, high = min(low, *ys, low), max(high, *ys, high)
        if not high > low:
            high = low + (abs(low) or 1.0)
        return min(xs), max(xs), low, high

    def _legend(self, painter: QPainter, metrics: QFontMetrics, ink: QColor) -> float:
        """The title and what each colour is, in as many lines as they need; where the chart begins."""
        line, x, y = metrics.height(), 4.0, 2.0
        painter.setPen(ink)
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(QPointF(x, y + metrics.ascent()), self._title)
        x += QFontMetrics(font).horizontalAdvance(self._title) + 12
        font.setBold(False)
        painter.setFont(font)
        for number, (name, points) in enumerate(self._series.items()):
            text = f"{spoken(name)} {points[-1][1]:.3f}"
            width = 16 + metrics.horizontalAdvance(text) + 10
            if x + width > self.width() and x > 4:
                x, y = 4.0, y + line + 1
            painter.setPen(QPen(QColor(COLORS[number % len(COLORS)]), 2.5))
            painter.drawLine(QPointF(x, y + line / 2), QPointF(x + 11, y + line / 2))
            painter.setPen(ink)
            painter.drawText(QPointF(x + 15, y + metrics.ascent()), text)
            x += width
        return y + line + 8


def spoken(name: str) -> str:
    """A series' name for people."""
    return name.replace("_", " ").replace("/", " ").replace("miou", "mean IoU").strip()

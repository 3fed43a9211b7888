"""What is written on a view: where one looks, and what kind of photo it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.PyQt.QtCore import QCoreApplication, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QFontMetricsF, QPainter

from ...photos.sight import spoken_azimuth

if TYPE_CHECKING:
    from ...photos.facts import Photo
    from .viewer import PanoramaViewer


def tr(text: str) -> str:
    """The text in the user's language."""
    return QCoreApplication.translate("ViewText", text)


class ViewText:
    """Lines on a dark plate in the upper left corner, so that they can be read on any photo."""

    def lines(self, photo: Photo, viewer: PanoramaViewer) -> list[str]:
        """The first says where one looks, the others what to know of it."""
        sight = viewer.sight
        lines = [looking(viewer.azimuth_deg, known=viewer.heading_deg is not None)]
        pitch = round(sight.pitch)
        level = tr("level") if pitch == 0 else (tr("{}° up") if pitch > 0 else tr("{}° down")).format(abs(pitch))
        lines.append(tr("{}, {}° wide").format(level, round(sight.fov)))
        if viewer.heading_deg is None:
            lines.append(tr("heading not known"))
        elif viewer.supposed:
            lines.append(tr("supposed heading {}°").format(round(viewer.heading_deg) % 360))
        kind = spoken_kind(photo)
        return [*lines, kind] if kind else lines

    def paint(self, painter: QPainter, box: QRectF, lines: list[str]) -> None:
        """Draw the lines in the corner of ``box``, the first one bold."""
        painter.save()
        usual, strong = painter.font(), painter.font()
        strong.setBold(True)
        line = QFontMetricsF(strong).height()
        wide = max(QFontMetricsF(strong if k == 0 else usual).horizontalAdvance(text) for k, text in enumerate(lines))
        plate = QRectF(box.left() + 6, box.top() + 6, min(wide + 14, box.width() - 12), line * len(lines) + 8)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawRoundedRect(plate, 4, 4)
        painter.setPen(QColor(255, 255, 255))
        for number, text in enumerate(lines):
            painter.setFont(strong if number == 0 else usual)
            row = QRectF(plate.left() + 7, plate.top() + 4 + number * line, plate.width() - 14, line)
            fitting = QFontMetricsF(painter.font()).elidedText(text, Qt.TextElideMode.ElideRight, row.width() + 1)
            painter.drawText(row, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), fitting)
        painter.restore()

    def paint_alone(self, painter: QPainter, box: QRectF, text: str) -> None:
        """Draw one text in the middle of an empty view."""
        painter.setPen(QColor(230, 230, 230))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(box.adjusted(12, 12, -12, -12), int(flags), text)


def looking(azimuth_deg: float, *, known: bool) -> str:
    """``"Looking at 123° ESE"``, or how far right of the photo's middle where its heading is not known."""
    if known:
        return tr("Looking at {}").format(spoken_azimuth(azimuth_deg))
    degrees = round(azimuth_deg)
    if degrees == 0:
        return tr("Looking at the middle")
    side = tr("right") if degrees > 0 else tr("left")
    return tr("Looking {}° {} of the middle").format(abs(degrees), side)


def spoken_kind(photo: Photo) -> str:
    """What a photo is that does not go all round; empty for a panorama."""
    if photo.kind == "photo":
        return tr("photo of one lens, {}° wide").format(round(photo.hfov_deg))
    if photo.kind == "strip":
        return tr("part of a panorama, {}° wide").format(round(photo.hfov_deg))
    return ""

"""How the parts of a review lie: beside each other in a wide window, above each other in a narrow one."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtWidgets import QBoxLayout, QVBoxLayout, QWidget

from ..form_page import scrolled
from .review_panes import ReviewPanes

CONTROLS_PX = 330
_NO_LIMIT = 16_777_215  # Qt's own


class ReviewFrame(QWidget):
    """``panes`` and a column of ``parts`` that is scrolled where it has no room."""

    def __init__(self, panes: ReviewPanes, parts: list[QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._panes = panes
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for part in parts:
            column.addWidget(part)
        column.addStretch(1)
        self._side = scrolled(side)
        self._box = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(9)
        # What it is at least must not be that of the wide layout, or no window could be made narrow again.
        self._box.setSizeConstraint(QBoxLayout.SizeConstraint.SetNoConstraint)
        self._box.addWidget(panes, 1)
        self._box.addWidget(self._side)

    def minimumSizeHint(self):
        return QSize(300, 300)

    def resizeEvent(self, event):
        super().resizeEvent(event)
        if self.width() > 640 and self.width() > 1.15 * self.height():
            self._box.setDirection(QBoxLayout.Direction.LeftToRight)
            self._side.setFixedWidth(CONTROLS_PX)
            self._side.setMaximumHeight(_NO_LIMIT)
            self._panes.turn_splitter(self.width() - CONTROLS_PX > self.height())
        else:
            self._box.setDirection(QBoxLayout.Direction.TopToBottom)
            self._side.setMinimumWidth(0)
            self._side.setMaximumWidth(_NO_LIMIT)
            self._side.setMaximumHeight(max(180, round(0.42 * self.height())))
            self._panes.turn_splitter(self.width() > 560)

"""How the parts of a review lie: beside each other in a wide window, above each other in a narrow one."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtWidgets import QBoxLayout, QVBoxLayout, QWidget

from ..form_page import scrolled
from .review_controls import ReviewControls
from .review_panes import ReviewPanes

WIDE_PX, COMPACT_PX = 330, 240
"""How wide the column of controls is beside the pictures, with buttons in two columns and in one."""
_NO_LIMIT = 16_777_215  # Qt's own


class ReviewFrame(QWidget):
    """``panes``, and a column of ``controls``, ``strip`` and the controls' settings that is scrolled where it has no
    room."""

    def __init__(
        self, panes: ReviewPanes, controls: ReviewControls, strip: QWidget, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._panes, self._controls = panes, controls
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for part in (controls, strip, controls.settings):
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
        width, height = self.width(), self.height()
        if width > 560 and width > 1.15 * height:
            # The pictures come first: the controls take less where there is little.
            column = WIDE_PX if width > 3 * WIDE_PX else COMPACT_PX
            self._controls.set_columns(2 if column == WIDE_PX else 1)
            self._box.setDirection(QBoxLayout.Direction.LeftToRight)
            self._side.setFixedWidth(column)
            self._side.setMaximumHeight(_NO_LIMIT)
            self._panes.turn_splitter(width - column > height)
        else:
            self._controls.set_columns(2)
            self._box.setDirection(QBoxLayout.Direction.TopToBottom)
            self._side.setMinimumWidth(0)
            self._side.setMaximumWidth(_NO_LIMIT)
            self._side.setMaximumHeight(max(180, round(0.42 * height)))
            self._panes.turn_splitter(width > 560)

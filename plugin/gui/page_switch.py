"""The switch on top of a tab of several pages: a button each, in one row where there is room, else in two."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize, pyqtSignal
from qgis.PyQt.QtWidgets import QButtonGroup, QGridLayout, QSizePolicy, QToolButton, QWidget


class PageSwitch(QWidget):
    """:attr:`chosen` carries the number of the page whose button was pressed."""

    chosen = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(9, 6, 9, 0)
        self._grid.setSpacing(0)
        self._columns = 0
        self._group.buttonClicked.connect(lambda button: self.chosen.emit(self._group.id(button)))

    def add(self, title: str, tip: str) -> None:
        """Another button; the first is pressed."""
        button = QToolButton(self)
        button.setText(title)
        button.setToolTip(tip)
        button.setCheckable(True)
        # The columns are equally wide; whether the widest title fits is seen to below.
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._group.addButton(button, len(self._group.buttons()))
        button.setChecked(self._group.id(button) == 0)
        self._columns = 0
        self._arrange()

    def button(self, number: int) -> QToolButton:
        """The button of a page."""
        return self._group.button(number)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._needed(-(-len(self._group.buttons()) // 2)), self._grid.minimumSize().height())

    def sizeHint(self) -> QSize:
        return QSize(self._needed(len(self._group.buttons())), self._grid.sizeHint().height())

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._arrange()

    def _needed(self, columns: int) -> int:
        margins = self._grid.contentsMargins()
        widest = max((button.sizeHint().width() for button in self._group.buttons()), default=0)
        return columns * widest + margins.left() + margins.right()

    def _arrange(self) -> None:
        count = len(self._group.buttons())
        columns = count if self._needed(count) <= self.width() else -(-count // 2)
        if columns == self._columns:
            return
        self._columns = columns
        for number in range(count):
            self._grid.addWidget(self.button(number), number // columns, number % columns)
        for column in range(count):
            self._grid.setColumnStretch(column, int(column < columns))
        self.updateGeometry()

"""A tab of several pages with a switch on top, for example "Map" and "Change"."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)


class PagedTab(QWidget):
    """Pages by name; one is in front. :attr:`turned` carries the name of the page that came to the front."""

    turned = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._stack = QStackedWidget()
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._bar = QHBoxLayout()
        self._bar.setContentsMargins(9, 6, 9, 0)
        self._bar.setSpacing(0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._bar)
        column.addWidget(self._stack, 1)
        self._group.buttonClicked.connect(self._clicked)

    def add_page(self, name: str, title: str, page: QWidget, tip: str = "") -> None:
        """Another page, behind a button of the switch."""
        button = QToolButton()
        button.setText(title)
        button.setToolTip(tip or title)
        button.setCheckable(True)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._group.addButton(button, len(self._names))
        self._bar.addWidget(button)
        self._stack.addWidget(page)
        self._names.append(name)
        if len(self._names) == 1:
            button.setChecked(True)

    @property
    def current(self) -> str:
        """Name of the page in front."""
        return self._names[self._stack.currentIndex()]

    def turn_to(self, name: str) -> QWidget:
        """Bring a page to the front; the page."""
        index = self._names.index(name)
        self._group.button(index).setChecked(True)
        if index != self._stack.currentIndex():
            self._stack.setCurrentIndex(index)
            self.turned.emit(name)
        return self._stack.widget(index)

    def pages(self) -> list[QWidget]:
        """All pages, from the left."""
        return [self._stack.widget(index) for index in range(self._stack.count())]

    def enable_page(self, name: str, on: bool, tip: str = "") -> None:
        """Whether a page can be turned to, and why not."""
        button = self._group.button(self._names.index(name))
        button.setEnabled(on)
        if tip:
            button.setToolTip(tip)

    def shut_down(self) -> None:
        """Shut the pages down."""
        for page in self.pages():
            if hasattr(page, "shut_down"):
                page.shut_down()

    def _clicked(self, button) -> None:
        self.turn_to(self._names[self._group.id(button)])

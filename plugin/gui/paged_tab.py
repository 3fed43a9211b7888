"""A tab of several pages with a switch on top, for example "Map" and "Change"."""

from __future__ import annotations

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from .page_switch import PageSwitch


class PagedTab(QWidget):
    """Pages by name; one is in front. :attr:`turned` carries the name of the page that came to the front."""

    turned = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._stack = QStackedWidget()
        self._switch = PageSwitch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._switch)
        column.addWidget(self._stack, 1)
        self._switch.chosen.connect(lambda number: self.turn_to(self._names[number]))

    def add_page(self, name: str, title: str, page: QWidget, tip: str = "") -> None:
        """Another page, behind a button of the switch."""
        self._switch.add(title, tip or title)
        self._stack.addWidget(page)
        self._names.append(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pages, from the left."""
        return tuple(self._names)

    @property
    def current(self) -> str:
        """Name of the page in front."""
        return self._names[self._stack.currentIndex()]

    def turn_to(self, name: str) -> QWidget:
        """Bring a page to the front; the page."""
        index = self._names.index(name)
        self._switch.button(index).setChecked(True)
        if index != self._stack.currentIndex():
            self._stack.setCurrentIndex(index)
            self.turned.emit(name)
        return self._stack.widget(index)

    def pages(self) -> list[QWidget]:
        """All pages, from the left."""
        return [self._stack.widget(index) for index in range(self._stack.count())]

    def enable_page(self, name: str, on: bool, tip: str = "") -> None:
        """Whether a page can be turned to, and why not."""
        button = self._switch.button(self._names.index(name))
        button.setEnabled(on)
        if tip:
            button.setToolTip(tip)

    def shut_down(self) -> None:
        """Shut the pages down."""
        for page in self.pages():
            if hasattr(page, "shut_down"):
                page.shut_down()

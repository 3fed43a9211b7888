"""A tab of several pages with a switch on top, for example "Map" and "Change"."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from .late_pages import LatePages
from .page_switch import PageSwitch


class PagedTab(QWidget):
    """Pages by name, made when they are first turned to or asked for; one is in front. :attr:`turned` carries the name
    of the page that came to the front."""

    turned = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pages = LatePages()
        self._stack = QStackedWidget()
        self._switch = PageSwitch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._switch)
        column.addWidget(self._stack, 1)
        self._switch.chosen.connect(lambda number: self.turn_to(self.names[number]))

    def add_page(self, name: str, title: str, make: Callable[[], QWidget], tip: str = "") -> None:
        """Another page, behind a button of the switch; ``make`` gives it, now for the first page."""
        self._switch.add(title, tip or title)
        self._stack.addWidget(self._pages.add(name, make))
        if len(self.names) == 1:
            self.page(name)

    def page(self, name: str) -> QWidget:
        """The page of that name, made now if it was not shown yet."""
        return self._pages.page(name)

    def made(self, *names: str) -> list[QWidget]:
        """The pages that were made; where names are given, those of them."""
        return self._pages.made(*names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pages, from the left."""
        return self._pages.names

    @property
    def current(self) -> str:
        """Name of the page in front."""
        return self.names[self._stack.currentIndex()]

    def turn_to(self, name: str) -> QWidget:
        """Bring a page to the front; the page."""
        index, page = self.names.index(name), self.page(name)
        self._switch.button(index).setChecked(True)
        if index != self._stack.currentIndex():
            self._stack.setCurrentIndex(index)
            self.turned.emit(name)
        return page

    def enable_page(self, name: str, on: bool, tip: str = "") -> None:
        """Whether a page can be turned to, and why not."""
        button = self._switch.button(self.names.index(name))
        button.setEnabled(on)
        if tip:
            button.setToolTip(tip)

    def shut_down(self) -> None:
        """Shut the pages down."""
        for page in self.made():
            if hasattr(page, "shut_down"):
                page.shut_down()

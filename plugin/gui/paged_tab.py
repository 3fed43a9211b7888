"""A tab of several pages with a switch on top, for example "Map" and "Change"."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from .page_switch import PageSwitch


class PagedTab(QWidget):
    """Pages by name; one is in front. A page is made when it is first turned to or asked for, since making all pages of
    a tab at once holds the window up. :attr:`turned` carries the name of the page that came to the front."""

    turned = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._makers: dict[str, Callable[[], QWidget]] = {}
        self._pages: dict[str, QWidget] = {}
        self._stack = QStackedWidget()
        self._switch = PageSwitch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._switch)
        column.addWidget(self._stack, 1)
        self._switch.chosen.connect(lambda number: self.turn_to(self._names[number]))

    def add_page(self, name: str, title: str, make: Callable[[], QWidget], tip: str = "") -> None:
        """Another page, behind a button of the switch; ``make`` gives it, now for the first page."""
        self._switch.add(title, tip or title)
        self._names.append(name)
        self._makers[name] = make
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(holder)
        if len(self._names) == 1:
            self.page(name)

    def page(self, name: str) -> QWidget:
        """The page of that name, made now if it was not shown yet."""
        if name not in self._pages:
            page = self._makers[name]()
            self._pages[name] = page
            self._stack.widget(self._names.index(name)).layout().addWidget(page)
        return self._pages[name]

    def made(self, *names: str) -> list[QWidget]:
        """The pages that were made, of these names where any are given."""
        return [page for name, page in self._pages.items() if name in (names or self._names)]

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
        index, page = self._names.index(name), self.page(name)
        self._switch.button(index).setChecked(True)
        if index != self._stack.currentIndex():
            self._stack.setCurrentIndex(index)
            self.turned.emit(name)
        return page

    def enable_page(self, name: str, on: bool, tip: str = "") -> None:
        """Whether a page can be turned to, and why not."""
        button = self._switch.button(self._names.index(name))
        button.setEnabled(on)
        if tip:
            button.setToolTip(tip)

    def shut_down(self) -> None:
        """Shut the pages down."""
        for page in self.made():
            if hasattr(page, "shut_down"):
                page.shut_down()

"""Pages that are made when they are first asked for: to make all pages of a dock at once holds the window up.

So does making one and showing it: a page takes its place in the next turn of the event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget


class LatePages:
    """Pages by name, in the order of :meth:`add`. Until a page is made its holder stands in its place."""

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[], QWidget]] = {}
        self._holders: dict[str, _Holder] = {}
        self._made: dict[str, QWidget] = {}

    def add(self, name: str, make: Callable[[], QWidget]) -> QWidget:
        """The holder of another page, which ``make`` gives when it is first asked for."""
        self._makers[name] = make
        self._holders[name] = _Holder()
        return self._holders[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pages."""
        return tuple(self._makers)

    def page(self, name: str) -> QWidget:
        """The page of that name, made now if it was not asked for yet."""
        if name not in self._made:
            self._made[name] = self._makers[name]()
            self._holders[name].take(self._made[name])
        return self._made[name]

    def made(self, *names: str) -> list[QWidget]:
        """The pages that were made; where names are given, those of them."""
        return [page for name, page in self._made.items() if not names or name in names]


class _Holder(QWidget):
    """Where a page will be."""

    def __init__(self) -> None:
        super().__init__()
        QVBoxLayout(self).setContentsMargins(0, 0, 0, 0)
        self._page: QWidget | None = None
        self._next = QTimer(self)  # ends with the holder
        self._next.setSingleShot(True)
        self._next.timeout.connect(self._place)

    def take(self, page: QWidget) -> None:
        """The page is this holder's from now on, and shown in the next turn of the event loop."""
        page.setParent(self)
        self._page = page
        self._next.start(0)

    def _place(self) -> None:
        self.layout().addWidget(self._page)

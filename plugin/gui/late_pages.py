"""Pages that are made when they are first asked for: to make all pages of a dock at once holds the window up."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget


class LatePages:
    """Pages by name, in the order of :meth:`add`. Until a page is made its holder stands in its place."""

    def __init__(self) -> None:
        self._makers: dict[str, Callable[[], QWidget]] = {}
        self._holders: dict[str, QWidget] = {}
        self._made: dict[str, QWidget] = {}

    def add(self, name: str, make: Callable[[], QWidget]) -> QWidget:
        """The holder of another page, which ``make`` gives when it is first asked for."""
        self._makers[name] = make
        self._holders[name] = holder = QWidget()
        QVBoxLayout(holder).setContentsMargins(0, 0, 0, 0)
        return holder

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pages."""
        return tuple(self._makers)

    def page(self, name: str) -> QWidget:
        """The page of that name, made now if it was not asked for yet."""
        if name not in self._made:
            self._made[name] = self._makers[name]()
            self._holders[name].layout().addWidget(self._made[name])
        return self._made[name]

    def made(self, *names: str) -> list[QWidget]:
        """The pages that were made; where names are given, those of them."""
        return [page for name, page in self._made.items() if not names or name in names]

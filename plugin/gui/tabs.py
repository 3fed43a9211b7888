"""The dock's row of tabs: pages are made when they are first shown, and names give way to icons where it is narrow."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QTabWidget, QWidget

from .late_pages import LatePages

_ICON_TAB = 46  # about the width of a tab without a title
_AROUND = 48  # what a tab has around its text: icon, gap, margins


class DockTabs(QTabWidget):
    """Tabs by name. Where not every title has room only that of the current tab is shown, beside the others' icons."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._titles: list[str] = []
        self._pages = LatePages()
        self.setDocumentMode(True)
        self.setElideMode(Qt.TextElideMode.ElideRight)
        self.setUsesScrollButtons(False)
        self.tabBar().setExpanding(False)
        self.currentChanged.connect(self._shown)

    def add(self, name: str, icon: QIcon, title: str, make: Callable[[], QWidget]) -> None:
        """A tab; ``make`` gives its page when it is shown for the first time."""
        self._titles.append(title)
        index = self.addTab(self._pages.add(name, make), icon, title)
        self.setTabToolTip(index, title)
        self.setTabWhatsThis(index, title)

    def page(self, name: str) -> QWidget:
        """The page of a tab, made now if it was not shown yet."""
        return self._pages.page(name)

    def made(self) -> list[QWidget]:
        """The pages that were made."""
        return self._pages.made()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tabs, from the left."""
        return self._pages.names

    @property
    def current(self) -> str:
        """Name of the tab in front."""
        return self.names[self.currentIndex()] if self.names else ""

    def show_tab(self, name: str) -> QWidget:
        """Bring a tab to the front; its page."""
        page = self.page(name)
        self.setCurrentIndex(self.names.index(name))
        return page

    def minimumSizeHint(self) -> QSize:
        """With the title of one tab and the icons of the others: a dock keeps the minimum that it was told first."""
        hint = super().minimumSizeHint()
        bar = max(map(self._advance, self._titles), default=0) + _ICON_TAB * (len(self._titles) - 1)
        pages = max((self.widget(index).minimumSizeHint().width() for index in range(self.count())), default=0)
        return QSize(min(hint.width(), max(bar, pages)), hint.height())

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._fit()

    def _shown(self, index: int) -> None:
        if 0 <= index < len(self.names) and len(self.names) == self.count():
            if self.isVisible():
                self.page(self.names[index])
            self._fit()

    def showEvent(self, event):
        super().showEvent(event)
        if self.names:
            self.page(self.current)
        self._fit()

    def _fit(self) -> None:
        roomy = sum(map(self._advance, self._titles)) <= self.width()
        for index, title in enumerate(self._titles):
            text = title if roomy or index == self.currentIndex() else ""
            if self.tabText(index) != text:
                self.setTabText(index, text)

    def _advance(self, title: str) -> int:
        """About the width of a tab with its title."""
        return self.fontMetrics().horizontalAdvance(title) + _AROUND

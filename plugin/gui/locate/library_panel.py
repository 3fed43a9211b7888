"""The indexes that were made earlier: what they are, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QMessageBox,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..icons import theme_icon
from .index_facts import BROKEN, READY, UNFINISHED, IndexFacts, read_index
from .index_library import IndexLibrary
from .plan_text import size_text

_ROWS = 3.3
_ICONS = {READY: "mIconSuccess.svg", UNFINISHED: "mActionHistory.svg", BROKEN: "mIconWarning.svg"}
_FOLDER = Qt.ItemDataRole.UserRole
Busy = Callable[[str], str]
"""What is done with a folder just now, in words ("being made"); the empty string for nothing."""


class LibraryPanel(QgsCollapsibleGroupBox):
    """The list with its buttons; :attr:`used`, :attr:`extended` and :attr:`shown` carry the facts of an index."""

    used = pyqtSignal(object)
    extended = pyqtSignal(object)
    shown = pyqtSignal(object)
    told = pyqtSignal(str)
    """A line for the user."""

    def __init__(self, library: IndexLibrary, busy: Busy, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("Indexes made earlier"))
        self._library, self._busy = library, busy
        self.setSaveCollapsedState(False)
        self.list = QListWidget(self)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setAccessibleName(self.tr("Indexes made earlier"))
        self.list.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.use = self._button(self.tr("Search in it"), self.tr("Search photos in this index"))
        self.extend = self._button(self.tr("Extend"), self.tr("Add the cells of another region, or those that lack"))
        self.show_extent = self._button(self.tr("Show"), self.tr("Show on the map where the index lies"))
        self.more = self._button("", self.tr("More"))
        self.more.setIcon(theme_icon("mActionOptions.svg"))
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        menu = QMenu(self.more)
        self.take = menu.addAction(self.tr("Add the folder of an index…"), self._browse)
        menu.addSeparator()
        self.forget = menu.addAction(self.tr("Take off this list (files stay)"), self._forget)
        self.delete = menu.addAction(
            theme_icon("mActionDeleteSelected.svg"), self.tr("Delete the files…"), self._delete
        )
        self.more.setMenu(menu)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.use, self.extend, self.show_extent, self.more):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        column.addWidget(self.list)
        column.addLayout(buttons)
        self.use.clicked.connect(partial(self._emit, self.used))
        self.extend.clicked.connect(partial(self._emit, self.extended))
        self.show_extent.clicked.connect(partial(self._emit, self.shown))
        self.list.itemDoubleClicked.connect(partial(self._emit, self.used))
        self.list.itemSelectionChanged.connect(self._show_buttons)
        library.changed.connect(self.refresh)
        library.deleted.connect(self._deleted)
        self.refresh()

    def selected(self) -> IndexFacts | None:
        """The facts of the selected index."""
        items = self.list.selectedItems()
        return self._library.find(items[0].data(_FOLDER)) if items else None

    def select(self, folder: str) -> None:
        """Select an index."""
        for row in range(self.list.count()):
            if self.list.item(row).data(_FOLDER) == folder:
                self.list.setCurrentRow(row)

    def refresh(self) -> None:
        """Show the library as it is now."""
        chosen = self.selected()
        self.list.clear()
        indexes = self._library.indexes()
        for facts in indexes:
            item = QListWidgetItem(theme_icon(_ICONS[facts.state]), f"{self._title(facts)}\n{self._describe(facts)}")
            item.setData(_FOLDER, facts.folder)
            item.setToolTip(self._tip(facts))
            self.list.addItem(item)
        line = self.list.fontMetrics().height()
        self.list.setFixedHeight(round(min(len(indexes) + 0.2, _ROWS) * (2 * line + 4)) + 4 if indexes else 2 * line)
        self.list.setIconSize(QSize(16, 16))
        if chosen is not None:
            self.select(chosen.folder)
        if not self.list.selectedItems() and indexes:
            self.list.setCurrentRow(0)
        if not indexes:
            self.list.addItem(QListWidgetItem(self.tr("None yet.")))
            self.list.item(0).setFlags(Qt.ItemFlag.NoItemFlags)
        self._show_buttons()

    def shut_down(self) -> None:
        """Follow the library no longer."""
        self._library.changed.disconnect(self.refresh)
        self._library.deleted.disconnect(self._deleted)

    def _button(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return button

    def _title(self, facts: IndexFacts) -> str:
        """The name, and from when it is: behind the method and the cells the dock has no room for it."""
        if facts.state != READY:
            return facts.name
        when = (
            self.tr("imagery {}").format(facts.taken) if facts.taken else self.tr("made {}").format(facts.updated[:10])
        )
        return f"{facts.name} · {when}"

    def _describe(self, facts: IndexFacts) -> str:
        busy = self._busy(facts.folder)
        if busy:
            return busy
        if facts.state == UNFINISHED:
            return self.tr("stopped half-way: build it again with the same settings to go on")
        if facts.state == BROKEN:
            return facts.fault
        cells = self.tr("{:,} cells of {:g} m").format(facts.cells, facts.cell_m)
        return " · ".join([facts.described_by, cells, size_text(facts.size)])

    def _tip(self, facts: IndexFacts) -> str:
        lines = [facts.folder]
        lines += [self.tr("Imagery: {}").format(reference) for reference in facts.all_references]
        if facts.taken:  # a range of dates may be cut off in the list
            lines.append(self.tr("Imagery taken {}").format(facts.taken))
        if facts.all_attributions:
            lines.append(self.tr("Attribution: {}").format("; ".join(facts.all_attributions)))
        if facts.gaps:
            lines.append(self.tr("{:,} cells without imagery are not in it").format(facts.gaps))
        if facts.fault:
            lines.append(facts.fault)
        return "\n".join(lines)

    def _show_buttons(self) -> None:
        facts = self.selected()
        free = facts is not None and not self._busy(facts.folder)
        for button in (self.use, self.extend, self.show_extent):
            button.setEnabled(free and facts.usable)
        self.forget.setEnabled(free)
        self.delete.setEnabled(free)

    def _emit(self, signal, *_) -> None:
        facts = self.selected()
        if facts is not None and facts.usable:
            signal.emit(facts)

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of an index"))
        if folder:
            self.take_folder(folder)

    def take_folder(self, folder: str) -> None:
        """Put an index that was made elsewhere on the list; says so where the folder is none."""
        facts = read_index(folder)
        if facts.usable:
            self._library.add(folder)
        else:
            self.told.emit(facts.fault or self.tr("{}: there is no index.").format(folder))

    def _forget(self) -> None:
        facts = self.selected()
        if facts is not None:
            self._library.forget(facts.folder)

    def _delete(self) -> None:
        facts = self.selected()
        if facts is None or self._busy(facts.folder):
            return
        box = QMessageBox(
            QMessageBox.Icon.Question,
            self.tr("Delete an index"),
            self.tr("Delete the index “{}” ({})? Results of searches stay; to search there again it must be made "
                    "anew.").format(facts.name, size_text(facts.size) if facts.usable else self.tr("unfinished")),
            QMessageBox.StandardButton.Cancel,
            self,
        )  # fmt: skip
        really = box.addButton(self.tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)
        box.exec()
        if box.clickedButton() is really:
            self._library.delete(facts.folder)

    def _deleted(self, folder: str, fault: str) -> None:
        self.told.emit(fault)

"""Which index: a combo box of those that are known here, a button for another folder, and what it is in a line."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from ..form_parts import hint
from ..icons import theme_icon
from .index_library import IndexLibrary


class IndexChoice(QWidget):
    """:meth:`folder` is the chosen index."""

    changed = pyqtSignal()

    def __init__(self, library: IndexLibrary, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._library, self._wanted = library, ""
        self.combo = QComboBox(self)
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self.combo.setAccessibleName(self.tr("Index"))
        self.browse = QToolButton(self)
        self.browse.setIcon(theme_icon("mActionFileOpen.svg"))
        self.browse.setToolTip(self.tr("Take the folder of an index that is not on the list"))
        self.browse.setAccessibleName(self.browse.toolTip())
        self.note = hint("", self)
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.combo, 1)
        line.addWidget(self.browse)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(line)
        column.addWidget(self.note)
        self.setFocusProxy(self.combo)
        library.changed.connect(self.refresh)
        self.combo.currentIndexChanged.connect(self._chosen)
        self.combo.activated.connect(self._by_hand)
        self.browse.clicked.connect(self._browse)
        self.refresh()

    def folder(self) -> str:
        """The folder of the chosen index; empty where there is none."""
        return str(self.combo.currentData() or "")

    def use(self, folder: str) -> None:
        """Choose an index, now or as soon as the library has read it."""
        folder = str(Path(folder).absolute())
        self._wanted = folder
        if self.combo.findData(folder) >= 0:
            self.combo.setCurrentIndex(self.combo.findData(folder))
            self._wanted = ""
        else:
            self._library.add(folder)

    def prefer(self, folder: str) -> None:
        """Choose an index as soon as the library knows it, if it ever does."""
        self._wanted = folder
        self.refresh()

    def fault(self) -> str:
        """What is missing, or the empty string."""
        return "" if self.folder() else self.tr("Choose the index of the region; build one on the page “Region”.")

    def shut_down(self) -> None:
        """Follow the library no longer."""
        self._library.changed.disconnect(self.refresh)

    def refresh(self) -> None:
        """List the indexes as they are now; the choice stays."""
        chosen = self.folder()
        with QSignalBlocker(self.combo):
            self.combo.clear()
            for facts in self._library.usable():
                self.combo.addItem(facts.name, facts.folder)
            wanted = self.combo.findData(self._wanted) if self._wanted else -1
            at = wanted if wanted >= 0 else self.combo.findData(chosen)
            self.combo.setCurrentIndex(at if at >= 0 else min(0, self.combo.count() - 1))
        if self._wanted and self.folder() == self._wanted:
            self._wanted = ""
        self._chosen()

    def _by_hand(self, *_) -> None:
        self._wanted = ""

    def _chosen(self, *_) -> None:
        facts = self._library.find(self.folder()) if self.folder() else None
        if facts is None:
            text = self.tr("There is no index yet: build one on the page “Region”.")
        else:
            made = facts.described_by
            text = self.tr("{}, {:,} cells of {:g} m").format(made, facts.cells, facts.cell_m)
            if facts.taken:
                text += self.tr(", imagery of {}").format(facts.taken)
            text += "."
        self.note.setText(text)
        self.combo.setToolTip(self.folder())
        self.combo.setEnabled(self.combo.count() > 0)
        self.changed.emit()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of an index"))
        if folder:
            self.use(folder)

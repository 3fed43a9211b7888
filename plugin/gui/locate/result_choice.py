"""Which search is shown: those of the list of runs, and folders that are opened."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QToolButton, QWidget

from ...engine_client.runs import DONE, RunRegistry
from ..icons import theme_icon

JOB = "locate-search"


class ResultChoice(QWidget):
    """:attr:`chosen` carries the folder of a result that the user wants to see."""

    chosen = pyqtSignal(str)

    def __init__(self, registry: RunRegistry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._registry, self._folder = registry, ""
        self.combo = QComboBox(self)
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self.combo.setAccessibleName(self.tr("Result"))
        self.browse = QToolButton(self)
        self.browse.setIcon(theme_icon("mActionFileOpen.svg"))
        self.browse.setToolTip(self.tr("Open the result folder of an earlier search"))
        self.browse.setAccessibleName(self.browse.toolTip())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.combo, 1)
        row.addWidget(self.browse)
        self.combo.activated.connect(lambda *_: self.chosen.emit(str(self.combo.currentData())))
        self.browse.clicked.connect(self._browse)
        registry.changed.connect(self._run_changed)
        registry.removed.connect(self._list)
        self._list()

    def show_folder(self, folder: str) -> None:
        """The result that is shown."""
        self._folder = folder
        self._list()

    def shut_down(self) -> None:
        """Follow the runs no longer."""
        self._registry.changed.disconnect(self._run_changed)
        self._registry.removed.disconnect(self._list)

    def _list(self, *_) -> None:
        """The searches that ended well, the newest first, and the one that is shown."""
        folders = [run.out for run in self._registry.runs() if run.job == JOB and run.state == DONE and run.out]
        folders += [self._folder] if self._folder else []
        with QSignalBlocker(self.combo):
            self.combo.clear()
            for folder in dict.fromkeys(folders):
                self.combo.addItem(Path(folder).name, folder)
                self.combo.setItemData(self.combo.count() - 1, folder, Qt.ItemDataRole.ToolTipRole)
            self.combo.setCurrentIndex(self.combo.findData(self._folder))
        self.combo.setEnabled(bool(folders))
        self.combo.setToolTip(self._folder or self.tr("Choose a result"))

    def _run_changed(self, run_id: str) -> None:
        run = self._registry.run(run_id)
        if run is not None and run.job == JOB and run.state == DONE:
            self._list()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder of a result"))
        if folder:
            self.chosen.emit(folder)

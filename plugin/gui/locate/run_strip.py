"""How far a run of a page is, with a button to cancel it."""

from __future__ import annotations

from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QToolButton, QVBoxLayout, QWidget

from ..icons import theme_icon
from ..workspace import Workspace

_EVERY_MS = 250


class RunStrip(QWidget):
    """Seen while the run that it follows is under way."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.folder = ""
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName(self.tr("Progress"))
        self.cancel = QToolButton(self)
        self.cancel.setIcon(theme_icon("mTaskCancel.svg"))
        self.cancel.setToolTip(self.tr("Cancel"))
        self.cancel.setAccessibleName(self.tr("Cancel the run"))
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.bar, 1)
        line.addWidget(self.cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 6, 9, 0)
        column.setSpacing(2)
        column.addWidget(self.text)
        column.addLayout(line)
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self._look)
        self.cancel.clicked.connect(self._cancel)
        self.hide()

    def follow(self, folder: str) -> None:
        """Show the run that writes to a folder, from now on."""
        self.folder = folder
        self.cancel.setEnabled(True)
        self.bar.setValue(0)
        self.text.setText(self.tr("Starting the engine…"))
        self._timer.start()
        self.show()

    def stop(self) -> None:
        """The run is over."""
        self._timer.stop()
        self.hide()

    def _look(self) -> None:
        record = self._workspace.registry.newest_of(self.folder)
        if record is None or record.is_finished:
            return
        self.bar.setValue(round(1000 * record.fraction))
        self.text.setText(record.message or record.stage or self.tr("Starting the engine…"))

    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.text.setText(self.tr("Stopping…"))
        record = self._workspace.registry.newest_of(self.folder)
        if record is not None and not record.is_finished:
            self._workspace.registry.cancel(record.id)
        self._workspace.runner.cancel_folder(self.folder)

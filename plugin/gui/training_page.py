"""The Training page: how far a run is, its curves as they grow, and what the model does with each class."""

from __future__ import annotations

import json
from pathlib import Path

from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ..engine_client.runs import DONE
from .class_results import ClassResults
from .curve_data import CurveData
from .curve_view import CurveView
from .form_page import scrolled
from .icons import theme_icon
from .workspace import Workspace

_EVERY_MS = 500


class TrainingPage(QWidget):
    """:meth:`follow` a run's folder; :attr:`preview_asked` when the user wants to try the model at a place."""

    preview_asked = pyqtSignal()

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._data: CurveData | None = None
        self.folder = ""
        self.title = QLabel(self.tr("No model is being trained: begin on the first page."))
        self.title.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName(self.tr("Progress of the training"))
        empty = self.tr("The curve begins with the first step.")
        self.loss = CurveView(self.tr("Loss"), empty)
        self.shares = CurveView(self.tr("Validation"), self.tr("Figures on held-out labels come here."), between=(0, 1))
        self.results = ClassResults()
        self.results.hide()
        self.cancel = QPushButton(theme_icon("mTaskCancel.svg"), self.tr("Cancel"))
        self.report = QPushButton(theme_icon("mActionOpenTable.svg"), self.tr("Report"))
        self.preview = QPushButton(theme_icon("mActionZoomToLayer.svg"), self.tr("Preview…"))
        self.preview.setToolTip(self.tr("See what the model makes of a place before mapping the whole scene"))
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.cancel, self.report, self.preview):
            buttons.addWidget(button)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(9, 6, 9, 9)
        column.setSpacing(6)
        column.addWidget(self.title)
        column.addWidget(self.bar)
        column.addWidget(self.loss, 1)
        column.addWidget(self.shares, 1)
        column.addWidget(self.results)
        bottom = QVBoxLayout()
        bottom.setContentsMargins(9, 0, 9, 9)
        bottom.addLayout(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(scrolled(inside), 1)
        column.addLayout(bottom)
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self._look)
        self.cancel.clicked.connect(self._cancel)
        self.report.clicked.connect(self._open_report)
        self.preview.clicked.connect(self.preview_asked)
        self._show_buttons(False)

    def follow(self, folder: str) -> None:
        """Show the run that writes to a folder, from now on."""
        self.folder = folder
        self._data = CurveData(folder)
        self.results.hide()
        for chart in (self.loss, self.shares):
            chart.show_series({})
            chart.show()
        self.title.setText(self.tr("Starting the engine…"))
        self.bar.setValue(0)
        self._show_buttons(True)
        self._timer.start()

    def finish(self, successful: bool) -> None:
        """The run is over: show its figures, or why there are none."""
        self._look()
        self._timer.stop()
        self._show_buttons(False)
        record = self._workspace.registry.newest_of(self.folder) if self.folder else None
        if not successful:
            told = record.error if record is not None and record.error else self.tr("Cancelled.")
            self.title.setText(told)
            return
        self.bar.setValue(1000)
        figures = _figures(self.folder)
        name = record.title if record is not None else self.tr("The model")
        self.title.setText(self.tr("<b>{}</b> is trained.").format(name.split(" – ")[-1]))
        self.results.show_figures(figures)
        self.results.show()

    def shut_down(self) -> None:
        """Follow nothing any more."""
        self._timer.stop()

    def _look(self) -> None:
        record = self._workspace.registry.newest_of(self.folder)
        if record is not None and not record.is_finished:
            self.bar.setValue(round(1000 * record.fraction))
            self.title.setText(record.message or record.stage or self.tr("Starting the engine…"))
        if self._data is not None and self._data.read():
            self.loss.show_series(self._data.losses())
            self.shares.show_series(self._data.shares())

    def _show_buttons(self, running: bool) -> None:
        record = self._workspace.registry.newest_of(self.folder) if self.folder else None
        done = record is not None and record.state == DONE
        self.cancel.setEnabled(running)
        self.report.setEnabled(done and bool(record.report))
        self.preview.setEnabled(done)

    def _cancel(self) -> None:
        record = self._workspace.registry.newest_of(self.folder)
        self.cancel.setEnabled(False)
        if record is not None:
            self._workspace.registry.cancel(record.id)
        self._workspace.runner.cancel_folder(self.folder)

    def _open_report(self) -> None:
        record = self._workspace.registry.newest_of(self.folder)
        if record is not None and record.report:
            self._workspace.open(record.report)


def _figures(folder: str) -> dict:
    """Figures of the run's result.json; empty where they cannot be read (the report has them too)."""
    try:
        result = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    figures = result.get("figures") if isinstance(result, dict) else None
    return figures if isinstance(figures, dict) else {}

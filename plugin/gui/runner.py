"""Starts the dock's runs, follows them to their end, and tells the message bar how they ended."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..engine_client.runs import CANCELLED, RunRegistry
from ..tasks import ended_within
from .algorithm_run import AlgorithmRun

BREATH_MS = 30
"""Between the steps of a start, so that the window is drawn and heard in between."""


class Runner(QObject):
    """The runs that the dock began and that are not over. :attr:`ended`: run, success, outputs; in the main thread."""

    ended = pyqtSignal(object, bool, dict)

    def __init__(self, iface, registry: RunRegistry, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._iface, self._registry = iface, registry
        self._active: list[AlgorithmRun] = []

    def begin(self, algorithm: str, parameters: dict[str, Any]) -> tuple[AlgorithmRun | None, str]:
        """Start an algorithm in a moment; ``(None, fault)`` where it refuses its parameters."""
        run = AlgorithmRun(algorithm, parameters, self)
        fault = run.fault()
        if fault:
            run.deleteLater()
            return None, fault
        self._active.append(run)
        run.ended.connect(lambda ok, outputs: self._ended(run, ok, outputs))
        QTimer.singleShot(BREATH_MS, run.start)
        return run, ""

    def cancel_folder(self, folder: str) -> None:
        """Cancel the task of the run that writes to a folder; else QGIS would report it as a failed task."""
        for run in list(self._active):
            if run.parameters.get("OUTPUT") == folder:
                run.cancel()

    def shut_down(self) -> None:
        """Cancel what runs and wait for it."""
        active, self._active = self._active, []  # of their ends nothing is told any more
        for run in active:
            run.cancel()
            if run.task is not None:
                ended_within(run.task, 10)

    def _ended(self, run: AlgorithmRun, successful: bool, outputs: dict) -> None:
        if run not in self._active:
            return
        self._active.remove(run)
        if not successful:
            self._tell(run)
        self.ended.emit(run, successful, outputs)
        run.deleteLater()

    def _tell(self, run: AlgorithmRun) -> None:
        bar = self._iface.messageBar()
        if not run.begun:
            bar.pushInfo("SameScene", self.tr("Cancelled before it began. Nothing was written."))
            return
        record = self._registry.newest_of(str(run.parameters["OUTPUT"]))
        if record is not None and record.state == CANCELLED:
            bar.pushInfo("SameScene", self.tr("Cancelled: {}. Nothing was written.").format(record.title))
        else:
            bar.pushCritical("SameScene", record.error if record is not None and record.error else run.errors())

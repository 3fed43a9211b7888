"""The one set-up of the engine that may run: it outlives the options dialog that started it."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..tasks import cancel_task, stop_task

KEPT_LINES = 2000


class EngineSetup(QObject):
    """Owned by the plugin; pages attach to its signals and read where it stands."""

    changed = pyqtSignal()
    """Progress, start or end."""
    line = pyqtSignal(str)
    """A line of the log."""
    ended = pyqtSignal(bool)
    """True when the engine is there now."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._task = None
        self.lines: list[str] = []
        self.fraction = 0.0
        self.message = ""
        self.outcome = ""

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._task is not None

    def start(self) -> None:
        """Begin in the background, with the settings as they are stored now; nothing when it runs already."""
        if self._task is not None:
            return
        from ..engine_client.setup import EngineSetupTask

        self.lines, self.fraction, self.outcome = [], 0.0, ""
        self.message = self.tr("Starting")
        self._task = EngineSetupTask()
        self._task.line.connect(self._take_line)
        self._task.progressed.connect(self._progressed)
        self._task.taskCompleted.connect(self._completed)
        self._task.taskTerminated.connect(self._terminated)
        QgsApplication.taskManager().addTask(self._task)
        self.changed.emit()

    def cancel(self) -> None:
        """Ask it to stop; :attr:`ended` follows."""
        if self._task is not None:
            cancel_task(self._task)
            self.message = self.tr("Stopping")
            self.changed.emit()

    def shut_down(self) -> None:
        """Stop it and wait, for the plugin's unload."""
        if self._task is not None:
            stop_task(self._task, 10)

    def _take_line(self, text: str) -> None:
        self.lines.append(text)
        del self.lines[:-KEPT_LINES]
        self.line.emit(text)

    def _progressed(self, fraction: float, message: str) -> None:
        self.fraction, self.message = fraction, message
        self.changed.emit()

    def _completed(self) -> None:
        self._end(True, self.tr("The engine is set up."))

    def _terminated(self) -> None:
        failure = self._task.failure if self._task is not None else None
        self._end(False, failure.line if failure is not None else self.tr("Cancelled; nothing of it is left."))

    def _end(self, ready: bool, outcome: str) -> None:
        self._task = None
        self.outcome, self.message = outcome, ""
        self._take_line(outcome)
        self.changed.emit()
        self.ended.emit(ready)

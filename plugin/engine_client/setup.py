"""Setting the engine up in the background of QGIS, and checking the one that is there."""

from __future__ import annotations

from qgis.core import QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from .builder import EnvironmentBuilder
from .failure import EngineCancelled, EngineFailure
from .locate import EngineLocation, check_engine
from .process import EngineHello
from .proxy import proxy_variables
from .settings import EngineSettings


class EngineSetupTask(QgsTask):
    """Builds the managed environment. Make it in the main thread, keep a reference, hand it to the task manager.

    After it ended (``taskCompleted`` or ``taskTerminated``): :attr:`location` when all went well, :attr:`failure` when
    not, neither when it was cancelled. What was there before is replaced.
    """

    line = pyqtSignal(str)
    """A line of the log."""
    progressed = pyqtSignal(float, str)
    """Fraction 0..1, and what is being done."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        super().__init__("SameScene: setting the engine up", QgsTask.Flag.CanCancel)
        self.location: EngineLocation | None = None
        self.failure: EngineFailure | None = None
        self._builder = EnvironmentBuilder(
            settings or EngineSettings(),
            proxy=proxy_variables(),
            on_progress=self._progress,
            on_line=self.line.emit,
            is_cancelled=self.isCanceled,
        )

    def run(self) -> bool:
        """In the task's thread."""
        try:
            self.location = self._builder.build()
        except EngineCancelled:
            return False
        except EngineFailure as failure:
            self.failure = failure
            return False
        except Exception as defect:  # QgsTask would swallow it
            self.failure = EngineFailure("setup", f"{type(defect).__name__}: {defect}", "Report it with the log.")
            return False
        return True

    def _progress(self, fraction: float, message: str) -> None:
        self.setProgress(100 * fraction)
        self.progressed.emit(fraction, message)


class EngineCheckTask(QgsTask):
    """Asks an engine for its versions in the background; :attr:`hello` or :attr:`failure` afterwards."""

    def __init__(self, location: EngineLocation) -> None:
        super().__init__("SameScene: checking the engine", QgsTask.Flag.CanCancel)
        self.location = location
        self.hello: EngineHello | None = None
        self.failure: EngineFailure | None = None

    def run(self) -> bool:
        """In the task's thread."""
        try:
            self.hello = check_engine(self.location, is_cancelled=self.isCanceled)
        except EngineCancelled:
            return False
        except EngineFailure as failure:
            self.failure = failure
            return False
        except Exception as defect:  # QgsTask would swallow it
            self.failure = EngineFailure("start", f"{type(defect).__name__}: {defect}")
            return False
        return True

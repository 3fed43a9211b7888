"""Starts an algorithm of the plugin in the background: the same that the toolbox runs."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsTask,
)
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..tasks import cancel_task


class AlgorithmRun(QObject):
    """One background run; algorithm, context and feedback live as long as it does.

    :attr:`ended` carries success and the algorithm's outputs, in the main thread.
    """

    ended = pyqtSignal(bool, dict)

    def __init__(self, name: str, parameters: dict[str, Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.parameters = parameters
        self.algorithm = QgsApplication.processingRegistry().createAlgorithmById(name)
        self.context = QgsProcessingContext()
        self.context.setProject(QgsProject.instance())
        self.feedback = QgsProcessingFeedback(False)
        self.task: QgsProcessingAlgRunnerTask | None = None
        self.begun = True  # as far as is known: false of a run that was cancelled before
        self._over = False

    def fault(self) -> str:
        """What the algorithm itself has against the parameters, or the empty string."""
        if self.algorithm is None:
            return self.tr("The tool {} is not there: switch the plugin off and on again.").format(self.name)
        ok, message = self.algorithm.checkParameterValues(self.parameters, self.context)
        return "" if ok else message

    def start(self) -> None:
        """Hand the run to QGIS's task manager; nothing when it was cancelled before."""
        if self.feedback.isCanceled():
            return
        # From QGIS 3.26 on the task can be kept from announcing its end beside the dock's own message.
        silent = getattr(QgsTask.Flag, "Silent", None)
        flags = () if silent is None else (QgsTask.Flag.CanCancel | silent,)
        self.task = QgsProcessingAlgRunnerTask(self.algorithm, self.parameters, self.context, self.feedback, *flags)
        self.task.executed.connect(self._executed)
        QgsApplication.taskManager().addTask(self.task)

    def cancel(self) -> None:
        """Ask the run to stop; :attr:`ended` follows, at once where the run has not begun."""
        self.feedback.cancel()
        if self._over or (self.task is not None and cancel_task(self.task)):
            return
        if self.task is not None:
            self.task.executed.disconnect(self._executed)
            self.task.kept = (self.algorithm, self.context, self.feedback)  # which it touches when it begins
        self.begun = False
        self._executed(False, {})

    def errors(self) -> str:
        """What the run reported as errors, for the message bar."""
        text = self.feedback.textLog() if hasattr(self.feedback, "textLog") else ""
        return text.strip()

    def _executed(self, successful: bool, results: dict) -> None:
        self.task, self._over = None, True
        self.ended.emit(successful, results)

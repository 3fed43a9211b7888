"""Reads the answers of one search after another in the background."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...tasks import stop_task
from .answer_task import AnswerTask


class AnswerReader(QObject):
    """:attr:`read` carries what was asked for last: the answers (None where they cannot be read), ``result.json``, and
    one line why not."""

    read = pyqtSignal(object, dict, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks: list[AnswerTask] = []

    def ask(self, folder: str) -> None:
        """Read the results in a folder."""
        task = AnswerTask(folder)
        self._tasks.append(task)
        task.taskCompleted.connect(lambda: self._ended(task))
        task.taskTerminated.connect(lambda: self._ended(task))
        QgsApplication.taskManager().addTask(task)

    def drop(self) -> None:
        """Nobody waits for what was asked."""
        self._tasks.clear()

    def shut_down(self) -> None:
        """Read nothing more, and wait."""
        tasks = list(self._tasks)
        self.drop()
        for task in tasks:
            stop_task(task, 10)

    def _ended(self, task: AnswerTask) -> None:
        if task not in self._tasks:
            return
        newest = task is self._tasks[-1]
        self._tasks.remove(task)
        if newest:
            self.read.emit(task.answers, task.result, task.fault)

"""Asks the engine how well a photo fits at a place; what was asked before is dropped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from qgis.core import QgsApplication, QgsPointXY
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...engine_client.proxy import proxy_variables
from ...layers.answers import Answers
from ...tasks import cancel_task, stop_task
from ..job_task import JobTask
from .score_question import JOB, answer_of, answer_text, question


@dataclass(frozen=True)
class Proposal:
    """A place that a person proposed, in degrees (EPSG:4326), and what the engine ``told`` of it ({} until then)."""

    lon: float
    lat: float
    told: dict[str, Any] = field(default_factory=dict)

    def with_answer(self, told: dict[str, Any]) -> Proposal:
        """The same place with its score."""
        return replace(self, told=told)


class PlaceScore(QObject):
    """:attr:`scored` carries what the engine told of the place, or {} and one line why it told nothing."""

    scored = pyqtSignal(dict, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.told: dict[str, Any] = {}
        self._task: JobTask | None = None
        self._dropped: list[JobTask] = []

    @property
    def running(self) -> bool:
        """Whether an answer is awaited."""
        return self._task is not None

    def ask(
        self, result: dict[str, Any], answers: Answers, path: str, place: QgsPointXY, turned_deg: float | None
    ) -> None:
        """Ask for the score of a photo at a place (degrees)."""
        self.stop()
        params = question(result, answers.folder, answers.index, path, place.x(), place.y(), turned_deg)
        task = JobTask("SameScene: score of a place", JOB, params, proxy_variables())
        self._task = task
        task.taskCompleted.connect(lambda: self._ended(task))
        task.taskTerminated.connect(lambda: self._ended(task))
        QgsApplication.taskManager().addTask(task)

    def stop(self) -> None:
        """Drop the question that waits for its answer."""
        self.told = {}
        task, self._task = self._task, None
        if task is not None:
            self._dropped.append(task)  # kept until it has ended
            cancel_task(task)

    def text(self, told: dict[str, Any], heading_deg: float | None) -> str:
        """The answer as rich text."""
        return answer_text(told, heading_deg)

    def shut_down(self) -> None:
        """Ask nothing more, and wait."""
        self.stop()
        for task in list(self._dropped):
            stop_task(task, 10)
        self._dropped.clear()

    def _ended(self, task: JobTask) -> None:
        if task in self._dropped:
            self._dropped.remove(task)
        if task is not self._task:
            return
        self._task = None
        self.told = answer_of(task.result) if task.result is not None else {}
        self.scored.emit(self.told, "" if self.told else task.fault or self.tr("The engine told nothing."))

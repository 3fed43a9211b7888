"""Reads what a search found in the background."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsTask

from ...compat import quiet_task
from ...layers.answers import Answers, read_answers
from ...layers.results import ResultsError, read_result


class AnswerTask(QgsTask):
    """:attr:`answers` and :attr:`result`, or :attr:`fault` in one line."""

    def __init__(self, folder: str) -> None:
        super().__init__("SameScene: candidates", quiet_task())
        self.folder, self.fault = folder, ""
        self.answers: Answers | None = None
        self.result: dict[str, Any] = {}

    def run(self) -> bool:
        """In the task's thread."""
        try:
            self.result = read_result(self.folder)
            self.answers = read_answers(self.folder, self.result)
        except ResultsError as error:
            self.fault = str(error)
        return self.answers is not None

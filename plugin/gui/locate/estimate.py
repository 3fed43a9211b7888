"""The estimate under the form of an index: asked anew a moment after the form has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QWidget

from ...engine_client.proxy import proxy_variables
from ...processing.layer_files import LayerFault
from ...tasks import cancel_task, stop_task
from ..icons import theme_icon
from ..job_task import JobTask
from .plan_text import plan_problem, plan_sentence

JOB = "locate-plan"
PAUSE_MS = 800
"""A form that is still being changed is not estimated."""


@dataclass(frozen=True)
class Question:
    """``key``: equal for questions that have one answer; ``params``: makes those of ``locate-plan`` and may raise
    LayerFault. ``missing``: one line where there is nothing to ask yet; empty: not even that is worth a line."""

    key: Any = None
    params: Callable[[], dict[str, Any]] | None = None
    missing: str = ""


class Estimate(QWidget):
    """:meth:`ask` after a change; the answer comes from a process of its own, and only the last one is shown.

    :attr:`told` carries the plan (None where there is none).
    """

    told = pyqtSignal(object)

    def __init__(self, question: Callable[[], Question], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._question = question
        self._task: JobTask | None = None
        self._running: list[JobTask] = []
        self._asked: Any = None
        self.plan: dict[str, Any] | None = None
        self._icon = QLabel(self)
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setAccessibleName(self.tr("Estimate"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.text, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._begin)
        self._say("", "")

    def ask(self) -> None:
        """The form has changed: estimate it in a moment, if it is seen."""
        if self.isVisible():
            self._timer.start()

    def forget(self) -> None:
        """Estimate anew even what was asked before: a layer may have changed."""
        self._asked = None
        self.ask()

    def shut_down(self) -> None:
        """Stop what is under way and wait for it."""
        self._timer.stop()
        for task in list(self._running):
            stop_task(task, 10)
        self._task = None

    def showEvent(self, event):
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event):
        super().hideEvent(event)
        # Python takes attributes away before Qt hides a widget that nobody holds any more.
        timer = getattr(self, "_timer", None)
        if timer is not None:
            timer.stop()

    def _begin(self) -> None:
        question = self._question()
        if question.params is None:
            self._give_up(question.missing)
            return
        if question.key == self._asked:
            return
        try:
            params = question.params()
        except LayerFault as fault:
            self._give_up(str(fault))
            return
        self._stop()
        self._asked = question.key
        self._say(self.tr("Estimating…"), "mActionRefresh.svg")
        task = JobTask(self.tr("SameScene: estimate of an index"), JOB, params, proxy_variables())
        self._task = task
        self._running.append(task)
        task.taskCompleted.connect(lambda: self._ended(task))
        task.taskTerminated.connect(lambda: self._ended(task))
        QgsApplication.taskManager().addTask(task)

    def _give_up(self, missing: str) -> None:
        self._stop()
        self._asked = None
        self._show_plan(None)
        self._say(missing, "mIconWarning.svg" if missing else "")

    def _stop(self) -> None:
        if self._task is not None:
            cancel_task(self._task)
            self._task = None

    def _ended(self, task: JobTask) -> None:
        if task in self._running:
            self._running.remove(task)
        if task is not self._task:
            return
        self._task = None
        plan = task.result
        fault = task.fault if plan is None else plan_problem(plan)
        self._show_plan(plan if not fault else None)
        if fault:
            self._say(fault, "mIconWarning.svg")
        elif plan is not None:
            self._say(plan_sentence(plan), "mIconInfo.svg")
        else:
            self._asked = None
            self._say("", "")

    def _show_plan(self, plan: dict[str, Any] | None) -> None:
        self.plan = plan
        self.told.emit(plan)

    def _say(self, text: str, symbol: str) -> None:
        self.text.setText(text)
        self._icon.setVisible(bool(symbol))
        if symbol:
            self._icon.setPixmap(theme_icon(symbol).pixmap(16, 16))

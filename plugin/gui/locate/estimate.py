"""The estimate under the form of an index: asked anew a moment after the form has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QWidget

from ...engine_client.proxy import proxy_variables
from ..icons import theme_icon
from .plan_task import PlanTask
from .plan_text import plan_problem, plan_sentence

PAUSE_MS = 800
"""A form that is still being changed is not estimated."""

Request = Callable[[], "tuple[dict[str, Any] | None, str]"]
"""Params of ``locate-plan``, or None and what is missing (empty: nothing worth a line)."""


class Estimate(QWidget):
    """:meth:`ask` after a change; the answer comes from a process of its own, and only the last one is shown.

    :attr:`told` carries the plan (None where there is none).
    """

    told = pyqtSignal(object)

    def __init__(self, request: Request, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._request = request
        self._task: PlanTask | None = None
        self._running: list[PlanTask] = []
        self._asked: dict[str, Any] | None = None
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
            task.cancel()
            task.waitForFinished(10_000)
        self._task = None

    def showEvent(self, event):
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event):
        super().hideEvent(event)
        self._timer.stop()

    def _begin(self) -> None:
        params, missing = self._request()
        if params is None:
            self._stop()
            self._asked = None
            self._show_plan(None)
            self._say(missing, "mIconWarning.svg" if missing else "")
            return
        if params == self._asked:
            return
        self._stop()
        self._asked = params
        self._say(self.tr("Estimating…"), "mActionRefresh.svg")
        task = PlanTask(params, proxy_variables())
        self._task = task
        self._running.append(task)
        task.taskCompleted.connect(lambda: self._ended(task))
        task.taskTerminated.connect(lambda: self._ended(task))
        QgsApplication.taskManager().addTask(task)

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _ended(self, task: PlanTask) -> None:
        if task in self._running:
            self._running.remove(task)
        if task is not self._task:
            return
        self._task = None
        plan = task.plan
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

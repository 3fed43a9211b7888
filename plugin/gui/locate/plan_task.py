"""Asks the engine in the background what an index would take: cells, disk, tiles, time, and whether it can be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import QgsTask

from ...compat import quiet_task
from ...engine_client.failure import EngineCancelled, EngineFailure
from ...engine_client.locate import find_engine

JOB = "locate-plan"


class PlanTask(QgsTask):
    """:attr:`plan` is the job's answer; :attr:`fault` one line where there is none (empty when it was cancelled)."""

    def __init__(self, params: Mapping[str, Any], proxy: Mapping[str, str]) -> None:
        super().__init__("SameScene: estimate of an index", quiet_task())
        self._params, self._proxy = dict(params), dict(proxy)
        self.plan: dict[str, Any] | None = None
        self.fault = ""

    def run(self) -> bool:
        """In the task's thread."""
        try:
            self.plan = find_engine().process(self._proxy).run_job(JOB, self._params, is_cancelled=self.isCanceled)
        except EngineCancelled:
            return False
        except EngineFailure as failure:
            self.fault = failure.line
            return False
        return True

"""A question to the engine in the background that is no run of its own: nothing is written, nothing is listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qgis.core import QgsTask

from ..compat import quiet_task
from ..engine_client.failure import EngineCancelled, EngineFailure
from ..engine_client.locate import find_engine


class JobTask(QgsTask):
    """Does one job of the engine. :attr:`result` is its answer; :attr:`fault` one line where there is none, empty when
    it was cancelled. ``proxy`` are the variables of :func:`plugin.engine_client.proxy.proxy_variables`."""

    def __init__(self, title: str, job: str, params: Mapping[str, Any], proxy: Mapping[str, str]) -> None:
        super().__init__(title, quiet_task())
        self._job, self._params, self._proxy = job, dict(params), dict(proxy)
        self.result: dict[str, Any] | None = None
        self.fault = ""

    def run(self) -> bool:
        """In the task's thread."""
        try:
            engine = find_engine().process(self._proxy)
            self.result = engine.run_job(self._job, self._params, is_cancelled=self.isCanceled)
        except EngineCancelled:
            return False
        except EngineFailure as failure:
            self.fault = failure.line
            return False
        return True

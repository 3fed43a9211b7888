"""Progress, log and cancel: the one channel between a job and whoever watches it.

A job takes a :class:`Reporter`, calls :meth:`Reporter.progress` often, and never prints. The command line draws a bar
from the events, the worker writes them as JSON lines, a test collects them in a list.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from engine.errors import Cancelled

Level = Literal["info", "warning"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """``fraction`` in 0..1 of the whole job, monotone; ``stage`` a short stable word; ``message`` for people."""

    fraction: float
    stage: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Log:
    """One line for the log. A warning concerns the result (it also belongs in the report); info does not."""

    level: Level
    message: str


Event = Progress | Log


@dataclass
class CancelToken:
    """Set once, from any thread or signal handler; read by the job at every checkpoint."""

    _event: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Ask the job to stop at its next checkpoint."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """True once :meth:`cancel` was called."""
        return self._event.is_set()


class Reporter:
    """Sends events to ``sink`` and turns a cancel request into :class:`~engine.errors.Cancelled`.

    At most ten progress events a second leave (the last of a job, fraction 1, and each new stage always do).
    :meth:`part` gives a reporter for a part of the job, whose 0..1 is mapped into the part's range.
    """

    INTERVAL_S = 0.1

    def __init__(
        self,
        sink: Callable[[Event], None] | None = None,
        *,
        token: CancelToken | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self.token = token or CancelToken()
        self._clock = clock
        self._last_time = -float("inf")
        self._last_stage = ""
        self._fraction = 0.0
        self.warnings: list[str] = []

    def progress(self, fraction: float, stage: str, message: str = "") -> None:
        """Report the job's fraction done (clipped to 0..1 and kept monotone); raises Cancelled if asked to stop."""
        self.check()
        self._fraction = max(self._fraction, min(1.0, max(0.0, fraction)))
        now = self._clock()
        if now - self._last_time < self.INTERVAL_S and stage == self._last_stage and self._fraction < 1.0:
            return
        self._last_time, self._last_stage = now, stage
        if self._sink is not None:
            self._sink(Progress(fraction=self._fraction, stage=stage, message=message))

    def log(self, message: str) -> None:
        """Send an information line."""
        self._emit_log("info", message)

    def warn(self, message: str) -> None:
        """Send a warning that concerns the result; it is kept in :attr:`warnings` for the report."""
        if message not in self.warnings:
            self.warnings.append(message)
            self._emit_log("warning", message)

    def check(self) -> None:
        """Raise Cancelled if a stop was asked for. Call it at least every 0.5 s of work."""
        if self.token.cancelled:
            raise Cancelled

    def part(self, start: float, stop: float) -> Reporter:
        """A reporter whose 0..1 is start..stop of this one; it shares sink, token and warnings."""
        return _PartReporter(self, start, stop)

    def _emit_log(self, level: Level, message: str) -> None:
        if self._sink is not None:
            self._sink(Log(level=level, message=" ".join(message.split())))


class _PartReporter(Reporter):
    def __init__(self, parent: Reporter, start: float, stop: float) -> None:
        super().__init__(None, token=parent.token)
        self._parent, self._start, self._stop = parent, start, stop
        self.warnings = parent.warnings

    def progress(self, fraction: float, stage: str, message: str = "") -> None:
        inside = min(1.0, max(0.0, fraction))
        self._parent.progress(self._start + (self._stop - self._start) * inside, stage, message)

    def log(self, message: str) -> None:
        self._parent.log(message)

    def warn(self, message: str) -> None:
        self._parent.warn(message)

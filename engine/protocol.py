"""The events of the worker protocol: how they look, and the one way they are written.

One JSON object a line. Every event has ``event`` and, after ``hello``, the ``id`` of its request. The worker writes
them on its stdout, and so does every command with ``--events -``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from engine.errors import Cancelled, EngineError
from engine.events import CancelToken, Event, Log, Progress, Reporter
from engine.plainjson import dumps
from engine.stop import after
from engine.version import PROTOCOL, VERSION

RequestId = str | int | None


class EventWriter:
    """Writes events to a file descriptor, whole lines, from any thread.

    ``lost`` is called once, when the reader on the other side has gone; later events are dropped.
    """

    def __init__(self, descriptor: int, *, lost: Callable[[], None] | None = None) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._lost = lost
        self._broken = False

    def send(self, event: dict[str, Any], *, timeout: float = -1) -> None:
        """Write one event; with ``timeout`` (s) give up when another thread is stuck in writing."""
        line = memoryview(dumps(event).encode("ascii") + b"\n")
        if not self._lock.acquire(timeout=timeout):
            return
        try:
            while len(line) and not self._broken:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            self._broken = True
            if self._lost is not None:
                self._lost()
        finally:
            self._lock.release()


class RequestEvents:
    """The events of one request, progress at most ten times a second.

    Of progress events that come faster the newest waits for its turn, so that the last word of a stage is never lost
    when a long silence follows. After :meth:`finish` no event of the request can follow.
    """

    INTERVAL_S = 0.1

    def __init__(self, writer: EventWriter, request: RequestId) -> None:
        self._writer = writer
        self._request = request
        self._lock = threading.RLock()
        self._last = -float("inf")
        self._waiting: Progress | None = None
        self._timer: threading.Timer | None = None
        self._finished = False

    def reporter(self, token: CancelToken) -> Reporter:
        """A reporter whose events go out here."""
        return Reporter(self.take, token=token)

    def take(self, event: Event) -> None:
        """Send a log line at once, a progress event in its turn."""
        if isinstance(event, Log):
            self.log(event.level, event.message)
            return
        with self._lock:
            self._waiting = event
            if self._timer is None:
                self._send_or_wait()

    def log(self, level: str, message: str) -> None:
        """Send a log line."""
        with self._lock:
            if not self._finished:
                self._send({"event": "log", "id": self._request, "level": level, "message": message})

    def finish(self, outcome: dict[str, Any] | EngineError, *, timeout: float = -1) -> None:
        """Send the request's last event: ``result``, ``cancelled`` or ``error``. Only the first call does."""
        if isinstance(outcome, Cancelled):
            event: dict[str, Any] = {"event": "cancelled", "id": self._request}
        elif isinstance(outcome, EngineError):
            event = error_event(self._request, outcome)
        else:
            event = {"event": "result", "id": self._request, "result": outcome}
        if not self._lock.acquire(timeout=timeout):
            return
        try:
            if self._finished:
                return
            self._send(event, timeout=timeout)
            self._finished = True
            if self._timer is not None:
                self._timer.cancel()
        finally:
            self._lock.release()

    def _turn(self) -> None:
        with self._lock:
            self._timer = None
            self._send_or_wait()

    def _send_or_wait(self) -> None:
        """Send the waiting progress event if its time has come, else be called again then; the lock is held."""
        if self._waiting is None or self._finished:
            return
        wait = self._last + self.INTERVAL_S - time.monotonic()
        if wait > 0:
            self._timer = after(wait, self._turn)
            return
        progress, self._waiting = self._waiting, None
        self._send(
            {
                "event": "progress",
                "id": self._request,
                "fraction": round(progress.fraction, 5),
                "stage": progress.stage,
                "message": progress.message,
            }
        )
        self._last = time.monotonic()  # after writing, which may have waited for the reader

    def _send(self, event: dict[str, Any], *, timeout: float = -1) -> None:
        self._writer.send(event, timeout=timeout)


def hello_event() -> dict[str, Any]:
    """The first event of a process."""
    from engine.device import describe_device

    # The process id: on Windows the client starts a launcher and would not know the engine's own.
    return {
        "event": "hello",
        "engine_version": VERSION,
        "protocol": PROTOCOL,
        "device": describe_device(),
        "pid": os.getpid(),
    }


def error_event(request: RequestId, error: EngineError) -> dict[str, Any]:
    """An ``error`` event; ``request`` is None when the line that failed had no usable id."""
    return {
        "event": "error",
        "id": request,
        "kind": error.kind,
        "message": error.message,
        "remedy": error.remedy,
    }

"""The process that QGIS starts: requests on stdin, events on stdout, one job after another.

A request is one JSON object a line: ``{"id": 1, "job": "flood", "params": {…}}``. ``{"cmd": "cancel"}`` cancels the
request that is being served (with ``"id"``: that request, also while it waits). End of stdin cancels it and ends the
process. A job that does not obey within :data:`engine.stop.GRACE_S` is ended together with the process, after
``cancelled`` was sent and unfinished results were removed; requests still waiting are answered with an error.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

from engine import stop
from engine.errors import Cancelled, EngineError, ParameterError
from engine.events import CancelToken
from engine.failures import explain, traceback_text
from engine.leftovers import Leftovers
from engine.protocol import EventWriter, RequestEvents, RequestId, error_event, hello_event

MAX_LINE_BYTES = 16 * 1024 * 1024


class RequestError(EngineError):
    """A line on stdin is not a request."""

    kind = "request"


class WorkerEndedError(EngineError):
    """The process ends before the request was served."""

    kind = "worker-ended"


@dataclass
class Request:
    """One line of stdin that asks for a job."""

    id: RequestId
    job: str
    params: dict[str, Any]
    events: RequestEvents
    leftovers: Leftovers
    token: CancelToken = field(default_factory=CancelToken)


class Worker:
    """Serves requests from ``source`` (a descriptor) until it ends, events to ``sink`` (a descriptor)."""

    def __init__(self, source: int, sink: int, *, debug: bool = False) -> None:
        self._source = source
        self._writer = EventWriter(sink, lost=self.end)
        self._debug = debug
        self._lock = threading.Lock()
        self._unserved: list[Request] = []  # the one being served is the first
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._ending = False

    def serve(self) -> None:
        """Say hello, then serve until the end of stdin."""
        self._writer.send(hello_event())
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        if hasattr(os, "getppid"):
            threading.Thread(target=self._watch_parent, name="parent", daemon=True).start()
        while (request := self._queue.get()) is not None:
            self._do(request)
            with self._lock:
                self._unserved.remove(request)

    def end(self) -> None:
        """Cancel everything and leave: at the end of stdin, on SIGTERM, when the reader of the events has gone."""
        with self._lock:
            if self._ending:
                return
            self._ending = True
            for request in self._unserved:
                request.token.cancel()
        self._queue.put(None)
        stop.after(stop.GRACE_S, self._give_up)
        stop.end_without_python(stop.GRACE_S + 0.5)

    def cancel(self, request: RequestId = None) -> None:
        """Cancel that request, or the first that is not yet answered; nothing happens when there is none."""
        with self._lock:
            hit = next((r for r in self._unserved if request is None or r.id == request), None)
            if hit is None or hit.token.cancelled:
                return
            hit.token.cancel()
            waiting = hit is not self._unserved[0]
        if waiting:
            hit.events.finish(Cancelled())
        else:
            stop.after(stop.GRACE_S, lambda: self._insist(hit))

    def _do(self, request: Request) -> None:
        try:
            outcome: dict[str, Any] | EngineError = self._run(request)
        except BaseException as error:
            outcome = explain(error)
            if self._debug and not isinstance(outcome, Cancelled):
                request.events.log("warning", traceback_text(error))
        try:
            request.events.finish(outcome)
        except TypeError as error:  # a result that JSON cannot hold: a defect, but not a reason to die
            request.events.finish(explain(error))

    def _run(self, request: Request) -> dict[str, Any]:
        reporter = request.events.reporter(request.token)
        reporter.check()
        from engine.jobs import find_job

        job = find_job(request.job)
        parsed = job.parse(request.params)
        reporter.check()
        return job.run(parsed, reporter)

    def _insist(self, request: Request) -> None:
        """The job had its time: answer for it, and end the process if it is the job that is being served."""
        with self._lock:
            if request not in self._unserved or self._unserved[0] is not request:
                return
            waiting = self._unserved[1:]
        request.events.finish(Cancelled(), timeout=0.1)
        for other in waiting:
            other.events.finish(
                WorkerEndedError(
                    "The engine process was ended because a cancelled job did not stop.",
                    remedy="Send the request again.",
                ),
                timeout=0.1,
            )
        stop.end_process(130, request.leftovers)

    def _give_up(self) -> None:
        with self._lock:
            unserved = list(self._unserved)
        for request in unserved:
            request.events.finish(Cancelled(), timeout=0.1)
        stop.end_without_python(stop.REMOVAL_S)
        stop.end_process(0, unserved[0].leftovers if unserved else None)

    def _watch_parent(self) -> None:
        """End when the parent is gone although some other process still holds our stdin open."""
        parent = os.getppid()
        pause = threading.Event()
        while not pause.wait(1.0):
            if os.getppid() != parent:
                self.end()
                return

    def _read(self) -> None:
        rest = b""
        skipping = False
        while chunk := self._read_chunk():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if not skipping:
                    self._take(line)
                skipping = False
            if len(rest) > MAX_LINE_BYTES:
                self._refuse(None, RequestError(f"A request line is longer than {MAX_LINE_BYTES} bytes."))
                rest, skipping = b"", True
        self.end()

    def _read_chunk(self) -> bytes:
        try:
            return os.read(self._source, 65536)
        except OSError:
            return b""

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = json.loads(line.decode("utf-8-sig"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            self._refuse(None, RequestError(f"A request is not JSON: {error}.", remedy="Send one JSON object a line."))
            return
        if not isinstance(message, dict):
            self._refuse(None, RequestError(f"A request is a JSON object; found {type(message).__name__}."))
            return
        identity = message.get("id")
        if isinstance(identity, bool) or not (identity is None or isinstance(identity, (str, int))):
            self._refuse(None, RequestError(f"A request's id is text or a whole number; found {identity!r}."))
        elif "cmd" in message:
            if message["cmd"] == "cancel":
                self.cancel(identity)
            else:
                self._refuse(identity, RequestError(f"There is no command {message['cmd']!r}.", remedy="Use cancel."))
        else:
            self._enqueue(identity, message)

    def _enqueue(self, identity: RequestId, message: dict[str, Any]) -> None:
        job, params = message.get("job"), message.get("params", {})
        if identity is None:
            self._refuse(None, RequestError("A request has no id.", remedy='Add "id": text or a whole number.'))
        elif not isinstance(job, str):
            self._refuse(identity, RequestError(f"A request names its job as text; found {job!r}."))
        elif not isinstance(params, dict):
            self._refuse(identity, ParameterError(f"A request's params are a JSON object; found {params!r}."))
        else:
            request = Request(
                identity, job, params, RequestEvents(self._writer, identity), Leftovers.of(params.get("out"))
            )
            with self._lock:
                self._unserved.append(request)
            self._queue.put(request)

    def _refuse(self, identity: RequestId, error: EngineError) -> None:
        self._writer.send(error_event(identity, error))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def run(events: int, *, debug: bool = False) -> int:
    """Serve on descriptor 0 with events on descriptor ``events``; the exit code. For :mod:`engine.worker_main`."""
    worker = Worker(0, events, debug=debug)
    # Ctrl-C in the terminal that QGIS was started from reaches every process of the group: QGIS decides, not we.
    ending = [s for s in stop.stop_signals() if s != stop.signal.SIGINT]
    stop.signal.signal(stop.signal.SIGINT, stop.signal.SIG_IGN)
    stop.listen(tuple(ending), lambda number: worker.end())
    worker.serve()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    stop.end_process(0)

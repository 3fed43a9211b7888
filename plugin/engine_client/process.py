"""One run of the engine: a process, a request on its stdin, events from its stdout.

The QProcess lives wholly in the thread that calls :meth:`EngineProcess.run_job` (a task's or an algorithm's worker
thread), which waits for it in slices of 50 ms; nothing here needs an event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from qgis.PyQt.QtCore import QProcess, QProcessEnvironment

from .environment import engine_environment
from .failure import EngineCancelled, EngineFailure
from .leftovers import remove_staging_folders
from .protocol import PROTOCOL, LineBuffer, parse_event, request_line

SLICE_MS = 50
CANCEL_ANSWER_S = 2.0
TERMINATE_S = 2.0
HELLO_S = 180.0
LEAVE_S = 2.0
STDERR_KEPT = 16_000

OnProgress = Callable[[float, str, str], None]
OnLog = Callable[[str, str], None]


@dataclass(frozen=True)
class EngineHello:
    """What a worker says of itself: engine version, protocol number, device in words, and its process id."""

    engine_version: str
    protocol: int
    device: str
    pid: int


class EngineProcess:
    """Starts ``program arguments`` (a worker) anew for each job, so that a crash or a leak never reaches the next.

    ``environment`` defaults to this process's, scrubbed. All methods block; call them from a worker thread.
    """

    def __init__(
        self, program: str, arguments: Sequence[str], *, environment: QProcessEnvironment | None = None
    ) -> None:
        self.program = program
        self.arguments = list(arguments)
        self._environment = environment

    def run_job(
        self,
        job: str,
        params: Mapping[str, Any],
        *,
        on_progress: OnProgress = lambda fraction, stage, message: None,
        on_log: OnLog = lambda level, message: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """Do one job and return its result.

        ``on_progress(fraction 0..1, stage, message)``, ``on_log(level, message)`` and ``is_cancelled()`` are called
        in this thread. Raises EngineFailure, or EngineCancelled; whatever is raised, the process is gone and so are
        the staging folders that it had made beside ``params["out"]``.
        """
        return _Run(self, on_progress, on_log, is_cancelled).job(job, dict(params))

    def hello(self, *, is_cancelled: Callable[[], bool] = lambda: False, timeout_s: float = HELLO_S) -> EngineHello:
        """Start the worker, read its hello and end it; raises EngineFailure (``start``, ``protocol``, ``crash``)."""
        return _Run(self, lambda *_: None, lambda *_: None, is_cancelled, timeout_s).hello_only()


class _Run:
    def __init__(
        self,
        engine: EngineProcess,
        on_progress: OnProgress,
        on_log: OnLog,
        is_cancelled: Callable[[], bool],
        hello_s: float = HELLO_S,
    ) -> None:
        self._engine = engine
        self._on_progress, self._on_log, self._is_cancelled = on_progress, on_log, is_cancelled
        self._hello_s = hello_s
        self._lines = LineBuffer()
        self._stderr = bytearray()
        self._hello: EngineHello | None = None
        self._answer: dict[str, Any] | None = None
        self._killed = False
        self._process = QProcess()
        self._pid = 0

    def job(self, job: str, params: dict[str, Any]) -> dict[str, Any]:
        out = params.get("out")
        try:
            self._start()
            self._wait_for_hello()
            self._process.write(request_line({"id": 1, "job": job, "params": params}))
            self._wait(lambda: self._answer is not None)
            return self._result(self._answer or {})
        finally:
            self._end()
            if self._answer is None or self._answer["event"] != "result":
                # The process is gone. An engine that had to end a job by force raced with the job's own threads.
                pids = {self._pid, self._hello.pid if self._hello else self._pid}
                if isinstance(out, str):
                    remove_staging_folders(out, pids, on_problem=lambda text: self._on_log("warning", text))

    def hello_only(self) -> EngineHello:
        try:
            self._start()
            return self._wait_for_hello()
        finally:
            self._end()

    def _start(self) -> None:
        if self._is_cancelled():
            raise EngineCancelled
        environment = self._engine._environment
        self._process.setProcessEnvironment(engine_environment() if environment is None else environment)
        self._process.start(self._engine.program, self._engine.arguments)
        if not self._process.waitForStarted(30_000):
            raise EngineFailure(
                "start",
                f"The engine could not be started: {self._engine.program}: {self._process.errorString()}.",
                "Check the engine's Python under Settings ▸ Options ▸ SameScene, or set the engine up there.",
            )
        self._pid = int(self._process.processId())

    def _wait_for_hello(self) -> EngineHello:
        deadline = time.monotonic() + self._hello_s
        self._wait(lambda: self._hello is not None, deadline=deadline)
        if self._hello is None:
            raise EngineFailure(
                "start",
                f"The engine did not answer within {self._hello_s:g} s: {self._engine.program}.",
                "Try again; if it stays silent, set the engine up anew under Settings ▸ Options ▸ SameScene.",
                details=self._stderr_tail(),
            )
        if self._hello.protocol != PROTOCOL:
            raise EngineFailure(
                "protocol",
                f"The engine of {self._engine.program} (version {self._hello.engine_version or 'unknown'}) speaks "
                f"worker protocol {self._hello.protocol}, expected {PROTOCOL}.",
                "Plugin and engine must be of the same release: clear the engine's path under Settings ▸ Options ▸ "
                "SameScene and set the engine up there.",
            )
        return self._hello

    def _wait(self, done: Callable[[], bool], *, deadline: float = float("inf")) -> None:
        """Pump events until ``done()``; EngineCancelled after a cancel, EngineFailure when the process ends first."""
        while not done():
            if self._is_cancelled():
                self._cancel()
            alive = self._pump()
            if done() or time.monotonic() > deadline:
                return
            if not alive:
                raise self._crash()

    def _pump(self) -> bool:
        """Wait up to one slice, take in what came; False once the process has ended and all is read."""
        before = time.monotonic()
        if not self._process.waitForReadyRead(SLICE_MS) and time.monotonic() - before < SLICE_MS / 2000:
            # Its stdout is closed or it has ended: waitForReadyRead no longer waits, and the loop must not spin.
            self._process.waitForFinished(SLICE_MS)
        self._stderr += bytes(self._process.readAllStandardError())
        del self._stderr[:-STDERR_KEPT]
        chunk = bytes(self._process.readAllStandardOutput())
        try:
            lines = self._lines.feed(chunk)
        except ValueError as error:
            raise EngineFailure(
                "protocol",
                f"What {self._engine.program} writes is not the worker protocol: {error}.",
                "Check the engine's path under Settings ▸ Options ▸ SameScene.",
            ) from error
        alive = self._process.state() != QProcess.ProcessState.NotRunning
        if not alive and not chunk:
            rest = self._lines.flush()
            lines += [rest] if rest else []
        for line in lines:
            self._take(line)
        return alive or bool(chunk)

    def _take(self, line: str) -> None:
        event = parse_event(line)
        if event is None:
            if line.strip():
                self._on_log("info", f"engine output: {line[:500]}")
            return
        name = event["event"]
        if name == "hello":
            self._hello = EngineHello(
                engine_version=str(event.get("engine_version", "")),
                protocol=_whole(event.get("protocol"), -1),
                device=str(event.get("device", "")),
                pid=_whole(event.get("pid"), self._pid),
            )
        elif event.get("id") not in (None, 1):
            self._on_log("info", f"engine event for another request: {line[:500]}")
        elif name == "progress":
            fraction = event.get("fraction")
            if isinstance(fraction, (int, float)) and 0 <= fraction <= 1:
                self._on_progress(float(fraction), str(event.get("stage", "")), str(event.get("message", "")))
        elif name == "log":
            self._on_log(str(event.get("level", "info")), str(event.get("message", "")))
        elif name in ("result", "error", "cancelled"):
            self._answer = self._answer or event
        else:
            self._on_log("info", f"engine event not known to this version: {line[:500]}")

    def _result(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer["event"] == "result":
            result = answer.get("result")
            if isinstance(result, dict):
                return result
            raise EngineFailure(
                "protocol",
                f"The engine's result is a {type(result).__name__}, expected an object.",
                "Set the engine up anew under Settings ▸ Options ▸ SameScene.",
            )
        if answer["event"] == "cancelled":
            raise EngineCancelled
        raise EngineFailure(
            str(answer.get("kind") or "engine"),
            str(answer.get("message") or "The engine failed without a message."),
            str(answer.get("remedy") or ""),
            details=self._stderr_tail(),
        )

    def _cancel(self) -> None:
        """The ladder: ask, close stdin and terminate, kill; then EngineCancelled, unless the job was done already."""
        self._process.write(request_line({"cmd": "cancel"}))
        if not self._answered_within(CANCEL_ANSWER_S):
            self._killed = True
            self._process.closeWriteChannel()
            self._process.terminate()
            if not self._ended_within(TERMINATE_S):
                self._process.kill()
        if self._answer is None or self._answer["event"] != "result":
            raise EngineCancelled

    def _answered_within(self, seconds: float) -> bool:
        # Before the hello nobody listens for a job, so the cancel line itself has no answer: end the process at once.
        if self._hello is None:
            return False
        deadline = time.monotonic() + seconds
        while self._answer is None and time.monotonic() < deadline:
            if not self._pump():
                break
        return self._answer is not None

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self._pump():
                return True
        return False

    def _end(self) -> None:
        """Whatever happened, no process is left behind."""
        if self._process.state() == QProcess.ProcessState.NotRunning:
            return
        self._process.closeWriteChannel()
        patience = LEAVE_S if self._answer is not None or self._hello is not None else 0.1
        if self._killed or not self._process.waitForFinished(int(patience * 1000)):
            self._killed = True
            self._process.kill()
            self._process.waitForFinished(10_000)

    def _crash(self) -> EngineFailure:
        tail = self._stderr_tail()
        code = self._process.exitCode()
        if self._process.exitStatus() == QProcess.ExitStatus.CrashExit:
            how = f"was stopped by signal {code}" if 0 < code < 65 else "crashed"
            remedy = (
                "It may have run out of memory: close other programs, or choose a smaller area."
                if code == 9
                else "Try again; if it happens again, report it with the log."
            )
        else:
            how = f"ended with exit code {code} before it answered"
            remedy = "Run 'Check engine' under Settings ▸ Options ▸ SameScene, or set the engine up anew there."
        last = next((line for line in reversed(tail.splitlines()) if line.strip()), "")
        return EngineFailure(
            "crash", f"The engine {how}{': ' + last[:300] if last else ''}.".replace("..", "."), remedy, details=tail
        )

    def _stderr_tail(self) -> str:
        with suppress(RuntimeError):  # the QProcess may be gone already
            self._stderr += bytes(self._process.readAllStandardError())
        return bytes(self._stderr[-STDERR_KEPT:]).decode("utf-8", errors="replace").strip()


def _whole(value: Any, default: int) -> int:
    return int(value) if isinstance(value, (int, float)) and value == value else default

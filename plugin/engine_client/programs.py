"""Running a program to its end with its lines as they come; used by the set-up (the engine itself: process.py)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from qgis.PyQt.QtCore import QProcess, QProcessEnvironment

from .failure import EngineCancelled, EngineFailure
from .process_tree import end_tree
from .protocol import LineBuffer

SLICE_MS = 50


def run_program(
    program: str,
    arguments: Sequence[str],
    *,
    environment: QProcessEnvironment,
    on_line: Callable[[str], None] = lambda line: None,
    on_slice: Callable[[], None] = lambda: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    timeout_s: float = float("inf"),
) -> int:
    """The exit code of ``program arguments``; stdout and stderr come as one stream of lines.

    Call it in a worker thread. ``on_slice`` is called about 20 times a second. Raises EngineCancelled, and
    EngineFailure (``start``, ``timeout``, ``crash``); in every case the whole process tree has ended.
    """
    process = QProcess()
    process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
    process.setProcessEnvironment(environment)
    if is_cancelled():
        raise EngineCancelled
    process.start(program, list(arguments))
    deadline = time.monotonic() + timeout_s
    try:
        if not process.waitForStarted(30_000):
            raise EngineFailure("start", f"{program} could not be started: {process.errorString()}.")
        process.closeWriteChannel()
        lines = LineBuffer()
        alive = True
        while alive:
            if is_cancelled():
                raise EngineCancelled
            if time.monotonic() > deadline:
                raise EngineFailure("timeout", f"{program} did not end within {timeout_s:g} s.")
            began = time.monotonic()
            if not process.waitForReadyRead(SLICE_MS) and time.monotonic() - began < SLICE_MS / 2000:
                process.waitForFinished(SLICE_MS)
            alive = process.state() != QProcess.ProcessState.NotRunning
            for line in lines.feed(bytes(process.readAllStandardOutput())):
                on_line(line)
            on_slice()
        rest = lines.flush()
        if rest:
            on_line(rest)
    finally:
        end_tree(process)
    if process.exitStatus() == QProcess.ExitStatus.CrashExit:
        raise EngineFailure("crash", f"{program} crashed (signal {process.exitCode()}).")
    return process.exitCode()

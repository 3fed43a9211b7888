"""Ending a process together with everything that it started."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from qgis.PyQt.QtCore import QProcess

GRACE_S = 2.0


def descendants(pid: int) -> list[int]:
    """Ids of the processes that ``pid`` started, and those that these started, children before grandchildren.

    POSIX only: /proc where there is one, else ``ps``.
    """
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(0), ()):
            if child not in found:
                found.append(child)
                waiting.append(child)
    return found


def end_tree(process: QProcess, *, grace_s: float = GRACE_S) -> None:
    """Terminate ``process`` and its descendants, and kill those that are left after ``grace_s``."""
    if process.state() == QProcess.ProcessState.NotRunning:
        return
    pid = int(process.processId())
    if sys.platform == "win32":
        # taskkill /T walks the tree itself; a console program takes no notice of a polite request.
        QProcess.execute("taskkill", ["/F", "/T", "/PID", str(pid)])
        process.waitForFinished(int(grace_s * 1000))
    else:
        tree = descendants(pid)
        _signal([pid, *tree], signal.SIGTERM)
        process.waitForFinished(int(grace_s * 1000))
        deadline = time.monotonic() + 0.5
        while any(_alive(child) for child in tree) and time.monotonic() < deadline:
            time.sleep(0.02)
        _signal([child for child in tree if _alive(child)], signal.SIGKILL)
    if process.state() != QProcess.ProcessState.NotRunning:
        process.kill()
        process.waitForFinished(10_000)


def _parents() -> list[tuple[int, int]]:
    """(process, its parent) of all processes."""
    if Path("/proc/self/stat").exists():
        pairs = []
        for entry in os.listdir("/proc"):  # noqa: PTH208 - names are enough
            if entry.isdigit():
                with suppress(OSError, ValueError, IndexError):  # it ended meanwhile
                    text = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8", errors="replace")
                    pairs.append((int(entry), int(text.rpartition(")")[2].split()[1])))
        return pairs
    lister = QProcess()
    lister.start("/bin/ps", ["-axo", "pid=,ppid="])
    lister.waitForFinished(5000)
    lines = bytes(lister.readAllStandardOutput()).decode("ascii", errors="replace").splitlines()
    return [(int(pid), int(parent)) for pid, parent in (line.split() for line in lines if len(line.split()) == 2)]


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True

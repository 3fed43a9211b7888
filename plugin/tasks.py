"""Ending QGIS's background tasks, in ways that QGIS 3.22 and 3.40 bear."""

from __future__ import annotations

import time
from contextlib import suppress

from qgis.core import QgsTask
from qgis.PyQt.QtCore import QCoreApplication, Qt

_NOT_BEGUN = (QgsTask.TaskStatus.Queued, QgsTask.TaskStatus.OnHold)
_ENDED = (QgsTask.TaskStatus.Complete, QgsTask.TaskStatus.Terminated)


def cancel_task(task: QgsTask) -> bool:
    """Ask a task of the task manager to end; whether it had begun. One that had not is cancelled as soon as it begins.

    ``QgsTask.cancel`` ends a task that has not begun at once, and QGIS deletes it, while a thread may be just about to
    begin it: that thread then crashes QGIS, or waits for ever for a lock that is gone.
    """
    with suppress(RuntimeError):  # QGIS has deleted it, as it does with tasks that ended
        if task.status() in _NOT_BEGUN:
            task.begun.connect(task.cancel, Qt.ConnectionType.DirectConnection)
            if task.status() in _NOT_BEGUN:
                return False
        task.cancel()
    return True


def ended_within(task: QgsTask, seconds: float) -> bool:
    """Wait in the window's thread for a task, without turning the event loop; whether it has ended.

    ``QgsTask.waitForFinished`` takes a limit but has none before the task begins: behind two long runs it would wait as
    long as they take, and in 3.22 for ever when a task that has ended is waited for a second time.
    """
    deadline = time.monotonic() + seconds
    try:
        while task.status() not in _ENDED:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
            QCoreApplication.sendPostedEvents(task, 0)  # among them that its work is done
    except RuntimeError:  # QGIS has deleted it
        return True
    return True


def stop_task(task: QgsTask, seconds: float) -> bool:
    """Cancel a task and wait so long for its end; whether nothing of it goes on. One that has not begun is not waited
    for: it ends in the moment in which it begins."""
    return not cancel_task(task) or ended_within(task, seconds)

"""What a desktop script uses inside the QGIS window.

A script writes a generator of steps and starts it::

    sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])
    from inside import Window, play

    def steps(w):
        w.result["dock"] = w.dock().isVisible()
        yield 0.5                                     # seconds, while QGIS's event loop runs
        yield w.until(lambda: w.layers(), 60, "layers were loaded")
        w.picture("layers")

    play(steps)

The window is 1440 x 900. Whatever happens, the answer is written and QGIS left by ``os._exit``.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path

import qgis.utils
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsContrastEnhancement,
    QgsMultiBandColorRenderer,
    QgsProject,
    QgsRasterMinMaxOrigin,
)
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QAbstractButton, QApplication, QLabel, QSizePolicy, QWidget
from qgis.utils import iface, plugins


class Window:
    """The window of this QGIS, the job's arguments, and the answer that is being made (:attr:`result`)."""

    def __init__(self) -> None:
        self.job = json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())
        self.arguments = self.job["arguments"]
        self.result: dict = {"qgis": Qgis.QGIS_VERSION}
        # When the window hangs, the log tells where.
        faulthandler.dump_traceback_later(self.job["dump_after"], file=sys.__stderr__)
        self.iface = iface
        qgis.utils.showException = self._exception

    @property
    def plugin(self):
        """The plugin's object."""
        return plugins["samescene"]

    def dock(self):
        """The dock, shown."""
        return self.plugin.show_dock()

    def layers(self) -> dict:
        """The project's layers by name."""
        return {layer.name(): layer for layer in QgsProject.instance().mapLayers().values()}

    def until(self, condition, seconds: float, what: str):
        """To be yielded: go on when ``condition()`` is true, fail after ``seconds`` saying ``what`` did not come."""
        return _Wait(condition, seconds, what)

    def picture(self, name: str, widget=None, *, small: bool = False) -> None:
        """A screenshot of the display, or of one widget, as ``pictures/NAME.png``; ``small``: a JPEG 1100 px wide."""
        QApplication.processEvents()
        grabbed = widget.grab() if widget is not None else QApplication.primaryScreen().grabWindow(0)
        if small and grabbed.width() > 1100:
            grabbed = grabbed.scaledToWidth(1100, Qt.TransformationMode.SmoothTransformation)
        folder = Path(self.job["pictures"])
        grabbed.save(str(folder / f"{name}.{'jpg' if small else 'png'}"), quality=72 if small else -1)

    def heartbeat(self) -> Heartbeat:
        """A running measure of how long the event loop is ever blocked."""
        return Heartbeat(self.job["display_process"])

    def _exception(self, kind, value, trace, message="", *_args, **_kwargs) -> None:
        # QGIS would show a dialog and wait for ever.
        self.leave(f"{message} {''.join(traceback.format_exception(kind, value, trace))}")

    def leave(self, error: str = "") -> None:
        """Write the answer and end QGIS at once."""
        self.result["ok"] = not error
        if error:
            self.result["error"] = error
        Path(self.job["answer"]).write_text(json.dumps(self.result, default=str))
        os._exit(0 if not error else 1)


class Heartbeat:
    """A timer of 10 ms in the window's thread; :attr:`worst_ms` is the longest time that the thread was blocked.

    Blocked is the time between two beats beyond 10 ms, less the time in which the thread could have run but other
    processes had the processors (the kernel counts it), and less the time in which it slept while the display's server
    could have run but had none: a window waits for its server's answers, and on a busy machine that is what it sleeps
    for. :attr:`busiest_ms` is the most that the thread itself computed between two beats, which hardly depends on what
    else the machine does.
    :attr:`gaps`: (ms blocked, ms between the beats, ms computed, seconds since the start) above 50 ms.
    """

    def __init__(self, display_process: int) -> None:
        self._own = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._display = Path(f"/proc/{display_process}/schedstat")
        self.reset()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _times(self) -> tuple[float, float, float]:
        """Seconds so far in which the thread ran and waited for a processor, and in which the display's server did."""
        return (*_scheduled(self._own), _scheduled(self._display)[1])

    def _beat(self) -> None:
        now, times = time.monotonic(), self._times()
        busy, queued, unserved = ((new - old) * 1000 for new, old in zip(times, self._counted, strict=True))
        between = (now - self._last) * 1000 - 10
        blocked = without_queues(between, busy, queued, unserved)
        self.worst_ms = max(self.worst_ms, blocked)
        self.busiest_ms = max(self.busiest_ms, busy)
        if between > 50 or busy > 50:
            self.gaps.append((round(blocked), round(between), round(busy), round(now - self._began, 2)))
        self._last, self._counted = now, times

    def reset(self) -> None:
        """Forget the gaps so far."""
        self._last, self._counted = time.monotonic(), self._times()
        self.worst_ms = self.busiest_ms = 0.0
        self._began = self._last
        self.gaps: list[tuple[int, int, int, float]] = []

    def stop(self) -> float:
        """End the measure; the worst gap in ms."""
        self._timer.stop()
        return self.worst_ms


def _scheduled(statistics: Path) -> tuple[float, float]:
    """Seconds in which a thread or process ran and waited for a processor; 0 where the kernel does not tell."""
    try:
        ran, waited = statistics.read_text().split()[:2]
        return int(ran) / 1e9, int(waited) / 1e9
    except (OSError, ValueError):
        return 0.0, 0.0


def without_queues(between: float, busy: float, queued: float, unserved: float) -> float:
    """How long a thread was blocked of the time ``between`` two beats: it computed for ``busy``, waited for a processor
    for ``queued`` and slept for the rest, and of its sleep so much is left out as its display's server waited for a
    processor (``unserved``). What the thread computes always counts."""
    slept = max(0.0, between - busy - queued)
    return between - queued - min(slept, unserved)


def engine_children() -> list[tuple[int, str]]:
    """(process id, command line) of the engines that this QGIS started and that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if parent == str(os.getpid()) and "worker" in line:
                found.append((int(entry.name), line))
    return found


def cut_off(page) -> list[str]:
    """What of a page cannot be read: what reaches over its right edge, and labels narrower than their text."""
    found = []
    for child in page.findChildren(QWidget):
        if not child.isVisible() or child.window() is not page.window():
            continue
        if child.mapTo(page, child.rect().topRight()).x() > page.width():
            found.append(f"{type(child).__name__} {child.objectName() or getattr(child, 'text', str)()} reaches out")
        if isinstance(child, (QLabel, QAbstractButton)) and child.text():
            wraps = isinstance(child, QLabel) and (child.wordWrap() or child.textFormat() == Qt.TextFormat.RichText)
            ignored = child.sizePolicy().horizontalPolicy() == QSizePolicy.Policy.Ignored
            if not wraps and not ignored and child.width() < child.minimumSizeHint().width():
                found.append(f"{type(child).__name__} '{child.text()}' is cut off")
    return found


def narrow(dock, width: int) -> None:
    """Bring the dock to a width."""
    iface.mainWindow().resizeDocks([dock], [width], Qt.Orientation.Horizontal)
    QApplication.processEvents()


def in_true_color(layer, bands=(4, 3, 2), *, extent=None) -> None:
    """Show an image in these bands, stretched as QGIS does, over ``extent`` or all of it."""
    layer.setRenderer(QgsMultiBandColorRenderer(layer.dataProvider(), *bands))
    layer.setContrastEnhancement(
        QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum,
        QgsRasterMinMaxOrigin.Limits.CumulativeCut,
        layer.extent() if extent is None else extent,
    )


class _Wait:
    def __init__(self, condition, seconds: float, what: str) -> None:
        self.condition, self.deadline, self.what = condition, time.monotonic() + seconds, what


class _Player:
    def __init__(self, steps, start_s: float) -> None:
        self.window = Window()
        self._steps = steps
        self._generator = None
        QTimer.singleShot(int(start_s * 1000), self._begin)

    def _begin(self) -> None:
        try:
            main = iface.mainWindow()
            main.showNormal()
            main.move(0, 0)
            main.resize(1440, 900)
            QgsApplication.processEvents()
            self._generator = self._steps(self.window)
        except BaseException:
            self.window.leave(traceback.format_exc())
        QTimer.singleShot(300, self._next)

    def _next(self) -> None:
        try:
            step = next(self._generator)
        except StopIteration:
            self.window.leave()
        except BaseException:
            try:
                self.window.picture("failure")
            finally:
                self.window.leave(traceback.format_exc())
        else:
            if isinstance(step, _Wait):
                self._poll(step)
            else:
                QTimer.singleShot(int((step or 0.05) * 1000), self._next)

    def _poll(self, wait: _Wait) -> None:
        try:
            met = wait.condition()
        except BaseException:
            self.window.leave(traceback.format_exc())
            return
        if met:
            self._next()
        elif time.monotonic() > wait.deadline:
            self.window.picture("failure")
            self.window.leave(f"not in time: {wait.what}")
        else:
            QTimer.singleShot(20, lambda: self._poll(wait))


_players: list[_Player] = []


def play(steps, *, start_s: float = 1.0) -> None:
    """Run the steps once the window stands."""
    _players.append(_Player(steps, start_s))

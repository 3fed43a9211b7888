"""Work for a thread of one's own, one piece after another: what was asked last comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal


class Background(QObject):
    """A thread that lives only while there is work.

    :meth:`ask` puts work under a key; work that still waits under that key is forgotten, so that a view that is turned
    never draws what nobody looks at any more. :attr:`done` carries the key and what the work gave, :attr:`failed` the
    key and one line; both arrive in the thread that made this object.
    """

    done = pyqtSignal(object, object)
    failed = pyqtSignal(object, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, Callable[[], Any]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, key: Hashable, work: Callable[[], Any]) -> None:
        """Do ``work`` soon, before all that waits."""
        with self._lock:
            if self._closed:
                return
            self._waiting.pop(key, None)
            self._waiting[key] = work
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="SameScene photos", daemon=True)
                self._thread.start()

    def forget(self, key: Hashable | None = None) -> None:
        """Drop what waits under ``key``, or all that waits; what is being done is done."""
        with self._lock:
            if key is None:
                self._waiting.clear()
            else:
                self._waiting.pop(key, None)

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits."""
        with self._lock:
            return self._thread is not None

    def shut_down(self, seconds: float = 5.0) -> None:
        """Take no more work, drop what waits, and wait for what is being done."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                key, work = self._waiting.popitem()
            try:
                answer, fault = work(), ""
            except MemoryError:
                answer, fault = None, "there is not enough memory for it"
            except Exception as error:
                answer, fault = None, " ".join(str(error).split()) or type(error).__name__
            if not self._tell(key, answer, fault):
                return

    def _tell(self, key: Hashable, answer: Any, fault: str) -> bool:
        """False when nobody is there any more."""
        with self._lock:
            if self._closed:
                self._thread = None
                return False
        try:
            if fault:
                self.failed.emit(key, fault)
            else:
                self.done.emit(key, answer)
        except RuntimeError:  # the object was deleted while the thread worked
            return False
        return True

"""Writes decisions to the file of located photos in a thread of its own, one after another and each at once.

A thread and not QGIS's tasks: long runs may hold all of those, and a decision must not wait for them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QObject, pyqtSignal

from ...layers.located import LocatedError, LocatedPhoto, LocatedPhotos

ACCEPT, REFUSE, READ, OPEN = "accept", "refuse", "read", "open"


class LocatedKeeper(QObject):
    """:attr:`read` carries what the file holds, accepted and refused, after each piece of work; :attr:`written` a
    decision that is on the disk, as its kind and place; :attr:`failed` one that is not, and one line why (the place is
    None where the file could not be read); :attr:`opened` the layer, for the main thread."""

    read = pyqtSignal(list, list)
    written = pyqtSignal(str, object)
    failed = pyqtSignal(object, str)
    opened = pyqtSignal(object)
    _ended = pyqtSignal(str, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="SameScene places")
        self._waiting = 0
        self._ended.connect(self._end)

    @property
    def busy(self) -> bool:
        """Whether something is not on the disk yet."""
        return self._waiting > 0

    def ask(self, kind: str, located: LocatedPhotos, place: LocatedPhoto | None = None) -> None:
        """Do a piece of work after those that were asked before."""
        self._waiting += 1
        self._pool.submit(self._do, kind, located, place)

    def shut_down(self) -> None:
        """Take no more, and wait until all that was decided is on the disk."""
        self._ended.disconnect(self._end)
        self._pool.shutdown(wait=True)

    def _do(self, kind: str, located: LocatedPhotos, place: LocatedPhoto | None) -> None:
        """In the thread."""
        answer: dict[str, Any] = {"fault": ""}
        try:
            if kind == ACCEPT:
                located.accept(place)
            elif kind == REFUSE:
                located.refuse(place)
            elif kind == OPEN:
                answer["layer"] = self._opened_layer(located)
            answer["places"], answer["refused"] = located.places(), located.refused()
        except LocatedError as fault:
            answer["fault"] = str(fault)
        except Exception as error:  # a thread that ends silently would leave the panel waiting
            answer["fault"] = f"{located.path}: {type(error).__name__}: {' '.join(str(error).split())}"
        self._ended.emit(kind, place, answer)

    def _opened_layer(self, located: LocatedPhotos) -> QgsVectorLayer:
        layer = located.layer()
        layer.moveToThread(QCoreApplication.instance().thread())
        return layer

    def _end(self, kind: str, place: LocatedPhoto | None, answer: dict[str, Any]) -> None:
        self._waiting -= 1
        if answer["fault"]:
            self.failed.emit(place, answer["fault"])
            return
        self.read.emit(answer["places"], answer["refused"])
        if place is not None:
            self.written.emit(kind, place)
        if "layer" in answer:
            self.opened.emit(answer["layer"])

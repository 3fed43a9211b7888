"""Loads the layers of a result one in each turn of the event loop."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..layers.results import ResultsError, loading_steps

_TURN_MS = 5
"""Not 0: Qt does what is asked for at once before it looks at any other timer, so that all layers came in one turn."""


class ResultLoader(QObject):
    """:attr:`ended` carries the loader itself; :attr:`fault` is empty when all layers were loaded."""

    ended = pyqtSignal(QObject)

    def __init__(self, folder: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.folder, self.fault, self.announce = folder, "", False
        self._steps = loading_steps(folder)

    def start(self) -> None:
        """Load the first layer in the next turn."""
        QTimer.singleShot(_TURN_MS, self._next)

    def _next(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self.ended.emit(self)
        except ResultsError as error:
            self.fault = str(error)
            self.ended.emit(self)
        else:
            QTimer.singleShot(_TURN_MS, self._next)

"""Modules that are read while the window rests: to read those of a page when it is turned to holds the window up."""

from __future__ import annotations

import builtins
import pkgutil
from types import ModuleType

from qgis.PyQt.QtCore import QObject, QTimer

_PAUSE_MS = 1  # what is clicked and drawn goes first


class ReadAhead(QObject):
    """Reads the modules of ``packages`` (names), one after another with pauses, until all are read.

    Python reads a module in a few milliseconds, and in a few times as many when it was just installed and has to be
    compiled; a page needs dozens.
    """

    def __init__(self, packages: tuple[str, ...], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names = [name for package in packages for name in modules_of(package)]
        self._timer = QTimer(self)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._next)
        self._timer.start()

    @property
    def done(self) -> bool:
        """Whether all are read."""
        return not self._names

    def stop(self) -> None:
        """Read no more: the plugin goes, and nothing of it may come back after QGIS has forgotten it."""
        self._timer.stop()

    def _next(self) -> None:
        if self._names:
            _read(self._names.pop(0))
        else:
            self._timer.stop()


def modules_of(package: str) -> list[str]:
    """Full names of the modules that lie in ``package`` itself, by alphabet."""
    found = pkgutil.iter_modules(_read(package).__path__, f"{package}.")
    return [module.name for module in found if not module.ispkg]


def _read(name: str) -> ModuleType:
    """The module of that name, as a statement would read it, not importlib: QGIS notes what statements read, and
    forgets it when the plugin is unloaded or upgraded; what it did not note would stay as it was."""
    return builtins.__import__(name, fromlist=("__name__",))

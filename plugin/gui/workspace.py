"""What every tab of the dock works with."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..engine_client.runs import RunRegistry
from .engine_banner import EngineBanner
from .runner import Runner
from .runs_panel import RunsPanel


class Workspace(QObject):
    """QGIS's iface, the list of runs, the runner, the Runs tab, and the strip that knows whether there is an engine."""

    asked = pyqtSignal(str, object)
    """Name of a tab to be shown and what it shall fill in (a dict, or None): how one tab hands over to another."""

    def __init__(
        self, iface, registry: RunRegistry, banner: EngineBanner, runs: RunsPanel, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.iface, self.registry, self.banner, self.runs = iface, registry, banner, runs
        self.runner = Runner(iface, registry, self)

    @property
    def canvas(self):
        """QGIS's map canvas."""
        return self.iface.mapCanvas()

    def show_tab(self, name: str, fill: dict[str, Any] | None = None) -> None:
        """Bring a tab to the front, filled in where ``fill`` says with what."""
        self.asked.emit(name, fill)

    def open(self, path: str) -> None:
        """Open a report in the browser, or a folder; says so where it cannot."""
        self.runs.open(path)

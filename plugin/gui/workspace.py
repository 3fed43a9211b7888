"""What every tab of the dock works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.PyQt.QtCore import QObject, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QDockWidget

from ..engine_client.runs import RunRegistry
from .engine_banner import EngineBanner
from .runner import Runner
from .runs_panel import RunsPanel

if TYPE_CHECKING:
    from ..photos.facts import Photo
    from .locate.viewer_dock import ViewerDock


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
        self.viewer: ViewerDock | None = None

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

    def show_photo(
        self, photo: Photo | None, heading_deg: float | None = None, place: tuple | None = None
    ) -> ViewerDock:
        """Show a photo in the viewer, which is made on first use; the viewer. ``heading_deg`` and ``place`` (point and
        CRS), for example of a candidate, stand before what the photo's file says."""
        if self.viewer is None:
            from .locate.viewer_dock import ViewerDock

            self.viewer = ViewerDock(self.iface)
            self.dock_below(self.viewer)
        self.viewer.show()
        self.viewer.raise_()
        self.viewer.show_photo(photo, heading_deg, place)
        return self.viewer

    def dock_below(self, dock: QDockWidget) -> None:
        """Put a window of the plugin below the map, as a tab of another one that stands there."""
        window, below = self.iface.mainWindow(), Qt.DockWidgetArea.BottomDockWidgetArea
        # Docks are children of the window itself: to look through all that it holds takes a quarter of the opening.
        alone = Qt.FindChildOption.FindDirectChildrenOnly
        there = [
            other
            for other in window.findChildren(QDockWidget, options=alone)
            if other is not dock
            and other.objectName().startswith("SameScene")
            and not other.isFloating()
            and window.dockWidgetArea(other) == below
        ]
        self.iface.addDockWidget(below, dock)
        if there:
            window.tabifyDockWidget(there[0], dock)

    def shut_down(self) -> None:
        """Take the viewer away."""
        viewer, self.viewer = self.viewer, None
        if viewer is not None:
            viewer.shut_down()
            self.iface.removeDockWidget(viewer)
            viewer.setParent(None)
            viewer.deleteLater()

"""The window of a review: at the bottom of QGIS, or wherever it is put."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import Qt

from ...layers.answers import Answers
from ...photos.facts import PhotoSet
from ..icons import icon
from ..workspace import Workspace
from .review_panel import ReviewPanel

_HEIGHT_PX = 420


class ReviewDock(QgsDockWidget):
    """:attr:`panel` is the review. Made on first use; whoever made it calls :meth:`shut_down`."""

    def __init__(self, workspace: Workspace, photo_set: PhotoSet) -> None:
        self._main = window = workspace.iface.mainWindow()
        super().__init__("", window)
        self.setWindowTitle(self.tr("SameScene: review"))
        self.setObjectName("SameSceneReviewDock")
        self.setWindowIcon(icon("locate"))
        self._shown = False
        self.panel = ReviewPanel(workspace, photo_set)
        self.setWidget(self.panel)
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self)
        self.hide()
        self.closed.connect(self.panel.rest)

    def show_result(
        self, result: dict[str, Any], out: str, photo: str, rank: int, answers: Answers | None = None
    ) -> None:
        """Review a candidate of a search; the window comes to the front."""
        first = not self._shown
        self._shown = True
        self.setUserVisible(True)
        if first and not self.isFloating():
            self._main.resizeDocks([self], [_HEIGHT_PX], Qt.Orientation.Vertical)
        self.panel.show_result(result, out, photo, rank, answers)
        self.panel.setFocus()

    def shut_down(self) -> None:
        """End the review and take the window away."""
        self.panel.shut_down()
        self._main.removeDockWidget(self)
        self.setParent(None)
        self.deleteLater()

"""The Test page: a form, and behind it what the test found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from ..algorithm_run import AlgorithmRun
from ..workspace import Workspace
from .evaluate_form import EvaluateForm
from .evaluation_view import EvaluationView
from .index_library import IndexLibrary
from .work_page import WorkPage

if TYPE_CHECKING:
    from ...photos.facts import PhotoSet


class EvaluatePage(QWidget):
    """How far off the search of an index is; :attr:`add_asked` that photos are wanted."""

    add_asked = pyqtSignal()

    def __init__(
        self, workspace: Workspace, photos: PhotoSet, library: IndexLibrary, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.form = EvaluateForm(photos, library)
        self.page = WorkPage(
            self.form,
            workspace,
            algorithm="samescene:locate_evaluate",
            action=self.tr("Test the search"),
            tip=self.tr("Searches for every photo as if nothing were known of it, and compares"),
            show_runs=False,
        )
        self.view = EvaluationView(workspace)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.page)
        self._stack.addWidget(self.view)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._stack)
        self.page.ended.connect(self._ended)
        self.view.back_asked.connect(lambda: self._stack.setCurrentWidget(self.page))
        self.form.photos.choice.add_asked.connect(self.add_asked)

    @property
    def shows_results(self) -> bool:
        """Whether results are in front, not the form."""
        return self._stack.currentWidget() is self.view

    def shut_down(self) -> None:
        """Shut form and view down."""
        self.page.shut_down()
        self.view.shut_down()

    def _ended(self, run: AlgorithmRun, successful: bool, outputs: dict) -> None:
        folder = str(run.parameters["OUTPUT"])
        if successful:
            self.view.show_result(folder)
            self._stack.setCurrentWidget(self.view)
            return
        record = self._workspace.registry.newest_of(folder)
        self.page.say(record.error if record is not None and record.error else self.tr("Stopped."))

"""The Learn page: a form, and behind it the training as it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from ..algorithm_run import AlgorithmRun
from ..form_page import FormPage
from ..workspace import Workspace
from .learn_form import LearnForm
from .learning_view import LearningView

if TYPE_CHECKING:
    from ...photos.facts import PhotoSet


class LearnPage(QWidget):
    """:attr:`index_asked` carries a model (name or folder) that an index is to be made with; :attr:`learned` that there
    is a new model; :attr:`add_asked` that photos are wanted."""

    index_asked = pyqtSignal(str)
    learned = pyqtSignal(str)
    add_asked = pyqtSignal()

    def __init__(self, workspace: Workspace, photos: PhotoSet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._run: AlgorithmRun | None = None
        self.form = LearnForm(workspace.canvas, photos)
        self.page = FormPage(
            self.form,
            workspace,
            algorithm="samescene:locate_learn",
            action=self.tr("Learn this area"),
            tip=self.tr("Trains in the background; the next view shows how it goes"),
            show_runs=False,
        )
        self.view = LearningView(workspace)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.page)
        self._stack.addWidget(self.view)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._stack)
        self.page.started.connect(self._started)
        self.page.ended.connect(self._ended)
        self.view.back_asked.connect(lambda: self._stack.setCurrentWidget(self.page))
        self.view.index_asked.connect(self.index_asked)
        self.form.photos.choice.add_asked.connect(self.add_asked)

    @property
    def shows_training(self) -> bool:
        """Whether the training is in front, not the form."""
        return self._stack.currentWidget() is self.view

    def shut_down(self) -> None:
        """Shut form and view down."""
        self.page.shut_down()
        self.view.shut_down()

    def _started(self, run: AlgorithmRun) -> None:
        self._run = run
        self.view.follow(str(run.parameters["OUTPUT"]))
        self._stack.setCurrentWidget(self.view)

    def _ended(self, run: AlgorithmRun, successful: bool, outputs: dict) -> None:
        if successful and outputs.get("MODEL"):
            self.learned.emit(str(outputs["MODEL"]))
        if run is self._run:
            self.view.finish(successful, outputs)

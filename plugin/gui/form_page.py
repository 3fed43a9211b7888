"""A form above a message and the button that runs it: what the dock's tabs are made of."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from .algorithm_run import AlgorithmRun
from .icons import theme_icon
from .runner import BREATH_MS
from .workspace import Workspace


class Form(QWidget):
    """What a page asks. A form fills the parameters of one algorithm and computes nothing itself."""

    changed = pyqtSignal()

    def parameters(self) -> dict[str, Any]:
        """The algorithm's parameters; what is not used is left out."""
        raise NotImplementedError

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in; ``("", None)`` when it can start."""
        raise NotImplementedError

    def save(self) -> None:
        """Remember the form for the next session."""

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""

    def run_ended(self) -> None:
        """A run of this form is over: for example another output folder is suggested."""

    def shut_down(self) -> None:
        """Give the canvas back what was taken from it."""


class FormPage(QWidget):
    """Checks the form, runs ``algorithm`` in the background, and shows what is in the way.

    :attr:`started` carries the run; :attr:`ended` the run, whether it succeeded, and the algorithm's outputs. Where
    ``show_runs`` the Runs tab is shown when a run begins, and its result is loaded and announced when it has ended.
    """

    started = pyqtSignal(object)
    ended = pyqtSignal(object, bool, dict)

    def __init__(
        self,
        form: Form,
        workspace: Workspace,
        *,
        algorithm: str,
        action: str,
        tip: str = "",
        icon: QIcon | None = None,
        show_runs: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.form, self.algorithm = form, algorithm
        self._workspace, self._show_runs = workspace, show_runs
        self._checked = False
        self._runs: list[AlgorithmRun] = []
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message_icon = QLabel()
        self.run_button = QPushButton(icon or theme_icon("mActionStart.svg"), action)
        self.run_button.setObjectName(f"samesceneRun:{algorithm}")
        self.run_button.setDefault(True)
        self.run_button.setToolTip(tip)
        self._lay_out()
        form.changed.connect(self.refresh)
        self.run_button.clicked.connect(self.start)
        workspace.banner.state_changed.connect(self.refresh)
        workspace.runner.ended.connect(self._run_ended)
        form.restore()
        self.refresh()

    def _lay_out(self) -> None:
        note = QHBoxLayout()
        note.setSpacing(6)
        note.setContentsMargins(0, 0, 0, 0)
        note.addWidget(self.message_icon, 0, Qt.AlignmentFlag.AlignTop)
        note.addWidget(self.message, 1)
        self._note = QWidget()
        self._note.setLayout(note)
        bottom = QVBoxLayout()
        bottom.setContentsMargins(9, 6, 9, 9)
        bottom.setSpacing(6)
        bottom.addWidget(self._note)
        bottom.addWidget(self.run_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(scrolled(self.form), 1)
        column.addLayout(bottom)

    def start(self, *_) -> AlgorithmRun | None:
        """Check the form and run the algorithm in the background; None, with a message shown, when it cannot start."""
        self._checked = True
        fault, widget = self.form.fault()
        if fault:
            self.say(fault)
            if widget is not None:
                widget.setFocus()
            return None
        run, fault = self._workspace.runner.begin(self.algorithm, self.form.parameters())
        if run is None:
            self.say(fault)
            return None
        self.say("")
        self._checked = False
        self._runs.append(run)
        if self._show_runs:
            self._workspace.show_tab("runs")
        self.started.emit(run)
        QTimer.singleShot(3 * BREATH_MS, self.form.save)
        return run

    def say(self, text: str, symbol: str = "mIconWarning.svg") -> None:
        """Show a message above the button; none when ``text`` is empty."""
        self._note.setVisible(bool(text))
        self.message.setText(text)
        if text:
            self.message_icon.setPixmap(theme_icon(symbol).pixmap(16, 16))

    def refresh(self) -> None:
        """Show what is in the way of a run."""
        # The first look at an empty form is no place for complaints: they come once the button was pressed.
        fault, _ = self.form.fault() if self._checked else ("", None)
        self.say(fault)
        self.run_button.setEnabled(self._workspace.banner.engine_ready)

    def shut_down(self) -> None:
        """Remember the form and follow nothing any more."""
        self.form.save()
        self.form.shut_down()
        self._workspace.banner.state_changed.disconnect(self.refresh)
        self._workspace.runner.ended.disconnect(self._run_ended)

    def _run_ended(self, run: AlgorithmRun, successful: bool, outputs: dict) -> None:
        if run not in self._runs:
            return
        self._runs.remove(run)
        if successful and self._show_runs:
            self._workspace.runs.load(str(outputs["OUTPUT"]), announce=True)
        self.form.run_ended()
        self.ended.emit(run, successful, outputs)


def scrolled(content: QWidget) -> QScrollArea:
    """A frameless scroll area around a column of widgets: it scrolls up and down, never sideways."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    content.setAutoFillBackground(False)
    area.viewport().setAutoFillBackground(False)
    return area


def remembered(name: str, default: Any, kind: type) -> Any:
    """A setting of the dock."""
    return QgsSettings().value(f"samescene/dock/{name}", default, type=kind)

"""The dock: a Flood tab that fills the algorithm's parameters, and a Runs tab that shows what became of it."""

from __future__ import annotations

from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from ..engine_client.runs import CANCELLED, RunRegistry
from .engine_banner import EngineBanner
from .engine_setup import EngineSetup
from .flood_form import FloodForm
from .flood_run import FloodRun
from .icons import icon, theme_icon
from .runs_panel import RunsPanel


class SameSceneDock(QgsDockWidget):
    """SameScene's panel; made on first use, shut down by the plugin's unload."""

    def __init__(self, iface, registry: RunRegistry, setup: EngineSetup) -> None:
        super().__init__("SameScene", iface.mainWindow())
        self.setObjectName("SameSceneDock")
        self.setWindowIcon(icon("samescene"))
        self._iface = iface
        self._active: list[FloodRun] = []
        self._checked = False
        self.form = FloodForm(iface.mapCanvas())
        self.runs = RunsPanel(iface, registry)
        self.banner = EngineBanner(iface, setup)
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message_icon = QLabel()
        self.run_button = QPushButton(theme_icon("mActionStart.svg"), self.tr("Map flood"))
        self.run_button.setObjectName("samesceneRun")
        self.run_button.setDefault(True)
        self.run_button.setToolTip(self.tr("Run in the background; the results are added to the project"))
        self._lay_out()
        self.form.changed.connect(self._form_changed)
        self.run_button.clicked.connect(self.start)
        self.runs.cancelled.connect(self._cancelled)
        self.banner.state_changed.connect(self._form_changed)
        self.form.restore()
        self._form_changed()

    def _lay_out(self) -> None:
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.form)
        self.form.setAutoFillBackground(False)
        scroll.viewport().setAutoFillBackground(False)
        note = QHBoxLayout()
        note.setSpacing(6)
        note.addWidget(self.message_icon, 0, Qt.AlignmentFlag.AlignTop)
        note.addWidget(self.message, 1)
        self._note = QWidget()
        self._note.setLayout(note)
        note.setContentsMargins(0, 0, 0, 0)
        bottom = QVBoxLayout()
        bottom.setContentsMargins(9, 6, 9, 9)
        bottom.setSpacing(6)
        bottom.addWidget(self._note)
        bottom.addWidget(self.run_button)
        flood = QWidget()
        column = QVBoxLayout(flood)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(scroll, 1)
        column.addLayout(bottom)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(flood, icon("flood"), self.tr("Flood"))
        self.tabs.addTab(self.runs, theme_icon("mActionHistory.svg"), self.tr("Runs"))
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.banner)
        column.addWidget(self.tabs, 1)
        self.setWidget(content)
        self.setMinimumWidth(320)

    def start(self) -> FloodRun | None:
        """Check the form and run the algorithm in the background; None, with a message shown, when it cannot start."""
        self._checked = True
        fault, widget = self.form.fault()
        if fault:
            self._say(fault, "mIconWarning.svg")
            if widget is not None:
                widget.setFocus()
            return None
        run = FloodRun(self.form.parameters(), self)
        fault = run.fault()
        if fault:
            self._say(fault, "mIconWarning.svg")
            return None
        self._say("", "")
        self._checked = False
        self._active.append(run)
        run.ended.connect(lambda ok, outputs: self._ended(run, ok, outputs))
        self.tabs.setCurrentWidget(self.runs)
        # Each in its own turn of the event loop, so that the window is not blocked by their sum.
        QTimer.singleShot(0, run.start)
        QTimer.singleShot(0, self.form.save)
        return run

    def _ended(self, run: FloodRun, successful: bool, outputs: dict) -> None:
        if run in self._active:
            self._active.remove(run)
        if successful:
            self.runs.load(str(outputs["OUTPUT"]), announce=True)
        else:
            self._tell_end(run)
        self.form.suggest_output()
        run.deleteLater()

    def _cancelled(self, folder: str) -> None:
        # The task too, or QGIS would report a cancelled run as a failed task.
        for run in self._active:
            if run.parameters["OUTPUT"] == folder:
                run.cancel()

    def _tell_end(self, run: FloodRun) -> None:
        record = self.runs.newest_of(str(run.parameters["OUTPUT"]))
        bar = self._iface.messageBar()
        if record is not None and record.state == CANCELLED:
            bar.pushInfo("SameScene", self.tr("Cancelled: {}. Nothing was written.").format(record.title))
        else:
            bar.pushCritical("SameScene", record.error if record is not None and record.error else run.errors())

    def shut_down(self) -> None:
        """Cancel what runs and wait for it, remember the form, give the map its tool back."""
        self.form.save()
        self.form.area.close_tool()
        for run in list(self._active):
            run.cancel()
            if run.task is not None:
                run.task.waitForFinished(10_000)
        self._active.clear()
        self.runs.shut_down()
        self.banner.shut_down()

    def _form_changed(self) -> None:
        # The first look at an empty form is no place for complaints: they come once Run was pressed.
        fault, _ = self.form.fault() if self._checked else ("", None)
        self._say(fault, "mIconWarning.svg")
        self.run_button.setEnabled(self.banner.engine_ready)

    def _say(self, text: str, symbol: str) -> None:
        self._note.setVisible(bool(text))
        self.message.setText(text)
        if text:
            self.message_icon.setPixmap(theme_icon(symbol).pixmap(16, 16))

"""Settings ▸ Options ▸ SameScene: which Python runs the engine, its state, and setting it up."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.gui import QgsFileWidget, QgsOptionsPageWidget
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
)

from ..engine_client.failure import EngineFailure
from ..engine_client.locate import ORIGIN_TITLES, find_engine
from ..engine_client.settings import VARIABLE, EngineSettings
from ..engine_client.setup import EngineCheckTask
from .engine_setup import EngineSetup
from .icons import theme_icon
from .options_factory import PAGE_KEY


class SameSceneOptionsPage(QgsOptionsPageWidget):
    """Made for one opening of the dialog; the set-up itself lives in :class:`EngineSetup` and goes on without it."""

    def __init__(self, setup: EngineSetup, parent=None) -> None:
        super().__init__(parent)
        self.setObjectName(PAGE_KEY)
        self._setup = setup
        self._settings = EngineSettings()
        self._check: EngineCheckTask | None = None
        self.state_icon, self.state, self.origin = QLabel(), QLabel(), QLabel()
        self.test = QPushButton(theme_icon("mActionRefresh.svg"), self.tr("Check engine"))
        self.managed = QRadioButton(self.tr("Managed by SameScene (recommended)"))
        self.own = QRadioButton(self.tr("A Python environment of your own"))
        self.python = QgsFileWidget()
        self.wheels, self.base = QgsFileWidget(), QgsFileWidget()
        self.set_up = QPushButton(theme_icon("mActionStart.svg"), self.tr("Set up engine"))
        self.cancel = QPushButton(theme_icon("mTaskCancel.svg"), self.tr("Cancel"))
        self.progress, self.doing = QProgressBar(), QLabel()
        self.log = QPlainTextEdit()
        self._lay_out()
        self._read_settings()
        self._connect()
        self._show_setup()
        self.check()

    def apply(self) -> None:
        """Called by the dialog's OK: store what was chosen."""
        self._settings.engine_python = self.python.filePath() if self.own.isChecked() else ""
        self._settings.wheels_folder = self.wheels.filePath()
        self._settings.base_python = self.base.filePath()

    def check(self) -> None:
        """Find the engine as it is chosen on the page, and ask it for its version in the background."""
        if self._check is not None:
            return
        try:
            location = find_engine(self._settings)
        except EngineFailure as failure:
            self._say("mIconWarning.svg", failure.message, failure.remedy if self._setup.running else "")
            return
        self._say("mActionRefresh.svg", self.tr("Asking the engine…"), str(location.python))
        self.test.setEnabled(False)
        self._check = EngineCheckTask(location)
        self._check.taskCompleted.connect(self._checked)
        self._check.taskTerminated.connect(self._checked)
        QgsApplication.taskManager().addTask(self._check)

    def _lay_out(self) -> None:
        self.state.setWordWrap(True)
        self.origin.setWordWrap(True)
        for label in (self.state, self.origin):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.test.setToolTip(self.tr("Start the engine once and show its version and device"))
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self.state)
        texts.addWidget(self.origin)
        state = QGroupBox(self.tr("State of the engine"))
        row = QHBoxLayout(state)
        row.addWidget(self.state_icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        row.addWidget(self.test, 0, Qt.AlignmentFlag.AlignTop)
        choice = QGroupBox(self.tr("Python that runs the engine"))
        self._choices = QButtonGroup(self)
        self._choices.addButton(self.managed)
        self._choices.addButton(self.own)
        self.python.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.python.setDialogTitle(self.tr("Python of the environment"))
        self.python.setToolTip(
            self.tr("The environment's python program; it needs the packages of requirements/engine.txt")
        )
        indented = QHBoxLayout()
        indented.setContentsMargins(22, 0, 0, 0)
        indented.addWidget(self.python)
        column = QVBoxLayout(choice)
        column.addWidget(self.managed)
        column.addWidget(self.own)
        column.addLayout(indented)
        self._variable_note = QLabel()
        self._variable_note.setWordWrap(True)
        column.addWidget(self._variable_note)
        build = QGroupBox(self.tr("Managed environment"))
        about = QLabel(
            self.tr(
                "“Set up engine” makes a Python environment in {} and installs the engine's packages at fixed, "
                "checked versions from the Python Package Index: about 0.4 GB to download, 1.5 GB on the "
                "disk (Linux, with CUDA: 3 and 8 GB). QGIS's own Python is not touched. QGIS's proxy settings are used."
            ).format(self._settings.environments_folder)
        )
        about.setWordWrap(True)
        self.wheels.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.wheels.setDialogTitle(self.tr("Folder of wheels"))
        self.wheels.setToolTip(self.tr("For machines without network: a folder of wheels made with 'pip download'"))
        self.wheels.lineEdit().setPlaceholderText(self.tr("none: download from PyPI"))
        self.base.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.base.setDialogTitle(self.tr("Python to make the environment from"))
        self.base.setToolTip(self.tr("Python 3.10 or later; needed only where none is found"))
        self.base.lineEdit().setPlaceholderText(self.tr("found by itself"))
        form = QFormLayout()
        form.addRow(self.tr("Made from the Python"), self.base)
        form.addRow(self.tr("Offline folder of wheels"), self.wheels)
        self.set_up.setToolTip(self.tr("Runs in the background; you can close this window meanwhile"))
        buttons = QHBoxLayout()
        buttons.addWidget(self.set_up)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.progress, 1)
        buttons.addStretch(1)
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.doing.setWordWrap(True)
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(2000)
        self.log.setPlaceholderText(self.tr("The log of the set-up"))
        self.log.setMinimumHeight(80)
        column = QVBoxLayout(build)
        column.addWidget(about)
        column.addLayout(form)
        column.addLayout(buttons)
        column.addWidget(self.doing)
        column.addWidget(self.log, 1)
        page = QVBoxLayout(self)
        page.setContentsMargins(9, 9, 9, 9)
        page.setSpacing(9)
        page.addWidget(state)
        page.addWidget(choice)
        page.addWidget(build, 1)

    def _read_settings(self) -> None:
        chosen = self._settings.engine_python
        (self.own if chosen else self.managed).setChecked(True)
        self.python.setFilePath(chosen)
        self.python.setEnabled(bool(chosen))
        self.wheels.setFilePath(self._settings.wheels_folder)
        self.base.setFilePath(self._settings.base_python)
        named = self._settings.variable_python()
        self._variable_note.setVisible(bool(named))
        self._variable_note.setText(
            self.tr("The variable {} names {}; it comes before the managed environment.").format(VARIABLE, named)
        )

    def _connect(self) -> None:
        self.own.toggled.connect(self.python.setEnabled)
        self.test.clicked.connect(self._apply_and_check)
        self.set_up.clicked.connect(self._start_setup)
        self.cancel.clicked.connect(self._setup.cancel)
        self._setup.changed.connect(self._show_setup)
        self._setup.line.connect(self.log.appendPlainText)
        self._setup.ended.connect(self._setup_ended)

    def _apply_and_check(self) -> None:
        self.apply()
        self.check()

    def _start_setup(self) -> None:
        self.managed.setChecked(True)
        self.apply()
        self.log.clear()
        self._setup.start()

    def _setup_ended(self, _ready: bool) -> None:
        self.check()

    def _show_setup(self) -> None:
        running = self._setup.running
        self.set_up.setEnabled(not running)
        self.cancel.setVisible(running)
        self.progress.setVisible(running)
        self.progress.setValue(round(self._setup.fraction * 1000))
        self.doing.setText(self._setup.message if running else self._setup.outcome)
        self.doing.setVisible(bool(self.doing.text()))
        if not self.log.toPlainText() and self._setup.lines:
            self.log.setPlainText("\n".join(self._setup.lines))

    def _checked(self) -> None:
        task, self._check = self._check, None
        self.test.setEnabled(True)
        if task is None:
            return
        where = f"{task.location.python} ({ORIGIN_TITLES.get(task.location.origin, task.location.origin)})"
        if task.hello is not None:
            text = self.tr("Engine {} is ready on {}.").format(task.hello.engine_version, task.hello.device)
            self._say("mIconSuccess.svg", text, where)
        elif task.failure is not None:
            self._say("mIconCritical.svg", task.failure.message, f"{task.failure.remedy} {where}".strip())
        else:
            self._say("mIconWarning.svg", self.tr("The check was stopped."), where)

    def _say(self, symbol: str, text: str, small: str) -> None:
        self.state_icon.setPixmap(theme_icon(symbol).pixmap(16, 16))
        self.state.setText(text)
        self.origin.setText(small)
        self.origin.setVisible(bool(small))

"""The strip on top of the dock that says what to do while there is no engine; hidden when there is one."""

from __future__ import annotations

from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..engine_client.failure import EngineFailure
from ..engine_client.locate import find_engine
from .engine_setup import EngineSetup
from .icons import theme_icon
from .open_options import open_options


class EngineBanner(QFrame):
    """Looks at files only. :attr:`state_changed` follows when the engine came or went."""

    state_changed = pyqtSignal()

    def __init__(self, iface, setup: EngineSetup, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._iface = iface
        self._setup = setup
        setup.ended.connect(self.refresh)
        setup.changed.connect(self.refresh)
        self.engine_ready = True
        self.text = QLabel()
        self.text.setWordWrap(True)
        symbol = QLabel()
        symbol.setPixmap(theme_icon("mIconWarning.svg").pixmap(16, 16))
        self.button = QPushButton(self.tr("Set up the engine…"))
        self.button.setToolTip(self.tr("Opens Settings ▸ Options ▸ SameScene"))
        self.button.clicked.connect(self._open)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(symbol)
        row.addWidget(self.text, 1)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.button)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 9, 9, 9)
        column.setSpacing(6)
        column.addLayout(row)
        column.addLayout(buttons)
        self.setObjectName("samesceneBanner")
        self.setStyleSheet(
            "#samesceneBanner { background: rgba(255, 193, 7, 45); border: none;"
            " border-bottom: 1px solid rgba(180, 130, 0, 90); }"
        )
        self._timer = QTimer(self)
        self._timer.setInterval(3000)
        self._timer.timeout.connect(self.refresh)
        self.refresh()

    def refresh(self, *_) -> None:
        """Look for the engine again."""
        before = self.engine_ready
        try:
            find_engine()
        except EngineFailure as failure:
            self.engine_ready = False
            setting_up = self._setup.running
            self.text.setText(self.tr("The engine is being set up…") if setting_up else failure.message)
            self.text.setToolTip(failure.remedy)
            self.button.setText(self.tr("Show progress…") if setting_up else self.tr("Set up the engine…"))
        else:
            self.engine_ready = True
        self.setVisible(not self.engine_ready)
        if self.engine_ready:
            self._timer.stop()
        elif not self._timer.isActive():
            self._timer.start()
        if before != self.engine_ready:
            self.state_changed.emit()

    def shut_down(self) -> None:
        """Stop looking."""
        self._timer.stop()
        self._setup.ended.disconnect(self.refresh)
        self._setup.changed.disconnect(self.refresh)

    def _open(self) -> None:
        open_options(self._iface)
        self.refresh()

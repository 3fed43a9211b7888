"""The Runs tab: what runs and what ran, what can be done with it, its log, and the threshold of its result."""

from __future__ import annotations

from pathlib import Path

from qgis.core import Qgis
from qgis.PyQt.QtCore import QItemSelectionModel, Qt, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QGridLayout,
    QLabel,
    QListView,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from ..engine_client.runs import DONE, KEPT_LINES, RunRecord, RunRegistry
from ..layers.products import PRODUCTS
from ..layers.results import run_layers
from .headline import headline
from .icons import theme_icon
from .result_loader import ResultLoader
from .runs_list import RECORD_ROLE, RunDelegate, RunsModel
from .threshold_bar import ThresholdBar

_MAIN_ROLES = ("flood", "landcover", "change", "sample", "candidates")
"""The layer of a result that becomes the current one."""


class RunsPanel(QWidget):
    """Shows the registry; every button acts on the selected run."""

    cancelled = pyqtSignal(str)
    """The result folder of a run that the user cancelled here."""

    def __init__(self, iface, registry: RunRegistry, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._iface, self._registry = iface, registry
        self._logged_lines = 0
        self.model = RunsModel(registry, self)
        self.list = QListView()
        self.list.setModel(self.model)
        self.list.setItemDelegate(RunDelegate(self.list))
        self.list.setUniformItemSizes(False)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setAccessibleName(self.tr("Runs"))
        self.empty = QLabel(self.tr("Runs of the dock and of the Processing Toolbox are listed here."))
        self.empty.setWordWrap(True)
        self.empty.setEnabled(False)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.log.setMaximumBlockCount(2000)
        self.log.setPlaceholderText(self.tr("The log of the selected run"))
        self.log.setAccessibleName(self.tr("Log"))
        self.cancel = self._button("mTaskCancel.svg", self.tr("Cancel"), self.tr("Stop the run; nothing is left of it"))
        self.report = self._button("mActionOpenTable.svg", self.tr("Report"), self.tr("Open the report in the browser"))
        self.folder = self._button("mActionFileOpen.svg", self.tr("Folder"), self.tr("Open the folder of the results"))
        self.load_again = self._button(
            "mActionAddLayer.svg", self.tr("Load"), self.tr("Load the layers of the result again")
        )
        self.copy = self._button(
            "mActionEditCopy.svg", self.tr("Command"), self.tr("Copy as engine command: the same run in a terminal")
        )
        self.remove = self._button(
            "mActionDeleteSelected.svg", self.tr("Remove"), self.tr("Take the run off the list; its files stay")
        )
        self.threshold = ThresholdBar()
        self._lay_out()
        self._connect()
        self._show_selected()

    @staticmethod
    def _button(symbol: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(theme_icon(symbol), text)
        button.setToolTip(tip)
        return button

    def _lay_out(self) -> None:
        self._buttons = QWidget()
        buttons = QGridLayout(self._buttons)
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.setSpacing(4)
        rows = (self.cancel, self.report, self.folder, self.load_again, self.copy, self.remove)
        for number, button in enumerate(rows):
            buttons.addWidget(button, number // 3, number % 3)
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.list, 1)
        column.addWidget(self.empty, 1)
        column.addWidget(self._buttons)
        column.addWidget(self.threshold)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(upper)
        splitter.addWidget(self.log)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 1)
        splitter.setChildrenCollapsible(False)
        self.list.setFrameShape(QFrame.Shape.StyledPanel)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 9, 9, 9)
        column.addWidget(splitter)

    def _connect(self) -> None:
        self.list.selectionModel().currentChanged.connect(self._selected)
        self.model.dataChanged.connect(self._changed)
        self.model.rowsInserted.connect(self._inserted)
        self.model.rowsRemoved.connect(self._show_selected)
        self._registry.logged.connect(self._logged)
        self.list.doubleClicked.connect(self._open_report)
        self.cancel.clicked.connect(self._cancel)
        self.report.clicked.connect(self._open_report)
        self.folder.clicked.connect(self._open_folder)
        self.load_again.clicked.connect(self._load)
        self.copy.clicked.connect(self._copy)
        self.remove.clicked.connect(self._remove)
        self._iface.currentLayerChanged.connect(self._layer_changed)

    def record(self) -> RunRecord | None:
        """The selected run."""
        index = self.list.currentIndex()
        return index.data(RECORD_ROLE) if index.isValid() else None

    def select(self, run_id: str) -> None:
        """Select a run."""
        index = self.model.index_of(run_id)
        if index.isValid():
            self.list.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def load(self, folder: str, *, announce: bool = False) -> None:
        """Add the layers of a result folder to the project, one in each turn of the event loop, and bind the slider."""
        loader = ResultLoader(folder, self)
        loader.ended.connect(self._loaded)
        loader.announce = announce
        loader.start()

    def _loaded(self, loader: ResultLoader) -> None:
        bar = self._iface.messageBar()
        loader.deleteLater()
        if loader.fault:
            bar.pushWarning("SameScene", loader.fault)
            return
        layers = run_layers(loader.folder)
        main = next((layers[role] for role in _MAIN_ROLES if role in layers), None)
        if main is not None:
            self._iface.layerTreeView().setCurrentLayer(main)
        self.threshold.set_folder(loader.folder)
        if loader.announce:
            self.announce(loader.folder)

    def announce(self, folder: str) -> None:
        """Tell in the message bar what the newest run of a folder found."""
        record = self._registry.newest_of(folder)
        title = record.title if record is not None else folder
        figures = (record.result or {}).get("figures") or {} if record is not None else {}
        told = headline(record.job, figures) if record is not None else ""
        text = f"{title}: {told}" if told else title
        bar = self._iface.messageBar()
        item = bar.createMessage("SameScene", text)
        if record is not None and record.report:
            button = QPushButton(self.tr("Open report"))
            button.clicked.connect(lambda: self.open(record.report))
            item.layout().addWidget(button)
        bar.pushWidget(item, Qgis.MessageLevel.Success, 20)

    def shut_down(self) -> None:
        """Follow nothing any more."""
        self._registry.logged.disconnect(self._logged)
        self._iface.currentLayerChanged.disconnect(self._layer_changed)
        self.model.disconnect_registry()
        self.threshold.shut_down()

    def _selected(self, *_) -> None:
        self._show_selected()

    def _inserted(self, _parent, first, _last) -> None:
        self.list.setCurrentIndex(self.model.index(first))
        self._show_selected()

    def _changed(self, first, _last=None, *_) -> None:
        if first.row() == self.list.currentIndex().row():
            self._show_buttons()

    def _show_selected(self, *_) -> None:
        record = self.record()
        self._logged_lines = 0
        self.log.clear()
        if record is not None:
            self._show_log(record.id)
        if record is not None and record.out:
            self.threshold.set_folder(record.out)
        self._show_buttons()

    def _show_buttons(self) -> None:
        record = self.record()
        listed = self.model.rowCount() > 0
        self.list.setVisible(listed)
        self.empty.setVisible(not listed)
        self._buttons.setVisible(listed)
        self.log.setVisible(listed)
        # The slider moves a probability: only flood maps have one.
        self.threshold.setVisible(record is None or record.job == "flood" or self.threshold.bound)
        done = record is not None and record.state == DONE
        self.cancel.setEnabled(record is not None and not record.is_finished)
        self.report.setEnabled(done and bool(record.report))
        self.folder.setEnabled(done and bool(record.out))
        self.load_again.setEnabled(done and record.job in PRODUCTS)
        self.copy.setEnabled(record is not None)
        self.remove.setEnabled(record is not None and record.is_finished)

    def _logged(self, run_id: str, _level: str, _line: str) -> None:
        record = self.record()
        if record is not None and record.id == run_id:
            self._show_log(run_id)

    def _show_log(self, run_id: str) -> None:
        # Lines are read from the registry, not from the signal: one that was queued when the run was selected is there
        # already.
        record = self._registry.run(run_id)
        lines = record.log if record is not None else ()
        if len(lines) >= KEPT_LINES:  # the oldest fall out: show all anew
            self._logged_lines = 0
            self.log.clear()
        for entry in lines[self._logged_lines :]:
            self.log.appendPlainText(_log_line(*entry))
        self._logged_lines = len(lines)

    def _layer_changed(self, layer) -> None:
        self.threshold.follow_layer(layer)

    def _cancel(self) -> None:
        record = self.record()
        if record is not None:
            self.cancel.setEnabled(False)
            self._registry.cancel(record.id)
            self.cancelled.emit(record.out)

    def _open_report(self, *_) -> None:
        record = self.record()
        if record is not None and record.report:
            self.open(record.report)

    def _open_folder(self) -> None:
        record = self.record()
        if record is not None and record.out:
            self.open(record.out)

    def open(self, path: str) -> None:
        """Open a file or folder with the program that the desktop has for it."""
        if not Path(path).exists():
            self._iface.messageBar().pushWarning("SameScene", self.tr("It is not there any more: {}").format(path))
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(path)):
            self._iface.messageBar().pushWarning("SameScene", self.tr("No program could open {}").format(path))

    def _load(self) -> None:
        record = self.record()
        if record is not None:
            self.load(record.out)

    def _copy(self) -> None:
        record = self.record()
        if record is not None:
            QApplication.clipboard().setText(record.command)
            self._iface.messageBar().pushInfo("SameScene", self.tr("The engine command is on the clipboard."))

    def _remove(self) -> None:
        record = self.record()
        if record is not None:
            self._registry.remove(record.id)


def _log_line(level: str, line: str) -> str:
    return line if level == "info" else f"{level.upper()}: {line}"

"""The list of runs: a model over the registry, and how a row is drawn."""

from __future__ import annotations

from datetime import datetime

from qgis.PyQt.QtCore import QAbstractListModel, QModelIndex, QRect, QSize, Qt
from qgis.PyQt.QtGui import QFontMetrics, QPalette
from qgis.PyQt.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionProgressBar, QStyleOptionViewItem

from ..engine_client.runs import CANCELLED, DONE, FAILED, QUEUED, RUNNING, RunRecord, RunRegistry
from .icons import theme_icon

RECORD_ROLE = Qt.ItemDataRole.UserRole + 1
_ICONS = {
    QUEUED: "mActionHistory.svg",
    RUNNING: "mActionRefresh.svg",
    DONE: "mIconSuccess.svg",
    FAILED: "mIconCritical.svg",
    CANCELLED: "mTaskCancel.svg",
}
_MARGIN = 6


class RunsModel(QAbstractListModel):
    """The registry's runs, the newest first."""

    def __init__(self, registry: RunRegistry, parent=None) -> None:
        super().__init__(parent)
        self._registry = registry
        self._records = registry.runs()
        registry.added.connect(self._added)
        registry.changed.connect(self._changed)
        registry.removed.connect(self._removed)

    def rowCount(self, parent=None):
        return 0 if parent is not None and parent.isValid() else len(self._records)

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        if not index.isValid():
            return None
        record = self._records[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return record.title
        if role == Qt.ItemDataRole.DecorationRole:
            return theme_icon(_ICONS[record.state])
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(filter(None, (record.title, describe(record), record.out)))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{record.title}: {describe(record)}"
        if role == RECORD_ROLE:
            return record
        return None

    def index_of(self, run_id: str) -> QModelIndex:
        """The row of a run; invalid when it is not listed."""
        for row, record in enumerate(self._records):
            if record.id == run_id:
                return self.index(row)
        return QModelIndex()

    def disconnect_registry(self) -> None:
        """Follow the registry no longer."""
        self._registry.added.disconnect(self._added)
        self._registry.changed.disconnect(self._changed)
        self._registry.removed.disconnect(self._removed)

    def _added(self, run_id: str) -> None:
        record = self._registry.run(run_id)
        if record is not None and not self.index_of(run_id).isValid():
            self.beginInsertRows(QModelIndex(), 0, 0)
            self._records.insert(0, record)
            self.endInsertRows()

    def _changed(self, run_id: str) -> None:
        index, record = self.index_of(run_id), self._registry.run(run_id)
        if index.isValid() and record is not None:
            self._records[index.row()] = record
            self.dataChanged.emit(index, index)

    def _removed(self, run_id: str) -> None:
        index = self.index_of(run_id)
        if index.isValid():
            self.beginRemoveRows(QModelIndex(), index.row(), index.row())
            del self._records[index.row()]
            self.endRemoveRows()


def describe(record: RunRecord) -> str:
    """The second line of a row: what it does, or how it ended."""
    if record.state == QUEUED:
        return "waiting"
    if record.state == RUNNING:
        return record.message or record.stage or "starting the engine"
    if record.state == FAILED:
        return record.error
    took = f" in {duration(record.seconds)}" if record.seconds is not None else ""
    when = f"{_local(record.finished):%Y-%m-%d %H:%M}" if record.finished else ""
    return f"{'done' if record.state == DONE else 'cancelled'}{took}, {when}"


def duration(seconds: float) -> str:
    """``"8 s"``, ``"3 min 5 s"``, ``"1 h 4 min"``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _local(moment: datetime) -> datetime:
    return moment.astimezone()


class RunDelegate(QStyledItemDelegate):
    """Icon, title, a line of state, and a progress bar while it runs."""

    def sizeHint(self, option, index):
        metrics = QFontMetrics(option.font)
        running = index.data(RECORD_ROLE).state in (RUNNING, QUEUED)
        return QSize(100, 2 * metrics.height() + 2 * _MARGIN + 2 + (10 if running else 0))

    def paint(self, painter, option, index):
        record = index.data(RECORD_ROLE)
        item = QStyleOptionViewItem(option)
        self.initStyleOption(item, index)
        style = item.widget.style() if item.widget is not None else QApplication.style()
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, item, painter, item.widget)
        box = item.rect.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        item.icon.paint(painter, QRect(box.left(), box.top() + 1, 16, 16))
        left = box.left() + 16 + _MARGIN
        metrics = QFontMetrics(item.font)
        width = box.right() - left
        selected = bool(item.state & QStyle.StateFlag.State_Selected)
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        painter.save()
        painter.setFont(item.font)
        painter.setPen(item.palette.color(role))
        line = QRect(left, box.top(), width, metrics.height())
        painter.drawText(
            line, Qt.AlignmentFlag.AlignVCenter, metrics.elidedText(item.text, Qt.TextElideMode.ElideMiddle, width)
        )
        color = item.palette.color(role)
        color.setAlphaF(0.72)
        painter.setPen(color)
        line.translate(0, metrics.height() + 2)
        text = metrics.elidedText(describe(record), Qt.TextElideMode.ElideRight, width)
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()
        if record.state in (RUNNING, QUEUED):
            bar = QStyleOptionProgressBar()
            bar.rect = QRect(left, line.bottom() + 4, width, 7)
            bar.palette = item.palette
            bar.state = QStyle.StateFlag.State_Enabled | QStyle.StateFlag.State_Horizontal
            bar.minimum, bar.maximum, bar.progress = 0, 1000, round(record.fraction * 1000)
            bar.textVisible = False
            style.drawControl(QStyle.ControlElement.CE_ProgressBar, bar, painter, item.widget)

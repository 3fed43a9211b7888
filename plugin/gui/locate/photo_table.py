"""The photos of the session as a table: small picture, what it is, where it looks, when it was taken."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.PyQt.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionRange,
    QModelIndex,
    QRect,
    QSize,
    QSortFilterProxyModel,
    Qt,
)
from qgis.PyQt.QtGui import QColor, QFont, QFontMetrics, QPalette, QPixmap
from qgis.PyQt.QtWidgets import QApplication, QHeaderView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from ...photos import wording
from ...photos.facts import Photo, PhotoSet
from ..icons import theme_icon

PHOTO_ROLE = Qt.ItemDataRole.UserRole
_SORT_ROLE = Qt.ItemDataRole.UserRole + 1
_HIDDEN_ROLE = Qt.ItemDataRole.UserRole + 2
PHOTO, LOOKS, TAKEN = range(3)
_PICTURE = QSize(80, 44)
_MARGIN = 4
_KEPT = 1000
_ROOM = 260
"""Pixels that the first column keeps before the others are shown: a dock is often narrow."""
_FAULT = QColor("#c92a2a")


class PhotoModel(QAbstractTableModel):
    """Rows are the photos of a set in its order; :data:`PHOTO_ROLE` gives the photo."""

    def __init__(self, photos: PhotoSet, parent=None) -> None:
        super().__init__(parent)
        self._set = photos
        self._photos = photos.photos()
        photos.changed.connect(self._changed)

    def rowCount(self, parent=QModelIndex()):  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._photos)

    def columnCount(self, parent=QModelIndex()):  # noqa: B008
        return 0 if parent.isValid() else 3

    def headerData(self, section, orientation, role=Qt.ItemDataRole.DisplayRole):
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return (self.tr("Photo"), self.tr("Looks to"), self.tr("Taken"))[section]
        return None

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        photo = self._photos[index.row()]
        if role == PHOTO_ROLE:
            return photo
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join([photo.path, *wording.told(photo, hidden=self._set.hide_positions)])
        if role == Qt.ItemDataRole.DisplayRole:
            looks = wording.looks(photo) or ("" if photo.fault else "?")
            return (photo.name, looks, wording.taken(photo).replace(" ", "\n", 1))[index.column()]
        if role == _HIDDEN_ROLE:
            return self._set.hide_positions
        if role == _SORT_ROLE:
            heading = -1.0 if photo.heading_deg is None else photo.heading_deg
            return (photo.name.lower(), heading, photo.taken_at or "")[index.column()]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{photo.name}, {wording.fault(photo) or wording.shows(photo)}"
        return None

    def _changed(self) -> None:
        self.beginResetModel()
        self._photos = self._set.photos()
        self.endResetModel()


class PhotoDelegate(QStyledItemDelegate):
    """The first column: the picture, the file's name, what it shows, and whether its file tells a position."""

    def __init__(self, parent=None) -> None:
        super().__init__(parent)
        self._pictures: dict[tuple[str, float], QPixmap] = {}

    def sizeHint(self, option, index):
        lines = 3 * QFontMetrics(option.font).height()
        return QSize(_PICTURE.width() + 100, max(_PICTURE.height(), lines) + 2 * _MARGIN)

    def paint(self, painter, option, index):
        photo: Photo = index.data(PHOTO_ROLE)
        item = QStyleOptionViewItem(option)
        self.initStyleOption(item, index)
        style = item.widget.style() if item.widget is not None else QApplication.style()
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, item, painter, item.widget)
        box = item.rect.adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        frame = QRect(box.topLeft(), _PICTURE)
        frame.translate(0, (box.height() - _PICTURE.height()) // 2)
        self._draw_picture(painter, frame, photo, item)
        metrics = QFontMetrics(item.font)
        left = frame.right() + 2 * _MARGIN
        text = QRect(left, box.top(), box.right() - left, metrics.height())
        alone = item.widget is not None and item.widget.isColumnHidden(LOOKS)
        lines = lines_of(photo, alone=alone, hidden=index.data(_HIDDEN_ROLE))
        text.translate(0, (box.height() - len(lines) * metrics.height()) // 2)
        selected = bool(item.state & QStyle.StateFlag.State_Selected)
        ink = item.palette.color(QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text)
        painter.save()
        for number, line in enumerate(lines):
            font = QFont(item.font)
            font.setBold(number == 0)
            painter.setFont(font)
            color = QColor(_FAULT if photo.fault and number and not selected else ink)
            color.setAlphaF(1.0 if number == 0 or photo.fault else 0.75)
            painter.setPen(color)
            mode = Qt.TextElideMode.ElideMiddle if number == 0 else Qt.TextElideMode.ElideRight
            shown = QFontMetrics(font).elidedText(line, mode, text.width())
            painter.drawText(text, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), shown)
            text.translate(0, metrics.height())
        painter.restore()

    def _draw_picture(self, painter, frame: QRect, photo: Photo, item) -> None:
        ratio = item.widget.devicePixelRatioF() if item.widget is not None else 1.0
        picture = self._picture(photo.thumbnail or "", ratio)
        if picture.isNull():
            theme_icon("mIconWarning.svg").paint(painter, frame.adjusted(28, 10, -28, -10))
            return
        size = picture.size() / picture.devicePixelRatio()
        left = frame.left() + (frame.width() - size.width()) // 2
        painter.drawPixmap(left, frame.top() + (frame.height() - size.height()) // 2, picture)

    def _picture(self, path: str, ratio: float) -> QPixmap:
        """The small picture at the table's size; empty where there is none."""
        if (path, ratio) not in self._pictures:
            if len(self._pictures) >= _KEPT:
                self._pictures.clear()
            picture = QPixmap(path) if path else QPixmap()
            if not picture.isNull():
                how = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
                picture = picture.scaled(_PICTURE * ratio, *how)
                picture.setDevicePixelRatio(ratio)
            self._pictures[path, ratio] = picture
        return self._pictures[path, ratio]


def lines_of(photo: Photo, *, alone: bool, hidden: bool) -> list[str]:
    """The lines beside the picture: its name, what it shows, where it looks (where that has no column: ``alone``) and
    whether its file tells a position (or that it is ``hidden``); of a photo that cannot be used, why."""
    if photo.fault:
        return [photo.name, wording.fault(photo)]
    place = wording.tr("position known") if photo.has_position else wording.tr("no position")
    place = wording.tr("position hidden") if hidden else place
    looks = [wording.looks(photo) or wording.tr("no heading")] if alone else []
    return [photo.name, wording.shows(photo), ", ".join([*looks, place])]


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """Rows that follow each other, as (first, last)."""
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and runs[-1][1] == row - 1:
            runs[-1] = (runs[-1][0], row)
        else:
            runs.append((row, row))
    return runs


class PhotoTable(QTableView):
    """Sorted by a click on a header. The selection stays when the set changes."""

    def __init__(self, photos: PhotoSet, parent=None) -> None:
        super().__init__(parent)
        self._wanted: set[str] = set()
        self._looks_width = self._taken_width = 0  # a hidden column has no width
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSortRole(_SORT_ROLE)
        self.sorted.setSourceModel(PhotoModel(photos, self))
        self.setModel(self.sorted)
        self.setItemDelegateForColumn(PHOTO, PhotoDelegate(self))
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)  # as they came, until a header is clicked
        self.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableView.SelectionMode.ExtendedSelection)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setVerticalScrollMode(QTableView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setAccessibleName(self.tr("Photos"))
        self.verticalHeader().hide()
        self._set_widths()
        self.sorted.modelAboutToBeReset.connect(self._remember)
        self.sorted.modelReset.connect(self._recall)

    def selected(self) -> list[Photo]:
        """The selected photos, from the top."""
        rows = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [index.data(PHOTO_ROLE) for index in rows]

    def select(self, paths: Iterable[str]) -> None:
        """Select the rows of these files, and no other, and show the first."""
        wanted = set(paths)
        model = self.selectionModel()
        rows = [row for row in range(self.sorted.rowCount()) if self._photo(row).path in wanted]
        chosen = QItemSelection()  # all at once: who follows the selection hears of it once
        for first, last in _runs(rows):
            chosen.append(QItemSelectionRange(self.sorted.index(first, PHOTO), self.sorted.index(last, TAKEN)))
        model.select(chosen, model.SelectionFlag.ClearAndSelect)
        if rows:
            model.setCurrentIndex(self.sorted.index(rows[0], PHOTO), model.SelectionFlag.NoUpdate)
            self.scrollTo(self.sorted.index(rows[0], PHOTO))

    def resizeEvent(self, event):
        super().resizeEvent(event)
        width = self.viewport().width()
        self.setColumnHidden(TAKEN, width < _ROOM + self._looks_width + self._taken_width)
        self.setColumnHidden(LOOKS, width < _ROOM + self._looks_width)

    def _photo(self, row: int) -> Photo:
        return self.sorted.index(row, PHOTO).data(PHOTO_ROLE)

    def _remember(self) -> None:
        self._wanted = {photo.path for photo in self.selected()}

    def _recall(self) -> None:
        if self._wanted:
            self.select(self._wanted)

    def _set_widths(self) -> None:
        metrics = self.fontMetrics()
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(PHOTO, QHeaderView.ResizeMode.Stretch)
        for column, text in ((LOOKS, "360° WNW"), (TAKEN, "2020-12-04")):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
            head = metrics.horizontalAdvance(self.sorted.headerData(column, Qt.Orientation.Horizontal)) + 24
            self.setColumnWidth(column, max(head, metrics.horizontalAdvance(text) + 12))
        self._looks_width, self._taken_width = self.columnWidth(LOOKS), self.columnWidth(TAKEN)
        row = max(_PICTURE.height(), 3 * metrics.height()) + 2 * _MARGIN
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(row)

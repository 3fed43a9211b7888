"""The photos of a search with what was found of each."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSignalBlocker, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from ...layers.answers import Answers
from ..icons import theme_icon
from .answer_text import short_answer

_ROWS = 5
_ICON = QSize(48, 24)
_NAME = Qt.ItemDataRole.UserRole
ACCEPTED, REJECTED = "accepted", "rejected"


class AnswerList(QTreeWidget):
    """Columns photo, first place, review; :attr:`chosen` carries the photo's name in the result."""

    chosen = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHeaderLabels([self.tr("Photo"), self.tr("Found"), self.tr("Review")])
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setIconSize(_ICON)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAccessibleName(self.tr("Photos that were searched"))
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            self.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.currentItemChanged.connect(lambda item, _: self.chosen.emit(item.data(0, _NAME) if item else ""))

    def show_answers(self, answers: Answers, thumbnails: dict[str, str]) -> None:
        """List the photos; ``thumbnails``: path → small picture, of those that are known."""
        with QSignalBlocker(self):
            self.clear()
            for answer in answers.answers:
                item = QTreeWidgetItem([answer.photo, short_answer(answer), ""])
                item.setData(0, _NAME, answer.photo)
                item.setToolTip(0, "\n".join([answer.path or answer.photo, *answer.problems]))
                if thumbnails.get(answer.path):
                    item.setIcon(0, QIcon(thumbnails[answer.path]))
                symbol = "mIconSuccess.svg" if answer.match else "mIconInfo.svg"
                item.setIcon(1, QIcon(theme_icon(symbol).pixmap(16, 16)))
                self.addTopLevelItem(item)
        row = max(_ICON.height() + 4, self.fontMetrics().height() + 6)
        count = max(1, min(_ROWS, len(answers.answers)))
        self.setFixedHeight(self.header().sizeHint().height() + count * row + 6)

    def choose(self, photo: str) -> None:
        """Make a photo the current one."""
        item = self._item(photo)
        if item is not None and item is not self.currentItem():
            self.setCurrentItem(item)

    @property
    def current(self) -> str:
        """The name of the current photo; empty for none."""
        item = self.currentItem()
        return str(item.data(0, _NAME)) if item is not None else ""

    def mark(self, photo: str, text: str, tip: str = "") -> None:
        """Say what became of a photo in the review."""
        item = self._item(photo)
        if item is not None:
            item.setText(2, text)
            item.setToolTip(2, tip)

    def _item(self, photo: str) -> QTreeWidgetItem | None:
        for row in range(self.topLevelItemCount()):
            if self.topLevelItem(row).data(0, _NAME) == photo:
                return self.topLevelItem(row)
        return None

"""The candidates of one photo, by rank."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from ...layers.answers import Answer, Candidate
from ...layers.distances import distance_m, distance_text
from ..icons import theme_icon
from .answer_list import ACCEPTED, REJECTED
from .answer_text import heading_text, percent

RANK, PROBABILITY, HEADING, PRIOR, SCORE = range(5)
_RANK = Qt.ItemDataRole.UserRole


class CandidateTable(QTreeWidget):
    """:attr:`chosen` carries the rank that was selected by hand, :attr:`opened` the one that was double-clicked."""

    chosen = pyqtSignal(int)
    opened = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tr = self.tr
        self.setHeaderLabels([tr("Rank"), tr("Probability"), tr("Heading"), tr("From prior"), tr("Score")])
        tips = (
            tr("1 is the likeliest place"),
            tr("That the photo was taken within the radius of this place"),
            tr("Compass direction of the middle of the photo, if it was taken here"),
            tr("How far this place is from the position in the photo's file"),
            tr("How much more like the photo than the region's other cells, in standard deviations"),
        )
        for column, tip in enumerate(tips):
            self.headerItem().setToolTip(column, tip)
            self.headerItem().setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setAlternatingRowColors(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAccessibleName(tr("Candidates"))
        self.setMinimumHeight(120)
        self.header().setStretchLastSection(False)
        for column in range(5):
            self.header().setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.header().setSectionResizeMode(SCORE, QHeaderView.ResizeMode.Stretch)
        self.header().setMinimumSectionSize(36)
        self.currentItemChanged.connect(lambda item, _: self.chosen.emit(item.data(0, _RANK) if item else 0))
        self.itemDoubleClicked.connect(lambda item, _: self.opened.emit(item.data(0, _RANK)))

    def show_answer(self, answer: Answer | None, prior: tuple[float, float] | None, states: dict[int, str]) -> None:
        """List the candidates; ``prior``: longitude and latitude that the photo's file tells; ``states``: rank →
        accepted or rejected."""
        with QSignalBlocker(self):
            self.clear()
            for candidate in answer.candidates if answer is not None else ():
                self.addTopLevelItem(self._row(candidate, prior))
        self.setColumnHidden(PRIOR, prior is None)
        for rank, state in states.items():
            self.mark(rank, state)

    def choose(self, rank: int) -> None:
        """Select a candidate without telling :attr:`chosen`."""
        item = self._item(rank)
        with QSignalBlocker(self):
            self.setCurrentItem(item)
        if item is not None:
            self.scrollToItem(item)

    @property
    def rank(self) -> int:
        """The selected rank; 0 for none."""
        item = self.currentItem()
        return int(item.data(0, _RANK)) if item is not None else 0

    def mark(self, rank: int, state: str) -> None:
        """Show that a candidate was accepted or rejected."""
        item = self._item(rank)
        if item is None:
            return
        symbol = {ACCEPTED: "mIconSuccess.svg", REJECTED: "mTaskCancel.svg"}[state]
        item.setIcon(RANK, theme_icon(symbol))
        item.setToolTip(RANK, {ACCEPTED: self.tr("Accepted"), REJECTED: self.tr("Rejected")}[state])
        font = item.font(RANK)
        font.setStrikeOut(state == REJECTED)
        for column in range(5):
            item.setFont(column, font)

    def _row(self, candidate: Candidate, prior: tuple[float, float] | None) -> QTreeWidgetItem:
        away = distance_text(distance_m(*prior, candidate.lon, candidate.lat)) if prior is not None else ""
        item = QTreeWidgetItem(
            [
                str(candidate.rank),
                percent(candidate.probability),
                heading_text(candidate.heading_deg),
                away,
                f"{candidate.score:.1f}",
            ]
        )
        item.setData(0, _RANK, candidate.rank)
        for column in range(5):
            item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        item.setToolTip(
            PROBABILITY,
            self.tr("within {:.0f} m of {:.6f}, {:.6f}").format(candidate.radius_m, candidate.lat, candidate.lon),
        )
        return item

    def _item(self, rank: int) -> QTreeWidgetItem | None:
        for row in range(self.topLevelItemCount()):
            if self.topLevelItem(row).data(0, _RANK) == rank:
                return self.topLevelItem(row)
        return None

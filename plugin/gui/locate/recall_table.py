"""Shares of photos found, as a small table: rows and columns are named, each cell has its interval as tool tip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget


class RecallTable(QTableWidget):
    """Estimates ``{"value", "low", "high", "n"}`` as per cent."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(0, 0, parent)
        self.setAccessibleName(title)
        self.verticalHeader().hide()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def show_rows(self, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """``heads`` of all columns; ``rows``: the name and an estimate, a text, or None for each further column."""
        self.setColumnCount(len(heads))
        self.setHorizontalHeaderLabels(list(heads))
        self.setRowCount(len(rows))
        right = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for row, (name, cells) in enumerate(rows):
            first = QTableWidgetItem(name)
            first.setToolTip(name)
            self.setItem(row, 0, first)
            for column, cell in enumerate(cells, 1):
                item = QTableWidgetItem(cell if isinstance(cell, str) else percent(cell))
                item.setTextAlignment(right)
                item.setToolTip("" if isinstance(cell, str) else interval(cell))
                self.setItem(row, column, item)
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        height = sum(self.rowHeight(row) for row in range(len(rows)))
        self.setFixedHeight(header.sizeHint().height() + height + 4)


def percent(estimate: Any) -> str:
    """A share as per cent; a dash where there is none."""
    value = estimate.get("value") if isinstance(estimate, dict) else None
    return "–" if value is None else f"{100 * value:.0f} %"


def interval(estimate: Any) -> str:
    """The interval of a share, with the number of photos; empty where there is none."""
    if not isinstance(estimate, dict) or estimate.get("low") is None or estimate.get("high") is None:
        return ""
    low, high, n = 100 * estimate["low"], 100 * estimate["high"], estimate.get("n")
    return f"{low:.0f} to {high:.0f} % (95 % interval, {n} photos)"

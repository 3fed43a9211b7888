"""What a test of the search found: the error curve, recall by rank and radius, and each photo's error."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...compat import quiet_task
from ...tasks import stop_task
from ..form_page import scrolled
from ..icons import theme_icon
from ..workspace import Workspace
from .error_curve import ErrorCurve
from .recall_table import RecallTable, percent

RANKS, RADII = (1, 5, 20), (25, 50, 100)
_MOST_ROWS = 500


class EvaluationView(QWidget):
    """:meth:`show_result` reads a folder in the background and shows it."""

    back_asked = pyqtSignal()

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._task: _ReadTask | None = None
        self.folder = ""
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.curve = ErrorCurve()
        self.table = RecallTable(self.tr("Share of photos found"))
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.photos = QTableWidget(0, 3)
        self.photos.setHorizontalHeaderLabels([self.tr("Photo"), self.tr("Error"), self.tr("Found at")])
        tips = (
            self.tr("The worst first"),
            self.tr("From the first candidate to the true place"),
            self.tr("Rank of the first candidate within 50 m"),
        )
        for column, tip in enumerate(tips):
            self.photos.horizontalHeaderItem(column).setToolTip(tip)
        self.photos.verticalHeader().hide()
        self.photos.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.photos.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.photos.setAccessibleName(self.tr("Error of each photo"))
        self.photos.setMinimumHeight(130)
        header = self.photos.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.back = QPushButton(theme_icon("mActionArrowLeft.svg"), self.tr("Back"))
        self.back.setToolTip(self.tr("To the form of the test"))
        self.report = QPushButton(theme_icon("mActionOpenTable.svg"), self.tr("Report"))
        self.open = QPushButton(theme_icon("mActionFileOpen.svg"), self.tr("Folder"))
        self.open.setToolTip(self.tr("report.html, queries.csv with each photo, and result.json"))
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(9, 6, 9, 9)
        column.setSpacing(6)
        for part in (self.title, self.curve, self.table, self.facts):
            column.addWidget(part)
        column.addWidget(self.photos, 1)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(9, 0, 9, 9)
        buttons.setSpacing(4)
        for button in (self.back, self.report, self.open):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(scrolled(inside), 1)
        column.addLayout(buttons)
        self.back.clicked.connect(self.back_asked)
        self.report.clicked.connect(lambda: self._workspace.open(str(Path(self.folder) / "report.html")))
        self.open.clicked.connect(lambda: self._workspace.open(self.folder))

    @property
    def reading(self) -> bool:
        """Whether results are being read."""
        return self._task is not None

    def show_result(self, folder: str) -> None:
        """Read the results in a folder and show them."""
        self.folder = folder
        self.title.setText(self.tr("Reading the results…"))
        for part in (self.curve, self.table, self.facts, self.photos):
            part.hide()
        task = self._task = _ReadTask(folder)
        task.taskCompleted.connect(lambda: self._read(task))
        task.taskTerminated.connect(lambda: self._read(task))
        QgsApplication.taskManager().addTask(task)

    def shut_down(self) -> None:
        """Wait for what is being read."""
        if self._task is not None:
            stop_task(self._task, 10)
            self._task = None

    def _read(self, task: _ReadTask) -> None:
        if task is not self._task:
            return
        self._task = None
        if task.fault:
            self.title.setText(task.fault)
            return
        self._show(task.result.get("figures") or {}, task.rows)

    def _show(self, figures: dict[str, Any], rows: list[dict[str, str]]) -> None:
        pooled = figures.get("pooled") or {}
        inside, outside = figures.get("inside") or 0, figures.get("outside") or 0
        first = pooled.get("recall@1<50m")
        if first:
            text = self.tr("<b>{} of {} photos are within 50 m at the first guess</b>, {} among 20. {}, {:,} cells.")
            twenty = percent(pooled.get("recall@20<50m"))
            text = text.format(percent(first), inside, twenty, figures.get("method"), figures.get("cells") or 0)
        else:
            text = self.tr("<b>No photo was taken inside the region</b>: only “not here” can be judged.")
        self.title.setText(text)
        self.curve.show_points(figures.get("error_curve") or [])
        heads = [self.tr("Candidates"), *(self.tr("< {} m").format(radius) for radius in RADII)]
        self.table.show_rows(
            heads,
            [
                (
                    self.tr("first") if k == 1 else self.tr("first {}").format(k),
                    [pooled.get(f"recall@{k}<{radius}m") for radius in RADII],
                )
                for k in RANKS
            ],
        )
        self.facts.setText(" · ".join(self._told(figures, outside)))
        self._show_photos(rows)
        for part in (self.curve, self.table, self.facts, self.photos):
            part.show()

    def _told(self, figures: dict[str, Any], outside: int) -> list[str]:
        lines = []
        if figures.get("median_error_m") is not None:
            lines.append(self.tr("median error {:,.0f} m").format(figures["median_error_m"]))
        heading = figures.get("heading_within_10deg_at_rank_1")
        if heading is not None:
            n = figures.get("heading_n")
            lines.append(self.tr("heading within 10°: {:.0f} % of {} found").format(100 * heading, n))
        told = figures.get("told_not_here") or {}
        if told.get("inside") is not None:
            lines.append(self.tr("“not here” said wrongly: {:.0f} %").format(100 * told["inside"]))
        if told.get("outside") is not None:
            text = self.tr("said rightly: {:.0f} % of {} from outside")
            lines.append(text.format(100 * told["outside"], outside))
        skipped = len(figures.get("skipped") or [])
        if skipped:
            lines.append(self.tr("{} photos skipped: see the report").format(skipped))
        return lines

    def _show_photos(self, rows: list[dict[str, str]]) -> None:
        self.photos.setRowCount(len(rows))
        right = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for number, row in enumerate(rows):
            cells = (
                row.get("photo", ""),
                self.tr("{:,.0f} m").format(_error(row)),
                row.get("rank_within_50m") or self.tr("–"),
            )
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(right)
                if row.get("inside") not in ("True", "true", "1"):
                    item.setForeground(self.palette().placeholderText())
                    item.setToolTip(self.tr("Taken outside of the region"))
                self.photos.setItem(number, column, item)


class _ReadTask(QgsTask):
    def __init__(self, folder: str) -> None:
        super().__init__("SameScene: results of a test", quiet_task())
        self._folder = Path(folder)
        self.result: dict[str, Any] = {}
        self.rows: list[dict[str, str]] = []
        self.fault = ""

    def run(self) -> bool:
        try:
            self.result = json.loads((self._folder / "result.json").read_text(encoding="utf-8"))
            with (self._folder / "queries.csv").open(encoding="utf-8-sig", newline="") as file:
                rows = [row for row in csv.DictReader(file) if row.get("error_m")]
        except (OSError, ValueError, csv.Error) as error:
            self.fault = f"{self._folder}: the results cannot be read ({error})."
            return True
        self.rows = sorted(rows, key=_error, reverse=True)[:_MOST_ROWS]
        return True


def _error(row: dict[str, str]) -> float:
    try:
        return float(row["error_m"])
    except (KeyError, ValueError):
        return 0.0

"""A training on one's own area as it goes on, and what it was worth when it is over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ...engine_client.runs import DONE
from ..curve_data import CurveData
from ..curve_view import CurveView
from ..form_page import scrolled
from ..form_parts import hint
from ..icons import theme_icon
from ..workspace import Workspace
from .recall_table import RecallTable

_EVERY_MS = 500
_SHOWN = ("recall@1<50m", "recall@5<50m", "recall@20<50m")


def training_folder(out: str) -> Path:
    """Where the engine trains before the results are whole; see engine/training/crossview/adapt/workspace.py."""
    path = Path(out)
    return path.parent / f".{path.name}.learning" / "training"


class LearningView(QWidget):
    """:meth:`follow` a run's folder; :attr:`index_asked` carries the model that an index is to be made with."""

    index_asked = pyqtSignal(str)
    back_asked = pyqtSignal()

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._data: CurveData | None = None
        self.folder, self.model = "", ""
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName(self.tr("Progress of the training"))
        self.loss = CurveView(self.tr("Loss"), self.tr("The curve begins when photos and tiles are read."))
        self.shares = CurveView(
            self.tr("Shares"), self.tr("How sure the network is of its own guesses comes here."), between=(0, 1)
        )
        self.note = hint(
            self.tr(
                "Neither curve tells whether places are found: the loss jumps where a stage begins, and a network "
                "can be sure of wrong guesses."
            )
        )
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.apart = RecallTable(self.tr("Photos kept apart"))
        self.results = QWidget()
        column = QVBoxLayout(self.results)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.said)
        column.addWidget(self.apart)
        self.cancel = QPushButton(theme_icon("mTaskCancel.svg"), self.tr("Stop"))
        self.cancel.setToolTip(self.tr("What was learned so far is kept: the same run goes on where it was"))
        self.report = QPushButton(theme_icon("mActionOpenTable.svg"), self.tr("Report"))
        self.index = QPushButton(theme_icon("mActionAddRasterLayer.svg"), self.tr("Index with it…"))
        self.index.setToolTip(self.tr("Make an index of a region with this model, to search photos in"))
        self.back = QPushButton(theme_icon("mActionArrowLeft.svg"), self.tr("Back"))
        self.back.setToolTip(self.tr("To the form; a run goes on meanwhile"))
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self._look)
        self.cancel.clicked.connect(self._cancel)
        self.report.clicked.connect(self._open_report)
        self.index.clicked.connect(lambda: self.index_asked.emit(self.model))
        self.back.clicked.connect(self.back_asked)
        self._show_buttons(False)

    def _lay_out(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(9, 6, 9, 9)
        column.setSpacing(6)
        column.addWidget(self.title)
        column.addWidget(self.bar)
        column.addWidget(self.results)
        column.addWidget(self.loss, 1)
        column.addWidget(self.shares, 1)
        column.addWidget(self.note)
        buttons = QHBoxLayout()
        buttons.setContentsMargins(9, 0, 9, 9)
        buttons.setSpacing(4)
        for button in (self.back, self.cancel, self.report, self.index):
            buttons.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(scrolled(inside), 1)
        column.addLayout(buttons)

    def follow(self, folder: str) -> None:
        """Show the run whose results go to a folder, from now on."""
        self.folder, self.model = folder, ""
        self._data = CurveData(training_folder(folder))
        for chart in (self.loss, self.shares):
            chart.show_series({})
        self.results.hide()
        self.title.setText(self.tr("Starting the engine…"))
        self.bar.setValue(0)
        self.bar.show()
        self._show_buttons(True)
        self._timer.start()

    def finish(self, successful: bool, outputs: dict[str, Any]) -> None:
        """The run is over: show what it was worth, or why there is nothing."""
        self._look()
        self._timer.stop()
        self.bar.hide()
        if successful:
            self.model = str(outputs.get("MODEL") or "")
            self._show_figures(_result(self.folder))
        else:
            record = self._workspace.registry.newest_of(self.folder)
            told = record.error if record is not None and record.error else ""
            self.title.setText(told or self.tr("Stopped. The same run goes on where it was."))
        self._show_buttons(False)

    def shut_down(self) -> None:
        """Follow nothing any more."""
        self._timer.stop()

    def _show_figures(self, result: dict[str, Any]) -> None:
        figures = result.get("figures") or {}
        name = (result.get("model") or {}).get("name") or self.model
        self.title.setText(
            self.tr("<b>{}</b> is trained: {:,} photos, {:,} tiles, {:,} steps, from {}.").format(
                name, figures.get("believed") or figures.get("photos") or 0, figures.get("tiles") or 0,
                figures.get("steps") or 0, figures.get("start") or "–",
            )
        )  # fmt: skip
        measured = figures.get("measured") or {}
        group = "apart" if "apart" in measured else "learned"
        lines = list((figures.get("said") or {}).get(group) or [])
        if group in measured:
            n = next(iter(measured[group].values()))["n"]
            whose = self.tr("{} photos kept apart") if group == "apart" else self.tr("{} photos that were learned from")
            lines.insert(0, self.tr("<b>{}</b>, within 50 m of the true place:").format(whose.format(n)))
        else:
            lines.append(self.tr("Nothing was measured: too few photos of known position stand in the area."))
        right = figures.get("believed_right") or {}
        if right.get("measured"):
            lines.append(
                self.tr("Of {:,} found places whose truth is known {:.0f} % are within 25 m.").format(
                    right["n"], 100 * right["measured"]["value"]
                )
            )
        self.said.setText("<br>".join([*lines[:1], *(f"● {line}" for line in lines[1:])]))
        titles = {
            "chance": self.tr("By chance"),
            "geometric": self.tr("Geometric"),
            "before": self.tr("Before, cells alone"),
            "after": self.tr("This model, cells alone"),
            "search_before": self.tr("Before"),
            "search_after": self.tr("This model"),
        }
        if "search_after" not in (measured.get(group) or {}):  # without rings a search is what its cells are worth
            titles |= {"before": titles["search_before"], "after": titles["search_after"]}
        rows = [
            (titles.get(method, method), [one["pooled"].get(key) for key in _SHOWN])
            for method, one in (measured.get(group) or {}).items()
        ]
        heads = [self.tr("Method"), self.tr("first"), self.tr("first 5"), self.tr("first 20")]
        self.apart.show_rows(heads, rows)
        self.apart.setVisible(bool(rows))
        self.results.show()

    def _look(self) -> None:
        record = self._workspace.registry.newest_of(self.folder)
        if record is not None and not record.is_finished:
            self.bar.setValue(round(1000 * record.fraction))
            self.title.setText(record.message or record.stage or self.tr("Starting the engine…"))
        if self._data is not None and self._data.read():
            self.loss.show_series(self._data.losses())
            self.shares.show_series(shares_of(self._data))

    def _show_buttons(self, running: bool) -> None:
        record = self._workspace.registry.newest_of(self.folder) if self.folder else None
        done = record is not None and record.state == DONE
        self.cancel.setVisible(running)
        self.cancel.setEnabled(running)
        for button in (self.report, self.index):
            button.setVisible(not running)
            button.setEnabled(done)

    def _cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.title.setText(self.tr("Stopping…"))
        record = self._workspace.registry.newest_of(self.folder)
        if record is not None and not record.is_finished:
            self._workspace.registry.cancel(record.id)
        self._workspace.runner.cancel_folder(self.folder)

    def _open_report(self) -> None:
        record = self._workspace.registry.newest_of(self.folder)
        if record is not None and record.report:
            self._workspace.open(record.report)


def shares_of(data: CurveData) -> dict[str, list[tuple[float, float]]]:
    """What a training without pairs tells of itself between 0 and 1."""
    names = {
        "top1_ground": "photos told apart",
        "top1_overhead": "tiles told apart",
        "labels_share": "photos with a guess",
        "match_agreed": "guesses that agree",
    }
    return {title: data.series[name] for name, title in names.items() if data.series.get(name)}


def _result(folder: str) -> dict[str, Any]:
    """The run's result.json; empty where it cannot be read (the report has it too)."""
    try:
        found = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

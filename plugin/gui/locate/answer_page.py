"""The Answer page: what was found of each photo, and its candidates, linked with the map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ...layers.answers import Answer, Answers, Candidate
from ...tasks import stop_task
from ..form_parts import hint
from ..icons import theme_icon
from ..workspace import Workspace
from .answer_layers import AnswerLayers
from .answer_list import ACCEPTED, REJECTED, AnswerList
from .answer_task import AnswerTask
from .answer_text import summary, told_answer
from .candidate_table import CandidateTable
from .result_choice import ResultChoice
from .review_walk import BY_HAND
from .zoom import zoom_to_place


class AnswerPage(QWidget):
    """:meth:`use` shows a result. :attr:`review_asked` carries the photo's name and a rank; :attr:`photo_asked` the
    photo's file and the chosen candidate (None where there is none)."""

    review_asked = pyqtSignal(str, int)
    photo_asked = pyqtSignal(str, object)

    def __init__(self, workspace: Workspace, photos, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._photos = workspace, photos
        self._tasks: list[AnswerTask] = []
        self._states: dict[str, dict[int, str]] = {}
        self._wanted: tuple[str, int] | None = None
        self.folder = ""
        self.answers: Answers | None = None
        self.result: dict[str, Any] = {}
        self.layers = AnswerLayers(self)
        self._make()
        self._lay_out()
        self._connect()
        self._show()

    def _make(self) -> None:
        tr = self.tr
        self.results = ResultChoice(self._workspace.registry, self)
        self.state = QLabel(self)
        self.state.setWordWrap(True)
        self.list = AnswerList(self)
        self.told = QLabel(self)
        self.told.setWordWrap(True)
        self.told.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.told_icon = QLabel(self)
        self.table = CandidateTable(self)
        self.only = QCheckBox(tr("Only this photo"), self)
        self.only.setToolTip(tr("Draw the candidates of the chosen photo only, not those of all photos"))
        self.heat = QCheckBox(tr("Heat map"), self)
        self.heat.setToolTip(tr("Draw how likely each cell is for the chosen photo, relative to the likeliest"))
        self.hint = hint(tr("Double-click a candidate to see it on the map."), self)
        self.review = self._button("mActionZoomToSelected.svg", tr("Review…"), tr("Photo and imagery side by side"))
        self.photo = self._button("mActionAddImage.svg", tr("Photo"), tr("Look around in the photo"))
        self.report = self._button("mActionOpenTable.svg", tr("Report"), tr("Open the report in the browser"))
        self.load = self._button("mActionAddLayer.svg", tr("Load"), tr("Load the layers of the result again"))

    def _lay_out(self) -> None:
        note = QHBoxLayout()
        note.setSpacing(6)
        note.addWidget(self.told_icon, 0, Qt.AlignmentFlag.AlignTop)
        note.addWidget(self.told, 1)
        drawn = QHBoxLayout()
        drawn.addWidget(self.only)
        drawn.addStretch(1)
        drawn.addWidget(self.heat)
        self._buttons = QWidget(self)
        grid = QGridLayout(self._buttons)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for number, button in enumerate((self.review, self.photo, self.report, self.load)):
            grid.addWidget(button, number // 2, number % 2)
        self._body = QWidget(self)
        inside = QVBoxLayout(self._body)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(6)
        inside.addWidget(self.list)
        inside.addLayout(note)
        inside.addWidget(self.table, 1)
        inside.addLayout(drawn)
        inside.addWidget(self.hint)
        inside.addWidget(self._buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 9, 9, 9)
        column.setSpacing(6)
        column.addWidget(self.results)
        column.addWidget(self.state)
        column.addWidget(self._body, 1)
        column.addStretch(0)

    def _connect(self) -> None:
        self.results.chosen.connect(self.use)
        self.list.chosen.connect(self._photo_chosen)
        self.table.chosen.connect(self._rank_chosen)
        self.table.opened.connect(self._zoom)
        self.only.toggled.connect(self._draw)
        self.heat.toggled.connect(self._draw)
        self.review.clicked.connect(self._ask_review)
        self.photo.clicked.connect(self._ask_photo)
        self.list.itemDoubleClicked.connect(lambda *_: self._ask_photo())
        self.report.clicked.connect(lambda: self._workspace.open(f"{self.folder}/report.html"))
        self.load.clicked.connect(lambda: self._workspace.runs.load(self.folder))
        self.layers.picked.connect(self._picked)
        self.layers.changed.connect(self._layers_changed)
        self._photos.changed.connect(self._show_photo)

    def use(self, folder: str, photo: str = "", rank: int = 0) -> None:
        """Show the result in a folder, read in the background; of a photo and a rank where they are given."""
        if not folder:
            return
        self._wanted = (photo, rank) if photo else None
        self.state.setText(self.tr("Reading the candidates…"))
        task = AnswerTask(str(folder))
        self._tasks.append(task)
        task.taskCompleted.connect(lambda: self._read(task))
        task.taskTerminated.connect(lambda: self._read(task))
        QgsApplication.taskManager().addTask(task)

    def answer(self) -> Answer | None:
        """What was found of the chosen photo."""
        return self.answers.of_photo(self.list.current) if self.answers is not None and self.list.current else None

    def candidate(self) -> Candidate | None:
        """The chosen candidate."""
        answer = self.answer()
        return answer.candidate(self.table.rank) if answer is not None else None

    def choose(self, photo: str, rank: int) -> None:
        """Choose a candidate: in the list, the table and on the map."""
        if self.answers is None or self.answers.of_photo(photo) is None:
            return
        self.list.choose(self.answers.of_photo(photo).photo)
        self.table.choose(rank)
        self._rank_chosen(rank)

    def say(self, text: str) -> None:
        """A line for the user, on top of the page."""
        self.state.setText(text)

    def mark(self, photo: str, rank: int, state: str) -> None:
        """Show that a candidate was accepted or rejected; rank :data:`BY_HAND` is a place of one's own."""
        states = self._states.setdefault(photo, {})
        if state == ACCEPTED:  # a photo was taken in one place
            for other in [key for key, value in states.items() if value == ACCEPTED]:
                del states[other]
        states[rank] = state
        self._mark_photo(photo)
        if photo == self.list.current:
            self._show_photo()

    def shut_down(self) -> None:
        """Follow nothing any more."""
        for task in list(self._tasks):
            stop_task(task, 10)
        self._tasks.clear()
        self.layers.shut_down()
        self._photos.changed.disconnect(self._show_photo)
        self.results.shut_down()

    def _read(self, task: AnswerTask) -> None:
        if task not in self._tasks:
            return
        newest = task is self._tasks[-1]
        self._tasks.remove(task)
        if not newest:
            return
        if task.answers is None:
            self.state.setText(task.fault)
            return
        if task.folder != self.folder:
            self._states = {}
        self.folder, self.answers, self.result = task.folder, task.answers, task.result
        self.layers.use(self.folder)
        self.results.show_folder(self.folder)
        self._show()
        photo, rank = self._wanted or ("", 0)
        self._wanted = None
        first = self.answers.of_photo(photo) if photo else None
        if first is None and self.answers.answers:
            first = self.answers.answers[0]
        if first is not None:
            self.list.choose(first.photo)
            if rank:
                self.choose(first.photo, rank)

    def _show(self) -> None:
        """What does not depend on the chosen photo."""
        there = self.answers is not None
        self._body.setVisible(there)
        if not there:
            self.state.setText(self.tr("Nothing was searched yet: candidates of the photos come here."))
            return
        self.state.setText(summary(self.answers))
        with QSignalBlocker(self.only):
            self.only.setChecked(len(self.answers.answers) > 1)
        self.only.setVisible(len(self.answers.answers) > 1)
        pictures = {photo.path: photo.thumbnail for photo in self._photos.photos() if photo.thumbnail}
        self.list.show_answers(self.answers, pictures)
        for photo in self._states:
            self._mark_photo(photo)
        self.report.setEnabled((Path(self.folder) / "report.html").is_file())

    def _show_photo(self) -> None:
        """What depends on the chosen photo."""
        answer = self.answer()
        for button in (self.review, self.photo):
            button.setEnabled(answer is not None)
        if answer is None or self.answers is None:
            return
        rank = self.table.rank
        self.told.setText(told_answer(answer, self.answers))
        symbol = "mIconSuccess.svg" if answer.match else "mIconInfo.svg"
        self.told_icon.setPixmap(theme_icon(symbol).pixmap(16, 16))
        self.table.show_answer(answer, self._prior(answer), self._states.get(answer.photo, {}))
        self.table.choose(rank if answer.candidate(rank) is not None else 1)

    def _prior(self, answer: Answer) -> tuple[float, float] | None:
        photo = self._photos.find(answer.path) if answer.path else None
        if photo is None or photo.lon is None or photo.lat is None:
            return None
        return photo.lon, photo.lat

    def _photo_chosen(self, _photo: str) -> None:
        self.table.choose(0)
        self._show_photo()
        self._draw()
        self._rank_chosen(self.table.rank)

    def _rank_chosen(self, _rank: int) -> None:
        candidate = self.candidate()
        self.layers.select(candidate.fid if candidate is not None else -1)

    def _picked(self, fid: int) -> None:
        found = self.answers.of_feature(fid) if self.answers is not None else None
        if found is not None:
            self.choose(found.photo, found.rank)

    def _layers_changed(self) -> None:
        self._draw()
        self._rank_chosen(self.table.rank)

    def _draw(self, *_) -> None:
        photo = self.list.current
        self.layers.show_only(photo if self.only.isChecked() else "")
        if self.layers.has_heat():
            self.layers.show_heat(photo if self.heat.isChecked() else "")

    def _zoom(self, rank: int) -> None:
        answer = self.answer()
        candidate = answer.candidate(rank) if answer is not None else None
        if candidate is None:
            return
        fault = zoom_to_place(self._workspace.canvas, candidate.lon, candidate.lat, 1.5 * candidate.radius_m)
        if fault:
            self.state.setText(fault)

    def _ask_review(self) -> None:
        answer = self.answer()
        if answer is not None:
            self.review_asked.emit(answer.photo, max(1, self.table.rank))

    def _ask_photo(self) -> None:
        answer = self.answer()
        if answer is not None and answer.path:
            self.photo_asked.emit(answer.path, self.candidate())

    def _mark_photo(self, photo: str) -> None:
        states = self._states.get(photo, {})
        accepted = next((rank for rank, state in states.items() if state == ACCEPTED), None)
        rejected = sum(1 for state in states.values() if state == REJECTED)
        if accepted == BY_HAND:
            text, tip = self.tr("by hand"), self.tr("Accepted: a place that was proposed by hand")
        elif accepted:
            text, tip = self.tr("place {}").format(accepted), self.tr("Accepted: candidate {}").format(accepted)
        elif rejected:
            text, tip = self.tr("{} no").format(rejected), self.tr("{} candidates rejected").format(rejected)
        else:
            text = tip = ""
        self.list.mark(photo, text, tip)

    @staticmethod
    def _button(symbol: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(theme_icon(symbol), text)
        button.setToolTip(tip)
        return button

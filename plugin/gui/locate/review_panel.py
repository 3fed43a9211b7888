"""The review of a search: photo and map side by side, candidate by candidate, until each photo has its place."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsPointXY
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QVBoxLayout, QWidget

from ...layers.answers import Answers
from ...layers.located import LocatedPhoto
from ...photos.facts import Photo, PhotoSet
from ..label_keys import KeyFilter
from ..workspace import Workspace
from . import review_keys as keys
from . import review_text as text
from .answer_reader import AnswerReader
from .decision import located_photo
from .located_keeper import ACCEPT
from .located_strip import LocatedStrip
from .photo_facts import PhotoFinder
from .place_score import PlaceScore, Proposal
from .review_controls import ReviewControls
from .review_frame import ReviewFrame
from .review_ground import ReviewGround
from .review_map import ReviewMap
from .review_panes import ReviewPanes
from .review_walk import BY_HAND, ReviewWalk

_TURN_DEG = 2.0


class ReviewPanel(QWidget):
    """:meth:`show_result` begins. :attr:`accepted`, :attr:`rejected` and :attr:`turned_to` carry the photo's name in
    the result and the candidate's rank; 0 stands for a place that was proposed by hand."""

    accepted = pyqtSignal(str, int)
    rejected = pyqtSignal(str, int)
    turned_to = pyqtSignal(str, int)

    def __init__(self, workspace: Workspace, photo_set: PhotoSet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.walk: ReviewWalk | None = None
        self.result: dict[str, Any] = {}
        self.heading: float | None = None
        self._found_heading: float | None = None
        self.proposal: Proposal | None = None
        self._wanted = ("", 0)
        self.panes, self.controls = ReviewPanes(), ReviewControls()
        self.strip = LocatedStrip(workspace)
        self.message = QLabel(self.tr("Nothing is being reviewed. Choose a candidate on the Answer page."))
        self._photos = PhotoFinder(photo_set, self)
        self._ground = ReviewGround(self)
        self._score = PlaceScore(self)
        self._reader = AnswerReader(self)
        self._keys = KeyFilter(lambda event: self._hears() and keys.meaning(event) is not None, self._take_key, self)
        self._map = ReviewMap(workspace.canvas, self._keys, self)
        self.message.setWordWrap(True)
        self._body = ReviewFrame(self.panes, self.controls, self.strip)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(9, 6, 9, 9)
        whole.addWidget(self.message)
        whole.addWidget(self._body, 1)
        self._connect()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._show()

    def _connect(self) -> None:
        self.controls.asked.connect(self.do)
        self.controls.turned.connect(self.turn)
        self.controls.reset.connect(lambda: self._set_heading(self._found_heading))
        self.controls.opacity_changed.connect(self.panes.set_opacity)
        self.controls.height_changed.connect(self.panes.set_camera_height)
        self.controls.map_changed.connect(self._ground.choose)
        self.controls.link.connect(self._follow)
        self.panes.turned.connect(self.turn)
        self.panes.pointed.connect(self.propose)
        self.panes.looked.connect(lambda *_: self._show_cone())
        self.panes.faulted.connect(self.controls.say)
        self._ground.ready.connect(self._ground_ready)
        self._photos.found.connect(self._photo_found)
        self._score.scored.connect(self._scored)
        self._reader.read.connect(self._read)
        self._map.pointed.connect(self.propose)
        self._map.left.connect(lambda: self._set_proposing(False))
        self._map.turned.connect(self.panes.viewer.look_at)
        self.strip.read.connect(self._recall)
        self.strip.written.connect(self._written)
        self.strip.failed.connect(self._not_written)
        for field in (self.controls.heading, self.controls.height):
            field.lineEdit().returnPressed.connect(self.setFocus)  # the next key is a command again
        self.installEventFilter(self._keys)

    def shut_down(self) -> None:
        """End the review: nothing is drawn or asked any more, and the canvas is as it was."""
        self.rest()
        self.removeEventFilter(self._keys)
        for part in (self._map, self._score, self._photos, self._ground, self._reader, self.panes, self.strip):
            part.shut_down()

    def rest(self) -> None:
        """The window was closed: leave the map alone."""
        self._set_proposing(False)
        self._score.stop()
        self._map.hide()

    # what is reviewed

    def show_result(
        self, result: dict[str, Any], out: str, photo: str, rank: int, answers: Answers | None = None
    ) -> None:
        """Review a candidate of a search: ``result`` is its ``result.json``, ``out`` the folder. Without ``answers``
        the candidates are read in the background."""
        self._wanted = (photo, rank)
        self._reader.drop()
        same = self.walk is not None and self.walk.answers.folder == str(out) and self.result == result
        known = self.walk.answers if same else answers
        if known is not None:
            self._begin(known, result)
        else:
            self.message.setText(self.tr("Reading the candidates…"))
            self._reader.ask(str(out))

    def _read(self, answers: Answers | None, result: dict[str, Any], fault: str) -> None:
        if answers is None:
            self.walk = None
            self.message.setText(fault)
            self._show()
        else:
            self._begin(answers, result)

    def _begin(self, answers: Answers, result: dict[str, Any]) -> None:
        if self.walk is None or self.walk.answers is not answers:
            self.walk, self.result = ReviewWalk(answers), result
            self.strip.use_folder(answers.folder)
            self._ground.use_index(answers.index)
        photo, rank = self._wanted
        if self.walk.answer is None:
            self.walk = None
            self.message.setText(self.tr("The search found no candidates for any photo."))
        elif not self.walk.go(photo, rank):
            self.walk.go(photo, 1)
        self._turned()

    def _recall(self, places: list[LocatedPhoto], refused: list[LocatedPhoto]) -> None:
        """What the file of located photos holds, of this session or an earlier one."""
        if self.walk is not None and not self.strip.keeper.busy:
            self.walk.recall(places, refused)
            self._show_decision()

    def _written(self, kind: str, place: LocatedPhoto) -> None:
        told = self.accepted if kind == ACCEPT else self.rejected
        told.emit(place.photo, BY_HAND if place.by_hand else place.rank)

    def _not_written(self, place: LocatedPhoto | None, fault: str) -> None:
        if self.walk is not None and place is not None:
            self.walk.forget(place.photo, place.rank)
            self._show_decision()

    # what the user does

    def do(self, command: str) -> None:
        """Do a command of the keys or the buttons."""
        if self.walk is None:
            return
        if command in (keys.NEXT, keys.PREVIOUS):
            if (self.walk.next() if command == keys.NEXT else self.walk.previous()) or self.proposal is not None:
                self._turned()
        elif command == keys.ACCEPT:
            self._accept()
        elif command == keys.REJECT:
            self._reject()
        elif command == keys.PROPOSE:
            self._set_proposing(not self._map.proposing)
        elif command == keys.SCORE:
            self._ask_score()
        elif command in (keys.LEFT, keys.RIGHT):
            self.turn(((self.heading or 0.0) + (_TURN_DEG if command == keys.RIGHT else -_TURN_DEG)) % 360)

    def turn(self, heading_deg: float) -> None:
        """Turn the photo by hand."""
        self._set_heading(heading_deg % 360)

    def propose(self, place: QgsPointXY) -> None:
        """Propose a place (degrees, EPSG:4326) for the photo in front; its score is asked for."""
        if self.walk is None:
            return
        self.proposal = Proposal(place.x(), place.y())
        self._show()
        self._ask_score()

    @property
    def place(self) -> QgsPointXY | None:
        """The place in front, in degrees: the proposed one, else the candidate's."""
        if self.walk is None:
            return None
        front = self.proposal or self.walk.candidate
        return QgsPointXY(front.lon, front.lat)

    @property
    def turned_by_hand(self) -> bool:
        """Whether the heading is another than the one that was found."""
        return self.heading is not None and self.heading != self._found_heading

    def _turned(self) -> None:
        """Another candidate came to the front."""
        self.proposal = None
        self._score.stop()
        self._set_proposing(False)
        if self.walk is not None:
            candidate = self.walk.candidate
            self._found_heading = self.heading = None
            self._photos.ask(self.walk.answer.path)
            self.turned_to.emit(candidate.photo, candidate.rank)
        self._show()

    def _accept(self) -> None:
        self.strip.accept(self._located())
        self.walk.accept(BY_HAND if self.proposal is not None else None)
        self._go_on(self.walk.to_next_photo())

    def _reject(self) -> None:
        if self.proposal is not None:  # it was never a candidate: back to what was found
            self._turned()
            return
        self.strip.refuse(self._located())
        self.walk.refuse()
        self._go_on(self.walk.to_next_candidate())

    def _go_on(self, moved: bool) -> None:
        if moved:
            self._turned()
        else:
            self._show()

    def _located(self) -> LocatedPhoto:
        return located_photo(
            self.walk,
            self.result,
            self.place,
            self.heading,
            proposal=self.proposal,
            turned_by_hand=self.turned_by_hand,
            imagery=self._ground.imagery_at(self.place),
        )

    # scores

    def _ask_score(self) -> None:
        if self.walk is None or self.place is None:
            return
        turned = self.heading if self.turned_by_hand else None
        self.controls.say(self.tr("Asking the engine for the score…"))
        self._score.ask(self.result, self.walk.answers, self.walk.answer.path, self.place, turned)

    def _scored(self, told: dict[str, Any], fault: str) -> None:
        if fault or self.walk is None:
            self.controls.say(fault)
            return
        if self.proposal is not None:
            self.proposal = self.proposal.with_answer(told)
            if self.heading is None and told.get("heading_deg") is not None:
                self._set_heading(told["heading_deg"])
        self.controls.say(self._score.text(told, self.heading))
        self.panes.mark(QgsPointXY(told["best_lon"], told["best_lat"]) if (told.get("best_m") or 0) > 1 else None)

    def _follow(self, link: str) -> None:
        told = self._score.told
        if link == "heading" and told.get("heading_deg") is not None:
            self._set_heading(told["heading_deg"])
            self.controls.say(self._score.text(told, self.heading))
        elif link == "place":
            self.propose(QgsPointXY(told["best_lon"], told["best_lat"]))

    # showing

    def _show(self) -> None:
        there = self.walk is not None
        self._body.setVisible(there)
        self.message.setVisible(not there)
        if not there:
            self._map.hide()
            return
        by_hand, rank = self.proposal is not None, self.walk.candidate.rank
        title = self.tr("Map at the proposed place") if by_hand else self.tr("Map at candidate {}").format(rank)
        self.controls.title.setText(text.title(self.walk))
        self.controls.say("")
        self.panes.show_place(self.place, title)
        self._show_photo()
        self._show_decision()

    def _show_photo(self) -> None:
        """What depends on what is known of the photo: its file may be read later than its candidates."""
        photo, candidate = self._photos.photo, self.walk.candidate
        turned = self.turned_by_hand
        self._found_heading = candidate.heading_deg
        if self._found_heading is None and photo is not None:
            self._found_heading = photo.heading_deg
        self.controls.facts.setText(text.facts_of(self.walk, self.place, photo, by_hand=self.proposal is not None))
        self.panes.show_photo(photo)
        self._set_heading(self.heading if turned else self._found_heading)

    def _show_decision(self) -> None:
        if self.walk is not None:
            told = text.decision(self.walk, self.proposal is not None)
            self.controls.state.setText(told)
            self.controls.state.setVisible(bool(told))

    def _set_heading(self, heading_deg: float | None) -> None:
        self.heading = heading_deg
        self.controls.heading.show_heading(heading_deg)
        self.controls.back.setEnabled(heading_deg != self._found_heading)
        self.panes.set_heading(heading_deg)
        self._show_cone()

    def _show_cone(self) -> None:
        self._map.show(self.place if self.isVisible() else None, self.panes.viewer)

    def _set_proposing(self, on: bool) -> None:
        self._map.set_proposing(on)
        self.panes.crop.set_pointing(on)
        self.controls.propose.setChecked(on)

    def _photo_found(self, photo: Photo | None, fault: str) -> None:
        if self.walk is not None:
            self._show_photo()
            if fault:
                self.controls.say(fault)

    def _ground_ready(self, layers: list, fault: str) -> None:
        self.panes.set_text(fault)
        self.panes.set_layers(layers)

    # window and keys

    def hideEvent(self, event):
        super().hideEvent(event)
        self.rest()

    def showEvent(self, event):
        super().showEvent(event)
        self._show_cone()

    def _hears(self) -> bool:
        # Behind another window a key that was meant for something else must not become a decision.
        return self.walk is not None and self.isVisible()

    def _take_key(self, event) -> bool:
        command = keys.meaning(event)
        if not self._hears() or command is None:
            return False
        self.do(command)
        return True

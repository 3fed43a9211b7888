"""The Locate tab: photos, the region that they are searched in, the search, and what it found."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtWidgets import QWidget

from ...layers.answers import Candidate
from ...photos.facts import Photo, PhotoSet
from ..paged_tab import PagedTab
from ..workspace import Workspace
from .answer_list import ACCEPTED, REJECTED
from .answer_page import AnswerPage
from .evaluate_page import EvaluatePage
from .index_library import IndexLibrary
from .index_page import IndexPage
from .learn_page import LearnPage
from .photo_facts import PhotoFinder
from .photos_page import PhotosPage
from .review_dock import ReviewDock
from .search_page import SearchPage


class LocateTab(PagedTab):
    """Pages in the order of the work. One set of photos and one library of indexes for all of them."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tr = self.tr
        self._workspace = workspace
        self._looked: Candidate | None = None
        self._waiting = False
        self._review: ReviewDock | None = None
        self.photo_set = PhotoSet(self)
        self.library = IndexLibrary(self)
        self._finder = PhotoFinder(self.photo_set, self)
        self.photos = PhotosPage(workspace, self.photo_set)
        self.region = IndexPage(workspace, self.photo_set, self.library)
        self.search = SearchPage(workspace, self.photo_set, self.library)
        self.answer = AnswerPage(workspace, self.photo_set)
        self.add_page("photos", tr("Photos"), self.photos, tr("Add photos and see what each is"))
        self.add_page("region", tr("Region"), self.region, tr("Where to search, and the imagery of it"))
        self.add_page("search", tr("Search"), self.search, tr("Search the photos in the region"))
        self.add_page("answer", tr("Answer"), self.answer, tr("What was found, and review"))
        self.photos.look_asked.connect(workspace.show_photo)
        self.search.form.photos.add_asked.connect(lambda: self.turn_to("photos"))
        self.learn = LearnPage(workspace, self.photo_set)
        self.test = EvaluatePage(workspace, self.photo_set, self.library)
        self.add_page("learn", tr("Learn"), self.learn, tr("Train a model on your own photos of an area"))
        self.add_page("test", tr("Test"), self.test, tr("How far off the search is, on photos of known position"))
        self.region.index_chosen.connect(self._index_chosen)
        self.region.built.connect(self._index_built)
        self.learn.index_asked.connect(self._index_with)
        self.learn.learned.connect(self._refresh_models)
        for page in (self.learn, self.test):
            page.add_asked.connect(lambda: self.turn_to("photos"))
        self.search.found.connect(self._found)
        self.answer.photo_asked.connect(self._look)
        self.answer.review_asked.connect(self._review_candidate)
        self._finder.found.connect(self._photo_read)
        self.library.refresh()

    def fill(self, given: dict[str, Any]) -> None:
        """Take over photos (``photos``, files or folders), an index (``index``) or a result (``result``)."""
        if given.get("photos"):
            self.photos.add([str(path) for path in given["photos"]])
            self.turn_to("photos")
        if given.get("index"):
            self._index_chosen(str(given["index"]))
        if given.get("result"):
            self.answer.use(str(given["result"]))
            self.turn_to("answer")

    @property
    def review(self) -> ReviewDock:
        """The window of the review, made on first use."""
        if self._review is None:
            self._review = ReviewDock(self._workspace, self.photo_set)
            panel = self._review.panel
            panel.accepted.connect(lambda photo, rank: self.answer.mark(photo, rank, ACCEPTED))
            panel.rejected.connect(lambda photo, rank: self.answer.mark(photo, rank, REJECTED))
            panel.turned_to.connect(self.answer.choose)
        return self._review

    def shut_down(self) -> None:
        super().shut_down()
        self._finder.shut_down()
        if self._review is not None:
            self._review.shut_down()
            self._review = None
        self.library.shut_down()

    def _index_chosen(self, folder: str) -> None:
        self._use_index(folder)
        self.turn_to("search")

    def _index_built(self, folder: str) -> None:
        self._use_index(folder)
        if self.current == "region":  # who went on meanwhile is not called back
            self.turn_to("search")

    def _use_index(self, folder: str) -> None:
        self.search.form.index.use(folder)
        self.test.form.index.use(folder)

    def _index_with(self, model: str) -> None:
        """Make an index with a model that was learned: on the page of regions."""
        self._refresh_models()
        self.region.form.method.set_value(model)
        self.turn_to("region")

    def _refresh_models(self, *_) -> None:
        for form in (self.region.form, self.search.form, self.test.form):
            form.method.refresh()

    def _found(self, folder: str) -> None:
        self.answer.use(folder)
        if self.current == "search":
            self.turn_to("answer")

    def _review_candidate(self, photo: str, rank: int) -> None:
        page = self.answer
        self.review.show_result(page.result, page.folder, photo, rank, page.answers)

    def _look(self, path: str, candidate: Candidate | None) -> None:
        """Look around in the photo of an answer, as if it had been taken at the candidate."""
        self._looked = candidate
        self._finder.ask(path)
        self._waiting = self._finder.photo is None
        if self._finder.photo is not None:
            self._show(self._finder.photo)

    def _photo_read(self, photo: Photo | None, fault: str) -> None:
        if not self._waiting:
            return  # the finder tells every change of the photos
        self._waiting = False
        if photo is None or photo.fault:
            self.answer.say(fault)
        else:
            self._show(photo)

    def _show(self, photo: Photo) -> None:
        candidate, answers = self._looked, self.answer.answers
        if candidate is None or answers is None:
            self._workspace.show_photo(photo)
        else:
            self._workspace.show_photo(photo, candidate.heading_deg, (candidate.point, answers.crs))

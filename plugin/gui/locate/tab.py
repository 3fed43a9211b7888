"""The Locate tab: photos, the region that they are searched in, the search, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QWidget

from ...layers.answers import Candidate
from ...photos.facts import Photo, PhotoSet
from ..paged_tab import PagedTab
from ..workspace import Workspace
from .answer_list import ACCEPTED, REJECTED
from .index_library import IndexLibrary
from .photo_facts import PhotoFinder
from .photos_page import PhotosPage

if TYPE_CHECKING:
    from .answer_page import AnswerPage
    from .evaluate_page import EvaluatePage
    from .index_page import IndexPage
    from .learn_page import LearnPage
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
        self._index = ""
        self._review: ReviewDock | None = None
        self.photo_set = PhotoSet(self)
        self.library = IndexLibrary(self)
        self._finder = PhotoFinder(self.photo_set, self)
        self.add_page("photos", tr("Photos"), self._make_photos, tr("Add photos and see what each is"))
        self.add_page("region", tr("Region"), self._make_region, tr("Where to search, and the imagery of it"))
        self.add_page("search", tr("Search"), self._make_search, tr("Search the photos in the region"))
        self.add_page("answer", tr("Answer"), self._make_answer, tr("What was found, and review"))
        self.add_page("learn", tr("Learn"), self._make_learn, tr("Train a model on your own photos of an area"))
        tip = tr("How far off the search is, on photos of known position")
        self.add_page("test", tr("Test"), self._make_test, tip)
        workspace.registry.changed.connect(self._run_changed)
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
    def photos(self) -> PhotosPage:
        """The page of photos."""
        return self.page("photos")

    @property
    def region(self) -> IndexPage:
        """The page of indexes."""
        return self.page("region")

    @property
    def search(self) -> SearchPage:
        """The page of the search."""
        return self.page("search")

    @property
    def answer(self) -> AnswerPage:
        """The page of what was found."""
        return self.page("answer")

    @property
    def learn(self) -> LearnPage:
        """The page on which an area is learned."""
        return self.page("learn")

    @property
    def test(self) -> EvaluatePage:
        """The page on which the search is tested."""
        return self.page("test")

    @property
    def review(self) -> ReviewDock:
        """The window of the review, made on first use."""
        if self._review is None:
            from .review_dock import ReviewDock

            self._review = ReviewDock(self._workspace, self.photo_set)
            panel = self._review.panel
            panel.accepted.connect(lambda photo, rank: self.answer.mark(photo, rank, ACCEPTED))
            panel.rejected.connect(lambda photo, rank: self.answer.mark(photo, rank, REJECTED))
            panel.turned_to.connect(self.answer.choose)
        return self._review

    def shut_down(self) -> None:
        super().shut_down()
        self._workspace.registry.changed.disconnect(self._run_changed)
        self._finder.shut_down()
        if self._review is not None:
            self._review.shut_down()
            self._review = None
        self.library.shut_down()

    def _make_photos(self) -> PhotosPage:
        page = PhotosPage(self._workspace, self.photo_set)
        page.look_asked.connect(self._workspace.show_photo)
        return page

    def _make_region(self) -> IndexPage:
        from .index_page import IndexPage

        page = IndexPage(self._workspace, self.photo_set, self.library)
        page.index_chosen.connect(self._index_chosen)
        page.built.connect(self._index_built)
        return page

    def _make_search(self) -> SearchPage:
        from .search_page import SearchPage

        page = SearchPage(self._workspace, self.photo_set, self.library)
        page.form.photos.add_asked.connect(self._to_photos)
        page.found.connect(self._found)
        if self._index:
            page.form.index.use(self._index)
        return page

    def _make_answer(self) -> AnswerPage:
        from .answer_page import AnswerPage

        page = AnswerPage(self._workspace, self.photo_set)
        page.photo_asked.connect(self._look)
        page.review_asked.connect(self._review_candidate)
        return page

    def _make_learn(self) -> LearnPage:
        from .learn_page import LearnPage

        page = LearnPage(self._workspace, self.photo_set)
        page.index_asked.connect(self._index_with)
        page.learned.connect(self._refresh_models)
        page.add_asked.connect(self._to_photos)
        return page

    def _make_test(self) -> EvaluatePage:
        from .evaluate_page import EvaluatePage

        page = EvaluatePage(self._workspace, self.photo_set, self.library)
        page.add_asked.connect(self._to_photos)
        if self._index:
            page.form.index.use(self._index)
        return page

    def _to_photos(self) -> None:
        self.turn_to("photos")

    def _index_chosen(self, folder: str) -> None:
        self._use_index(folder)
        self.turn_to("search")

    def _index_built(self, folder: str) -> None:
        self._use_index(folder)
        if self.current == "region":  # who went on meanwhile is not called back
            self.turn_to("search")

    def _use_index(self, folder: str) -> None:
        self._index = folder
        for page in self.made("search", "test"):
            page.form.index.use(folder)

    def _run_changed(self, run_id: str) -> None:
        record = self._workspace.registry.run(run_id)
        if record is not None and record.is_finished and record.job.startswith("locate-"):
            self.library.refresh()

    def _index_with(self, model: str) -> None:
        """Make an index with a model that was learned: on the page of regions."""
        self._refresh_models()
        self.region.form.method.set_value(model)
        self.turn_to("region")

    def _refresh_models(self, *_) -> None:
        for page in self.made("region", "search", "test"):
            page.form.method.refresh()

    def _found(self, folder: str) -> None:
        self.answer.use(folder)
        if self.current == "search":
            self.turn_to("answer")

    def _review_candidate(self, photo: str, rank: int) -> None:
        page, review = self.answer, self.review
        asked = (page.result, page.folder, photo, rank, page.answers)
        # In the next turn of the event loop: to make the window and to fill it at once holds QGIS up.
        QTimer.singleShot(0, lambda: review.show_result(*asked) if review is self._review else None)

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

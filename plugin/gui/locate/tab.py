"""The Locate tab: photos, the region that they are searched in, the search, and what it found."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtWidgets import QWidget

from ...photos.facts import PhotoSet
from ..paged_tab import PagedTab
from ..workspace import Workspace
from .answer_page import AnswerPage
from .index_library import IndexLibrary
from .index_page import IndexPage
from .search_page import SearchPage


class LocateTab(PagedTab):
    """Pages in the order of the work. One set of photos and one library of indexes for all of them."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tr = self.tr
        self._workspace = workspace
        self.photo_set = PhotoSet(self)
        self.library = IndexLibrary(self)
        self.region = IndexPage(workspace, self.photo_set, self.library)
        self.search = SearchPage(workspace, self.photo_set, self.library)
        self.answer = AnswerPage(workspace, self.photo_set)
        self.add_page("region", tr("Region"), self.region, tr("Where to search, and the imagery of it"))
        self.add_page("search", tr("Search"), self.search, tr("Search the photos in the region"))
        self.add_page("answer", tr("Answer"), self.answer, tr("What was found, and review"))
        self.region.index_chosen.connect(self._index_chosen)
        self.search.found.connect(self._found)
        self.library.refresh()

    def fill(self, given: dict[str, Any]) -> None:
        """Take over an index (``index``) or a result (``result``) from another tab or the Runs tab."""
        if given.get("index"):
            self._index_chosen(str(given["index"]))
        if given.get("result"):
            self._found(str(given["result"]))

    def shut_down(self) -> None:
        super().shut_down()
        self.library.shut_down()

    def _index_chosen(self, folder: str) -> None:
        self.search.form.use_index(folder)
        self.turn_to("search")

    def _found(self, folder: str) -> None:
        self.answer.use(folder)
        self.turn_to("answer")

"""The Search page: the photos of the session, searched in an index."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..workspace import Workspace
from .index_library import IndexLibrary
from .search_form import SearchForm
from .work_page import WorkPage


class SearchPage(WorkPage):
    """:attr:`found` carries the folder of a search that has ended well."""

    found = pyqtSignal(str)

    def __init__(self, workspace: Workspace, photos, library: IndexLibrary, parent: QWidget | None = None) -> None:
        super().__init__(
            SearchForm(photos, library),
            workspace,
            algorithm="samescene:locate_search",
            action=_tr("Search"),
            tip=_tr("Searches in the background; the candidates are added to the project"),
            show_runs=False,
            parent=parent,
        )
        self.ended.connect(self._searched)

    def _searched(self, run, successful: bool, outputs: dict) -> None:
        folder = str(run.parameters["OUTPUT"])
        if successful:
            self._workspace.runs.load(folder, announce=True)
            self.found.emit(folder)
            return
        record = self._workspace.registry.newest_of(folder)
        if record is not None and record.error:
            self.say(record.error)


def _tr(text: str) -> str:
    return QCoreApplication.translate("SearchPage", text)

"""The Region page: indexes made earlier, and the form that makes another."""

from __future__ import annotations

from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle, QgsReferencedRectangle
from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..workspace import Workspace
from .index_facts import IndexFacts
from .index_form import IndexForm
from .index_library import IndexLibrary
from .library_panel import LibraryPanel
from .work_page import WorkPage
from .zoom import zoom_to


class IndexPage(WorkPage):
    """:attr:`index_chosen` carries the folder of an index that photos are to be searched in, :attr:`built` that of one
    that was just made."""

    index_chosen = pyqtSignal(str)
    built = pyqtSignal(str)

    def __init__(self, workspace: Workspace, photos, library: IndexLibrary, parent: QWidget | None = None) -> None:
        self._library = library
        self.panel = LibraryPanel(library, lambda folder: self._busy(folder))
        form = IndexForm(workspace.canvas, photos, self.panel)
        super().__init__(
            form,
            workspace,
            algorithm="samescene:locate_index",
            action=_tr("Build the index"),
            tip=_tr("Describes the cells of the region, in the background; what is stopped can be gone on with"),
            show_runs=False,
            parent=parent,
        )
        self.panel.used.connect(lambda facts: self.index_chosen.emit(facts.folder))
        self.panel.extended.connect(self._extend)
        self.panel.shown.connect(self._show_index)
        self.panel.told.connect(self.say)
        self.started.connect(self._begun)
        self.ended.connect(self._built)
        workspace.registry.changed.connect(self._run_changed)

    def shut_down(self) -> None:
        super().shut_down()
        self._workspace.registry.changed.disconnect(self._run_changed)

    def _busy(self, folder: str) -> str:
        """What is done with an index just now; the empty string for nothing."""
        for record in self._workspace.registry.active():
            if record.job == "locate-index" and record.out == folder:
                return self.tr("being made")
            if record.params.get("index") == folder:
                return self.tr("being searched")
        return ""

    def _begun(self, run) -> None:
        self._library.add(str(run.parameters["OUTPUT"]))

    def _run_changed(self, run_id: str) -> None:
        record = self._workspace.registry.run(run_id)
        if record is not None and record.is_finished and record.job.startswith("locate-"):
            self.panel.refresh()

    def _built(self, run, successful: bool, outputs: dict) -> None:
        folder = str(run.parameters["OUTPUT"])
        if successful:
            self._workspace.runs.announce(folder)
            self.say(self.tr("The index is ready: search photos in it."), "mIconSuccess.svg")
            self.built.emit(folder)
        else:
            record = self._workspace.registry.newest_of(folder)
            if record is not None and record.error:
                self.say(record.error)
            else:
                self.say(self.tr("Stopped. Build it again with the same settings to go on."), "mIconInfo.svg")

    def _extend(self, facts: IndexFacts) -> None:
        self.form.extend(facts)
        text = self.tr("Choose the region to add to “{}”, then build.").format(facts.name)
        if facts.was_drawn:
            text += " " + self.tr("Its imagery was drawn from a map server: choose that layer as reference.")
        self.say(text, "mIconInfo.svg")

    def _show_index(self, facts: IndexFacts) -> None:
        if facts.extent is None:
            return
        west, south, east, north = facts.extent
        box = QgsReferencedRectangle(QgsRectangle(west, south, east, north), QgsCoordinateReferenceSystem("EPSG:4326"))
        fault = zoom_to(self._workspace.canvas, box)
        if fault:
            self.say(fault)


def _tr(text: str) -> str:
    return QCoreApplication.translate("IndexPage", text)

"""Writes accepted places into copies of the photos, by the algorithm ``samescene:photo_place``."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...layers.located import TABLE, LocatedPhotos
from ..algorithm_run import AlgorithmRun
from ..workspace import Workspace

ALGORITHM = "samescene:photo_place"


class WriteBack(QObject):
    """:attr:`told` carries one line on how it goes and how it ended; :attr:`ended` whether copies were written."""

    told = pyqtSignal(str)
    ended = pyqtSignal(bool)

    def __init__(self, workspace: Workspace, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._run: AlgorithmRun | None = None
        workspace.runner.ended.connect(self._run_ended)

    @property
    def running(self) -> bool:
        """Whether copies are being written."""
        return self._run is not None

    def start(self, located: LocatedPhotos, folder: str) -> bool:
        """Begin to write copies of all located photos into a folder; False, with a line told, where it cannot begin."""
        if self.running:
            self.told.emit(self.tr("Copies are being written already."))
            return False
        parameters = {"PLACES": f"{located.path}|layername={TABLE}", "OUTPUT": folder}
        self._run, fault = self._workspace.runner.begin(ALGORITHM, parameters)
        self.told.emit(fault if self._run is None else self.tr("Writing copies…"))
        return self._run is not None

    def shut_down(self) -> None:
        """Follow nothing any more."""
        self._workspace.runner.ended.disconnect(self._run_ended)

    def _run_ended(self, run: AlgorithmRun, successful: bool, outputs: dict) -> None:
        if run is not self._run:
            return
        self._run = None
        self.told.emit(self._ended_text(run, successful, outputs))
        self.ended.emit(successful)

    def _ended_text(self, run: AlgorithmRun, successful: bool, outputs: dict) -> str:
        if not successful:
            record = self._workspace.registry.newest_of(str(run.parameters["OUTPUT"]))
            return record.error if record is not None and record.error else self.tr("No copies were written.")
        text = self.tr("{} copies are in {}.").format(outputs.get("WRITTEN", ""), outputs.get("OUTPUT"))
        if outputs.get("SKIPPED"):
            text += " " + self.tr("Left out: {}; the Runs tab says why.").format(outputs["SKIPPED"])
        return text

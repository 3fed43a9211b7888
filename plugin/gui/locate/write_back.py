"""Writes accepted places into copies of the photos, by the algorithm ``samescene:photo_place``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from qgis.core import QgsProcessingUtils
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...layers.located import LocatedPhoto
from ..algorithm_run import AlgorithmRun
from ..workspace import Workspace

ALGORITHM = "samescene:photo_place"
COLUMNS = ("photo", "lon", "lat", "heading_deg", "accuracy_m")


class WriteBack(QObject):
    """:attr:`told` carries one line on how it goes and how it ended; :attr:`ended` whether copies were written."""

    told = pyqtSignal(str)
    ended = pyqtSignal(bool)

    def __init__(self, workspace: Workspace, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._run: AlgorithmRun | None = None
        self._count = 0
        workspace.runner.ended.connect(self._run_ended)

    @property
    def running(self) -> bool:
        """Whether copies are being written."""
        return self._run is not None

    def start(self, places: Sequence[LocatedPhoto], folder: str) -> bool:
        """Begin; False, with a line told, where it cannot begin."""
        if self.running:
            self.told.emit(self.tr("Copies are being written already."))
            return False
        table = Path(QgsProcessingUtils.generateTempFilename("located.csv"))
        try:
            write_table(table, places)
        except OSError as error:
            self.told.emit(f"{table}: {error.strerror or error}")
            return False
        self._run, fault = self._workspace.runner.begin(ALGORITHM, {"TABLE": str(table), "OUTPUT": folder})
        self._count = len(places)
        self.told.emit(fault if self._run is None else self.tr("Writing copies of {} photos…").format(len(places)))
        return self._run is not None

    def shut_down(self) -> None:
        """Follow nothing any more."""
        self._workspace.runner.ended.disconnect(self._run_ended)

    def _run_ended(self, run: AlgorithmRun, successful: bool, outputs: dict) -> None:
        if run is not self._run:
            return
        self._run = None
        if successful:
            text = self.tr("Copies of {} photos are in {}.").format(self._count, outputs.get("OUTPUT"))
        else:
            record = self._workspace.registry.newest_of(str(run.parameters["OUTPUT"]))
            text = record.error if record is not None and record.error else self.tr("No copies were written.")
        self.told.emit(text)
        self.ended.emit(successful)


def write_table(path: Path, places: Sequence[LocatedPhoto]) -> None:
    """The places as the table that the engine reads; raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for one in places:
            heading = "" if one.heading_deg is None else f"{one.heading_deg:.2f}"
            writer.writerow([one.path, f"{one.lon:.8f}", f"{one.lat:.8f}", heading, ""])

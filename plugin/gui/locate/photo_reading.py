"""Reads photos in the background: what the engine says of files and folders, for the set of this session."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from ...compat import quiet_task
from ...engine_client.failure import EngineCancelled, EngineFailure
from ...engine_client.locate import EngineLocation
from ...photos.facts import Photo, photo_of

JOB = "photo-facts"


class PhotoReading(QgsTask):
    """:attr:`photos` are what was read, in order; :attr:`warnings` what the engine had to say besides the photos'
    own faults; :attr:`fault` one line where nothing could be read, empty when it was cancelled."""

    told = pyqtSignal(str)
    """How far it is, in words."""

    def __init__(self, engine: EngineLocation, paths: Sequence[str], thumbnails: str) -> None:
        super().__init__("SameScene: photos", quiet_task())
        self._engine = engine
        self._params = {"photos": list(paths), "thumbnails": thumbnails}
        self.photos: list[Photo] = []
        self.warnings: list[str] = []
        self.fault = ""

    def run(self) -> bool:
        """In the task's thread."""
        try:
            answer = self._engine.process().run_job(
                JOB, self._params, on_progress=self._progress, on_log=self._log, is_cancelled=self.isCanceled
            )
            self.photos = [photo_of(facts) for facts in answer.get("photos") or ()]
        except EngineCancelled:
            return False
        except EngineFailure as failure:
            self.fault = failure.line
            return False
        except (KeyError, TypeError, ValueError) as error:
            self.fault = f"The engine's answer about photos is not understood ({error})."
            return False
        faults = {photo.fault for photo in self.photos}
        self.warnings = [line for line in self.warnings if line not in faults]
        return True

    def _progress(self, fraction: float, _stage: str, message: str) -> None:
        self.setProgress(100 * fraction)
        self.told.emit(message)

    def _log(self, level: str, line: str) -> None:
        if level == "warning":
            self.warnings.append(line)

"""What is known of the photo of a result: from the photos of the session, else the engine reads its file."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...engine_client.proxy import proxy_variables
from ...photos.facts import Photo, PhotoSet, photo_of
from ...tasks import stop_task
from ..job_task import JobTask

JOB = "photo-facts"


class PhotoFinder(QObject):
    """:attr:`found` carries the photo that was asked for last, or None and one line; it follows later than
    :meth:`ask`, unless the photo is at hand: then :attr:`photo` is it at once."""

    found = pyqtSignal(object, str)

    def __init__(self, photo_set: PhotoSet, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._set = photo_set
        self._read: dict[str, Photo] = {}
        self._path = ""
        self._task: JobTask | None = None
        photo_set.changed.connect(self._set_changed)

    @property
    def photo(self) -> Photo | None:
        """The photo that was asked for last, as far as it is known."""
        found = self._set.find(self._path) if self._path else None
        if found is None:
            found = self._read.get(self._path)
            if found is not None and self._set.hide_positions:
                found = found.without_position()
        return found

    def ask(self, path: str) -> None:
        """Find the photo at ``path``."""
        self._path = path
        if path and self.photo is None and self._task is None:
            self._start(path)

    def shut_down(self) -> None:
        """Ask nothing more, and wait."""
        self._set.changed.disconnect(self._set_changed)
        task, self._task, self._path = self._task, None, ""
        if task is not None:
            stop_task(task, 10)

    def _start(self, path: str) -> None:
        task = JobTask("SameScene: photo", JOB, {"photos": [path]}, proxy_variables())
        self._task = task
        task.taskCompleted.connect(lambda: self._ended(task, path))
        task.taskTerminated.connect(lambda: self._ended(task, path))
        QgsApplication.taskManager().addTask(task)

    def _ended(self, task: JobTask, path: str) -> None:
        if task is not self._task:
            return
        self._task = None
        fault = task.fault
        if task.result is not None:
            photos = [photo_of(facts) for facts in task.result.get("photos") or ()]
            if photos:
                self._read[path] = photos[0]
                fault = photos[0].fault
        if path == self._path:
            self.found.emit(self.photo, fault)
        elif self._path and self.photo is None:  # another was asked for meanwhile
            self._start(self._path)

    def _set_changed(self) -> None:
        if self._path and self.photo is not None:
            self.found.emit(self.photo, self.photo.fault)

"""The indexes that are known here: a list of folders, remembered between sessions, looked at in the background."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication, QgsSettings, QgsTask
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ...compat import quiet_task
from ...tasks import ended_within
from .index_facts import GONE, IndexFacts, delete_index, read_index

_KEY = "samescene/locate/indexes"


class IndexLibrary(QObject):
    """:meth:`indexes` are the facts as they were last read, the newest first; :attr:`changed` when they are others."""

    changed = pyqtSignal()
    deleted = pyqtSignal(str, str)
    """A folder, and one line on what could not be deleted of it, or the empty string."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        stored = QgsSettings().value(_KEY, [])
        self._folders = [stored] if isinstance(stored, str) else [str(folder) for folder in stored or []]
        self._facts: dict[str, IndexFacts] = {}
        self._tasks: list[QgsTask] = []
        self._deleting: set[str] = set()
        self._newest: _ReadTask | None = None

    @property
    def looking(self) -> bool:
        """Whether it is looking at folders or deleting one."""
        return bool(self._tasks)

    def indexes(self) -> list[IndexFacts]:
        """Facts of the folders that were read; those that are gone are left out."""
        known = [self._facts[folder] for folder in self._folders if folder in self._facts]
        return [facts for facts in known if facts.state != GONE and facts.folder not in self._deleting]

    def usable(self) -> list[IndexFacts]:
        """The indexes that photos can be searched in."""
        return [facts for facts in self.indexes() if facts.usable]

    def find(self, folder: str) -> IndexFacts | None:
        """The facts of a folder, None where it was not read."""
        return self._facts.get(_absolute(folder))

    def add(self, folder: str) -> None:
        """Put a folder on top of the list and look at it."""
        folder = _absolute(folder)
        self._folders = [folder, *(known for known in self._folders if known != folder)]
        self._remember()
        self.refresh()

    def forget(self, folder: str) -> None:
        """Take a folder off the list; its files stay."""
        self._folders = [known for known in self._folders if known != _absolute(folder)]
        self._remember()
        self.changed.emit()

    def delete(self, folder: str) -> None:
        """Delete an index in the background; :attr:`deleted` follows, and it is off the list at once."""
        folder = _absolute(folder)
        self._deleting.add(folder)
        self.changed.emit()
        self._begin(_DeleteTask(folder))

    def refresh(self) -> None:
        """Look at all folders again, in the background."""
        self._newest = _ReadTask(list(self._folders))
        self._begin(self._newest)

    def shut_down(self) -> None:
        """Wait for what is under way."""
        for task in list(self._tasks):
            ended_within(task, 10)
        self._tasks.clear()

    def _begin(self, task: QgsTask) -> None:
        self._tasks.append(task)
        task.taskCompleted.connect(lambda: self._ended(task))
        task.taskTerminated.connect(lambda: self._ended(task))
        QgsApplication.taskManager().addTask(task)

    def _ended(self, task: QgsTask) -> None:
        if task not in self._tasks:
            return
        self._tasks.remove(task)
        if isinstance(task, _DeleteTask):
            self._deleting.discard(task.folder)
            if task.fault:
                self.refresh()
            else:
                self._facts.pop(task.folder, None)
                self.forget(task.folder)
            self.deleted.emit(task.folder, task.fault)
        elif task is self._newest and task.facts != self._facts:  # an older look may end later
            self._facts = task.facts
            self.changed.emit()

    def _remember(self) -> None:
        QgsSettings().setValue(_KEY, self._folders)


class _ReadTask(QgsTask):
    def __init__(self, folders: list[str]) -> None:
        super().__init__("SameScene: known indexes", quiet_task())
        self._folders = folders
        self.facts: dict[str, IndexFacts] = {}

    def run(self) -> bool:
        self.facts = {folder: read_index(folder) for folder in self._folders}
        return True


class _DeleteTask(QgsTask):
    def __init__(self, folder: str) -> None:
        super().__init__("SameScene: delete an index", quiet_task())
        self.folder, self.fault = folder, ""

    def run(self) -> bool:
        self.fault = delete_index(self.folder)
        return True


def _absolute(folder: str) -> str:
    return str(Path(folder).expanduser().absolute())

"""The folder in which an adaptation works: hidden beside the results, kept when it is stopped, gone when it is done."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from engine import plainjson
from engine.errors import OutputError
from engine.locks import FileLock
from engine.outputs import explain_os_error
from engine.resultfile import write_whole

_PLAN, _LOCK = "plan.json", ".lock"
PHOTOS, TILES, TRAINING = "photos", "tiles", "training"


def workspace_folder(out: Path) -> Path:
    """Where a run whose results go to ``out`` works: ``.NAME.learning`` beside it."""
    return out.parent / f".{out.name}.learning"


class Learning:
    """The workspace of a run, held by a lock. A stopped run of the same ``plan`` is gone on with; what is there of
    another plan is thrown away. It is deleted by :meth:`finish`, and where a run ends before anything was learned.

    Raises OutputError when the folder cannot be written, or another process is at it.
    """

    def __init__(self, out: Path, plan: Mapping[str, Any]) -> None:
        self.path = workspace_folder(out)
        self._out = out
        self._plan = plainjson.dumps(dict(plan))
        self._lock: FileLock | None = None
        self._done = False
        self.resumed = False

    @property
    def photos(self) -> Path:
        """Copies of the photos."""
        return self.path / PHOTOS

    @property
    def tiles(self) -> Path:
        """Tiles cut from the imagery."""
        return self.path / TILES

    @property
    def training(self) -> Path:
        """The folder of the training run."""
        return self.path / TRAINING

    def __enter__(self) -> Learning:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / _LOCK)
            if not lock.acquire():
                raise OutputError(
                    f"{self._out}: another process is learning there.",
                    remedy="Wait for it, or choose another folder.",
                )
            self._lock = lock
            plan = self.path / _PLAN
            if plan.is_file() and plan.read_text(encoding="utf-8") == self._plan:
                self.resumed = (self.training / "config.json").is_file()
            else:
                self._empty()
                write_whole(plan, self._plan)
            for folder in (self.photos, self.tiles):
                folder.mkdir(exist_ok=True)
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        worthless = not any(self.training.glob("checkpoint*.safetensors"))
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._done or worthless:
            shutil.rmtree(self.path, ignore_errors=True)

    def finish(self) -> None:
        """The results are safe: on leaving, the folder goes."""
        self._done = True

    def _empty(self) -> None:
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _LOCK:
                path.unlink()

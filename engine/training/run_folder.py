"""The folder of a run: options as they were resolved, checkpoints, log and results; one process group at a time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pydantic import ValidationError

from engine import plainjson
from engine.errors import DamagedFileError, MissingFileError, OutputError, ParameterError
from engine.locks import FileLock
from engine.outputs import explain_os_error
from engine.resultfile import write_whole
from engine.training.checkpoint import CHECKPOINT, PREVIOUS, STATE
from engine.training.metrics_log import METRICS
from engine.training.requests import KeptRequest

CONFIG, RESULT, REPORT, LOCK = "config.json", "result.json", "report.html", ".lock"
RUNNING = ("out", "device", "workers", "log_every", "checkpoint_every", "tensorboard", "resume", "overwrite", "config")
"""Options that do not change what is learned: a resumed run may have others."""

_OWN = (CHECKPOINT, PREVIOUS, STATE, METRICS, CONFIG, RESULT, REPORT)
Request = TypeVar("Request", bound=KeptRequest)


def resolve(request: Request, job: str) -> Request:
    """The request with what ``--config`` or, to resume, the run's own config.json adds to the options given.

    Raises ParameterError (unknown or contradicting options, no data), MissingFileError, DamagedFileError.
    """
    given = {name: getattr(request, name) for name in request.model_fields_set}
    merged: dict[str, Any] = {}
    if request.resume:
        if request.overwrite:
            raise ParameterError(f"{job}: --resume and --overwrite exclude each other.", remedy="Give one of them.")
        path = Path(request.out).expanduser() / CONFIG
        found = _read(path, "There is no run to resume")
        if found.pop("job", job) != job:
            raise ParameterError(f"{path}: this is no run of '{job}'.", remedy="Give the folder of such a run.")
        whole = _checked(request, {**found, "out": request.out}, path)
        for name, value in given.items():
            if name not in RUNNING and value != getattr(whole, name):
                raise ParameterError(
                    f"{path}: the run has {name} {getattr(whole, name)!r}; found {value!r}.",
                    remedy="Resume without this option, or start a new run.",
                )
        merged = found
    elif request.config is not None:
        path = Path(request.config).expanduser()
        merged = _read(path, "The options cannot be read")
        merged.pop("job", None)
    whole = _checked(request, {**merged, **given}, Path(request.config or request.out))
    if not (whole.data or getattr(whole, "scene", ()) or getattr(whole, "labels_from", None)):
        raise ParameterError(f"{job}: no training data is given.", remedy="Use --data KIND:PATH.")
    if whole.steps is not None and whole.epochs is not None:
        raise ParameterError(f"{job}: --steps and --epochs exclude each other.", remedy="Give one of them.")
    return whole


def _checked(request: Request, values: dict[str, Any], path: Path) -> Request:
    try:
        return type(request)(**values)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ParameterError(
            f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']} (found {fault.get('input')!r}).",
            remedy="Mend the file, or leave it out.",
        ) from error


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: {what}: the file does not exist.", remedy="Check the path.") from error
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path}: {what} ({error}).", remedy="Give a JSON file with one object.") from error
    if not isinstance(found, dict):
        raise DamagedFileError(f"{path}: {what}: holds a {type(found).__name__}, expected an object of options.")
    return found


class RunFolder:
    """A run's folder, held by a lock. Raises OutputError: not empty without resume or overwrite, in use, read-only.

    Unlike the result folders of other jobs it is filled while the job runs: what is in it is what a resumed run needs.
    Each file is replaced whole; ``result.json`` comes last and tells that the run is finished. ``own``: the files that
    a new run takes away; ``keeps``: what there is to go on from, so that a failure leaves the folder.
    """

    def __init__(
        self,
        request: KeptRequest,
        *,
        job: str,
        main: bool,
        own: Sequence[str] = _OWN,
        keeps: Sequence[str] = (CHECKPOINT, PREVIOUS),
    ) -> None:
        self.path = Path(request.out).expanduser()
        self._request, self._job, self._main = request, job, main
        self._own, self._keeps = tuple(own), tuple(keeps)
        self._lock: FileLock | None = None

    def __enter__(self) -> RunFolder:
        if not self._main:
            return self
        try:
            self._open()
        except OSError as error:
            self._let_go()
            raise explain_os_error(error, self.path) from error
        except OutputError:
            self._let_go()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._lock is not None and not self._request.resume:
            self._forget()
        self._let_go()

    def _forget(self) -> None:
        """Leave no folder behind after a failure before the first checkpoint: there is nothing to go on from."""
        path = self.path
        if any((path / name).exists() for name in self._keeps):
            return
        with contextlib.suppress(OSError):
            for name in self._own:
                (path / name).unlink(missing_ok=True)
            self._let_go()
            path.rmdir()  # only if nothing else is in it

    def _open(self) -> None:
        path = self.path
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path}: the output is a file; expected a folder.", remedy="Give the name of a folder.")
        check_free(self._request, self._keeps)
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / LOCK)
        if not lock.acquire():
            raise OutputError(f"{path}: another run is writing there.", remedy="Wait for it, or choose another folder.")
        self._lock = lock
        for stale in path.glob(".*.partial-*"):
            if stale.is_file():
                stale.unlink(missing_ok=True)
        if not self._request.resume:
            for name in self._own:
                (path / name).unlink(missing_ok=True)
            options = {k: v for k, v in self._request.model_dump(mode="json").items() if k not in RUNNING}
            self.write(CONFIG, plainjson.dumps({"job": self._job, **options}, indent=2) + "\n")

    def write(self, name: str, text: str) -> None:
        """Put a text file in place, whole or not at all."""
        write_whole(self.path / name, text)

    def _let_go(self) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._lock.release(remove=True)
            self._lock = None


def check_free(request: KeptRequest, keeps: Sequence[str] = (CHECKPOINT,)) -> None:
    """Raise OutputError when the folder holds something and neither resume nor overwrite was asked for."""
    path = Path(request.out).expanduser()
    if request.resume or request.overwrite or not path.is_dir():
        return
    try:
        found = sorted(p.name for p in path.iterdir() if p.name != LOCK)
    except OSError as error:
        raise explain_os_error(error, path) from error
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        remedy = "Go on with --resume" if set(found) & set(keeps) else "Choose another folder"
        raise OutputError(
            f"{path}: the output folder is not empty (it holds {found[0]}{more}).",
            remedy=f"{remedy}, or replace the run with --overwrite.",
        )

"""Result folders: made aside, moved into place when whole.

A job writes into a staging folder beside its target. Only :meth:`ResultFolder.commit` makes the results visible, and
``result.json`` comes last. Whatever ends a job early (an error, a cancel, kill −9, a power cut) leaves no partial file
under a final name; staging folders of dead processes are swept by the next run.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import uuid
from pathlib import Path
from types import TracebackType

from engine.errors import OutputError
from engine.locks import FileLock

RESULT = "result.json"
_RETIRED = ".result.json.replaced"
_LOCK = ".lock"
# What other programs put beside a raster or a GeoPackage; stale ones would be applied to the new file.
_SIDECARS = (".aux.xml", ".ovr", ".msk", "-wal", "-shm", "-journal")

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space, or choose another folder."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space, or choose another folder."),
    errno.EFBIG: ("the file would be larger than the file system or a limit allows", "Choose another folder."),
    errno.EROFS: ("the file system is read-only", "Choose a folder that you can write to."),
    errno.EACCES: ("permission denied, or a file is open in another program", "Choose a folder that you can write to."),
    errno.EPERM: ("the operation is not permitted", "Choose a folder that you can write to."),
    errno.ENOTDIR: ("a part of the path is a file", "Choose another folder."),
    errno.EEXIST: ("a file of that name exists", "Choose another folder."),
    errno.ENAMETOOLONG: ("the path is too long", "Choose a shorter path."),
    errno.EBUSY: ("a file is in use by another program", "Close it there (a layer in QGIS, for example)."),
}


def explain_os_error(error: OSError, path: str | os.PathLike[str]) -> OutputError:
    """The OutputError, one line with a remedy, for an OSError met while writing at ``path``."""
    why, remedy = _REASONS.get(error.errno or 0, (error.strerror or str(error), "Choose another folder."))
    return OutputError(f"{os.fspath(path)}: cannot be written: {why}.", remedy=remedy)


class ResultFolder:
    """The folder of a job's results. ``path`` is the staging folder, to be filled between entry and :meth:`commit`.

    ``out`` is the target, made if absent. Raises OutputError on entry when it is a file, when it is not empty and
    ``overwrite`` is false, or when it cannot be written; on commit when moving fails (disk full, a file locked).
    With ``overwrite`` files of the same name are replaced, outputs that the earlier ``result.json`` lists and that
    are no longer made are removed, and all other files stay.
    """

    def __init__(self, out: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        self.target = Path(os.path.abspath(os.path.realpath(Path(out).expanduser())))  # noqa: PTH100 - works for absent
        self._given = os.fspath(out)
        self._overwrite = overwrite
        self._made: list[Path] = []
        self._staging: Path | None = None
        self._lock: FileLock | None = None

    @property
    def path(self) -> Path:
        """The staging folder; only while the folder is entered and not committed."""
        if self._staging is None:
            raise RuntimeError("The result folder is not open: enter it first, and do not use it after commit.")
        return self._staging

    def __enter__(self) -> ResultFolder:
        self._check_target()
        try:
            self._make_parents()
            home = self._staging_home()
            sweep(home, self.target.name)
            staging = home / f".{self.target.name}.partial-{os.getpid()}-{uuid.uuid4().hex[:8]}"
            staging.mkdir()
            self._staging = staging
            self._lock = FileLock(staging / _LOCK)
            self._lock.acquire()
        except OSError as error:
            self._discard()
            raise explain_os_error(error, self._given) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def commit(self) -> Path:
        """Make the results visible at the target, ``result.json`` last; returns the target."""
        staging = self.path
        try:
            self._check_target()
            for file in staging.rglob("*"):
                if file.is_file() and file.name != _LOCK:
                    sync(file)
            sync(staging)
            if self._replaceable_at_once(staging):
                self._release_lock()
                if os.name == "nt" and self.target.exists():
                    self.target.rmdir()
                staging.rename(self.target)
            else:
                self._merge(staging)
                self._release_lock()
                shutil.rmtree(staging, ignore_errors=True)
            sync(self.target.parent)
        except OSError as error:
            raise explain_os_error(error, error.filename or self._given) from error
        self._staging = None
        self._made = []
        return self.target

    def _check_target(self) -> None:
        target = self.target
        try:
            if target.exists() and not target.is_dir():
                raise OutputError(
                    f"{self._given}: the output is a file; expected a folder.", remedy="Give the name of a folder."
                )
            found = (
                sorted(p.name for p in target.iterdir() if not _is_staging(p, target.name)) if target.exists() else []
            )
        except OSError as error:
            raise explain_os_error(error, self._given) from error
        if found and not self._overwrite:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise OutputError(
                f"{self._given}: the output folder is not empty (it holds {found[0]}{more}).",
                remedy="Choose another folder, or replace the results with --overwrite.",
            )

    def _make_parents(self) -> None:
        missing: list[Path] = []
        parent = self.target.parent
        while not parent.exists():
            missing.append(parent)
            parent = parent.parent
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                self._made.append(folder)

    def _staging_home(self) -> Path:
        """Beside the target; inside it where the parent is read-only or another file system (a mounted volume)."""
        target, parent = self.target, self.target.parent
        if target.exists() and (
            target == parent
            or target.is_mount()
            or not os.access(parent, os.W_OK)
            or target.stat().st_dev != parent.stat().st_dev
        ):
            return target
        return parent

    def _replaceable_at_once(self, staging: Path) -> bool:
        if staging.parent == self.target:
            return False
        return not self.target.exists() or next(self.target.iterdir(), None) is None

    def _merge(self, staging: Path) -> None:
        """Replace file by file. A kill in between leaves whole files and no ``result.json``."""
        target = self.target
        target.mkdir(exist_ok=True)
        files = sorted(p.relative_to(staging) for p in staging.rglob("*") if p.is_file() and p.name != _LOCK)
        files.sort(key=lambda p: p == Path(RESULT))
        self._check_unlocked([target / f for f in files])
        stale = _listed_outputs(target) - {f.as_posix() for f in files}
        if (target / RESULT).is_file():
            (target / RESULT).replace(target / _RETIRED)
        for name in sorted(stale):
            _remove(target / name)
        for file in files:
            final = target / file
            final.parent.mkdir(parents=True, exist_ok=True)
            for suffix in _SIDECARS:
                _remove(final.with_name(final.name + suffix), sidecars=False)
            (staging / file).replace(final)
        _remove(target / _RETIRED, sidecars=False)
        sync(target)

    def _check_unlocked(self, finals: list[Path]) -> None:
        """On Windows an open file cannot be replaced: find out before the first is."""
        if os.name != "nt":
            return
        for final in finals:
            if final.exists():
                try:
                    final.rename(final)
                except OSError as error:
                    raise OutputError(
                        f"{final}: cannot be replaced, it is open in another program.",
                        remedy="Remove the layer in QGIS or close the other program, then run again.",
                    ) from error

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release(remove=True)
            self._lock = None

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._release_lock()
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging = None
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # something else was put there meanwhile
                folder.rmdir()
        self._made = []


def sweep(home: Path, name: str) -> list[Path]:
    """Remove the staging folders of ``name`` in ``home`` whose process is gone; returns what was removed."""
    swept = []
    for folder in sorted(home.iterdir()) if home.is_dir() else []:
        if _is_staging(folder, name) and folder.is_dir() and not folder.is_symlink() and _is_dead(folder):
            shutil.rmtree(folder, ignore_errors=True)
            swept.append(folder)
    return swept


def sync(path: Path) -> None:
    """Have the operating system write a file or folder to the disk; folders only where that exists (not Windows)."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network and special file systems have no fsync; that must not fail a job.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def _is_staging(path: Path, name: str) -> bool:
    return path.name.startswith(f".{name}.partial-")


def _is_dead(folder: Path) -> bool:
    lock = folder / _LOCK
    if lock.exists():
        return not FileLock.is_held(lock)
    # Between making the folder and its lock, or committing: the process decides.
    parts = folder.name.rpartition(".partial-")[2].split("-")
    return parts[0].isdigit() and not _alive(int(parts[0]))


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # signal 0 would end the process there; the lock file tells in all but the first millisecond
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _listed_outputs(target: Path) -> set[str]:
    """Names, relative to ``target``, of the outputs in the folder's result.json; only plain ones inside it."""
    for record in (target / RESULT, target / _RETIRED):
        try:
            outputs = json.loads(record.read_text(encoding="utf-8"))["outputs"]
            names = {str(name).replace("\\", "/") for name in outputs.values()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        root = target.resolve()
        return {n for n in names if n and not Path(n).is_absolute() and root in (target / n).resolve().parents}
    return set()


def _remove(path: Path, *, sidecars: bool = True) -> None:
    for file in [path, *(path.with_name(path.name + s) for s in _SIDECARS if sidecars)]:
        if file.is_file() or file.is_symlink():
            file.unlink()

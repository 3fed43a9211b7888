"""Map tiles on disk: what was fetched is not fetched again.

A folder for each address; a file for each tile, written aside and moved into place, so that several processes may share
it. A tile that a server says it does not have is a file of no bytes. The oldest files go where the folder would outgrow
its limit.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from engine.errors import OutputError
from engine.outputs import explain_os_error

_DAY_S = 86_400.0


def user_cache_folder(environment: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """Where tiles are kept; the folder need not exist. This is the one place that says so."""
    variables = os.environ if environment is None else environment
    home = Path(variables.get("HOME") or variables.get("USERPROFILE") or Path.home())
    if platform == "win32":
        base = Path(variables.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        given = Path(variables.get("XDG_CACHE_HOME") or "")
        base = given if given.is_absolute() else home / ".cache"
    return base / "samescene" / "tiles"


class TileCache:
    """Tiles of all addresses under ``folder``, at most ``limit_bytes`` of them, none older than ``days``.

    Raises OutputError where the folder cannot be made. A tile that cannot be written (a full disk) is not kept, and
    nothing else happens: the cache is a convenience.
    """

    def __init__(self, folder: Path, *, limit_bytes: int, days: float = 30.0) -> None:
        self.folder, self._limit, self._age_s = folder, limit_bytes, days * _DAY_S
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._size = sum(size for _, size, _ in self._files())
        except OSError as error:
            raise explain_os_error(error, folder) from error
        if limit_bytes < 1 << 20:
            raise OutputError(
                f"{folder}: a tile cache of {limit_bytes} bytes is too small.", remedy="Give 1 MB or more."
            )

    def get(self, key: str, z: int, x: int, y: int) -> bytes | None:
        """The tile's bytes, none of them (``b""``) where the server has no such tile, None where it is not known."""
        path = self._path(key, z, x, y)
        try:
            if time.time() - path.stat().st_mtime > self._age_s:
                return None
            return path.read_bytes()
        except OSError:
            return None

    def put(self, key: str, z: int, x: int, y: int, content: bytes) -> None:
        """Keep a tile; ``b""`` for one that is not there."""
        path = self._path(key, z, x, y)
        partial = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            return
        with self._lock:
            self._size += len(content)
            if self._size > self._limit:
                self._shrink()

    def _shrink(self) -> None:
        """Remove the oldest files until a tenth of the limit is free."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= 0.9 * self._limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
        self._size = total

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self.folder.rglob("*.tile"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        return found

    def _path(self, key: str, z: int, x: int, y: int) -> Path:
        return self.folder / key / str(z) / str(x) / f"{y}.tile"

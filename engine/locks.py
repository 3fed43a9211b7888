"""A lock on a file that the operating system lets go when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """An exclusive lock on ``path``; the file is made and may hold nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; False when another process (or another lock in this one) holds it."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(handle):
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self, *, remove: bool = False) -> None:
        """Let go; with ``remove`` the file goes too."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if remove:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    @staticmethod
    def is_held(path: Path) -> bool:
        """True when somebody holds the lock on ``path``, or when that cannot be found out."""
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            return not _lock(handle)
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

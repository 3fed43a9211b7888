"""What a job that is ended by force leaves beside its output, found again by name and removed."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 0.3
"""How long a removal is repeated: the process answers a cancel within 2 s, and ends right after."""
_ASIDE = "-gone"


@dataclass(frozen=True)
class Leftovers:
    """Staging files and folders of this process beside ``target``, and the parent folders that were absent before.

    Made before the job starts; :meth:`remove` is for a process that is about to end while the job still runs.
    """

    target: Path | None
    absent_parents: tuple[Path, ...] = ()

    @classmethod
    def of(cls, out: object) -> Leftovers:
        """Of a job whose output goes to ``out``; nothing for a job without one."""
        if not isinstance(out, str) or not out:
            return cls(None)
        try:
            target = Path(os.path.abspath(os.path.realpath(Path(out).expanduser())))  # noqa: PTH100 - may be absent
            absent = tuple(parent for parent in target.parents if not parent.exists())
        except (OSError, ValueError, RuntimeError):  # no legal path: the job will say so
            return cls(None)
        return cls(target, absent)

    def remove(self) -> None:
        """Remove them; what another program holds open stays for the sweep of the next run."""
        if self.target is None:
            return
        pattern = f".{self.target.name}.partial-{os.getpid()}-"
        homes = (self.target.parent, self.target)
        deadline = time.monotonic() + PATIENCE_S
        while found := [path for home in homes for path in _children(home) if path.name.startswith(pattern)]:
            for path in found:
                _remove(path)
            if time.monotonic() > deadline:
                break
        for parent in self.absent_parents:
            with contextlib.suppress(OSError):  # never made, or filled by somebody else
                parent.rmdir()


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _remove(path: Path) -> None:
    if path.is_dir():
        # Threads of the job may still be writing into it: under another name their paths lead nowhere.
        if not path.name.endswith(_ASIDE):
            aside = path.with_name(path.name + _ASIDE)
            with contextlib.suppress(OSError):  # Windows: a file in it is open
                path = path.rename(aside)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()

"""What an engine that was killed leaves on the disk, and its removal."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path


def remove_staging_folders(
    out: str, pids: Iterable[int], *, on_problem: Callable[[str], None] = lambda text: None
) -> list[Path]:
    """Remove the staging folders ``.NAME.partial-<pid>-*`` beside the result folder ``out`` that ``pids`` had made.

    Only folders of the given processes are touched: another run may be working beside. Returns what was removed; what
    could not be is told to ``on_problem`` in a line (the engine sweeps it at its next start).
    """
    target = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link that OUT may be
    removed = []
    for pid in set(pids):
        if pid <= 0:
            continue
        for folder in target.parent.glob(f".{glob.escape(target.name)}.partial-{pid}-*"):
            if not folder.is_dir() or folder.is_symlink():
                continue
            try:
                shutil.rmtree(folder)
                removed.append(folder)
            except OSError as error:
                on_problem(f"{folder}: the unfinished results could not be removed: {error.strerror or error}.")
    return removed

"""Which photos are meant: files as named, folders searched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import MissingFileError
from engine.events import Reporter

ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".webp"})
"""What is taken for a photo in a folder; a file that is named itself may be called anything."""


def photo_files(named: Sequence[str], *, recursive: bool, reporter: Reporter) -> list[str]:
    """Absolute paths of the photos, each once: files in the order given, those of a folder by name (numbers by value).

    Hidden files and folders are passed over. A folder without photos is warned about; raises MissingFileError where
    nothing at all is left. A file that does not exist is kept: whoever reads it says so.
    """
    found: dict[str, None] = {}
    for name in named:
        path = Path(name).expanduser().absolute()
        if not path.is_dir():
            found[str(path)] = None
            continue
        inside = sorted(_inside(path, recursive, reporter), key=_natural)
        if not inside:
            reporter.warn(f"{path}: there are no photos in this folder ({', '.join(sorted(ENDINGS))}).")
        found |= dict.fromkeys(inside)
    if not found:
        raise MissingFileError(
            f"{', '.join(named)}: there are no photos in there.", remedy="Choose JPEG, PNG, TIFF or WebP files."
        )
    return list(found)


def _inside(folder: Path, recursive: bool, reporter: Reporter) -> Iterator[str]:
    def unreadable(error: OSError) -> None:
        reporter.warn(f"{error.filename}: the folder cannot be read ({error.strerror}).")

    for home, folders, files in os.walk(folder, onerror=unreadable):
        reporter.check()
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS:
                yield str(Path(home, name))


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", path)]

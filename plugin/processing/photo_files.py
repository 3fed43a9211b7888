"""Photos as the parameters of an algorithm name them: files one by one, or those of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
"""Files that are taken for photos when a folder is given."""


def named_photos(value: Any) -> list[str]:
    """The files of a parameter: a list, or a text with ``;`` between; quotation marks around them are dropped."""
    entries = value if isinstance(value, (list, tuple)) else str(value or "").split(";")
    found = [str(entry).strip().strip('"') for entry in entries if entry is not None]
    return [str(Path(name).absolute()) for name in found if name]


def photos_in(folder: str) -> list[str]:
    """The photos of a folder by name; not those of its sub-folders, nor hidden ones."""
    path = Path(folder)
    if not folder or not path.is_dir():
        return []
    files = (p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file())
    return [str(file.absolute()) for file in sorted(files, key=lambda p: p.name)]

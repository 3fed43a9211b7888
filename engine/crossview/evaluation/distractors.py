"""Overhead images that belong to no panorama: what a gallery has to be told apart from."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from engine.crossview.data.items import OverheadImage
from engine.errors import DamagedFileError, MissingFileError


def read_distractors(path: str) -> tuple[OverheadImage, ...]:
    """The images that a CSV names in its column ``overhead`` or ``file``, relative to it, with ``gsd_m`` where known.

    Raises MissingFileError and DamagedFileError: a gallery must be what it is said to be, so nothing is left out.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise MissingFileError(f"{path}: there is no such list of overhead images.", remedy="Check the path.")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedFileError(f"{path}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
    found = []
    for line, row in enumerate(rows, start=2):
        name = (row.get("overhead") or row.get("file") or "").strip()
        image = file.parent / name
        if not name or not image.is_file():
            raise MissingFileError(
                f"{path}, line {line}: there is no image {name!r} beside the list.",
                remedy="Name the files in a column overhead or file.",
            )
        found.append(OverheadImage(f"distractor {image.name}", image, _gsd(path, line, row.get("gsd_m") or "")))
    return tuple(found)


def _gsd(path: str, line: int, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise DamagedFileError(f"{path}, line {line}: gsd_m is {text!r}; expected metres a pixel.")
    return value

"""The table of ``engine photos place``: which photo was taken where."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from engine.errors import DamagedFileError, MissingFileError
from engine.photos.place import Place

NEEDED = ("photo", "lon", "lat")


def read_places(path: str) -> list[tuple[Path, Place]]:
    """Lines ``photo,lon,lat`` and optionally ``heading_deg,accuracy_m`` (empty: unknown), further columns ignored.

    Photos are absolute paths, or beside the table. Raises MissingFileError, and DamagedFileError that names the line.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise MissingFileError(f"{path}: there is no such table.", remedy="Check the path.")
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lacking = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            rows = [] if lacking else list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedFileError(f"{path}: cannot be read as a table ({error}).", remedy="Write it again.") from error
    if lacking or not rows:
        found = f"it lacks the column {lacking[0]}" if lacking else "it has no line"
        raise DamagedFileError(
            f"{path}: {found}; expected photo,lon,lat and optionally heading_deg,accuracy_m.",
            remedy="Write one line a photo.",
        )
    return [(file.parent / str(row["photo"]), _place(row, f"{path}, line {n}")) for n, row in enumerate(rows, 2)]


def _place(row: Mapping[str, str | None], where: str) -> Place:
    lon = _number(row, "lon", where, low=-180, high=180)
    lat = _number(row, "lat", where, low=-90, high=90)
    if lon is None or lat is None or not row["photo"]:
        raise DamagedFileError(f"{where}: photo, lon or lat is empty.", remedy="Fill it in, or remove the line.")
    heading = _number(row, "heading_deg", where, low=-360, high=360)
    accuracy = _number(row, "accuracy_m", where, low=0, high=1e6)
    return Place(lon, lat, heading, accuracy or None)


def _number(row: Mapping[str, str | None], name: str, where: str, *, low: float, high: float) -> float | None:
    text = (row.get(name) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise DamagedFileError(
            f"{where}: {name} is {text!r}; expected a number from {low:g} to {high:g}.", remedy="Correct the table."
        )
    return value

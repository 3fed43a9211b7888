"""``pairs.csv``: one pair a line, files beside it; what ``engine simulate city`` writes and ``engine evaluate`` reads.

Columns ``pair_id, panorama, overhead, heading_deg, hfov_deg, vfov_deg, gsd_m``, and ``pitch_center_deg``,
``pitch_deg``, ``roll_deg``, ``lon``, ``lat``, ``split``, ``group`` where there are any; others are ignored. Empty is
unknown. A line without a panorama is a tile of the gallery alone, one without a tile a panorama without a match.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from engine.crossview.data.items import CrossViewSet, GroundImage, Match, OverheadImage
from engine.errors import DamagedFileError, EngineError, MissingFileError, ParameterError
from engine.panorama.view import PanoramaView

PAIRS = "pairs.csv"
NEEDED = ("pair_id", "panorama", "overhead")


def find(path: Path, split: str | None, *, place: str) -> CrossViewSet:
    """The set of a pairs.csv or of the folder that holds one (or several, one a sub-folder); ``split`` takes the lines
    of that split. Raises MissingFileError, DamagedFileError (a column or a number), ParameterError (no such split)."""
    lists = [path] if path.is_file() else sorted(p for p in path.rglob(PAIRS) if not _hidden(p, path))
    if not lists:
        raise MissingFileError(f"{path}: holds no {PAIRS}.", remedy="Give a folder with one, or KIND:PATH.")
    found = _Found(split)
    for file in lists:
        found.read(file, group="" if len(lists) == 1 else str(file.parent.relative_to(path)))
    if split is not None and not found.grounds and not found.overheads:
        known = ", ".join(sorted(found.splits)) or "none"
        raise ParameterError(f"{path}: has no split {split!r}; it has {known}.", remedy="Name one of these after @.")
    return CrossViewSet(
        place, "pairs-csv", tuple(found.grounds), tuple(found.overheads), tuple(found.matches), tuple(found.left_out)
    )


class _Found:
    def __init__(self, split: str | None) -> None:
        self.split = split
        self.splits: set[str] = set()
        self.grounds: list[GroundImage] = []
        self.overheads: list[OverheadImage] = []
        self.matches: list[Match] = []
        self.left_out: list[tuple[str, str]] = []
        self._numbers: dict[Path, int] = {}
        self._names: set[str] = set()

    def read(self, file: Path, *, group: str) -> None:
        """All lines of one list."""
        try:
            with file.open(newline="", encoding="utf-8-sig") as stream:
                reader = csv.DictReader(stream)
                lacking = [name for name in NEEDED if name not in (reader.fieldnames or ())]
                rows = [] if lacking else list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DamagedFileError(f"{file}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
        if lacking:
            raise DamagedFileError(
                f"{file}: has no column {lacking[0]}; expected {', '.join(NEEDED)}.", remedy="Name the columns so."
            )
        for number, row in enumerate(rows, start=2):
            plain = {k: (v or "").strip() for k, v in row.items() if isinstance(k, str)}
            self.splits.add(plain.get("split", ""))
            if self.split is None or plain.get("split", "") == self.split:
                self._row(file, number, plain, group)

    def _row(self, file: Path, line: int, row: dict[str, str], group: str) -> None:
        name = f"{group}/{row['pair_id']}" if group else row["pair_id"]
        if name in self._names:
            raise DamagedFileError(f"{file}, line {line}: the pair {name!r} stands twice.", remedy="Mend the list.")
        self._names.add(name)
        area = group or row.get("group", "")
        lon, lat = (_number(file, line, row, column) for column in ("lon", "lat"))
        lonlat = (lon, lat) if lon is not None and lat is not None else None
        files = {role: file.parent / row[role] for role in ("panorama", "overhead") if row[role]}
        absent = next((path for path in files.values() if not path.is_file()), None)
        if absent is not None:
            self.left_out.append((name, f"{absent}: there is no such file."))
            return
        tile = None
        if "overhead" in files:
            gsd = _number(file, line, row, "gsd_m")
            if gsd is not None and gsd <= 0:
                raise DamagedFileError(f"{file}, line {line}: gsd_m is {gsd:g}; expected metres a pixel.")
            tile = self._tile(files["overhead"], gsd, lonlat, area)
        if "panorama" in files:
            view, heading_known = _view(file, line, row)
            self.grounds.append(GroundImage(name, files["panorama"], view, heading_known, lonlat, area))
            self.matches.append(Match(tile))

    def _tile(self, file: Path, gsd: float | None, lonlat: tuple[float, float] | None, area: str) -> int:
        known = self._numbers.get(file)
        if known is None:
            known = self._numbers[file] = len(self.overheads)
            self.overheads.append(OverheadImage(file.name, file, gsd, lonlat, area))
        return known


def _view(file: Path, line: int, row: dict[str, str]) -> tuple[PanoramaView, bool]:
    heading = _number(file, line, row, "heading_deg")
    given = {
        "heading_deg": heading,
        **{
            name: _number(file, line, row, name)
            for name in ("hfov_deg", "vfov_deg", "pitch_center_deg", "pitch_deg", "roll_deg")
        },
    }
    try:
        return PanoramaView(**{name: value for name, value in given.items() if value is not None}), heading is not None
    except EngineError as error:
        raise DamagedFileError(f"{file}, line {line}: {error.message}", remedy="Mend the list.") from error


def _number(file: Path, line: int, row: dict[str, str], column: str) -> float | None:
    text = row.get(column, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DamagedFileError(
            f"{file}, line {line}: {column} is {text!r}; expected a number.", remedy="Mend the list."
        )
    return value


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)

"""What a search found: the candidates of each photo, read from ``candidates.gpkg`` and ``result.json``."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsGeometry, QgsPointXY

from .results import ResultsError, read_result

CANDIDATES = "candidates.gpkg"
TABLE = "candidates"
ROLE = "candidates"
"""The role of the candidates' layer in the product of ``locate-search``."""
_FIELDS = ("photo", "rank", "score", "probability", "radius_m", "lon", "lat")


@dataclass(frozen=True)
class Candidate:
    """A place where a photo may have been taken.

    ``rank`` from 1; ``score`` in standard deviations; ``probability`` (0..1) that the camera stood within
    ``radius_m`` metres; ``heading_deg`` of the photo's middle, clockwise from true north, None where it is not known;
    ``lon``, ``lat`` in degrees (EPSG:4326); ``point`` in the CRS of the layer; ``fid`` the feature's id there.
    """

    photo: str
    rank: int
    score: float
    probability: float
    radius_m: float
    heading_deg: float | None
    lon: float
    lat: float
    point: QgsPointXY
    fid: int


@dataclass(frozen=True)
class Answer:
    """What was found of one photo: ``photo`` its name in the result, ``path`` its file, ``match`` whether it was found
    in this region, ``candidates`` by rank, ``problems`` what is said of the photo, one line each."""

    photo: str
    path: str
    match: bool
    candidates: tuple[Candidate, ...]
    heading_known: bool
    panorama: bool
    problems: tuple[str, ...]

    @property
    def best(self) -> Candidate | None:
        """The first candidate."""
        return self.candidates[0] if self.candidates else None

    def candidate(self, rank: int) -> Candidate | None:
        """The candidate of a rank."""
        return next((one for one in self.candidates if one.rank == rank), None)


@dataclass(frozen=True)
class Answers:
    """The answers of a search, in the order of its photos; ``crs`` that of the candidates' points; ``skipped`` one line
    for each photo that could not be searched."""

    folder: str
    crs: QgsCoordinateReferenceSystem
    index: str
    method: str
    cells: int
    answers: tuple[Answer, ...]
    skipped: tuple[str, ...] = ()

    def of_photo(self, name_or_path: str) -> Answer | None:
        """The answer of a photo by its name in the result, or by its file."""
        for one in self.answers:
            if name_or_path in (one.photo, one.path):
                return one
        return None

    def of_feature(self, fid: int) -> Candidate | None:
        """The candidate of a feature of the layer."""
        return next((c for answer in self.answers for c in answer.candidates if c.fid == fid), None)


def read_answers(folder: str | Path, result: dict[str, Any] | None = None) -> Answers:
    """The answers in the result folder of a search; ``result`` is its ``result.json`` where that was read already.

    Reads files: call it from a task where the folder may be far away. No layer of QGIS is made: where a task makes one
    of a file of which the window makes one at that moment, QGIS stands still for ever (QgsOgrProviderUtils, seen in
    3.22). Raises ResultsError in one line.
    """
    folder = Path(folder)
    result = read_result(folder) if result is None else result
    if result.get("job") != "locate-search":
        raise ResultsError(f"{folder}: this is not the result of a search for photos.")
    crs, candidates = _read(folder / CANDIDATES)
    found: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        found.setdefault(candidate.photo, []).append(candidate)
    figures = result.get("figures") or {}
    asked = [str(path) for path in (result.get("parameters") or {}).get("panorama") or ()]
    inputs = result.get("inputs") or {}
    answers = []
    for number, told in enumerate(figures.get("photos") or ()):
        name = str(told.get("photo"))
        known = (inputs.get(name) or {}).get("path")
        answers.append(
            Answer(
                photo=name,
                path=str(known or (asked[number] if number < len(asked) else "")),
                match=bool(told.get("match")),
                candidates=tuple(sorted(found.get(name, ()), key=lambda one: one.rank)),
                heading_known=bool(told.get("heading_known")),
                panorama=bool(told.get("panorama", True)),
                problems=tuple(str(line) for line in told.get("problems") or ()),
            )
        )
    return Answers(
        folder=str(folder),
        crs=crs,
        index=str((inputs.get("index") or {}).get("path") or (result.get("parameters") or {}).get("index") or ""),
        method=str(figures.get("method") or ""),
        cells=int(figures.get("cells") or 0),
        answers=tuple(answers),
        skipped=tuple(str(one.get("why") or one.get("name") or one) for one in figures.get("skipped") or ()),
    )


def _read(path: Path) -> tuple[QgsCoordinateReferenceSystem, list[Candidate]]:
    """The candidates of a GeoPackage (OGC 12-128r18), and the CRS of their points; ResultsError where it is none."""
    try:
        with closing(sqlite3.connect(read_only(path.absolute()), uri=True)) as file:
            told = file.execute(
                "SELECT column_name, organization, organization_coordsys_id, definition FROM gpkg_geometry_columns"
                " JOIN gpkg_spatial_ref_sys USING (srs_id) WHERE table_name = ?",
                (TABLE,),
            ).fetchone()
            table = file.execute("SELECT * FROM candidates")
            names = [column[0] for column in table.description]
            rows = [dict(zip(names, row)) for row in table]
    except sqlite3.Error as error:
        raise ResultsError(f"{path}: the candidates cannot be read.") from error
    if told is None:
        raise ResultsError(f"{path}: the candidates cannot be read.")
    lacking = [name for name in _FIELDS if name not in names]
    if lacking:
        raise ResultsError(f"{path}: the layer of candidates lacks the field {lacking[0]}.")
    shape, organization, code, definition = told
    crs = QgsCoordinateReferenceSystem(f"{organization}:{code}")
    if not crs.isValid():
        crs = QgsCoordinateReferenceSystem.fromWkt(definition)
    return crs, [_candidate(row, row[shape]) for row in rows]


def read_only(path: PurePath) -> str:
    """The address by which SQLite opens an absolute path for reading. A share's server is part of the path: as the
    authority of a URI SQLite refuses it."""
    uri = path.as_uri()
    return (uri if uri.startswith("file:///") else uri.replace("file://", "file:////", 1)) + "?mode=ro"


def _candidate(row: dict[str, Any], geometry: bytes) -> Candidate:
    return Candidate(
        photo=str(row["photo"]),
        rank=int(row["rank"]),
        score=float(row["score"]),
        probability=float(row["probability"]),
        radius_m=float(row["radius_m"]),
        heading_deg=_heading(row),
        lon=float(row["lon"]),
        lat=float(row["lat"]),
        point=_point(geometry),
        fid=int(row["fid"]),
    )


def _point(geometry: bytes) -> QgsPointXY:
    """Of a GeoPackage's binary: eight bytes, an envelope as bits 1 to 3 of the fourth say, then WKB."""
    envelope = (0, 32, 48, 48, 64)[geometry[3] >> 1 & 0b111]
    found = QgsGeometry()
    found.fromWkb(geometry[8 + envelope :])
    return QgsPointXY(found.asPoint())


def _heading(row: dict[str, Any]) -> float | None:
    """None where the field is empty, not there, or not a number."""
    value = row.get("heading_deg")
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value) % 360

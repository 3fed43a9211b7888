"""What a search found: the candidates of each photo, read from ``candidates.gpkg`` and ``result.json``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osgeo import gdal, ogr
from qgis.core import QgsCoordinateReferenceSystem, QgsPointXY

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
    found: dict[str, list[Candidate]] = {}
    with _opened(folder / CANDIDATES) as layer:
        names = layer.GetLayerDefn()
        lacking = [name for name in _FIELDS if names.GetFieldIndex(name) < 0]
        if lacking:
            raise ResultsError(f"{folder / CANDIDATES}: the layer of candidates lacks the field {lacking[0]}.")
        crs = _crs(layer)
        for feature in layer:
            candidate = _candidate(feature)
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


@contextmanager
def _opened(path: Path) -> Iterator[ogr.Layer]:
    """The layer of candidates, closed again; ResultsError where there is none."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        try:
            source = gdal.OpenEx(str(path), gdal.OF_VECTOR | gdal.OF_READONLY)
            layer = None if source is None else source.GetLayerByName(TABLE)
        except RuntimeError:  # where another plugin has asked GDAL for exceptions
            layer = None
        if layer is None:
            raise ResultsError(f"{path}: the candidates cannot be read.")
        yield layer
    finally:
        gdal.PopErrorHandler()


def _crs(layer: ogr.Layer) -> QgsCoordinateReferenceSystem:
    told = layer.GetSpatialRef()
    if told is None:
        return QgsCoordinateReferenceSystem()
    name, code = told.GetAuthorityName(None), told.GetAuthorityCode(None)
    if name and code:
        return QgsCoordinateReferenceSystem(f"{name}:{code}")
    return QgsCoordinateReferenceSystem.fromWkt(told.ExportToWkt())


def _candidate(feature: ogr.Feature) -> Candidate:
    place = feature.GetGeometryRef()
    return Candidate(
        photo=str(feature["photo"]),
        rank=int(feature["rank"]),
        score=float(feature["score"]),
        probability=float(feature["probability"]),
        radius_m=float(feature["radius_m"]),
        heading_deg=_heading(feature),
        lon=float(feature["lon"]),
        lat=float(feature["lat"]),
        point=QgsPointXY(place.GetX(), place.GetY()),
        fid=int(feature.GetFID()),
    )


def _heading(feature: ogr.Feature) -> float | None:
    """None where the field is empty, not there, or not a number."""
    if feature.GetFieldIndex("heading_deg") < 0:
        return None
    value = feature["heading_deg"]
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value) % 360

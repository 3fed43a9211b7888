"""What a search found: the candidates of each photo, read from ``candidates.gpkg`` and ``result.json``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsFeature, QgsPointXY, QgsVectorLayer

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

    Reads files: call it from a task where the folder may be far away. Raises ResultsError in one line.
    """
    folder = Path(folder)
    result = read_result(folder) if result is None else result
    if result.get("job") != "locate-search":
        raise ResultsError(f"{folder}: this is not the result of a search for photos.")
    layer = QgsVectorLayer(f"{folder / CANDIDATES}|layername={TABLE}", TABLE, "ogr")
    if not layer.isValid():
        raise ResultsError(f"{folder / CANDIDATES}: the candidates cannot be read.")
    lacking = [name for name in _FIELDS if layer.fields().lookupField(name) < 0]
    if lacking:
        raise ResultsError(f"{folder / CANDIDATES}: the layer of candidates lacks the field {lacking[0]}.")
    found: dict[str, list[Candidate]] = {}
    for feature in layer.getFeatures():
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
        crs=QgsCoordinateReferenceSystem(layer.crs()),
        index=str((inputs.get("index") or {}).get("path") or (result.get("parameters") or {}).get("index") or ""),
        method=str(figures.get("method") or ""),
        cells=int(figures.get("cells") or 0),
        answers=tuple(answers),
        skipped=tuple(str(one.get("why") or one.get("name") or one) for one in figures.get("skipped") or ()),
    )


def _candidate(feature: QgsFeature) -> Candidate:
    return Candidate(
        photo=str(feature["photo"]),
        rank=int(feature["rank"]),
        score=float(feature["score"]),
        probability=float(feature["probability"]),
        radius_m=float(feature["radius_m"]),
        heading_deg=_heading(feature),
        lon=float(feature["lon"]),
        lat=float(feature["lat"]),
        point=QgsPointXY(feature.geometry().asPoint()),
        fid=int(feature.id()),
    )


def _heading(feature: QgsFeature) -> float | None:
    """None where the field is NULL (a QVariant in Qt 5, None in Qt 6), not there, or not a number."""
    if feature.fields().lookupField("heading_deg") < 0:
        return None
    value = feature["heading_deg"]
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value) % 360

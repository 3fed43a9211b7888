"""The points of an accuracy sample: walked through and labelled one by one, each label on the disk at once.

Of ``design.json`` beside the points only the map's file and the classes are read: what the map says at a point stays
unknown to whoever labels it.
"""

from __future__ import annotations

import getpass
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from qgis.core import NULL, QgsCoordinateReferenceSystem, QgsFeatureRequest, QgsPointXY, QgsVectorLayer

from .legends import LegendClass

POINTS, DESIGN, TABLE = "points.gpkg", "design.json", "points"
FIELDS = ("point_id", "label", "confident", "note", "labelled_by", "labelled_at")


class SampleError(Exception):
    """A sample that cannot be labelled; the message names the file."""


@dataclass
class SamplePoint:
    """A point: feature id, number, place (in the layer's CRS), and what was answered; ``label`` None until then."""

    fid: int
    number: int
    place: QgsPointXY
    label: int | None
    confident: bool
    note: str


@dataclass(frozen=True)
class _Step:
    """What undo needs: where it was, and the point's answer before."""

    index: int
    label: int | None
    confident: bool
    note: str
    labelled_by: Any
    labelled_at: Any


class Sample:
    """Points in the order of their numbers, which is random. :attr:`index` is the point in front."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            self.path = self.path / POINTS
        if not self.path.is_file():
            raise SampleError(f"{self.path}: the sample does not exist. Draw one first, or choose its points.gpkg.")
        self._layer = QgsVectorLayer(f"{self.path}|layername={TABLE}", "points", "ogr")
        if not self._layer.isValid():
            raise SampleError(f"{self.path}: there is no layer 'points' in it. Choose the points.gpkg of a sample.")
        self._at = {name: self._layer.fields().lookupField(name) for name in FIELDS}
        missing = [name for name in ("point_id", "label") if self._at[name] < 0]
        if missing:
            raise SampleError(f"{self.path}: the points have no field {' and '.join(missing)}: this is no sample.")
        self.points = self._read()
        if not self.points:
            raise SampleError(f"{self.path}: there are no points in it.")
        self.index = 0
        self._steps: list[_Step] = []
        self._design = self._read_design()
        self.go_on()

    # what there is

    @property
    def crs(self) -> QgsCoordinateReferenceSystem:
        """CRS of the points."""
        return self._layer.crs()

    @property
    def point(self) -> SamplePoint:
        """The point in front."""
        return self.points[self.index]

    @property
    def labelled(self) -> int:
        """How many points have a label."""
        return sum(point.label is not None for point in self.points)

    @property
    def complete(self) -> bool:
        """Whether every point has a label."""
        return self.labelled == len(self.points)

    @property
    def map_path(self) -> str:
        """File of the map that the sample was drawn for; empty where it is not known."""
        return str((self._design.get("map") or {}).get("path") or "")

    def classes(self) -> list[LegendClass]:
        """The classes that may be answered, all of the legend and not only those that occur; empty if not known."""
        try:
            return [
                LegendClass(int(c["code"]), str(c["name"]), str(c["color"]), str(c.get("definition") or ""))
                for c in self._design.get("classes") or ()
            ]
        except (KeyError, TypeError, ValueError, AttributeError):
            return []

    @property
    def can_undo(self) -> bool:
        """Whether an answer of this session can be taken back."""
        return bool(self._steps)

    # walking

    def go_on(self) -> None:
        """To the next point without a label, after the last to the first; stays where all have one."""
        count = len(self.points)
        for step in range(count):
            index = (self.index + step) % count
            if self.points[index].label is None:
                self.index = index
                return

    def skip(self) -> None:
        """Leave the point for later: to the next without a label, or the next at all."""
        self.index = (self.index + 1) % len(self.points)
        self.go_on()

    def back(self) -> None:
        """To the point before, labelled or not."""
        self.index = (self.index - 1) % len(self.points)

    def forward(self) -> None:
        """To the point after, labelled or not."""
        self.index = (self.index + 1) % len(self.points)

    # answering

    def answer(self, label: int, *, confident: bool, note: str) -> None:
        """Label the point in front and save it; raises SampleError where the file cannot be written."""
        point = self.point
        before = self._stored(point.fid)
        step = _Step(self.index, point.label, point.confident, point.note, before["labelled_by"], before["labelled_at"])
        moment = datetime.now(timezone.utc).replace(microsecond=0).isoformat()
        self._write(point, label, confident, note, _user(), moment)
        self._steps.append(step)

    def undo(self) -> None:
        """Take the last answer of this session back and go to its point."""
        if self._steps:
            step = self._steps.pop()
            self.index = step.index
            self._write(self.point, step.label, step.confident, step.note, step.labelled_by, step.labelled_at)

    def _write(self, point: SamplePoint, label: int | None, confident: bool, note: str, who: Any, when: Any) -> None:
        values = {
            "label": label if label is not None else NULL,
            "confident": self._truth(confident) if label is not None else NULL,
            "note": note or NULL,
            "labelled_by": who,
            "labelled_at": when,
        }
        changes = {self._at[name]: value for name, value in values.items() if self._at[name] >= 0}
        if not self._layer.dataProvider().changeAttributeValues({point.fid: changes}):
            told = "; ".join(self._layer.dataProvider().errors())
            self._layer.dataProvider().clearErrors()
            raise SampleError(
                f"{self.path}: the label cannot be written ({told or 'the file is locked'}). End its editing elsewhere."
            )
        point.label, point.confident, point.note = label, confident, note

    def _truth(self, value: bool) -> Any:
        field = self._layer.fields()[self._at["confident"]] if self._at["confident"] >= 0 else None
        return value if field is not None and field.typeName().lower() == "boolean" else int(value)

    def _stored(self, fid: int) -> dict[str, Any]:
        feature = self._layer.getFeature(fid)
        return {
            name: feature.attribute(at) if at >= 0 else NULL
            for name, at in self._at.items()
            if name in ("labelled_by", "labelled_at")
        }

    def _read(self) -> list[SamplePoint]:
        points = []
        for feature in self._layer.getFeatures(QgsFeatureRequest()):
            if not feature.hasGeometry():
                continue
            values = {name: _value(feature, at) for name, at in self._at.items()}
            sure = values["confident"]
            points.append(
                SamplePoint(
                    fid=feature.id(),
                    number=int(values["point_id"] if values["point_id"] is not None else feature.id()),
                    place=feature.geometry().asPoint(),
                    label=int(values["label"]) if values["label"] is not None else None,
                    confident=True if sure is None else bool(sure),
                    note=str(values["note"] or ""),
                )
            )
        return sorted(points, key=lambda point: point.number)

    def _read_design(self) -> dict[str, Any]:
        try:
            design = json.loads((self.path.parent / DESIGN).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(design, dict):
            return {}
        return {name: design.get(name) for name in ("map", "classes")}  # strata and map classes are not for labellers


def _value(feature, at: int) -> Any:
    value = feature.attribute(at) if at >= 0 else None
    return None if value == NULL else value


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such thing as a user here
        return ""

"""Accepted places of photos: a GeoPackage with a point a photo, and how it came about; refused candidates beside it."""

from __future__ import annotations

import getpass
import os
import uuid
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QMetaType, QVariant

from ..compat import scoped
from .located_style import style_located

BY_HAND = "by hand"
FILE, TABLE, REFUSED = "located_photos.gpkg", "located", "refused"
_TEXT = scoped((QVariant, "Type.String"), (QMetaType, "Type.QString"))  # Qt 5, Qt 6
_REAL = scoped((QVariant, "Type.Double"), (QMetaType, "Type.Double"))
_WHOLE = scoped((QVariant, "Type.Int"), (QMetaType, "Type.Int"))
_POINT = scoped((QgsWkbTypes, "Type.Point"), (QgsWkbTypes, "Point"))


class LocatedError(Exception):
    """The file of accepted places cannot be read or written; one line that names it."""


@dataclass(frozen=True)
class LocatedPhoto:
    """Where a photo was taken, as a person accepted it.

    ``photo``: its file's name, ``path`` and ``sha256`` ("" where not known) the file. ``lon``, ``lat`` degrees
    (EPSG:4326); ``heading_deg`` of the photo's middle, clockwise from true north, None where nobody knows. ``how``: in
    words, ``candidate 2`` or :data:`BY_HAND`; ``rank`` of the candidate, or that which the place would have.
    ``score`` in standard deviations and ``probability`` (0..1) within ``radius_m``, as the engine told them; None where
    it told none. ``index``, ``method``, ``imagery``, ``imagery_date``: what it was compared with; ``result``: folder of
    the search; ``reviewer`` and ``decided_at`` (ISO 8601, UTC).
    """

    photo: str
    path: str
    sha256: str
    lon: float
    lat: float
    heading_deg: float | None
    how: str
    rank: int | None
    score: float | None
    probability: float | None
    radius_m: float | None
    index: str
    method: str
    imagery: str
    imagery_date: str
    result: str
    reviewer: str
    decided_at: str
    note: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether a person proposed the place; ``rank`` is then that which it would have among the candidates."""
        return self.how.startswith(BY_HAND)


_KINDS = {"lon": _REAL, "lat": _REAL, "heading_deg": _REAL, "score": _REAL, "probability": _REAL, "radius_m": _REAL,
          "rank": _WHOLE}  # fmt: skip
FIELDS = tuple((field.name, _KINDS.get(field.name, _TEXT)) for field in fields(LocatedPhoto))


class LocatedPhotos:
    """The GeoPackage at ``path``, made when the first place is accepted or refused. Every decision is on the disk at
    once."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def exists(self) -> bool:
        """Whether anything was decided yet."""
        return self.path.is_file()

    def places(self) -> list[LocatedPhoto]:
        """The accepted places in the order they were accepted; raises LocatedError for a file that is another."""
        return self._rows(TABLE)

    def refused(self) -> list[LocatedPhoto]:
        """The candidates that were refused."""
        return self._rows(REFUSED)

    def accept(self, place: LocatedPhoto) -> None:
        """Keep a place; an earlier one of the same photo (of the same file or path) is replaced. Raises
        LocatedError."""
        self._make()
        layer = self._open(TABLE)
        earlier = [fid for fid, one in _read(layer) if _same_photo(one, place)]
        self._add(layer, place)
        if earlier and not layer.dataProvider().deleteFeatures(earlier):
            raise LocatedError(f"{self.path}: the earlier place of {place.photo} cannot be removed{_told(layer)}.")

    def refuse(self, place: LocatedPhoto) -> None:
        """Note a candidate that a person refused; a place that was accepted there is withdrawn."""
        self._make()
        accepted = self._open(TABLE)
        gone = [fid for fid, one in _read(accepted) if _same_photo(one, place) and _same_place(one, place)]
        layer = self._open(REFUSED)
        if not any(_same_photo(one, place) and _same_place(one, place) for _, one in _read(layer)):
            self._add(layer, place)
        if gone and not accepted.dataProvider().deleteFeatures(gone):
            raise LocatedError(f"{self.path}: the place of {place.photo} cannot be withdrawn{_told(accepted)}.")

    def layer(self) -> QgsVectorLayer:
        """The layer of accepted places, dressed and in no project; raises LocatedError."""
        layer = self._open(TABLE)
        layer.setName("Located photos")
        style_located(layer)
        return layer

    def show(self, layer: QgsVectorLayer | None = None, project: QgsProject | None = None) -> QgsVectorLayer:
        """The layer in the project: that which is there, else ``layer`` (opened now if it is not given), on top.
        Raises LocatedError."""
        project = project or QgsProject.instance()
        there = self.shown(project)
        if there is not None:
            return there
        layer = layer or self.layer()
        project.addMapLayer(layer, False)
        project.layerTreeRoot().insertLayer(0, layer)
        return layer

    def shown(self, project: QgsProject | None = None) -> QgsVectorLayer | None:
        """The layer of accepted places in the project, if it is there."""
        wanted = os.path.normcase(self.path.absolute())
        for layer in (project or QgsProject.instance()).mapLayers().values():
            source, _, table = layer.source().partition("|layername=")
            if table.split("|")[0] == TABLE and os.path.normcase(Path(source).absolute()) == wanted:
                return layer
        return None

    def refresh(self, project: QgsProject | None = None) -> None:
        """Draw the layer in the project anew after a decision."""
        layer = self.shown(project)
        if layer is not None:
            layer.dataProvider().reloadData()
            layer.updateExtents()
            layer.triggerRepaint()

    def _rows(self, table: str) -> list[LocatedPhoto]:
        return [one for _, one in _read(self._open(table))] if self.exists else []

    def _open(self, table: str) -> QgsVectorLayer:
        layer = QgsVectorLayer(f"{self.path}|layername={table}", table, "ogr")
        if not layer.isValid() or any(layer.fields().lookupField(name) < 0 for name, _ in FIELDS[:6]):
            raise LocatedError(
                f"{self.path}: this is no file of located photos (it has no table '{table}'). Choose another file."
            )
        return layer

    def _add(self, layer: QgsVectorLayer, place: LocatedPhoto) -> None:
        feature = QgsFeature(layer.fields())
        for name, _ in FIELDS:
            value = getattr(place, name)
            if layer.fields().lookupField(name) >= 0:
                feature[name] = NULL if value is None else value
        feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(place.lon, place.lat)))
        good, _ = layer.dataProvider().addFeatures([feature])
        if not good:
            raise LocatedError(
                f"{self.path}: the place of {place.photo} cannot be written{_told(layer)}. End its editing elsewhere."
            )

    def _make(self) -> None:
        """Make the file with both tables, aside and then in place."""
        if self.exists:
            return
        partial = self.path.with_name(f".{self.path.stem}.partial-{uuid.uuid4().hex[:8]}.gpkg")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for table in (TABLE, REFUSED):
                self._write_table(partial, table)
            partial.replace(self.path)
        except OSError as error:
            raise LocatedError(f"{self.path}: the file cannot be made ({error.strerror or error}).") from error
        finally:
            with suppress(OSError):
                partial.unlink()
        self.layer().saveStyleToDatabase("default", "SameScene", True, "")

    def _write_table(self, path: Path, table: str) -> None:
        columns = QgsFields()
        for name, kind in FIELDS:
            columns.append(QgsField(name, kind))
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName, options.layerName, options.fileEncoding = "GPKG", table, "UTF-8"
        if path.exists():
            options.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
        crs = QgsCoordinateReferenceSystem("EPSG:4326")
        context = QgsCoordinateTransformContext()
        writer = QgsVectorFileWriter.create(str(path), columns, _POINT, crs, context, options)
        fault = writer.errorMessage() if writer.hasError() else ""
        del writer  # closes the file
        if fault:
            raise LocatedError(f"{self.path}: the file cannot be made ({' '.join(fault.split())}).")


def reviewer() -> str:
    """Who is signed in here; empty where the system does not tell."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such thing as a user here
        return ""


def now() -> str:
    """The moment, ISO 8601 in UTC."""
    return datetime.now(timezone.utc).replace(microsecond=0).isoformat()


def _read(layer: QgsVectorLayer) -> list[tuple[int, LocatedPhoto]]:
    return [(feature.id(), _place(feature)) for feature in layer.getFeatures()]


def _place(feature: QgsFeature) -> LocatedPhoto:
    values: dict[str, Any] = {}
    for name, kind in FIELDS:
        at = feature.fields().lookupField(name)
        value = feature.attribute(at) if at >= 0 else None
        if value is None or value == NULL:
            value = "" if kind == _TEXT else None
        values[name] = value
    return LocatedPhoto(**values)


def _same_photo(one: LocatedPhoto, other: LocatedPhoto) -> bool:
    if one.sha256 and other.sha256:
        return one.sha256 == other.sha256
    return os.path.normcase(one.path) == os.path.normcase(other.path)


def _same_place(one: LocatedPhoto, other: LocatedPhoto) -> bool:
    return abs(one.lon - other.lon) < 1e-7 and abs(one.lat - other.lat) < 1e-7


def _told(layer: QgsVectorLayer) -> str:
    errors = "; ".join(layer.dataProvider().errors())
    layer.dataProvider().clearErrors()
    return f" ({errors})" if errors else ""

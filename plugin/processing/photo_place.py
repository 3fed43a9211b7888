"""The Processing algorithm ``samescene:photo_place``: ``engine photos place`` with places from the map or a layer."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qgis.core import (
    NULL,
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProcessingOutputLayerDefinition,
    QgsWkbTypes,
)

from ..compat import scoped
from .engine_algorithm import EngineAlgorithm
from .layer_files import LayerFault
from .photos_parameters import place_outputs, place_parameters
from .preparation import Preparation, PreparedRun
from .texts import photo_place_help

_POINT = scoped((Qgis, "GeometryType.Point"), (QgsWkbTypes, "GeometryType.PointGeometry"))
_USUAL = {
    "PHOTO_FIELD": ("path", "photo"),
    "HEADING_FIELD": ("heading_deg", "direction"),
    "ACCURACY_FIELD": ("accuracy_m", "radius_m"),
}
"""Fields that are taken where none is named: those of located photos, of candidates, of photos imported by QGIS."""
_COLUMNS = ("photo", "lon", "lat", "heading_deg", "accuracy_m")


class PhotoPlacePreparation(Preparation):
    """The request of ``engine photos place``."""

    what = {"PLACES": "Places"}  # noqa: RUF012 - read only

    def prepare(self) -> PreparedRun:
        """Raises LayerFault where a place has no image in degrees, or a feature names no file."""
        if self.given("PLACES"):
            table, count = self._table()
            return PreparedRun({"table": table, **self.destination()}, f"Places into {count} copies", self.notes)
        photo = Path(self.text("PHOTO")).absolute()
        lon, lat = self._position()
        params: dict[str, Any] = {"photo": str(photo), "lon": lon, "lat": lat}
        params.update(self.options("HEADING", "ACCURACY"))
        params.update(self.destination())
        return PreparedRun(params, f"Place into a copy – {photo.name}", self.notes)

    def field(self, name: str, fields) -> str:
        """The field that a parameter means: the one named, else a usual one; empty where there is none."""
        named = self.text(name)
        return named or next((usual for usual in _USUAL[name] if fields.lookupField(usual) >= 0), "")

    def source(self):
        """The layer of places as a feature source; None where it cannot be opened."""
        return self.algorithm.parameterAsSource(self.parameters, "PLACES", self.context)

    def _position(self) -> tuple[float, float]:
        point = self.algorithm.parameterAsPoint(self.parameters, "POSITION", self.context)
        crs = self.algorithm.parameterAsPointCrs(self.parameters, "POSITION", self.context)
        if not crs.isValid():
            raise LayerFault("Position: it has no CRS; write it as 'x,y [EPSG:code]'.")
        return self._degrees(point, self._to_degrees(crs), "Position")

    def _to_degrees(self, crs: QgsCoordinateReferenceSystem) -> QgsCoordinateTransform:
        return QgsCoordinateTransform(crs, QgsCoordinateReferenceSystem("EPSG:4326"), self.context.transformContext())

    def _degrees(self, point: QgsPointXY, transform: QgsCoordinateTransform, what: str) -> tuple[float, float]:
        try:
            found = transform.transform(point)
        except QgsCsException as error:
            raise LayerFault(f"{what}: it cannot be transformed to degrees ({error}).") from error
        if not (abs(found.x()) <= 180 and abs(found.y()) <= 90):
            raise LayerFault(f"{what}: {found.x():g}, {found.y():g} is no longitude and latitude.")
        return round(found.x(), 9), round(found.y(), 9)

    def _table(self) -> tuple[str, int]:
        """The places as a table for the engine, and how many there are."""
        source = self.source()
        if source is None:
            raise LayerFault("Places: the layer or file cannot be opened as points.")
        fields = source.fields()
        photo, heading, accuracy = (self.field(name, fields) for name in _USUAL)
        transform = self._to_degrees(source.sourceCrs())
        path = self.temp("places.csv")
        count = 0
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for feature in source.getFeatures():
                what = f"Places: feature {feature.id()}"
                name = feature[photo]
                if name == NULL or not str(name).strip() or not feature.hasGeometry():
                    raise LayerFault(f"{what} has no point, or no file in '{photo}'. Fill it in, or select others.")
                point = next(feature.geometry().vertices())
                lon, lat = self._degrees(QgsPointXY(point), transform, what)
                told = [_number(feature[field]) if field else "" for field in (heading, accuracy)]
                writer.writerow([str(Path(str(name)).absolute()), repr(lon), repr(lat), *told])
                count += 1
        if count == 0:
            raise LayerFault(f"Places: the layer '{source.sourceName()}' has no features to use. Select or add some.")
        return path, count


def _number(value: Any) -> str:
    """A number as the table has it; empty where there is none."""
    try:
        found = math.nan if value is None or value == NULL else float(value)
    except (TypeError, ValueError):
        found = math.nan
    return repr(found) if math.isfinite(found) else ""


def photo_place_faults(look: PhotoPlacePreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first."""
    if look.given("PLACES"):
        yield from _places_faults(look)
    elif not look.given("PHOTO"):
        yield "Photo: none is chosen. Choose a JPEG photo with its position, or a layer of places."
    else:
        if not Path(look.text("PHOTO")).is_file():
            yield f"Photo: {look.text('PHOTO')} does not exist. Choose it again."
        if not look.given("POSITION"):
            yield "Position: none is given. Write it as 'x,y [EPSG:code]', or click on the map."
    value = look.parameters.get("OUTPUT")
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue()
    if isinstance(value, str) and Path(value).is_file():
        yield f"Results folder: {value} is a file. Choose a folder."


def _places_faults(look: PhotoPlacePreparation) -> Iterator[str]:
    if look.given("PHOTO") or look.given("POSITION") or look.given("HEADING") or look.given("ACCURACY"):
        yield "Places: a layer and one photo are both given. Give one of them."
    source = look.source()
    if source is None:
        yield "Places: the layer or file cannot be opened as points."
        return
    if QgsWkbTypes.geometryType(source.wkbType()) != _POINT:
        yield f"Places: the layer '{source.sourceName()}' has no points. Choose a point layer."
    elif not source.sourceCrs().isValid():
        yield f"Places: the layer '{source.sourceName()}' has no CRS. Set it in the layer's properties."
    fields = source.fields()
    listed = ", ".join(fields.names()) or "none"
    for name in _USUAL:
        named = look.text(name)
        if named and fields.lookupField(named) < 0:
            yield f"Places: the layer has no field '{named}'; found: {listed}."
    if not look.field("PHOTO_FIELD", fields):
        yield f"Field of the file: the layer has no field 'path' or 'photo'; found: {listed}. Choose the field."


class PhotoPlaceAlgorithm(EngineAlgorithm):
    """Position and heading into the metadata of copies; originals stay as they are."""

    job = "photo-place"
    icon_name = "photo-place"

    def name(self):
        return "photo_place"

    def displayName(self):
        return self.tr("Write places into copies of photos")

    def group(self):
        return self.tr("Locate photos")

    def groupId(self):
        return "locate"

    def tags(self):
        return self.tr("photo,panorama,exif,gpano,geotag,write,position,heading,samescene").split(",")

    def shortDescription(self):
        return self.tr("Position and heading into the EXIF and GPano of copies; pixels and originals stay untouched.")

    def shortHelpString(self):
        return photo_place_help(self.tr)

    def definitions(self):
        return place_parameters(self.tr)

    def output_definitions(self):
        return place_outputs(self.tr)

    def faults(self, parameters, context):
        return photo_place_faults(PhotoPlacePreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return PhotoPlacePreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        written = figures.get("written") or []
        return {
            **({"COPY": written[0]["copy"]} if written else {}),
            "WRITTEN": len(written),
            "SKIPPED": len(figures.get("skipped") or []),
        }

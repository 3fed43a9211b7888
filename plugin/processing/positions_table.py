"""Known positions of photos from a layer, as the table that the engine reads: photo, lon, lat, heading_deg."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeature,
    QgsProcessingFeatureSource,
)

from .layer_files import LayerFault
from .preparation import Preparation

_PHOTO = ("photo", "panorama", "filename", "path")
_HEADING = ("heading_deg", "direction", "heading")
_LON, _LAT = ("lon", "longitude"), ("lat", "latitude")


def positions_file(look: Preparation, name: str) -> str:
    """The table that the engine is given for a parameter: the file where it is one, else one that is written. Raises
    LayerFault."""
    value, what = look.parameters[name], look.what[name]
    if isinstance(value, str) and value.lower().endswith(".csv") and Path(value).is_file():
        return str(Path(value).absolute())
    source = look.algorithm.parameterAsSource(look.parameters, name, look.context)
    if source is None:
        raise LayerFault(f"{what}: the layer or file cannot be opened. Choose a layer, or a CSV table.")
    path = look.temp("positions.csv")
    count = write_positions(source, path, what=what, transforms=look.context.transformContext())
    look.note("info", f"{what}: '{source.sourceName()}': the places of {count} photos are handed over as {path}.")
    return path


def write_positions(
    source: QgsProcessingFeatureSource, path: str, *, what: str, transforms: QgsCoordinateTransformContext
) -> int:
    """Write the table; the answer is how many photos it has.

    The place is the feature's point, in degrees, else its fields ``lon`` and ``lat``; the photo the field ``photo``
    (``panorama``, ``filename``), the heading ``heading_deg`` (``direction``), in degrees from true north. Features
    without a photo or a place are left out. Raises LayerFault for a layer without such fields, or none to use.
    """
    fields = {field.name().casefold(): field.name() for field in source.fields()}
    photo, heading, lon, lat = (
        next((fields[name] for name in names if name in fields), None) for names in (_PHOTO, _HEADING, _LON, _LAT)
    )
    if photo is None:
        listed = ", ".join(source.fields().names()) or "none"
        raise LayerFault(f"{what}: the layer has no field photo or filename; it has {listed}.")
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    crs = source.sourceCrs() if source.sourceCrs().isValid() else degrees
    transform = QgsCoordinateTransform(crs, degrees, transforms)
    rows = []
    for feature in source.getFeatures():
        name = _text(feature[photo])
        place = _place(feature, transform) or _written(feature, lon, lat)
        if name and place is not None:
            direction = _number(feature[heading]) if heading else None
            rows.append(
                [_file_name(name), repr(place[0]), repr(place[1]), "" if direction is None else repr(direction)]
            )
    if not rows:
        raise LayerFault(f"{what}: the layer '{source.sourceName()}' tells the position of no photo.")
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["photo", "lon", "lat", "heading_deg"], *rows])
    return len(rows)


def _place(feature: QgsFeature, transform: QgsCoordinateTransform) -> tuple[float, float] | None:
    geometry = feature.geometry()
    if geometry.isNull() or geometry.isEmpty():
        return None
    try:
        point = transform.transform(geometry.pointOnSurface().asPoint())
    except QgsCsException:
        return None
    return point.x(), point.y()


def _written(feature: QgsFeature, lon: str | None, lat: str | None) -> tuple[float, float] | None:
    if lon is None or lat is None:
        return None
    x, y = _number(feature[lon]), _number(feature[lat])
    return None if x is None or y is None else (x, y)


def _text(value: Any) -> str:
    return "" if value is None or str(value) == "NULL" else str(value).strip()


def _number(value: Any) -> float | None:
    try:
        number = float(_text(value))
    except ValueError:
        return None
    return number if number == number else None


def _file_name(text: str) -> str:
    return text.replace("\\", "/").rsplit("/", 1)[-1]

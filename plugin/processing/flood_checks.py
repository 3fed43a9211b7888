"""What can be told to be wrong with a flood run before it starts, from what QGIS knows; one line a fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsRasterLayer,
    QgsRectangle,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QDateTime, Qt

from ..compat import scoped
from .flood_parameters import RASTERS
from .flood_request import WHAT, FloodPreparation, is_address, is_given
from .layer_files import raster_fault

_POLYGON = scoped((Qgis, "GeometryType.Polygon"), (QgsWkbTypes, "GeometryType.PolygonGeometry"))
BANDS_PATTERN = re.compile(r"^(VV|VH|B\d\d?|B8A|B08A)\s*=\s*([1-9]\d*)$", re.IGNORECASE)


def flood_faults(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> Iterator[str]:
    """The faults of ``parameters``, most telling first. Opens layers but reads no pixels."""
    look = FloodPreparation(algorithm, parameters, context)
    layers: dict[str, QgsRasterLayer] = {}
    for name in RASTERS:
        if not is_given(parameters, name) or is_address(parameters[name]):
            continue
        layer = look.raster_layer(name)
        fault = raster_fault(layer, what=WHAT[name])
        if fault:
            yield fault
        elif layer is not None:
            layers[name] = layer
            if not layer.crs().isValid():
                yield (
                    f"{WHAT[name]}: the layer '{layer.name()}' has no CRS. Set it in the layer's properties, "
                    "or georeference the file."
                )
    post = layers.get("POST")
    for name, layer in layers.items():
        if post is not None and name != "POST" and not _meet(post, layer.extent(), layer.crs(), context):
            yield (
                f"{WHAT[name]}: '{layer.name()}' ({_crs_name(layer.crs())}) does not overlap the scene '{post.name()}' "
                f"({_crs_name(post.crs())}). Choose one of the same place, or correct its CRS."
            )
    if post is not None and layers.get("BEFORE") is not None and post.source() == layers["BEFORE"].source():
        yield "Scene before: it is the same file as the scene after. Choose a scene from before the event."
    yield from _area_faults(algorithm, parameters, context, look, post)
    yield from _option_faults(algorithm, parameters, context, post)
    yield from _folder_faults(algorithm, parameters, context)


def _area_faults(algorithm, parameters, context, look: FloodPreparation, post) -> Iterator[str]:
    has_extent, has_layer = is_given(parameters, "AOI_EXTENT"), is_given(parameters, "AOI_LAYER")
    if has_extent and has_layer:
        yield "Area of interest: an extent and polygons are both given. Give one of them."
    if has_extent:
        rectangle, crs = look.extent(post)
        if rectangle.isEmpty():
            yield "Area of interest: the extent is empty."
        elif crs.isValid() and post is not None and not _meet(post, rectangle, crs, context):
            yield f"Area of interest: the extent lies outside the scene '{post.name()}'."
    for name in ("AOI_LAYER", "ZONES"):
        if not is_given(parameters, name):
            continue
        layer = algorithm.parameterAsVectorLayer(parameters, name, context)
        if layer is None:
            if algorithm.parameterAsSource(parameters, name, context) is None:
                yield f"{WHAT[name]}: the layer or file cannot be opened as polygons."
            continue
        if layer.geometryType() != _POLYGON:
            yield f"{WHAT[name]}: the layer '{layer.name()}' has no polygons. Choose a polygon layer."
        elif not layer.crs().isValid():
            yield f"{WHAT[name]}: the layer '{layer.name()}' has no CRS. Set it in the layer's properties."
        elif name == "AOI_LAYER" and post is not None and not _meet(post, layer.extent(), layer.crs(), context):
            yield f"{WHAT[name]}: the layer '{layer.name()}' lies outside the scene '{post.name()}'."
    field = algorithm.parameterAsString(parameters, "ZONE_FIELD", context)
    if field and not is_given(parameters, "ZONES"):
        yield f"Zone field: '{field}' is given without zones. Choose the zones, or clear the field."
    elif field:
        source = algorithm.parameterAsSource(parameters, "ZONES", context)
        if source is not None and source.fields().lookupField(field) < 0:
            listed = ", ".join(source.fields().names()) or "none"
            yield f"Zone field: the zones have no field '{field}'; found: {listed}."


def _option_faults(algorithm, parameters, context, post: QgsRasterLayer | None) -> Iterator[str]:
    bands = algorithm.parameterAsString(parameters, "BANDS", context).strip()
    if bands:
        matches = [BANDS_PATTERN.match(part.strip()) for part in bands.split(",")]
        if not all(matches) or len({m[1].upper() for m in matches if m}) != len(matches):
            yield f"Band numbers: '{bands}' is not understood. Write for example VV=1,VH=2."
        elif post is not None and any(int(m[2]) > post.bandCount() for m in matches if m):
            yield f"Band numbers: '{bands}', but the scene '{post.name()}' has {post.bandCount()} band(s)."
    moment = algorithm.parameterAsString(parameters, "OBSERVED_AT", context).strip()
    if moment and not QDateTime.fromString(moment, Qt.DateFormat.ISODate).isValid():
        yield f"Acquisition time: '{moment}' is not ISO 8601. Write for example 2021-07-16T05:42:00Z."
    folder = algorithm.parameterAsString(parameters, "MODEL_FOLDER", context).strip()
    method = algorithm.parameterAsString(parameters, "METHOD", context).strip()
    if folder and method not in ("", "auto"):
        yield f"Method: both '{method}' and a model folder are given. Set the method to auto, or clear the folder."
    if folder and not (Path(folder) / "card.json").is_file():
        yield f"Model folder: {folder} is no model bundle, it has no card.json."


def _folder_faults(algorithm, parameters, context) -> Iterator[str]:
    value = parameters.get("OUTPUT")
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue()
    if not isinstance(value, str) or value in ("", "TEMPORARY_OUTPUT"):
        return
    folder = Path(value)
    if folder.is_file():
        yield f"Results folder: {folder} is a file. Choose a folder."
    elif folder.is_dir() and any(folder.iterdir()) and not algorithm.parameterAsBool(parameters, "OVERWRITE", context):
        yield (
            f"Results folder: {folder} is not empty. Choose another folder, or tick 'Replace results in the folder' "
            "under the advanced parameters."
        )


def _meet(
    post: QgsRasterLayer, rectangle: QgsRectangle, crs: QgsCoordinateReferenceSystem, context: QgsProcessingContext
) -> bool:
    """Whether the rectangle touches the scene; true also where that cannot be told (the engine will)."""
    if not post.crs().isValid() or not crs.isValid() or rectangle.isEmpty():
        return True
    transform = QgsCoordinateTransform(crs, post.crs(), context.transformContext())
    transform.setBallparkTransformsAreAppropriate(True)
    try:
        return transform.transformBoundingBox(rectangle).intersects(post.extent())
    except QgsCsException:
        return True


def _crs_name(crs: QgsCoordinateReferenceSystem) -> str:
    return crs.authid() or crs.description() or "no CRS"

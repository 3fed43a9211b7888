"""Checks that several algorithms make before a run, from what QGIS knows; one line a fault."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsRasterLayer,
    QgsRectangle,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QDateTime, Qt

from ..compat import scoped
from .definitions import legend_names
from .layer_files import raster_fault
from .preparation import Preparation

_POLYGON = scoped((Qgis, "GeometryType.Polygon"), (QgsWkbTypes, "GeometryType.PolygonGeometry"))
BANDS_PATTERN = re.compile(r"^(VV|VH|B\d\d?|B8A|B08A)\s*=\s*([1-9]\d*)$", re.IGNORECASE)


def raster_layer_fault(layer: QgsRasterLayer | None, *, what: str) -> Iterator[str]:
    """Not a raster of values, or without a CRS."""
    fault = raster_fault(layer, what=what)
    if fault:
        yield fault
    elif layer is not None and not layer.crs().isValid():
        yield (
            f"{what}: the layer '{layer.name()}' has no CRS. Set it in the layer's properties, or georeference the "
            "file."
        )


def overlap_fault(
    first: QgsRasterLayer, other: QgsRasterLayer, *, what: str, scene: str, context: QgsProcessingContext
) -> Iterator[str]:
    """``other`` lies elsewhere than ``first``, which is called ``scene``."""
    if not meet(first, other.extent(), other.crs(), context):
        yield (
            f"{what}: '{other.name()}' ({crs_name(other.crs())}) does not overlap {scene} '{first.name()}' "
            f"({crs_name(first.crs())}). Choose one of the same place, or correct its CRS."
        )


def area_faults(look: Preparation, scene: QgsRasterLayer | None, *, called: str = "the scene") -> Iterator[str]:
    """Faults of the extent and the polygons that say where."""
    what = look.what[look.extent_name]
    if look.given(look.extent_name) and look.given(look.polygons_name):
        yield f"{what}: an extent and polygons are both given. Give one of them."
    if look.given(look.extent_name):
        rectangle, crs = look.extent(scene)
        if rectangle.isEmpty():
            yield f"{what}: the extent is empty."
        elif crs.isValid() and scene is not None and not meet(scene, rectangle, crs, look.context):
            yield f"{what}: the extent lies outside {called} '{scene.name()}'."
    yield from polygon_faults(look, look.polygons_name, scene, called=called)


def zone_faults(look: Preparation) -> Iterator[str]:
    """Faults of ZONES and ZONE_FIELD."""
    yield from polygon_faults(look, "ZONES", None)
    field = look.text("ZONE_FIELD")
    if field and not look.given("ZONES"):
        yield f"Zone field: '{field}' is given without zones. Choose the zones, or clear the field."
    elif field:
        source = look.algorithm.parameterAsSource(look.parameters, "ZONES", look.context)
        if source is not None and source.fields().lookupField(field) < 0:
            listed = ", ".join(source.fields().names()) or "none"
            yield f"Zone field: the zones have no field '{field}'; found: {listed}."


def polygon_faults(
    look: Preparation, name: str, scene: QgsRasterLayer | None, *, called: str = "the scene"
) -> Iterator[str]:
    """Not polygons, without a CRS, or (where a scene is given) outside it."""
    if not look.given(name):
        return
    what = look.what[name]
    layer = look.vector_layer(name)
    if layer is None:
        if look.algorithm.parameterAsSource(look.parameters, name, look.context) is None:
            yield f"{what}: the layer or file cannot be opened as polygons."
        return
    if layer.geometryType() != _POLYGON:
        yield f"{what}: the layer '{layer.name()}' has no polygons. Choose a polygon layer."
    elif not layer.crs().isValid():
        yield f"{what}: the layer '{layer.name()}' has no CRS. Set it in the layer's properties."
    elif scene is not None and not meet(scene, layer.extent(), layer.crs(), look.context):
        yield f"{what}: the layer '{layer.name()}' lies outside {called} '{scene.name()}'."


def bands_fault(look: Preparation, scenes: Sequence[QgsRasterLayer], *, example: str) -> Iterator[str]:
    """BANDS that are not understood, or that no scene has."""
    bands = look.text("BANDS")
    if not bands:
        return
    matches = [BANDS_PATTERN.match(part.strip()) for part in bands.split(",")]
    if not all(matches) or len({m[1].upper() for m in matches if m}) != len(matches):
        yield f"Band numbers: '{bands}' is not understood. Write for example {example}."
        return
    most = max(scenes, key=lambda layer: layer.bandCount()) if scenes else None
    if most is not None and any(int(m[2]) > most.bandCount() for m in matches if m):
        yield f"Band numbers: '{bands}', but the scene '{most.name()}' has {most.bandCount()} band(s)."


def time_fault(look: Preparation) -> Iterator[str]:
    """OBSERVED_AT that is no time."""
    moment = look.text("OBSERVED_AT")
    if moment and not QDateTime.fromString(moment, Qt.DateFormat.ISODate).isValid():
        yield f"Acquisition time: '{moment}' is not ISO 8601. Write for example 2021-07-16T05:42:00Z."


def model_faults(look: Preparation, name: str, *, title: str, thing: str) -> Iterator[str]:
    """A model by name and a folder both, or a folder that holds none."""
    folder, chosen = look.text("MODEL_FOLDER"), look.text(name)
    if folder and chosen not in ("", "auto"):
        yield f"{title}: both '{chosen}' and a model folder are given. Set the {thing} to auto, or clear the folder."
    if folder and not (Path(folder) / "card.json").is_file():
        yield f"Model folder: {folder} is no model bundle, it has no card.json."


def folder_faults(look: Preparation) -> Iterator[str]:
    """OUTPUT that is a file, or not empty."""
    value = look.parameters.get("OUTPUT")
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink.staticValue()
    if not isinstance(value, str) or value in ("", "TEMPORARY_OUTPUT"):
        return
    folder = Path(value)
    if folder.is_file():
        yield f"Results folder: {folder} is a file. Choose a folder."
    elif folder.is_dir() and any(folder.iterdir()) and not look.flag("OVERWRITE"):
        yield (
            f"Results folder: {folder} is not empty. Choose another folder, or tick 'Replace results in the folder' "
            "under the advanced parameters."
        )


def meet(
    scene: QgsRasterLayer, rectangle: QgsRectangle, crs: QgsCoordinateReferenceSystem, context: QgsProcessingContext
) -> bool:
    """Whether the rectangle touches the scene; true also where that cannot be told (the engine will)."""
    if not scene.crs().isValid() or not crs.isValid() or rectangle.isEmpty():
        return True
    transform = QgsCoordinateTransform(crs, scene.crs(), context.transformContext())
    transform.setBallparkTransformsAreAppropriate(True)
    try:
        return transform.transformBoundingBox(rectangle).intersects(scene.extent())
    except QgsCsException:
        return True


def crs_name(crs: QgsCoordinateReferenceSystem) -> str:
    """How a CRS is called in a message."""
    return crs.authid() or crs.description() or "no CRS"


def legend_fault(look: Preparation) -> Iterator[str]:
    """LEGEND that is neither known nor a file, LEGEND_FILE that is absent, or both."""
    legend, file = look.text("LEGEND"), look.text("LEGEND_FILE")
    if legend and file:
        yield f"Legend: both '{legend}' and a file are given. Clear one of them."
    if file and not Path(file).is_file():
        yield f"Legend file: {file} does not exist."
    names = legend_names()
    if legend and legend not in names and not Path(legend).is_file():
        yield f"Legend: there is no legend '{legend}'. Choose {', '.join(names)}, or a JSON file."

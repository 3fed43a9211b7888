"""From the parameters of ``samescene:flood`` to the engine's request: layers to files, areas to polygons or degrees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsRectangle,
)

from .flood_parameters import RASTERS
from .layer_files import LayerFault, ignored_settings, raster_for_engine, vector_file, vector_needs_copy
from .polygons_file import copy_polygons, degrees_of, write_rectangle

WHAT = {
    "POST": "Scene after",
    "BEFORE": "Scene before",
    "S2": "Sentinel-2 image",
    "SCL": "Scene classification",
    "REFERENCE_WATER": "Reference water",
    "DEM": "Elevation",
    "HAND": "Height above drainage",
    "AOI_EXTENT": "Area of interest",
    "AOI_LAYER": "Area of interest",
    "ZONES": "Zones",
}
_OPTIONS = ("METHOD", "UNITS", "BANDS", "PROBABILITY", "MIN_AREA", "MAX_HAND", "MAX_SLOPE", "OBSERVED_AT", "DEVICE")


@dataclass(frozen=True)
class PreparedRun:
    """``params``: the engine's request, in its order; ``notes``: (level, line) for the log; ``title`` for the list."""

    params: dict[str, Any]
    title: str
    notes: list[tuple[str, str]] = field(default_factory=list)


def is_address(value: Any) -> bool:
    """Whether a raster parameter names a web address instead of a layer; the engine opens those itself."""
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def is_given(parameters: Mapping[str, Any], name: str) -> bool:
    """Whether an optional parameter has a value."""
    value = parameters.get(name)
    if isinstance(value, QgsRectangle):
        return not value.isNull()
    return value is not None and value != ""


class FloodPreparation:
    """Turns one set of parameters into a :class:`PreparedRun`; runs where the layers live (the main thread)."""

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> None:
        self._algorithm, self._parameters, self._context = algorithm, parameters, context
        self._notes: list[tuple[str, str]] = []

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        params: dict[str, Any] = {}
        for name in RASTERS:
            path = self._raster(name)
            if path:
                params[name.lower()] = path
        area = self._area()
        if area:
            params["aoi"] = area
        if is_given(self._parameters, "ZONES"):
            params["zones"] = self._polygons("ZONES", field=self._text("ZONE_FIELD"))
        if self._text("ZONE_FIELD"):
            params["zone_field"] = self._text("ZONE_FIELD")
        params.update(self._options())
        if self._algorithm.parameterAsBool(self._parameters, "OVERWRITE", self._context):
            params["overwrite"] = True
        out = self._algorithm.parameterAsString(self._parameters, "OUTPUT", self._context)
        params["out"] = str(Path(out).absolute())
        return PreparedRun(params, self._title(), self._notes)

    def raster_layer(self, name: str) -> QgsRasterLayer | None:
        """The layer of a raster parameter; None when it is empty, cannot be opened or is an address."""
        if is_address(self._parameters.get(name)):
            return None
        return self._algorithm.parameterAsRasterLayer(self._parameters, name, self._context)

    def extent(self, post: QgsRasterLayer | None) -> tuple[QgsRectangle, QgsCoordinateReferenceSystem]:
        """AOI_EXTENT and its CRS: its own, else the project's, else the scene's."""
        rectangle = self._algorithm.parameterAsExtent(self._parameters, "AOI_EXTENT", self._context)
        crs = self._algorithm.parameterAsExtentCrs(self._parameters, "AOI_EXTENT", self._context)
        if not crs.isValid() and post is not None:
            crs = post.crs()
        return rectangle, crs

    def _raster(self, name: str) -> str:
        if not is_given(self._parameters, name):
            return ""
        if is_address(self._parameters[name]):
            return str(self._parameters[name])
        layer = self.raster_layer(name)
        if layer is None:
            raise LayerFault(f"{WHAT[name]}: {self._parameters[name]} cannot be opened as a raster.")
        file = raster_for_engine(layer, what=WHAT[name], temp=self._temp)
        self._note("info", file.note)
        self._note("warning", ignored_settings(layer, what=WHAT[name]))
        return file.path

    def _area(self) -> str:
        if is_given(self._parameters, "AOI_LAYER"):
            return self._polygons("AOI_LAYER")
        if not is_given(self._parameters, "AOI_EXTENT"):
            return ""
        rectangle, crs = self.extent(self.raster_layer("POST"))
        if not crs.isValid():
            raise LayerFault("Area of interest: the extent has no CRS; write it as 'W,E,S,N [EPSG:code]'.")
        transforms = self._context.transformContext()
        box = degrees_of(rectangle, crs, transforms)
        if box is not None:
            return ",".join(_degrees(n) for n in (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()))
        path = self._temp("area_of_interest.gpkg")
        write_rectangle(rectangle, crs, path, context=transforms)
        self._note("info", f"Area of interest: the extent in {crs.authid()} is handed over as {path}.")
        return path

    def _polygons(self, name: str, *, field: str = "") -> str:
        value = self._parameters[name]
        layer = self._algorithm.parameterAsVectorLayer(self._parameters, name, self._context)
        source = self._algorithm.parameterAsSource(self._parameters, name, self._context)
        if source is None:
            raise LayerFault(f"{WHAT[name]}: the layer or file cannot be opened as polygons.")
        if not source.sourceCrs().isValid():
            raise LayerFault(f"{WHAT[name]}: the layer '{source.sourceName()}' has no CRS. Set it in its properties.")
        if layer is None and isinstance(value, QgsProcessingFeatureSourceDefinition):
            reason = "a feature source"
        else:
            reason = "a feature source" if layer is None else vector_needs_copy(layer, value, field=field)
        if not reason and layer is not None:
            return vector_file(layer)
        path = self._temp("polygons.gpkg")
        count = copy_polygons(source, path, what=WHAT[name], context=self._context.transformContext())
        if count == 0:
            raise LayerFault(
                f"{WHAT[name]}: the layer '{source.sourceName()}' has no features to use ({reason}). "
                "Select or draw some, or leave it empty."
            )
        self._note("info", f"{WHAT[name]}: '{source.sourceName()}' ({reason}): {count} features copied to {path}.")
        return path

    def _options(self) -> dict[str, Any]:
        """Options that differ from their defaults; the defaults are the engine's own (a test compares them)."""
        options: dict[str, Any] = {}
        for name in _OPTIONS:
            definition = self._algorithm.parameterDefinition(name)
            value = self._value(name)
            if value not in (None, "") and value != definition.defaultValue():
                options[name.lower()] = value
        folder = self._text("MODEL_FOLDER")
        if folder:
            options = {"method": str(Path(folder).absolute()), **options}
        return options

    def _value(self, name: str) -> Any:
        algorithm, parameters, context = self._algorithm, self._parameters, self._context
        if name == "PROBABILITY":
            return algorithm.parameterAsInt(parameters, name, context)
        if name in ("MIN_AREA", "MAX_HAND", "MAX_SLOPE"):
            return algorithm.parameterAsDouble(parameters, name, context)
        if name == "UNITS":
            return algorithm.parameterAsEnumString(parameters, name, context)
        return self._text(name)

    def _text(self, name: str) -> str:
        return self._algorithm.parameterAsString(self._parameters, name, self._context).strip()

    def _temp(self, name: str) -> str:
        return str(Path(QgsProcessingUtils.generateTempFilename(name)).absolute())

    def _note(self, level: str, line: str) -> None:
        if line:
            self._notes.append((level, line))

    def _title(self) -> str:
        layer = self.raster_layer("POST")
        name = layer.name() if layer is not None else str(self._parameters["POST"]).rsplit("/", 1)[-1]
        return f"Flood – {name}"


def _degrees(value: float) -> str:
    """To about a millimetre on the ground, without needless zeros."""
    return f"{value:.8f}".rstrip("0").rstrip(".")

"""From the parameters of an algorithm to the engine's request: layers to files, areas to polygons or degrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingParameterNumber,
    QgsProcessingParameters,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)

from .features_file import copy_features, degrees_of, write_rectangle
from .layer_files import LayerFault, ignored_settings, raster_for_engine, vector_file, vector_needs_copy

if TYPE_CHECKING:
    from ..engine_client.process import EngineProcess
    from .run_watch import RunWatch


def nothing() -> None:
    """What most runs have to clear away when they fail."""


@dataclass(frozen=True)
class PreparedRun:
    """``params``: the engine's request, in its order; ``notes``: (level, line) for the log; ``title`` for the list.

    ``before(engine, watch)`` is done in the run's own thread before the job, for what takes long (a map server's
    pictures); it raises LayerFault, EngineFailure or EngineCancelled. ``undone()`` clears away what was made for a run
    that did not end well, ``finished()`` what only the run itself needed, however it ended.
    """

    params: dict[str, Any]
    title: str
    notes: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[EngineProcess, RunWatch], None] | None = None
    undone: Callable[[], None] = nothing
    finished: Callable[[], None] = nothing


def is_address(value: Any) -> bool:
    """Whether a raster parameter names a web address instead of a layer; the engine opens those itself."""
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def is_given(parameters: Mapping[str, Any], name: str) -> bool:
    """Whether an optional parameter has a value."""
    value = parameters.get(name)
    if isinstance(value, QgsRectangle):
        return not value.isNull()
    return value is not None and value != "" and value != []


class Preparation:
    """Turns one set of parameters into a :class:`PreparedRun`; runs where the layers live (the main thread).

    A subclass names its parameters in :attr:`what`, the raster whose CRS an extent without one is in (:attr:`scene`),
    and writes ``prepare()`` from the steps here.
    """

    what: Mapping[str, str] = {}
    """Parameter → what it is called in messages."""
    scene = ""
    """The raster parameter (of one layer or several) that the run is about."""
    extent_name, polygons_name = "AOI_EXTENT", "AOI_LAYER"
    """The parameters that say where."""

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> None:
        self.algorithm, self.parameters, self.context = algorithm, parameters, context
        self.notes: list[tuple[str, str]] = []

    # what the parameters hold

    def given(self, name: str) -> bool:
        """Whether it has a value."""
        return is_given(self.parameters, name)

    def text(self, name: str) -> str:
        """A text without blanks around it; empty when not given."""
        return self.algorithm.parameterAsString(self.parameters, name, self.context).strip()

    def flag(self, name: str) -> bool:
        """A tick."""
        return self.algorithm.parameterAsBool(self.parameters, name, self.context)

    def raster_layer(self, name: str) -> QgsRasterLayer | None:
        """The layer of a raster parameter; None when it is empty, cannot be opened or is an address."""
        if is_address(self.parameters.get(name)):
            return None
        return self.algorithm.parameterAsRasterLayer(self.parameters, name, self.context)

    def raster_entries(self, name: str) -> list[tuple[Any, QgsRasterLayer | None]]:
        """(value or name, layer) of each entry of a parameter of several rasters; None where there is no layer."""
        value = self.parameters.get(name)
        entries = list(value) if isinstance(value, (list, tuple)) else [value]
        definition = self.algorithm.parameterDefinition(name)
        found: list[tuple[Any, QgsRasterLayer | None]] = []
        for entry in entries:
            if entry in (None, ""):
                continue
            layers = (
                []
                if is_address(entry)
                else QgsProcessingParameters.parameterAsLayerList(definition, [entry], self.context)
            )
            first = layers[0] if layers and isinstance(layers[0], QgsRasterLayer) else None
            found.append((entry.name() if isinstance(entry, QgsMapLayer) else entry, first))
        return found

    def vector_layer(self, name: str) -> QgsVectorLayer | None:
        """The layer of a vector parameter, whatever part of it is meant; None when it cannot be opened."""
        value = self.parameters.get(name)
        if isinstance(value, QgsProcessingFeatureSourceDefinition):
            value = value.source.staticValue()
            if not isinstance(value, str):
                return None
        return self.algorithm.parameterAsVectorLayer({name: value}, name, self.context)

    def scene_layer(self) -> QgsRasterLayer | None:
        """The (first) layer of the raster that the run is about."""
        if self.algorithm.parameterDefinition(self.scene).type() == "multilayer":
            return next((layer for _, layer in self.raster_entries(self.scene) if layer is not None), None)
        return self.raster_layer(self.scene)

    def scene_name(self) -> str:
        """What the scene is called: its layer's name, or the last part of its path."""
        layer = self.scene_layer()
        if layer is not None:
            return layer.name()
        value = self.parameters[self.scene]
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        return str(first).rsplit("/", 1)[-1]

    def extent(self, scene: QgsRasterLayer | None) -> tuple[QgsRectangle, QgsCoordinateReferenceSystem]:
        """The extent and its CRS: its own, else the project's, else the scene's."""
        rectangle = self.algorithm.parameterAsExtent(self.parameters, self.extent_name, self.context)
        crs = self.algorithm.parameterAsExtentCrs(self.parameters, self.extent_name, self.context)
        if not crs.isValid() and scene is not None:
            crs = scene.crs()
        return rectangle, crs

    # what is handed over

    def raster(self, name: str) -> str:
        """The file or address of a raster parameter; empty when it is not given. Raises LayerFault."""
        if not self.given(name):
            return ""
        return self._raster_path(self.parameters[name], self.raster_layer(name), self.what[name])

    def rasters(self, name: str) -> list[str]:
        """The files or addresses of a parameter of several rasters, in their order. Raises LayerFault."""
        return [self._raster_path(value, layer, self.what[name]) for value, layer in self.raster_entries(name)]

    def _raster_path(self, value: Any, layer: QgsRasterLayer | None, what: str) -> str:
        if is_address(value):
            return str(value)
        if layer is None:
            raise LayerFault(f"{what}: {value} cannot be opened as a raster.")
        file = raster_for_engine(layer, what=what, temp=self.temp)
        self.note("info", file.note)
        self.note("warning", ignored_settings(layer, what=what))
        return file.path

    def area(self) -> str:
        """The area of interest as the engine takes it: a polygon file, ``W,S,E,N``, or empty. Raises LayerFault."""
        if self.given(self.polygons_name):
            return self.features(self.polygons_name)
        if not self.given(self.extent_name):
            return ""
        return self.rectangle(*self.extent(self.scene_layer()))

    def rectangle(self, rectangle: QgsRectangle, crs: QgsCoordinateReferenceSystem) -> str:
        """A rectangle as the engine takes it: ``W,S,E,N`` where it is one in degrees too, else a polygon file. Raises
        LayerFault."""
        what = self.what[self.extent_name]
        if not crs.isValid():
            raise LayerFault(f"{what}: the extent has no CRS; write it as 'W,E,S,N [EPSG:code]'.")
        transforms = self.context.transformContext()
        box = degrees_of(rectangle, crs, transforms)
        if box is not None:
            return ",".join(_degrees(n) for n in (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()))
        path = self.temp(f"{what.lower().replace(' ', '_')}.gpkg")
        write_rectangle(rectangle, crs, path, context=transforms)
        self.note("info", f"{what}: the extent in {crs.authid()} is handed over as {path}.")
        return path

    def area_and_zones(self) -> dict[str, Any]:
        """The fields aoi, zones and zone_field, those that are given. Raises LayerFault."""
        params: dict[str, Any] = {}
        area = self.area()
        if area:
            params["aoi"] = area
        if self.given("ZONES"):
            params["zones"] = self.features("ZONES", field=self.text("ZONE_FIELD"))
        if self.text("ZONE_FIELD"):
            params["zone_field"] = self.text("ZONE_FIELD")
        return params

    def features(self, name: str, *, field: str = "", kind: str = "polygons") -> str:
        """The file of a vector parameter, of what QGIS shows of it (filter, selection, edits). Raises LayerFault."""
        value, what = self.parameters[name], self.what[name]
        layer = self.vector_layer(name)
        source = self.algorithm.parameterAsSource(self.parameters, name, self.context)
        if source is None:
            raise LayerFault(f"{what}: the layer or file cannot be opened as {kind}.")
        if not source.sourceCrs().isValid():
            raise LayerFault(f"{what}: the layer '{source.sourceName()}' has no CRS. Set it in its properties.")
        reason = "a feature source" if layer is None else vector_needs_copy(layer, value, field=field)
        if not reason and layer is not None:
            return vector_file(layer)
        path = self.temp(f"{kind}.gpkg")
        count = copy_features(source, path, what=what, context=self.context.transformContext(), layer_name=kind)
        if count == 0:
            raise LayerFault(
                f"{what}: the layer '{source.sourceName()}' has no features to use ({reason}). "
                "Select or draw some, or leave it empty."
            )
        self.note("info", f"{what}: '{source.sourceName()}' ({reason}): {count} features copied to {path}.")
        return path

    def options(self, *names: str) -> dict[str, Any]:
        """Options that differ from their defaults; the defaults are the engine's own (a test compares them)."""
        options: dict[str, Any] = {}
        for name in names:
            value = self._value(name)
            if value not in (None, "") and value != self.algorithm.parameterDefinition(name).defaultValue():
                options[name.lower()] = value
        return options

    def destination(self) -> dict[str, Any]:
        """The fields overwrite (where ticked) and out, an absolute path."""
        overwrite = {"overwrite": True} if self.flag("OVERWRITE") else {}
        out = self.algorithm.parameterAsString(self.parameters, "OUTPUT", self.context)
        return {**overwrite, "out": str(Path(out).absolute())}

    def model(self, name: str) -> str:
        """The model: its folder where one is given, else its name; empty for the default."""
        folder = self.text("MODEL_FOLDER")
        return str(Path(folder).absolute()) if folder else str(self.options(name).get(name.lower(), ""))

    def legend(self) -> dict[str, str]:
        """The field legend, where one is given: a name, or the path of a file."""
        file = self.text("LEGEND_FILE")
        return {"legend": str(Path(file).absolute())} if file else self.options("LEGEND")

    def _value(self, name: str) -> Any:
        definition = self.algorithm.parameterDefinition(name)
        if isinstance(definition, QgsProcessingParameterNumber):
            if not self.given(name) and definition.defaultValue() is None:
                return None
            whole = definition.dataType() == QgsProcessingParameterNumber.Type.Integer
            read = self.algorithm.parameterAsInt if whole else self.algorithm.parameterAsDouble
            return read(self.parameters, name, self.context)
        if definition.type() == "enum":
            return self.algorithm.parameterAsEnumString(self.parameters, name, self.context)
        if definition.type() == "boolean":
            return self.flag(name)
        return self.text(name)

    def temp(self, name: str) -> str:
        """A fresh path in the temporary folder."""
        return str(Path(QgsProcessingUtils.generateTempFilename(name)).absolute())

    def note(self, level: str, line: str) -> None:
        """A line for the log of the run; none when it is empty."""
        if line:
            self.notes.append((level, line))


def _degrees(value: float) -> str:
    """To about a millimetre on the ground, without needless zeros."""
    return f"{value:.8f}".rstrip("0").rstrip(".")

"""The Processing algorithm ``samescene:landcover_change``: ``engine landcover-change`` with layers for files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .change_parameters import change_outputs, change_parameters
from .checks import area_faults, folder_faults, legend_fault, overlap_fault, raster_layer_fault, zone_faults
from .engine_algorithm import EngineAlgorithm, made_files, made_tables
from .preparation import Preparation, PreparedRun
from .texts import change_help

_FILES = {"CHANGE": "change.tif", "MATRIX": "matrix.csv", "REPORT": "report.html", "RESULT": "result.json"}
_TABLES = {"CHANGE_ZONES": "change.gpkg|layername=zones", "MATRIX_TABLE": "change.gpkg|layername=matrix"}


class ChangePreparation(Preparation):
    """The request of ``engine landcover-change``."""

    scene = "MAP_B"
    what = {  # noqa: RUF012 - read only
        "MAP_A": "Earlier map",
        "MAP_B": "Later map",
        "AOI_EXTENT": "Area of interest",
        "AOI_LAYER": "Area of interest",
        "ZONES": "Zones",
    }

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        params: dict[str, Any] = {"map_a": self.raster("MAP_A"), "map_b": self.raster("MAP_B")}
        params.update(self.legend())
        params.update(self.area_and_zones())
        params.update(self.options("MIN_AREA"))
        params.update(self.destination())
        return PreparedRun(params, f"Land-cover change – {self.scene_name()}", self.notes)


def change_faults(look: ChangePreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Opens layers but reads no pixels."""
    layers = {name: look.raster_layer(name) for name in ("MAP_A", "MAP_B")}
    for name, layer in layers.items():
        yield from raster_layer_fault(layer, what=look.what[name])
    earlier, later = layers["MAP_A"], layers["MAP_B"]
    if earlier is None or later is None:
        return
    if earlier.source() == later.source():
        yield "Later map: it is the same file as the earlier map. Choose the map of another date."
    for name, layer in layers.items():
        if layer.bandCount() > 1:
            yield (
                f"{look.what[name]}: '{layer.name()}' has {layer.bandCount()} bands; a map of class codes has one. "
                "Choose a land-cover map, such as landcover.tif."
            )
    yield from overlap_fault(earlier, later, what=look.what["MAP_B"], scene="the earlier map", context=look.context)
    yield from area_faults(look, later, called="the map")
    yield from zone_faults(look)
    yield from legend_fault(look)
    yield from folder_faults(look)


class LandcoverChangeAlgorithm(EngineAlgorithm):
    """What became of what between two land-cover maps."""

    job = "landcover-change"
    icon_name = "landcover-change"
    layer_outputs = {"change": "CHANGE", "zones": "CHANGE_ZONES", "matrix": "MATRIX_TABLE"}  # noqa: RUF012 - read only

    def name(self):
        return "landcover_change"

    def displayName(self):
        return self.tr("Land-cover change between two maps")

    def tags(self):
        return self.tr("land cover,change,matrix,transition,from-to,samescene").split(",")

    def shortDescription(self):
        return self.tr("Compares two land-cover maps: change matrix, from-to raster, areas by zone, and a report.")

    def shortHelpString(self):
        return change_help(self.tr)

    def definitions(self):
        return change_parameters(self.tr)

    def output_definitions(self):
        return change_outputs(self.tr)

    def faults(self, parameters, context):
        return change_faults(ChangePreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return ChangePreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        return {
            **made_files(result, out, _FILES),
            **made_tables(result, out, _TABLES if figures.get("zones") else {"MATRIX_TABLE": _TABLES["MATRIX_TABLE"]}),
            "CHANGED_M2": figures.get("changed_m2"),
            "CHANGED_PERCENT": figures.get("changed_percent"),
        }

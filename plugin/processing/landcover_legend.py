"""The Processing algorithm ``samescene:landcover_legend``: ``engine landcover-legend`` with a layer for the map."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .checks import folder_faults, legend_fault, raster_layer_fault
from .engine_algorithm import EngineAlgorithm, made_files
from .legend_parameters import legend_map_outputs, legend_map_parameters
from .preparation import Preparation, PreparedRun
from .texts import legend_help

_MERGE = re.compile(r"^\d+(\s*\+\s*\d+)*\s*=\s*\d+(\s*,\s*\d+(\s*\+\s*\d+)*\s*=\s*\d+)*$")


class LegendPreparation(Preparation):
    """The request of ``engine landcover-legend``."""

    scene = "MAP"
    what = {"MAP": "Map"}  # noqa: RUF012 - read only

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        params: dict[str, Any] = {"map": self.raster("MAP"), **self.legend()}
        params.update(self.options("SOURCE_LEGEND", "MERGE"))
        if self.text("MAPPING"):
            params["mapping"] = str(Path(self.text("MAPPING")).absolute())
        params.update(self.destination())
        return PreparedRun(params, f"Land-cover legend – {self.scene_name()}", self.notes)


def legend_map_faults(look: LegendPreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Opens layers but reads no pixels."""
    layer = look.raster_layer("MAP")
    yield from raster_layer_fault(layer, what=look.what["MAP"])
    if layer is not None and layer.bandCount() > 1:
        yield (
            f"Map: '{layer.name()}' has {layer.bandCount()} bands; a map of class codes has one. Choose a land-cover "
            "map, such as landcover.tif."
        )
    yield from legend_fault(look)
    merge, mapping = look.text("MERGE"), look.text("MAPPING")
    if not (look.legend() or merge or mapping):
        yield "Legend: nothing is asked for. Choose a legend, classes to merge, or a file of codes."
    if merge and not _MERGE.match(merge):
        yield f"Classes to merge: '{merge}' is not understood. Write for example 20+30=30,90+95=90."
    if mapping and not Path(mapping).is_file():
        yield f"File of codes: {mapping} does not exist."
    yield from folder_faults(look)


class LandcoverLegendAlgorithm(EngineAlgorithm):
    """A land-cover map in other classes, without running the model again."""

    job = "landcover-legend"
    icon_name = "landcover"
    layer_outputs = {"landcover": "LANDCOVER"}  # noqa: RUF012 - read only

    def name(self):
        return "landcover_legend"

    def displayName(self):
        return self.tr("Land-cover map in another legend, or with classes merged")

    def tags(self):
        return self.tr("land cover,legend,reclassify,merge,worldcover,dynamic world,samescene").split(",")

    def shortDescription(self):
        return self.tr("Brings a land-cover map to another legend, or merges classes, without running the model again.")

    def shortHelpString(self):
        return legend_help(self.tr)

    def definitions(self):
        return legend_map_parameters(self.tr)

    def output_definitions(self):
        return legend_map_outputs(self.tr)

    def faults(self, parameters, context):
        return legend_map_faults(LegendPreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return LegendPreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        return made_files(result, out, {"LANDCOVER": "landcover.tif", "RESULT": "result.json"})

"""The question of what an index would take, asked of the engine before ``samescene:locate_index`` is run."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication, QgsProcessingContext

from .layer_files import LayerFault
from .locate_index_request import IndexPreparation, reference_as_address, tile_options
from .reference_source import DRAWN, TILES

_TILES = ("tms", "max_zoom", "per_second")


def plan_request(parameters: dict[str, Any], context: QgsProcessingContext) -> dict[str, Any]:
    """The params of the job ``locate-plan`` for parameters of ``samescene:locate_index``.

    Main thread; no imagery is drawn or copied. Of a layer that QGIS itself must draw the engine is told nothing: it
    answers with the resolution that will be drawn. Raises LayerFault.
    """
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:locate_index")
    if algorithm is None:
        raise LayerFault("The tool samescene:locate_index is not there: switch the plugin off and on again.")
    look = IndexPreparation(algorithm, reference_as_address(parameters), context)
    source = look.source()
    params: dict[str, Any] = {"region": look.region()}
    if source.kind == TILES:
        params["reference"] = source.address
        options = tile_options(look, source.max_zoom)
        params.update({name: options[name] for name in _TILES if name in options})
    elif source.kind != DRAWN:
        params["reference"] = look.raster("REFERENCE")
    if look.model("METHOD"):
        params["method"] = look.model("METHOD")
    params.update(look.options("CELL", "SCALES", "PRECISION"))
    if look.flag("UPDATE"):
        params["index"] = look.index()
    return params

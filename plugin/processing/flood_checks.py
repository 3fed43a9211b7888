"""What can be told to be wrong with a flood run before it starts, from what QGIS knows; one line a fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsRasterLayer

from .checks import (
    area_faults,
    bands_fault,
    folder_faults,
    model_faults,
    overlap_fault,
    raster_layer_fault,
    time_fault,
    zone_faults,
)
from .flood_parameters import RASTERS
from .flood_request import FloodPreparation
from .preparation import is_address


def flood_faults(
    algorithm: QgsProcessingAlgorithm, parameters: dict[str, Any], context: QgsProcessingContext
) -> Iterator[str]:
    """The faults of ``parameters``, most telling first. Opens layers but reads no pixels."""
    look = FloodPreparation(algorithm, parameters, context)
    layers: dict[str, QgsRasterLayer] = {}
    for name in RASTERS:
        if not look.given(name) or is_address(parameters[name]):
            continue
        layer = look.raster_layer(name)
        yield from raster_layer_fault(layer, what=look.what[name])
        if layer is not None and layer.isValid():
            layers[name] = layer
    post = layers.get("POST")
    for name, layer in layers.items():
        if post is not None and name != "POST":
            yield from overlap_fault(post, layer, what=look.what[name], scene="the scene", context=context)
    if post is not None and layers.get("BEFORE") is not None and post.source() == layers["BEFORE"].source():
        yield "Scene before: it is the same file as the scene after. Choose a scene from before the event."
    yield from area_faults(look, post)
    yield from zone_faults(look)
    yield from bands_fault(look, [post] if post is not None else [], example="VV=1,VH=2")
    yield from time_fault(look)
    yield from model_faults(look, "METHOD", title="Method", thing="method")
    yield from folder_faults(look)

"""What can be told to be wrong with a land-cover run before it starts, from what QGIS knows; one line a fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qgis.core import QgsRasterLayer

from .checks import (
    area_faults,
    bands_fault,
    folder_faults,
    legend_fault,
    model_faults,
    overlap_fault,
    raster_layer_fault,
    time_fault,
    zone_faults,
)
from .landcover_request import LandcoverPreparation
from .preparation import Preparation, is_address
from .virtual_raster import band_descriptions

_EXAMPLE = "B02=1,B03=2,B04=3,B08=4"


def landcover_faults(look: LandcoverPreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Opens layers but reads no pixels."""
    layers: list[QgsRasterLayer] = []
    yield from scene_faults(look, layers)
    first = layers[0] if layers else None
    if look.given("SCL") and not is_address(look.parameters["SCL"]):
        scl = look.raster_layer("SCL")
        yield from raster_layer_fault(scl, what=look.what["SCL"])
        if scl is not None and first is not None:
            yield from overlap_fault(first, scl, what=look.what["SCL"], scene="the scene", context=look.context)
            if scl.source() in [layer.source() for layer in layers]:
                yield "Scene classification: it is one of the scenes. Choose the SCL band, or leave it empty."
    yield from area_faults(look, first)
    yield from zone_faults(look)
    yield from bands_fault(look, layers, example=_EXAMPLE)
    yield from time_fault(look)
    yield from legend_fault(look)
    yield from model_faults(look, "MODEL", title="Model", thing="model")
    yield from folder_faults(look)


def unopened_scenes(look: Preparation) -> Iterator[str]:
    """Entries of SCENES that QGIS cannot open."""
    for value, layer in look.raster_entries("SCENES"):
        if is_address(value):
            yield f"Scenes: '{value}' is a web address. Add it to the project as a raster layer, then choose that."
        elif layer is None:
            yield f"Scenes: '{value}' cannot be opened as a raster. Check that it exists and is not damaged."


def scene_faults(look: Preparation, layers: list[QgsRasterLayer]) -> Iterator[str]:
    """Faults of SCENES; those that open are put into ``layers``."""
    entries = look.raster_entries("SCENES")
    if not entries:
        yield "Scenes: none is chosen. Choose a Sentinel-2 image, a Sentinel-1 scene, or both."
    for value, layer in entries:
        if is_address(value):
            continue
        if layer is None:
            yield f"Scenes: '{value}' cannot be opened as a raster. Check that it exists and is not damaged."
            continue
        yield from raster_layer_fault(layer, what="Scenes")
        layers.append(layer)
    sources = [layer.source() for layer in layers]
    for layer in layers:
        if sources.count(layer.source()) > 1:
            yield f"Scenes: '{layer.name()}' is chosen twice. Choose each file once."
    for layer in layers[1:]:
        yield from overlap_fault(layers[0], layer, what="Scenes", scene="the scene", context=look.context)
    numbered = look.algorithm.parameterDefinition("BANDS") is not None
    if not numbered or not look.text("BANDS"):
        yield from _unnamed_bands_fault(layers, numbered=numbered)


def _unnamed_bands_fault(layers: Sequence[QgsRasterLayer], *, numbered: bool) -> Iterator[str]:
    """A scene of several bands none of which has a name."""
    remedy = f"Give the band numbers under the advanced parameters, for example {_EXAMPLE}"
    remedy = remedy if numbered else "Use a file whose bands have names (B02, B03, …; VV, VH)"
    for layer in layers:
        if layer.providerType() == "gdal" and layer.bandCount() > 1 and not any(band_descriptions(layer)):
            yield f"Scenes: the bands of '{layer.name()}' have no names. {remedy}."

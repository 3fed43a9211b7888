"""What can be told to be wrong with an index before it is made, from what QGIS knows; one line a fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .checks import area_faults, folder_faults, model_faults
from .layer_files import LayerFault
from .locate_index_request import IndexPreparation
from .preparation import is_address
from .reference_source import DRAWN, FILE, TILES, is_tiles


def unopened_reference(look: IndexPreparation) -> Iterator[str]:
    """A reference that QGIS cannot open."""
    value = look.parameters.get("REFERENCE")
    if look.given("REFERENCE") and not is_address(value) and look.raster_layer("REFERENCE") is None:
        yield f"Reference: '{value}' cannot be opened as a raster. Check that it exists and is not damaged."


def index_faults(look: IndexPreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Opens layers but reads no pixels and asks no server."""
    yield from reference_faults(look)
    yield from model_faults(look, "METHOD", title="Method", thing="method")
    yield from _folder_faults(look)


def reference_faults(look: IndexPreparation) -> Iterator[str]:
    """The faults of imagery and region alone."""
    address = look.text("ADDRESS")
    if address and look.given("REFERENCE"):
        yield "Reference: both a layer and an address are given. Give one of them."
    if address and not is_tiles(address):
        yield (
            f"Address of map tiles: '{address}' has no {{z}}, {{x}} and {{y}}. Write for example "
            "https://tiles.example.org/{z}/{x}/{y}.jpg, or choose a layer."
        )
    try:
        source = look.source()
    except LayerFault as fault:
        yield str(fault)
        return
    layer = look.raster_layer("REFERENCE")
    if layer is not None and not layer.isValid():
        yield f"Reference: the layer '{layer.name()}' is not valid (moved or deleted?). Repair its data source."
    if layer is not None and not layer.crs().isValid():
        yield f"Reference: the layer '{layer.name()}' has no CRS. Set it in its properties, or georeference the file."
    if source.kind == DRAWN and layer is not None and layer.renderer() is None:
        yield f"Reference: the layer '{layer.name()}' cannot be drawn. Choose another."
    given = look.given("EXTENT") or look.given("REGION")
    whole = source.kind == FILE and not is_address(look.parameters.get("REFERENCE"))
    if not given and not whole:
        yield f"{look.what['EXTENT']}: none is given. Give an extent or polygons: this reference has no end of its own."
    yield from area_faults(look, None if source.kind == TILES else layer, called="the reference")
    yield from _empty_polygons(look)


def _empty_polygons(look: IndexPreparation) -> Iterator[str]:
    layer = look.vector_layer("REGION") if look.given("REGION") else None
    if layer is not None and layer.featureCount() > 0 and layer.extent().isEmpty():
        yield f"{look.what['REGION']}: the polygons of '{layer.name()}' have no area."


def _folder_faults(look: IndexPreparation) -> Iterator[str]:
    if look.flag("UPDATE"):
        if look.flag("OVERWRITE"):
            yield "Index: adding to it and replacing it exclude each other. Untick one of them."
        folder = Path(look.index())
        if not (folder / "card.json").is_file():
            yield f"Index: {folder} holds no index to add to. Choose the folder of one, or untick 'Add to the index'."
        return
    for fault in folder_faults(look):
        yield fault.replace("or tick 'Replace", "tick 'Add to the index in the folder', or 'Replace")

"""From the parameters of ``samescene:locate_search`` and ``samescene:locate_evaluate`` to the engine's requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .checks import folder_faults, model_faults
from .locate_index_request import tile_options
from .photo_files import SUFFIXES, named_photos, photos_in
from .positions_table import positions_file
from .preparation import Preparation, PreparedRun, is_address
from .reference_source import DRAWN, TILES, is_tiles, source_of, tiles_of


class PhotosPreparation(Preparation):
    """What search and evaluation have in common."""

    scene = "REFERENCE"
    what = {"REFERENCE": "Reference", "POSITIONS": "Known positions"}  # noqa: RUF012 - read only

    def photos(self) -> list[str]:
        """All photos that are named, each once."""
        found = named_photos(self.parameters.get("PHOTOS"))
        return list(dict.fromkeys([*found, *photos_in(self.text("PHOTOS_FOLDER"))]))

    def index(self) -> str:
        """The folder of the index."""
        return str(Path(self.text("INDEX")).absolute())

    def title(self, verb: str) -> str:
        """What the run is called in the list."""
        photos = self.photos()
        return f"{verb} – {Path(photos[0]).name if len(photos) == 1 else f'{len(photos)} photos'}"

    def _request(self) -> dict[str, Any]:
        reference, zoom = self._reference()
        params = tile_options(self, zoom)
        params.update({"index": self.index(), "panorama": self.photos()})
        if self.model("METHOD"):
            params["method"] = self.model("METHOD")
        params.update(self.options("HFOV", "VFOV", "INSIDE"))
        if reference:
            params["reference"] = reference
        params.update(self.options("SEARCH", "VERIFY", "DEVICE"))
        return params

    def _reference(self) -> tuple[str, int | None]:
        layer = self.raster_layer("REFERENCE")
        address = self.text("ADDRESS")
        source = tiles_of(address) if address else source_of(layer) if layer is not None else None
        if source is not None and source.kind == TILES:
            return source.address, source.max_zoom
        return self.raster("REFERENCE"), None


class SearchPreparation(PhotosPreparation):
    """The request of ``engine locate search``."""

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        params = self._request()
        params.update(
            self.options("HEADING", "HEADING_TOLERANCE", "IGNORE_HEADING", "SEQUENCE", "TRACK", "TOP", "CHECK")
        )
        params.update(self.destination())
        return PreparedRun(params, self.title("Locate"), self.notes)


class EvaluatePreparation(PhotosPreparation):
    """The request of ``engine locate evaluate``."""

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        params = self._request()
        if self.given("POSITIONS"):
            params["positions"] = positions_file(self, "POSITIONS")
        params.update(self.options("SEED", "TOP"))
        params.update(self.destination())
        return PreparedRun(params, self.title("Test locating"), self.notes)


def photo_faults(look: PhotosPreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first; no photo is read."""
    folder = Path(look.index())
    if not look.text("INDEX"):
        yield "Index: none is chosen. Make one with 'Index of a region', then choose its folder."
    elif not (folder / "card.json").is_file():
        half = folder.with_name(f".{folder.name}.building").is_dir()
        unfinished = "; it is not finished: run 'Index of a region' again with the same values to go on"
        yield f"Index: {folder} holds no index{unfinished if half else '. Choose the folder of one'}."
    pictures = look.text("PHOTOS_FOLDER")
    if pictures and not Path(pictures).is_dir():
        yield f"Photos: the folder {pictures} does not exist."
    photos = look.photos()
    if not photos and pictures:
        yield f"Photos: {pictures} holds no photos ({', '.join(SUFFIXES)})."
    elif not photos:
        yield "Photos: none is chosen. Choose files, or a folder of them."
    missing = [photo for photo in photos if not Path(photo).is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        yield f"Photos: {missing[0]} does not exist{more}. Choose it again, or take it off the list."
    if look.algorithm.parameterDefinition("SEQUENCE") is not None and look.flag("SEQUENCE") and len(photos) < 2:
        yield "Photos: a drive is at least two photos. Choose more, or untick that they belong together."
    if look.text("TRACK") if look.algorithm.parameterDefinition("TRACK") is not None else "":
        if not look.flag("SEQUENCE"):
            yield "Track: it is used only for photos that belong together. Tick that, or clear the track."
        if not Path(look.text("TRACK")).is_file():
            yield f"Track: {look.text('TRACK')} does not exist."
    yield from _reference_faults(look)
    yield from _position_faults(look)
    yield from model_faults(look, "METHOD", title="Method", thing="method")
    yield from folder_faults(look)


def _reference_faults(look: PhotosPreparation) -> Iterator[str]:
    address = look.text("ADDRESS")
    if address and look.given("REFERENCE"):
        yield "Reference: both a layer and an address are given. Give one of them."
    if address and not is_tiles(address):
        yield f"Address of map tiles: '{address}' has no {{z}}, {{x}} and {{y}}."
    if not look.given("REFERENCE") or is_address(look.parameters["REFERENCE"]):
        return
    layer = look.raster_layer("REFERENCE")
    if layer is None or not layer.isValid():
        yield "Reference: the layer or file cannot be opened as a raster. Check that it exists and is not damaged."
    elif source_of(layer).kind == DRAWN:
        yield (
            f"Reference: '{layer.name()}' is neither a file nor an XYZ layer. Leave it empty: the index keeps the "
            "imagery that was drawn for it."
        )


def _position_faults(look: PhotosPreparation) -> Iterator[str]:
    if look.algorithm.parameterDefinition("POSITIONS") is None or not look.given("POSITIONS"):
        return
    if look.algorithm.parameterAsSource(look.parameters, "POSITIONS", look.context) is None:
        yield "Known positions: the layer or file cannot be opened. Choose a layer, or a CSV table."

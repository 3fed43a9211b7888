"""From the parameters of ``samescene:locate_learn`` to the engine's request, and what can be refused before a run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..engine_client.settings import plugin_root, user_models_folder
from . import reference_store as store
from .checks import folder_faults
from .locate_index_checks import reference_faults
from .locate_index_request import Drawing, IndexPreparation, tile_options
from .locate_learn_parameters import FEWEST_PHOTOS
from .model_names import model_folders
from .photo_files import SUFFIXES, named_photos
from .positions_table import positions_file
from .preparation import PreparedRun
from .reference_picture import LayerPicture
from .reference_source import DRAWN, licence_line

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
TAKEN = ("auto", "geometric", "fused", "random", "crossview")
"""Names that mean something else where a method is named; the engine refuses them too."""
_SIDES, _EXTENT_M = {"small": 128, "medium": 160, "large": 256}, 64.0
"""Pixels and metres of the tiles of a network that starts at random."""


class LearnPreparation(IndexPreparation):
    """The request of ``engine crossview adapt``."""

    what = {  # noqa: RUF012 - read only
        "REFERENCE": "Reference", "EXTENT": "Area", "REGION": "Area", "POSITIONS": "Known positions",
    }  # fmt: skip

    def places(self) -> list[str]:
        """Photos and the folder, as they are named."""
        folder = self.text("PHOTOS_FOLDER")
        return [*named_photos(self.parameters.get("PHOTOS")), *([str(Path(folder).absolute())] if folder else [])]

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        source, layer = self.source(), self.raster_layer("REFERENCE")
        picture = None
        if source.kind == DRAWN and layer is not None:
            picture = LayerPicture(layer, what=self.what["REFERENCE"], transforms=self.context.transformContext())
        params = tile_options(self, source.max_zoom)
        params.update({"photos": self.places(), "reference": self.reference_of(source, layer, picture)})
        params.update({"region": self.region(), "name": self.text("MODEL_NAME")})
        if self.flag("REGISTER"):
            params["register_as"] = self.text("MODEL_NAME")
        folder = self.text("START_FOLDER")
        params.update({"start": str(Path(folder).absolute())} if folder else self.options("START"))
        params.update(self.options("SIZE", "STEPS", "BATCH", "HEADING", "CELL"))
        if self.options("TILE_EXTENT"):
            params["extent"] = self.options("TILE_EXTENT")["tile_extent"]
        params.update(self.options("MOST_TILES", "CAMERA_HEIGHT"))
        if self.given("POSITIONS"):
            params["positions"] = positions_file(self, "POSITIONS")
        params.update(self.options("IGNORE_POSITIONS", "APART", "MAX_TILES"))
        if self.attribution():
            params["attribution"] = self.attribution()
        params.update(self.options("MEMORY", "SEED", "DEVICE"))
        params.update(self.destination())
        title = f"Learn an area – {self.text('MODEL_NAME')}"
        run = PreparedRun(params, title, self.notes, finished=lambda: store.remove_unused(params["out"]))
        if picture is None:
            return run
        if source.host:
            self.note("warning", licence_line(source.host, self.attribution()))
        return replace(run, before=Drawing(picture, params, scale_m=self.gsd_m()))

    def gsd_m(self) -> float:
        """Metres a pixel of the tiles that will be cut."""
        card = self._start_card()
        extent = self.options("TILE_EXTENT").get("tile_extent")
        size = str(self.options("SIZE").get("size", "small"))
        if card is None:
            return float(extent or _EXTENT_M) / _SIDES[size]
        overhead = card["crossview"]["overhead"]
        return float(overhead.get("extent_m") or extent or _EXTENT_M) / int(overhead["size"][0])

    def _start_card(self) -> dict[str, Any] | None:
        """The card of the model to start from; None for random weights."""
        folder, name = self.text("START_FOLDER"), self.text("START") or "auto"
        name = "crossview" if name == "auto" else name
        places = [Path(folder)] if folder else [place / name for place in model_folders(plugin_root())]
        return next((card for card in map(_card, places) if card is not None), None)


def _card(folder: Path) -> dict[str, Any] | None:
    """The card of a cross-view model's folder; None where there is none."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        usable = card["task"] == "crossview" and card["crossview"]["overhead"]["size"][0] > 0
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return dict(card) if usable else None


def learn_faults(look: LearnPreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Opens layers but reads no pixels, no photo, and no server."""
    yield from _photo_faults(look)
    yield from reference_faults(look)
    name = look.text("MODEL_NAME")
    if not _NAME.match(name):
        yield f"Name of the model: '{name}' is no name. Use small letters, digits, '.', '_' and '-', up to 64."
    elif name in TAKEN:
        yield f"Name of the model: '{name}' means something else where a method is named. Choose another name."
    elif look.flag("REGISTER"):
        own = user_models_folder()
        others = {card.parent.name for f in model_folders(plugin_root()) if f != own for card in f.glob("*/card.json")}
        if name in others:
            yield f"Name of the model: '{name}' belongs to a model that is not your own. Choose another name."
        elif (own / name).exists() and not look.flag("OVERWRITE"):
            yield (
                f"Name of the model: there is a model '{name}' among your own already. Choose another name, or tick "
                "'Replace results in the folder' under the advanced parameters."
            )
    start, folder = look.text("START"), look.text("START_FOLDER")
    if folder and start not in ("", "auto"):
        yield f"Start from: both '{start}' and a folder are given. Set it to auto, or clear the folder."
    if folder and not (Path(folder) / "card.json").is_file():
        yield f"Start from: {folder} is no model bundle, it has no card.json."
    yield from folder_faults(look)


def _photo_faults(look: LearnPreparation) -> Iterator[str]:
    places = look.places()
    if not places:
        yield "Photos: none is chosen. Choose files, or a folder of them."
        return
    missing = next((place for place in places if not Path(place).exists()), "")
    if missing:
        yield f"Photos: {missing} does not exist. Choose it again, or take it off the list."
    if all(Path(place).is_file() for place in places) and len(places) < FEWEST_PHOTOS:
        yield (
            f"Photos: {len(places)} are too few to learn from; at least {FEWEST_PHOTOS} panoramas are needed. "
            "With few, search by the geometric method, which needs no training."
        )
    if len(places) == 1 and Path(places[0]).is_dir() and not _holds_photos(Path(places[0])):
        yield f"Photos: {places[0]} holds no photos ({', '.join(SUFFIXES)})."


def _holds_photos(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.rglob("*"))

"""The card of an index, ``card.json``: what was described, from which imagery, by what, and what the files must be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.errors import DamagedFileError, MissingFileError
from engine.raster.gdal import shown

CARD = "card.json"
CELL_DTYPE = np.dtype([("id", "<i8"), ("observed", "u1")])
"""A row of the cells table: identity in the layout, and per cent of its crops that the imagery covers."""
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelFacts(_Part):
    """The model that described the cells."""

    name: str
    sha256: Sha | None = None


class LayerFacts(_Part):
    """One description of every cell: ``dim`` numbers of ``dtype`` at each of ``scales_m`` (metres a pixel), from crops
    of ``side`` pixels. ``linear``: two descriptions are compared by their inner product."""

    name: PlainName
    model: ModelFacts | None
    side: Annotated[int, Field(ge=8, le=4096)]
    scales_m: Annotated[tuple[Annotated[float, Field(gt=0, le=1000)], ...], Field(min_length=1)]
    dim: Annotated[int, Field(ge=1, le=1 << 20)]
    dtype: Literal["float16", "float32", "uint8", "int8"]
    linear: bool

    @property
    def cell_bytes(self) -> int:
        """Bytes of a cell in this layer."""
        return len(self.scales_m) * self.dim * np.dtype(self.dtype).itemsize


class ImageryFacts(_Part):
    """The reference: where it was, what it was, when it was taken and who must be named."""

    path: str
    sha256: Sha | None
    crs: str
    gsd_m: float
    imagery_date: str | None
    attribution: str | None
    stretch: tuple[float, float]
    tiles: dict[str, int] | None = None
    zoom: int | None = None


class FileFacts(_Part):
    """A data file of the folder."""

    name: PlainName
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha


class ShardFacts(_Part):
    """Cells that lie in files of their own: ``files`` by layer, the table of cells under "cells"."""

    cells: Annotated[int, Field(ge=1)]
    imagery: Annotated[int, Field(ge=0)]
    files: dict[str, FileFacts]


class IndexCard(_Part):
    """``extent`` is west, south, east, north of the cells in degrees; ``gaps`` cells had too little imagery."""

    kind: Literal["samescene-cell-index"] = "samescene-cell-index"
    format: Literal[1] = 1
    engine_version: str
    method: str
    cell_m: Annotated[float, Field(ge=5, le=1000)]
    cells: Annotated[int, Field(ge=1)]
    gaps: Annotated[int, Field(ge=0)]
    extent: tuple[float, float, float, float]
    regions: tuple[str, ...]
    layers: Annotated[tuple[LayerFacts, ...], Field(min_length=1)]
    imagery: Annotated[tuple[ImageryFacts, ...], Field(min_length=1)]
    shards: Annotated[tuple[ShardFacts, ...], Field(min_length=1)]
    created: str
    updated: str

    @model_validator(mode="after")
    def _fits(self) -> IndexCard:
        names = {"cells", *(layer.name for layer in self.layers)}
        sizes = {"cells": CELL_DTYPE.itemsize, **{layer.name: layer.cell_bytes for layer in self.layers}}
        for shard in self.shards:
            if set(shard.files) != names:
                raise ValueError(f"a shard has files of {sorted(shard.files)}; expected {sorted(names)}")
            if shard.imagery >= len(self.imagery):
                raise ValueError("a shard names imagery that is not listed")
            for layer, file in shard.files.items():
                if file.bytes != shard.cells * sizes[layer]:
                    raise ValueError(f"{file.name} has {file.bytes} bytes; expected {shard.cells * sizes[layer]}")
        if sum(shard.cells for shard in self.shards) != self.cells:
            raise ValueError("the shards do not add up to the number of cells")
        return self

    def layer(self, name: str) -> LayerFacts | None:
        """The layer of that name."""
        return next((layer for layer in self.layers if layer.name == name), None)

    @property
    def attribution(self) -> str | None:
        """Whom the licences of all its imagery ask to name, each once, parted by semicolons; None where none was
        given."""
        return _listed([one.attribution for one in self.imagery])

    @property
    def imagery_date(self) -> str | None:
        """The dates of all its imagery, in the order in which it was added; else as :attr:`attribution`."""
        return _listed([one.imagery_date for one in self.imagery])

    def told_imagery(self) -> list[dict[str, Any]]:
        """What results say of the imagery, each file once; addresses without user, key and query."""
        told = [
            {
                "path": shown(one.path),
                "imagery_date": one.imagery_date,
                "attribution": one.attribution,
                "gsd_m": one.gsd_m,
            }
            for one in self.imagery
        ]
        return [one for k, one in enumerate(told) if one not in told[:k]]


def _listed(texts: list[str | None]) -> str | None:
    return "; ".join(dict.fromkeys(text for text in texts if text)) or None


def read_card(folder: Path) -> IndexCard:
    """The card of the index in ``folder``. Raises MissingFileError where there is none, DamagedFileError otherwise."""
    path = folder / CARD
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: there is no such index.", remedy="Make one with 'engine locate index'.")
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(
            f"{folder}: this folder is no index: it has no {CARD}.",
            remedy="Give a folder that 'engine locate index' made.",
        ) from None
    except (OSError, ValueError) as error:
        raise damaged(path, f"it is no JSON ({' '.join(str(error).split())[:120]})") from error
    try:
        return IndexCard.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "card"
        raise damaged(path, f"{where}: {fault['msg']}") from error


def damaged(path: Path, why: str) -> DamagedFileError:
    """The one line for a damaged index."""
    return DamagedFileError(
        f"{path}: damaged index: {why}.", remedy="Make the index again with 'engine locate index --overwrite'."
    )

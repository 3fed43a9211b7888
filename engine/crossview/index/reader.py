"""Reading an index: cells and descriptions as memory-mapped arrays, shard by shard."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import CellLayout, Degrees, Ids
from engine.crossview.index.card import CELL_DTYPE, IndexCard, LayerFacts, damaged, read_card
from engine.crossview.index.writer import digest
from engine.errors import ParameterError
from engine.events import Reporter

_KEEP_BYTES = 1 << 30


class CellIndex:
    """An index folder, opened. Cells are numbered through all shards in order; pages are read as they are used.

    Raises MissingFileError, and DamagedFileError (one line, "damaged index") for a card, a file or a size that is not
    what it must be. Digests are checked by :meth:`verify` alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.card: IndexCard = read_card(self.folder)
        self.layout = CellLayout(self.card.cell_m)
        self._starts = np.cumsum([0, *(shard.cells for shard in self.card.shards)])
        for shard in self.card.shards:
            for facts in shard.files.values():
                path = self.folder / facts.name
                try:
                    size = path.stat().st_size
                except OSError as error:
                    raise damaged(path, "the file is missing") from error
                if size != facts.bytes:
                    raise damaged(path, f"it has {size} bytes; expected {facts.bytes}")
        self._ids: Ids | None = None
        self._shards: dict[tuple[str, int], NDArray[Any]] = {}

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.card.cells

    @property
    def place(self) -> str:
        """Its folder, for messages."""
        return str(self.folder)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Number of the first cell of each shard, and the number of all."""
        return self._starts

    def layer(self, name: str) -> LayerFacts:
        """The facts of a layer. Raises ParameterError that lists those there are."""
        found = self.card.layer(name)
        if found is None:
            there = ", ".join(layer.name for layer in self.card.layers)
            raise ParameterError(
                f"{self.folder}: the index has no {name} description; it has {there}.",
                remedy="Search with the method that the index was made with, or make another index.",
            )
        return found

    def ids(self) -> Ids:
        """(cells,) identities in the layout; 8 bytes a cell in memory."""
        if self._ids is None:
            self._ids = np.concatenate([self._cells(k)["id"] for k in range(len(self.card.shards))])
        return self._ids

    def observed(self) -> NDArray[np.uint8]:
        """(cells,) per cent of the cells' crops that the imagery covered."""
        return np.concatenate([self._cells(k)["observed"] for k in range(len(self.card.shards))])

    def centres(self) -> tuple[Degrees, Degrees]:
        """Longitude and latitude of all cells."""
        return self.layout.centres(self.ids())

    def shard(self, name: str, k: int, *, keep: bool = True) -> NDArray[Any]:
        """(cells, scales, dim) descriptions of a shard, mapped from the disk and not writable. ``keep``: it stays
        mapped, so that the system need not find pages anew that were used before."""
        if (name, k) in self._shards:
            return self._shards[(name, k)]
        facts = self.layer(name)
        shape = (self.card.shards[k].cells, len(facts.scales_m), facts.dim)
        found = self._mapped(k, name, np.dtype(facts.dtype)).reshape(shape)
        if keep:
            self._shards[(name, k)] = found
        return found

    def shards(self, name: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """Number of the first cell, and descriptions, of each shard. Of a large index one at a time is mapped: what was
        read leaves the process again."""
        keep = sum(shard.files[name].bytes for shard in self.card.shards) <= _KEEP_BYTES
        for k in range(len(self.card.shards)):
            yield int(self._starts[k]), self.shard(name, k, keep=keep)

    def take(self, name: str, cells: NDArray[np.int64]) -> NDArray[Any]:
        """(N, scales, dim) descriptions of cells by number, in memory."""
        facts = self.layer(name)
        wanted = np.asarray(cells, np.int64)
        home = np.searchsorted(self._starts, wanted, side="right") - 1
        if len(home) and (home == home[0]).all():
            return np.take(self.shard(name, int(home[0])), wanted - self._starts[home[0]], axis=0)
        out = np.empty((len(wanted), len(facts.scales_m), facts.dim), facts.dtype)
        for k in np.unique(home):
            mine = np.flatnonzero(home == k)
            out[mine] = np.take(self.shard(name, int(k)), wanted[mine] - self._starts[k], axis=0)
        return out

    def verify(self, reporter: Reporter) -> None:
        """Read every file and compare its digest with the card's; raises DamagedFileError for the first that
        differs."""
        files = [facts for shard in self.card.shards for facts in shard.files.values()]
        for k, facts in enumerate(files):
            reporter.progress(k / len(files), "verify", f"Checking {facts.name}")
            path = self.folder / facts.name
            try:
                found = digest(path)
            except OSError as error:
                raise damaged(path, f"it cannot be read ({error.strerror})") from error
            if found != facts.sha256:
                raise damaged(path, "its SHA-256 is not that of the card")

    def _cells(self, k: int) -> NDArray[Any]:
        return self._mapped(k, "cells", CELL_DTYPE)

    def _mapped(self, k: int, name: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        path = self.folder / self.card.shards[k].files[name].name
        try:
            with path.open("rb") as file:
                return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype)
        except (OSError, ValueError) as error:
            raise damaged(path, f"it cannot be read ({error})") from error

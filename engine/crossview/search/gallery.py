"""What is searched: cells with their descriptions, of an index folder or, of a small region, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import CellLayout, Ids
from engine.crossview.index.card import LayerFacts
from engine.errors import ParameterError


class Gallery(Protocol):
    """As :class:`engine.crossview.index.reader.CellIndex`."""

    @property
    def layout(self) -> CellLayout:
        """Of the cells."""

    @property
    def cells(self) -> int:
        """Number of cells."""

    @property
    def place(self) -> str:
        """What the gallery is called in messages."""

    def ids(self) -> Ids:
        """(cells,) identities in the layout."""

    def layer(self, name: str) -> LayerFacts:
        """The facts of a layer; raises ParameterError where there is none."""

    def shards(self, name: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """Number of the first cell, and descriptions (cells, scales, dim), part by part."""

    def take(self, name: str, cells: NDArray[np.int64]) -> NDArray[Any]:
        """(N, scales, dim) descriptions of cells by number."""


class MemoryGallery:
    """Cells ``ids`` of ``layout`` with one layer of descriptions ``codes`` (cells, scales, dim)."""

    def __init__(self, layout: CellLayout, ids: Ids, facts: LayerFacts, codes: NDArray[Any], *, place: str) -> None:
        self.layout, self.place = layout, place
        self._ids, self._facts, self._codes = ids, facts, codes

    @property
    def cells(self) -> int:
        """See :class:`Gallery`."""
        return len(self._ids)

    def ids(self) -> Ids:
        """See :class:`Gallery`."""
        return self._ids

    def layer(self, name: str) -> LayerFacts:
        """See :class:`Gallery`."""
        if name != self._facts.name:
            raise ParameterError(f"{self.place}: there is no {name} description; there is {self._facts.name}.")
        return self._facts

    def shards(self, name: str) -> Iterator[tuple[int, NDArray[Any]]]:
        """See :class:`Gallery`."""
        self.layer(name)
        yield 0, self._codes

    def take(self, name: str, cells: NDArray[np.int64]) -> NDArray[Any]:
        """See :class:`Gallery`."""
        self.layer(name)
        return np.asarray(self._codes[cells])

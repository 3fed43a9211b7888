"""What can be mapped: anything with a grid that reads windows as float arrays with NaN for missing values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Grid, Window
from engine.raster.read import Raster

FloatArray = NDArray[np.float32]

STRIP_ROWS = 256
"""Strips are at least this high, in whole blocks."""
READ_VALUES = 1 << 22
"""One read asks for about this many values at most, so that a cancel never waits long for it. 16 MiB as float32: memory
of this size comes back from the C library ready for use, larger pieces are taken anew from the system each time."""


class Source(Protocol):
    """What is mapped. Two optional attributes tell how it is stored: ``block`` (rows, columns), and ``block_origin``
    (row, column) of any block's corner in the grid, where that is not (0, 0)."""

    @property
    def grid(self) -> Grid:
        """The grid of the result."""

    def read(self, window: Window) -> FloatArray:
        """float32 (bands, rows, columns); NaN where there is no valid value. Windows may reach over the grid's edges.

        Called from one background thread, one call at a time.
        """


class RasterSource:
    """Some bands (1-based; default all) of an open raster as a source."""

    def __init__(self, raster: Raster, bands: Sequence[int] | None = None) -> None:
        self._raster, self._bands = raster, bands
        self.block = raster.block

    @property
    def grid(self) -> Grid:
        """The raster's grid."""
        return self._raster.grid

    def read(self, window: Window) -> FloatArray:
        """See :class:`Source`."""
        return self._raster.read(window, self._bands)


@dataclass(frozen=True)
class Blocks:
    """Blocks of ``rows`` × ``cols`` pixels with a corner at (``row``, ``col``)."""

    rows: int
    cols: int
    row: int = 0
    col: int = 0

    @classmethod
    def of(cls, source: Source) -> Blocks:
        """Those of a source; squares of :data:`STRIP_ROWS` where it tells none."""
        rows, cols = getattr(source, "block", (STRIP_ROWS, STRIP_ROWS))
        row, col = getattr(source, "block_origin", (0, 0))
        return cls(max(1, int(rows)), max(1, int(cols)), int(row), int(col))

    @property
    def strip_rows(self) -> int:
        """Rows of a strip: whole blocks. Files in one piece cannot be read aligned in bounded memory."""
        return math.ceil(STRIP_ROWS / self.rows) * self.rows if self.rows <= 2048 else STRIP_ROWS

    def row_cuts(self, start: int, stop: int) -> list[int]:
        """``start``, the strips' edges between, ``stop``."""
        return _cuts(start, stop, self.strip_rows, self.row)

    def col_cuts(self, start: int, stop: int, *, at_most: int) -> list[int]:
        """``start``, edges of whole blocks between, at most ``at_most`` columns (or one block) apart, ``stop``."""
        return _cuts(start, stop, max(1, at_most // self.cols) * self.cols, self.col)

    def pieces(self, start: int, stop: int, left: int, right: int, *, bands: int) -> Iterator[Window]:
        """Windows of about :data:`READ_VALUES` that cover rows and columns: strip by strip, left to right."""
        rows = self.row_cuts(start, stop)
        for top, bottom in itertools.pairwise(rows):
            cols = self.col_cuts(left, right, at_most=max(1, READ_VALUES // (bands * (bottom - top))))
            for west, east in itertools.pairwise(cols):
                yield Window(top, west, bottom - top, east - west)


def _cuts(start: int, stop: int, step: int, origin: int) -> list[int]:
    first = origin + ((start - origin) // step + 1) * step
    return [start, *range(first, stop, step), stop]

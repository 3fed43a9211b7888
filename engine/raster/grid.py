"""Grids and windows: where the pixels of a raster lie. Values only; nothing is opened here.

A :class:`Grid` is height, width, an affine transform (pixel column, row → CRS x, y) and a CRS. A :class:`Window` is a
rectangle of whole pixels, always written row before column. Windows may reach over a grid's edge; readers fill there.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError


class Bounds(NamedTuple):
    """west, south, east, north in the units of a CRS; west ≤ east and south ≤ north."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True, order=True)
class Window:
    """Rows ``row … row + height`` and columns ``col … col + width``; sizes may be 0, offsets may be negative."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise ValueError(f"A window cannot have a negative size: {self.height} x {self.width}.")

    @property
    def row_stop(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def empty(self) -> bool:
        """True when the window has no pixel."""
        return self.height == 0 or self.width == 0

    def intersect(self, other: Window) -> Window:
        """The common part; an empty window at the nearer corner when there is none."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        return Window(
            row, col, max(0, min(self.row_stop, other.row_stop) - row), max(0, min(self.col_stop, other.col_stop) - col)
        )

    def grow(self, rows: int, cols: int | None = None) -> Window:
        """The window with ``rows`` more above and below and ``cols`` (default: the same) more left and right."""
        cols = rows if cols is None else cols
        return Window(self.row - rows, self.col - cols, self.height + 2 * rows, self.width + 2 * cols)

    def shift(self, rows: int, cols: int) -> Window:
        """The window moved down by ``rows`` and right by ``cols``."""
        return Window(self.row + rows, self.col + cols, self.height, self.width)

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Slices of this window in an array that covers ``outer``; it must lie inside ``outer``."""
        row, col = self.row - outer.row, self.col - outer.col
        if row < 0 or col < 0 or self.row_stop > outer.row_stop or self.col_stop > outer.col_stop:
            raise ValueError(f"{self} does not lie inside {outer}.")
        return slice(row, row + self.height), slice(col, col + self.width)


class Strip(NamedTuple):
    """One step of a streamed pass: ``core`` is written, ``outer`` (core plus halo, clipped to the grid) is read."""

    core: Window
    outer: Window


@dataclass(frozen=True)
class Grid:
    """Where pixels lie. ``crs`` is None for a raster without georeference; then ``transform`` counts pixels.

    ``transform`` maps (column, row) of a pixel's upper-left corner to CRS coordinates and may be rotated, south-up or
    geographic. Equality is exact: two grids are equal when transforms are equal to the bit.
    """

    height: int
    width: int
    transform: Affine
    crs: CRS | None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def window(self) -> Window:
        """The whole grid as a window."""
        return Window(0, 0, self.height, self.width)

    @property
    def bounds(self) -> Bounds:
        """The axis-parallel box around all four corners, in the grid's CRS."""
        corners = [self.transform @ c for c in ((0, 0), (self.width, 0), (0, self.height), (self.width, self.height))]
        xs, ys = [c[0] for c in corners], [c[1] for c in corners]
        return Bounds(min(xs), min(ys), max(xs), max(ys))

    @property
    def geographic(self) -> bool:
        """True when the CRS is in degrees."""
        return self.crs is not None and bool(self.crs.is_geographic)

    def gsd_m(self) -> tuple[float, float]:
        """Ground sampling distance (down a column, along a row) in metres at the grid's centre.

        Degrees are turned to metres on a sphere of 6,371,008.8 m, projected units by the CRS's unit factor; a grid
        without CRS gives the transform's own lengths.
        """
        t = self.transform
        if self.geographic:
            _, lat = t @ (self.width / 2, self.height / 2)
            north = math.pi / 180 * 6_371_008.8
            east = north * math.cos(math.radians(max(-89.9, min(89.9, lat))))
            return math.hypot(t.b * east, t.e * north), math.hypot(t.a * east, t.d * north)
        factor = 1.0
        if self.crs is not None:
            with contextlib.suppress(CRSError):  # a local system that is not projected: its own lengths
                factor = float(self.crs.linear_units_factor[1])
        return math.hypot(t.b, t.e) * factor, math.hypot(t.a, t.d) * factor

    def crop(self, window: Window) -> Grid:
        """The grid of a window; its pixels keep their places."""
        moved = self.transform @ Affine.translation(window.col, window.row)
        return Grid(window.height, window.width, moved, self.crs)

    def strips(self, rows: int, *, halo: int = 0) -> Iterator[Strip]:
        """Full-width strips of ``rows`` rows (the last may be lower), each with ``halo`` rows more to read."""
        for row in range(0, self.height, rows):
            core = Window(row, 0, min(rows, self.height - row), self.width)
            yield Strip(core, core.grow(halo, 0).intersect(self.window))

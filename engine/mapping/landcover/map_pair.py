"""Two maps of classes on one grid: that of the first, cut to where both are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from engine.errors import EngineError, GridError, InputError
from engine.legends import NOT_OBSERVED
from engine.mapping.scene.regions import crop_to, window_of_bounds
from engine.raster.area import PixelAreas
from engine.raster.classes import MISSING, CodedRaster, strips_of
from engine.raster.crs import Transformation, same_crs
from engine.raster.grid import Bounds, Grid, Window
from engine.raster.read import Raster, open_raster
from engine.raster.vector import Regions, burn

U8 = NDArray[np.uint8]
_MODE_FROM, _MOST_SAMPLES = 1.5, 8


class MapPair:
    """Codes of two maps, window by window, on the first map's grid. Use it as a context manager.

    The second map is laid on the grid by the nearest pixel, or where its pixels are smaller (less than 1 / 1.5) by the
    most frequent of the pixels under each. ``samples``: of these, on a side. Codes are uint8, 255 where there is none.

    Raises what :func:`open_raster` raises, GridError without a CRS or overlap, BandError, InputError for values that
    are no codes of 0 to 254.
    """

    def __init__(self, path_a: str, path_b: str, region: Any = None) -> None:
        self._stack = ExitStack()
        try:
            self.a = self._open(path_a, "earlier map")
            self.b = self._open(path_b, "later map")
            whole = self.a.grid
            self._region: Regions | None = region(whole) if region is not None else None
            window = _overlap(whole, self.b.grid).intersect(crop_to(self._region, whole, self.a.path))
            if window.empty:
                raise _apart(self.a, self.b)
            self._at = window
            self.grid = whole.crop(window)
        except BaseException:
            self._stack.close()
            raise
        self.samples = _samples(self.grid, self.b.grid)
        fine = Grid(
            self.grid.height * self.samples,
            self.grid.width * self.samples,
            self.grid.transform @ Affine.scale(1 / self.samples),
            self.grid.crs,
        )
        self._coded_a = CodedRaster(self.a)
        self._coded_b = CodedRaster(self.b.onto(fine if self.samples > 1 else self.grid))
        self.areas = PixelAreas(self.grid)

    def strips(self) -> Iterator[Window]:
        """Full-width windows of :attr:`grid` from the top, along the blocks of the first map."""
        if self._at.row % self.a.block[0]:
            yield from strips_of(self.grid, 1)
        else:
            yield from strips_of(self.grid, self.a.block[0])

    def read(self, window: Window) -> tuple[U8, U8]:
        """Codes of both maps in ``window`` of :attr:`grid`; 255 outside of the area of interest too."""
        one = _bytes(self._coded_a, window.shift(self._at.row, self._at.col))
        other = self._read_b(window)
        if self._region is not None:
            outside = ~burn(list(self._region.geometries), self.grid, window)
            one[outside] = other[outside] = NOT_OBSERVED
        return one, other

    def _read_b(self, window: Window) -> U8:
        k = self.samples
        if k == 1:
            return _bytes(self._coded_b, window)
        out = np.empty(window.shape, np.uint8)
        rows = max(1, 2_000_000 // max(1, window.width * k * k))
        for row in range(0, window.height, rows):
            part = Window(window.row + row, window.col, min(rows, window.height - row), window.width)
            fine = _bytes(self._coded_b, Window(part.row * k, part.col * k, part.height * k, part.width * k))
            out[row : row + part.height] = _modes(fine, k)
        return out

    def _open(self, path: str, what: str) -> Raster:
        raster = self._stack.enter_context(open_raster(path, what=what))
        raster.require_crs()
        return raster

    def __enter__(self) -> MapPair:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _bytes(coded: CodedRaster, window: Window) -> U8:
    codes = coded.read(window)
    if codes.size and int(codes.max()) > NOT_OBSERVED:
        raise InputError(
            f"{coded.raster.path}: the {coded.raster.what} has class code {int(codes.max())}; expected 0 to 254.",
            remedy="Give a land-cover map with codes of one byte.",
        )
    codes[codes == MISSING] = NOT_OBSERVED
    return codes.astype(np.uint8)


def _modes(fine: U8, k: int) -> U8:
    """The most frequent code of every k × k pixels, the smallest of equals; 255 counts as a code of its own."""
    height, width = fine.shape[0] // k, fine.shape[1] // k
    best, most = np.full((height, width), NOT_OBSERVED, np.uint8), np.zeros((height, width), np.int32)
    for code in np.flatnonzero(np.bincount(fine.ravel(), minlength=256)):
        count = (fine == code).reshape(height, k, width, k).sum(axis=(1, 3), dtype=np.int32)
        better = count > most
        best[better], most[better] = code, count[better]
    return best


def _samples(grid: Grid, other: Grid) -> int:
    ratio = min(a / max(b, 1e-12) for a, b in zip(grid.gsd_m(), other.gsd_m(), strict=True))
    return min(_MOST_SAMPLES, math.ceil(ratio - 0.01)) if ratio > _MODE_FROM else 1


def _overlap(grid: Grid, other: Grid) -> Window:
    """A window of ``grid`` that holds all that ``other`` covers."""
    rows, cols = np.meshgrid(np.linspace(0, other.height, 33), np.linspace(0, other.width, 33), indexing="ij")
    t = other.transform
    x, y = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    if not same_crs(grid.crs, other.crs):
        try:
            x, y = Transformation(other.crs, grid.crs)(x, y)
        except EngineError:
            return grid.window
    if not np.isfinite(x).all():
        return grid.window
    if grid.geographic:
        turn = 360.0 * round((float(x.mean()) - (grid.bounds.west + grid.bounds.east) / 2) / 360.0)
        x = x - turn
        if np.ptp(x) > 180:
            return grid.window  # on both sides of the antimeridian
    box = window_of_bounds(Bounds(float(x.min()), float(y.min()), float(x.max()), float(y.max())), grid)
    # Edges between the points of the mesh may bend outwards.
    margin = 2 + max(box.shape) // 100
    return box if box.empty else box.grow(margin).intersect(grid.window)


def _apart(one: Raster, other: Raster) -> GridError:
    return GridError(
        f"{one.path} and {other.path} do not overlap (within the area of interest, if one is given).",
        remedy="Give two maps of one place, and check their coordinate reference systems.",
    )

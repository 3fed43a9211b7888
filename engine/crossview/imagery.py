"""The reference image as crops see it: 8-bit red, green and blue in chunks, with levels of half size, within a budget.

Chunks lie along the blocks in which the file is stored, so that a block is decoded once for all the crops that overlap
in it, as long as the budget holds what lies between its first and its last use. Levels are means of 2 × 2 pixels
counted from the raster's corner: they do not depend on who asks.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import BandError
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster

U8 = NDArray[np.uint8]
LEVELS = 5
"""Levels of half size below the full one."""
_CHUNK = 1024
_MAX_LINE = 1 << 22
_SAMPLE = 256


@dataclass(frozen=True)
class Stretch:
    """How values become 0 to 255: linearly from ``low`` to ``high``; (0, 255) is what 8-bit images have."""

    low: float = 0.0
    high: float = 255.0

    def apply(self, values: NDArray[np.float32], *, finite: bool = False) -> U8:
        """uint8 of values; NaN becomes 0. ``finite``: there is none, and ``values`` may be written over."""
        if not finite:
            values = np.nan_to_num(values, nan=self.low, posinf=self.high, neginf=self.low)
        if (self.low, self.high) != (0.0, 255.0):
            values = (values - self.low) * (255 / (self.high - self.low))
        np.rint(values, out=values)
        return np.asarray(np.clip(values, 0, 255, out=values).astype(np.uint8))


class Chunk:
    """A part of the image: ``levels[k]`` (3, rows, columns) uint8 and ``valid[k]`` (rows, columns) bool, or None where
    all is valid."""

    def __init__(self, colors: U8, valid: NDArray[np.bool_] | None) -> None:
        self._levels: list[tuple[U8, NDArray[np.bool_] | None]] = [(colors, valid)]

    def level(self, k: int) -> tuple[U8, NDArray[np.bool_] | None]:
        """Colours and validity at 1/2^k of the size."""
        while len(self._levels) <= k:
            self._levels.append(halve(*self._levels[-1]))
        return self._levels[k]

    @property
    def nbytes(self) -> int:
        """Memory held, the levels that may still be made included."""
        return self._levels[0][0].nbytes * 5 // 3


class Imagery:
    """Colours of ``raster`` (1, 3 or more bands; bands named red, green and blue are found by name).

    ``budget_bytes`` bounds the chunks that are kept. ``decoded`` counts chunks that were read. Raises GridError for a
    raster without CRS and BandError for one whose pixels are indices of a colour table.
    """

    def __init__(self, raster: Raster, *, budget_bytes: int = 384 << 20, stretch: Stretch | None = None) -> None:
        raster.require_crs()
        if raster.paletted:
            raise BandError(
                f"{raster.path}: the pixels of the {raster.what} are indices of a colour table; expected colours.",
                remedy="Convert it with gdal_translate -expand rgb.",
            )
        self.raster, self.grid = raster, raster.grid
        self.bands = color_bands(raster)
        self.chunk = _chunk_shape(raster)
        self.decoded = 0
        self._budget = max(budget_bytes, 4 * 3 * self.chunk[0] * self.chunk[1])
        self._kept: OrderedDict[tuple[int, int], Chunk] = OrderedDict()
        self._bytes = 0
        self.stretch = stretch or (Stretch() if raster.dtype == "uint8" else measure_stretch(raster, self.bands))

    @property
    def budget_bytes(self) -> int:
        """Most bytes of chunks that are kept."""
        return self._budget

    def mosaic(self, window: Window, k: int) -> tuple[U8, NDArray[np.bool_]]:
        """Colours (3, rows, columns) and validity (rows, columns) of a window **of level k**, which may reach beyond
        the image: there nothing is valid."""
        colors = np.zeros((3, *window.shape), np.uint8)
        valid = np.zeros(window.shape, np.bool_)
        height, width = self.chunk[0] >> k, self.chunk[1] >> k
        inside = window.intersect(self.level_grid(k))
        if inside.empty:
            return colors, valid
        for i in range(inside.row // height, -(-inside.row_stop // height)):
            for j in range(inside.col // width, -(-inside.col_stop // width)):
                part, mask = self._chunk(i, j).level(k)
                place = Window(i * height, j * width, *part.shape[1:])
                common = place.intersect(inside)
                if common.empty:
                    continue
                here, there = common.within(window), common.within(place)
                colors[(slice(None), *here)] = part[(slice(None), *there)]
                valid[here] = True if mask is None else mask[there]
        return colors, valid

    def level_grid(self, k: int) -> Window:
        """The whole image at level k."""
        return Window(0, 0, -(-self.grid.height >> k), -(-self.grid.width >> k))

    def _chunk(self, i: int, j: int) -> Chunk:
        found = self._kept.get((i, j))
        if found is not None:
            self._kept.move_to_end((i, j))
            return found
        height, width = self.chunk
        window = Window(i * height, j * width, height, width).intersect(self.grid.window)
        chunk = self._decode(window)
        self.decoded += 1
        self._kept[(i, j)] = chunk
        self._bytes += chunk.nbytes
        while self._bytes > self._budget and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= dropped.nbytes
        return chunk

    def _decode(self, window: Window) -> Chunk:
        values = self.raster.read(window, self.bands)
        there = np.isfinite(values)
        whole = bool(there.all())
        colors = self.stretch.apply(values, finite=whole)
        if len(self.bands) == 1:
            colors = np.repeat(colors, 3, axis=0)
        if whole:
            return Chunk(colors, None)
        finite: NDArray[np.bool_] = np.asarray(there.all(axis=0))
        colors[:, ~finite] = 0
        return Chunk(colors, finite)


def color_bands(raster: Raster) -> tuple[int, ...]:
    """Numbers of the bands red, green and blue: by name, else the first three; the first alone where there are
    fewer."""
    names = [(name or "").strip().lower() for name in raster.names]
    for wanted in (("red", "green", "blue"), ("r", "g", "b"), ("b04", "b03", "b02"), ("b4", "b3", "b2")):
        if all(name in names for name in wanted):
            return tuple(names.index(name) + 1 for name in wanted)
    return (1, 2, 3) if raster.count >= 3 else (1,)


def measure_stretch(raster: Raster, bands: tuple[int, ...]) -> Stretch:
    """From the 1st to the 99th percentile of 25 windows spread over the image; (0, 255) where nothing is valid."""
    grid: Grid = raster.grid
    found = []
    for i in range(5):
        for j in range(5):
            row = int((i + 0.5) / 5 * grid.height) - _SAMPLE // 2
            col = int((j + 0.5) / 5 * grid.width) - _SAMPLE // 2
            values = raster.read(Window(max(row, 0), max(col, 0), _SAMPLE, _SAMPLE), bands)
            found.append(values[np.isfinite(values)])
    together = np.concatenate(found)
    if not together.size:
        return Stretch()
    low, high = (float(v) for v in np.percentile(together, (1, 99)))
    return Stretch(low, high if high > low else low + 1)


def halve(colors: U8, valid: NDArray[np.bool_] | None) -> tuple[U8, NDArray[np.bool_] | None]:
    """Half size, rounded up: the mean of the valid pixels of each 2 × 2, valid where at least half of those in the
    image are."""
    odd = (colors.shape[1] % 2, colors.shape[2] % 2)
    if any(odd):
        colors = np.pad(colors, ((0, 0), (0, odd[0]), (0, odd[1])), mode="edge")
        valid = None if valid is None else np.pad(valid, ((0, odd[0]), (0, odd[1])), mode="edge")
    if valid is None:
        rows = colors[:, ::2].astype(np.uint16) + colors[:, 1::2]
        total = rows[:, :, ::2] + rows[:, :, 1::2]
        return ((total + 2) >> 2).astype(np.uint8), None
    weights = valid.astype(np.uint16)
    count = weights[::2, ::2] + weights[1::2, ::2] + weights[::2, 1::2] + weights[1::2, 1::2]
    seen = colors * weights
    total = seen[:, ::2, ::2] + seen[:, 1::2, ::2] + seen[:, ::2, 1::2] + seen[:, 1::2, 1::2]
    mean = (total + count // 2) // np.maximum(count, 1)
    good = count >= 2
    mean[:, ~good] = 0
    return mean.astype(np.uint8), good


def _chunk_shape(raster: Raster) -> tuple[int, int]:
    """Rows and columns of a chunk: whole blocks, whole pixels of every level, about a million pixels."""
    step = 1 << LEVELS
    height, width = (math.lcm(block, step) for block in raster.block)
    if raster.block[1] >= raster.grid.width:  # stored by whole rows
        width = -(-raster.grid.width // step) * step
    if raster.block[0] >= raster.grid.height:
        height = -(-raster.grid.height // step) * step
    if width > _MAX_LINE or height > _MAX_LINE or width * height > 1 << 26:
        return _CHUNK, _CHUNK
    cols = width * max(1, _CHUNK // width)
    return height * max(1, _CHUNK * _CHUNK // (height * cols)), cols

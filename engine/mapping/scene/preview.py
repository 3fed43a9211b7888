"""Small pictures of a large map for the report, gathered while the strips go by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from engine.mapping.report.pictures import backscatter_rgb, reflectance_rgb
from engine.raster.grid import Grid, Window
from engine.sar.radiometry import to_power

U8 = NDArray[np.uint8]


class PictureReader(Protocol):
    """What a picture is made from; as :class:`engine.mapping.flood.detector.SceneReader` has it."""

    @property
    def grid(self) -> Grid:
        """The output grid."""

    @property
    def polarisations(self) -> tuple[str, ...]:
        """Of Sentinel-1; none where the picture shows Sentinel-2."""

    @property
    def optical_bands(self) -> tuple[str, ...]:
        """Of Sentinel-2."""

    def read(self, window: Window) -> NDArray[np.float32]:
        """(2, rows, columns) dB of VV, VH."""

    def read_optical(self, window: Window, names: Sequence[str]) -> NDArray[np.float32]:
        """(len(names), rows, columns) reflectance."""


class MapStrip(Protocol):
    """A finished strip of a map: codes and per cent, uint8 (rows, columns), 255 where not observed."""

    @property
    def window(self) -> Window:
        """Full width."""

    @property
    def codes(self) -> U8:
        """Classes."""

    @property
    def probability(self) -> U8:
        """Per cent."""


class Preview:
    """A sink that keeps every ``step``-th pixel of codes and probability, and block means of backscatter or, where the
    scene is Sentinel-2 alone, of reflectance in ``bands`` (red, green, blue where there are; empty for backscatter).
    With ``prefer_light`` reflectance wherever there is some. Where :meth:`take_light` was called, the picture is what
    it got, and nothing is read again.

    ``step`` makes the longer side at most ``size`` pixels. Arrays: ``codes``, ``probability`` uint8, ``picture`` uint8
    (rows, columns, 3), from ``mean`` float32 (planes, rows, columns): linear power of VV, VH, or reflectance, of the
    valid pixels (NaN where a block has none).
    """

    def __init__(self, scene: PictureReader, *, size: int = 1400, prefer_light: bool = False) -> None:
        grid = scene.grid
        self._scene = scene
        radar = scene.polarisations and not (prefer_light and scene.optical_bands)
        self.bands = () if radar else picture_bands(scene.optical_bands)
        self.step = max(1, math.ceil(max(grid.shape) / size))
        rows, cols = math.ceil(grid.height / self.step), math.ceil(grid.width / self.step)
        self.codes: U8 = np.full((rows, cols), 255, np.uint8)
        self.probability: U8 = np.full((rows, cols), 255, np.uint8)
        self._sum = np.zeros((len(self.bands) or 2, rows, cols))
        self._count = np.zeros(self._sum.shape)
        self._given = False

    @property
    def grid(self) -> Grid:
        """The grid of the preview's pixels."""
        grid = self._scene.grid
        rows, cols = self.codes.shape
        return Grid(rows, cols, grid.transform @ Affine.scale(self.step), grid.crs)

    def add(self, strip: MapStrip) -> None:
        """Take from one strip."""
        window, step = strip.window, self.step
        first = -window.row % step
        offset = step // 2 if window.height > first + step // 2 else 0
        rows = np.arange(first, window.height, step)
        taken = np.minimum(rows + offset, window.height - 1)
        target = (rows + window.row) // step
        cols = np.minimum(np.arange(0, window.width, step) + step // 2, window.width - 1)
        self.codes[target] = strip.codes[np.ix_(taken, cols)]
        self.probability[target] = strip.probability[np.ix_(taken, cols)]
        for row in range(window.row, window.row_stop, 512) if not self._given else ():
            self._add_image(Window(row, 0, min(512, window.row_stop - row), window.width))

    def take_light(self, window: Window, names: Sequence[str], planes: NDArray[np.float32]) -> None:
        """Keep every ``step``-th pixel of reflectance (len(names), rows, columns) that was read for something else;
        windows come in any order, may overlap and reach over the grid. Does nothing where a band of the picture is not
        among ``names``."""
        if not self.bands or not set(self.bands) <= set(names):
            return
        self._given = True
        grid, (rows, cols) = self._scene.grid, self.codes.shape
        row = np.minimum(np.arange(rows) * self.step + self.step // 2, grid.height - 1)
        col = np.minimum(np.arange(cols) * self.step + self.step // 2, grid.width - 1)
        into_rows = np.flatnonzero((row >= window.row) & (row < window.row_stop))
        into_cols = np.flatnonzero((col >= window.col) & (col < window.col_stop))
        if not (into_rows.size and into_cols.size):
            return
        place = slice(into_rows[0], into_rows[-1] + 1), slice(into_cols[0], into_cols[-1] + 1)
        for number, name in enumerate(self.bands):
            # Rows by number and columns by number at once would take ten times as long.
            values = planes[names.index(name)][row[into_rows] - window.row][:, col[into_cols] - window.col]
            self._count[number][place] = np.isfinite(values)
            self._sum[number][place] = np.nan_to_num(values)

    def _add_image(self, window: Window) -> None:
        scene = self._scene
        values = scene.read_optical(window, self.bands) if self.bands else to_power(scene.read(window))
        valid = np.isfinite(values)
        target = np.arange(window.row // self.step, math.ceil(window.row_stop / self.step))
        row_starts = np.maximum(target * self.step - window.row, 0)
        col_starts = np.arange(0, window.width, self.step)
        for out, part in ((self._sum, np.where(valid, values, 0.0)), (self._count, valid.astype(np.float32))):
            blocks = np.add.reduceat(np.add.reduceat(part, row_starts, axis=1), col_starts, axis=2)
            out[:, target] += blocks

    @property
    def mean(self) -> NDArray[np.float32]:
        """See the class."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self._sum / self._count
        return np.where(self._count > 0, mean, np.nan).astype(np.float32)

    @property
    def picture(self) -> U8:
        """See the class."""
        if self.bands:
            return reflectance_rgb(self.mean)
        with np.errstate(divide="ignore"):
            decibel = 10 * np.log10(self.mean)
        return backscatter_rgb(decibel[0], decibel[1])


def picture_bands(names: Sequence[str]) -> tuple[str, ...]:
    """Bands for red, green and blue: true colour, short-wave infrared, or the first three; one alone is grey."""
    for three in (("B04", "B03", "B02"), ("B11", "B08", "B04"), ("B08", "B04", "B03")):
        if set(three) <= set(names):
            return three
    return tuple(names[:3]) if len(names) >= 3 else tuple(names[:1])

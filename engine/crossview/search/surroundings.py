"""The places around a candidate that a photo is turned over: cut as one crop, of which each place is a part.

A photo was taken anywhere in its cell, so nine places of it are tried. Crops around them share most of their ground:
one crop of all is cut, and the place's own is a window of it. Places lie whole pixels from the middle for that.
"""

from __future__ import annotations

import numpy as np

from engine.crossview.cells import METRES_PER_DEGREE, Degrees
from engine.crossview.patchwork import Cuts
from engine.crossview.samples import Crops, Samples

STEPS = 3
"""Places along a cell's side; odd, so that the middle is one of them."""


class Surroundings:
    """The :data:`STEPS`² places of cells of ``cell_m`` metres, evenly spread in a cell, the middle first: of equals it
    is taken. Crops are those of ``cropper`` at ``scale_m`` metres a pixel."""

    def __init__(self, cropper: Cuts, cell_m: float, scale_m: float) -> None:
        self._scale, self._side = scale_m, cropper.side
        self._step = round(cell_m / STEPS / scale_m)
        reach = self._step * (STEPS // 2)
        ticks = np.arange(STEPS) - STEPS // 2
        self._grid = sorted(((e, n) for e in ticks for n in ticks), key=lambda p: (p[0] ** 2 + p[1] ** 2, p))
        self._reach, wide = reach, self._side + 2 * reach
        self._apart = wide * wide > STEPS**2 * self._side**2  # cells so large that little ground is shared
        self._cropper = cropper if self._apart else cropper.of_side(wide)

    def __len__(self) -> int:
        return len(self._grid)

    def places(self, lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
        """(N · 9,) degrees of the places around points (N,), one point's after the other's."""
        east, north = (np.array([[p[k] for p in self._grid]]) * (self._step * self._scale) for k in (0, 1))
        wide = METRES_PER_DEGREE * np.cos(np.radians(lat))[:, None]
        return (lon[:, None] + east / wide).ravel(), (lat[:, None] + north / METRES_PER_DEGREE).ravel()

    def cut(self, lon: Degrees, lat: Degrees) -> list[Crops]:
        """For each of the nine, the crops around that place of every point (N,); where nothing is missing they are
        views of one tensor. Raises what reading the imagery raises."""
        if self._apart:
            each = (a.reshape(len(lon), -1).T for a in self.places(lon, lat))
            return [self._cropper.cut(east, north, self._scale) for east, north in zip(*each, strict=True)]
        whole = self._cropper.sample(lon, lat, self._scale)
        return [self._window(whole, int(e), int(n)).crops() for e, n in self._grid]

    def _window(self, whole: Samples, east: int, north: int) -> Samples:
        top, left = self._reach - north * self._step, self._reach + east * self._step
        rows, cols = slice(top, top + self._side), slice(left, left + self._side)
        weight = None if whole.weight is None else whole.weight[:, :, rows, cols]
        return Samples(whole.colors[:, :, rows, cols], weight)

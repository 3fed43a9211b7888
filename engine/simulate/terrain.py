"""The ground: rivers, lakes, flood plains and hills, as smooth fields on a lattice of 8 pixels.

Height is built from water: every place has the water level of its nearest river or lake and a height above it (HAND,
Renno et al. 2008; Nobre et al. 2011), so what a flood of so many metres covers is low-lying and joined to the water.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree

from engine.raster.grid import Window
from engine.simulate.drainage import Rivers, make_rivers
from engine.simulate.noise import derive, fractal_noise, hash_integers, lattice_noise, spread

FloatArray = NDArray[np.float32]

STEP = 8
_PAD = 3
_FAR = np.float32(4000.0)


class Ground(NamedTuple):
    """The ground of a window, all (height, width) float32.

    ``distance``: pixels to the edge of permanent water, negative in it. ``level``: permanent water level (m).
    ``hand``: height above it (m), negative under water. ``surge``: share (0..1) of the flood's rise that comes here.
    """

    distance: FloatArray
    level: FloatArray
    hand: FloatArray
    surge: FloatArray

    @property
    def height(self) -> FloatArray:
        """Height of ground or permanent water in metres, as a DEM shows it."""
        return self.level + np.maximum(self.hand, 0)


class Terrain:
    """The ground of a scene of ``height`` x ``width`` pixels of ``gsd`` metres with hills of ``relief`` metres.

    Holds about 40 bytes for every 8 x 8 pixels: 250 MB for 25,000 x 16,000.
    """

    def __init__(self, seed: int, height: int, width: int, *, gsd: float, relief: float) -> None:
        self.seed, self.shape, self.gsd, self.relief = seed, (height, width), gsd, relief
        rows, cols = height // STEP + 2 * _PAD + 2, width // STEP + 2 * _PAD + 2
        self._nodes = Window(-_PAD, -_PAD, rows, cols)
        rivers = make_rivers(seed, height, width, gsd=gsd)
        self._near_rivers(rivers)
        self._lake = np.full((rows, cols), _FAR)
        self._plain *= np.exp(np.float32(0.6) * fractal_noise(derive(seed, "plain"), self._nodes, 24, 6)) * 1.7
        self._plain += 6
        self._dig_lakes()
        self._raise_hills()

    def _near_rivers(self, rivers: Rivers) -> None:
        """Offset to the nearest river point and that river's values, for every node."""
        rows, cols = self._nodes.shape
        r = np.clip(np.rint(rivers.rows / STEP).astype(int) + _PAD, 0, rows - 1)
        c = np.clip(np.rint(rivers.cols / STEP).astype(int) + _PAD, 0, cols - 1)
        point_at = np.full((rows, cols), -1, np.int32)
        point_at[r, c] = np.arange(len(r), dtype=np.int32)
        away, nearest = distance_transform_edt(point_at < 0, return_indices=True)
        point = point_at[nearest[0], nearest[1]]
        del nearest
        # Close by, the cell's own point is too coarse: ask for the nearest of all points.
        close = np.argwhere(away <= 3.0)
        places = np.stack([rivers.rows, rivers.cols], axis=1)
        _, found = cKDTree(places).query((close - _PAD) * STEP)
        point[close[:, 0], close[:, 1]] = found
        node_rows = ((np.arange(rows) - _PAD) * STEP).astype(np.float32)[:, None]
        node_cols = ((np.arange(cols) - _PAD) * STEP).astype(np.float32)[None, :]
        self._down = rivers.rows[point] - node_rows
        self._right = rivers.cols[point] - node_cols
        self._away = np.hypot(self._down, self._right)
        self._half = gaussian_filter(rivers.half_width[point], 2.0)
        # The level jumps at divides; smooth more the farther the river is.
        level = rivers.level[point]
        wide = gaussian_filter(gaussian_filter(level, 3.0), 12.0)
        share = np.clip(self._away / 200.0, 0, 1)
        self._level = gaussian_filter(level, 2.0) * (1 - share) + wide * share
        self._surge = gaussian_filter(0.3 + 0.7 * rivers.size[point], 4.0)
        self._plain = gaussian_filter(2 * rivers.half_width[point], 6.0)

    def _dig_lakes(self) -> None:
        height, width = self.shape
        count = max(1, round(height * width / 1.5e6))
        keys = hash_integers(derive(self.seed, "lakes"), np.arange(count)[:, None], np.arange(4)[None, :])
        share = keys.astype(np.float64) / 2**32
        for k in range(count):
            radius = min(9 + 34 * share[k, 2] ** 2, 0.06 * min(height, width))
            row, col = share[k, 0] * height, share[k, 1] * width
            self._dig_lake(derive(self.seed, "lake", k), row, col, radius, 0.7 + 0.8 * share[k, 3])

    def _dig_lake(self, seed: int, row: float, col: float, radius: float, stretch: float) -> None:
        reach = int(5 * radius / STEP) + 8
        box = Window(int(row // STEP) - reach, int(col // STEP) - reach, 2 * reach, 2 * reach).intersect(self._nodes)
        here = box.within(self._nodes)
        y = (np.arange(box.row, box.row_stop) * STEP - row)[:, None] * stretch
        x = (np.arange(box.col, box.col_stop) * STEP - col)[None, :] / stretch
        shape = np.hypot(y, x) - radius * (1 + 0.33 * lattice_noise(seed, box, max(2, int(radius / STEP))))
        centre = np.unravel_index(int(np.argmin(shape)), shape.shape)
        if self._away[here][centre] < 2.5 * radius + 20:
            return  # a river runs through: no lake of its own
        level = self._level[here][centre] + 1.0
        near = np.clip(1.6 - shape / (1.5 * radius + 16), 0, 1)
        near = (near * near * (3 - 2 * near)).astype(np.float32)
        self._lake[here] = np.minimum(self._lake[here], shape.astype(np.float32))
        self._level[here] += near * (level - self._level[here])
        self._surge[here] += near * (0.5 - self._surge[here])

    def _raise_hills(self) -> None:
        nodes = self._nodes
        away = np.minimum(np.maximum(self._away, 0) - self._half, self._lake)
        rise = 1 - np.exp(-((np.maximum(away - 1.3 * self._plain, 0) / 160.0) ** 1.3))
        broad = 0.5 + 0.28 * fractal_noise(derive(self.seed, "hills"), nodes, 64, 8)
        crests = 1 - np.abs(fractal_noise(derive(self.seed, "crests"), nodes, 16, 2, gain=0.55))
        mountains = np.clip(0.25 + 0.75 * lattice_noise(derive(self.seed, "mountains"), nodes, 128), 0.05, 2.0)
        hills = np.clip(broad, 0.05, None) + 0.35 * np.maximum(crests, -0.4) * (0.4 + mountains)
        self._upland = np.asarray(self.relief * mountains * rise * np.maximum(hills, 0.02), np.float32)

    def ground(self, window: Window) -> Ground:
        """The ground of any window (it may reach a few pixels over the scene's edges)."""
        origin = (self._nodes.row, self._nodes.col)

        def field(nodes: FloatArray) -> FloatArray:
            return spread(nodes, origin, window, STEP)

        # A spline reproduces the linear offsets across a river exactly, and blunts the cusp of their length.
        away = np.maximum(np.hypot(field(self._down), field(self._right)), field(self._away) - 5)
        distance = np.minimum(away - field(self._half), field(self._lake))
        distance += np.float32(0.8) * lattice_noise(derive(self.seed, "banks"), window, 8)
        plain = field(self._plain)
        upland = field(self._upland)
        rough = fractal_noise(derive(self.seed, "rough"), window, 16, 4, gain=0.6)
        swells = fractal_noise(derive(self.seed, "swells"), window, 80, 20)
        dry = np.maximum(distance, 0)
        ratio = np.minimum(dry / plain, 3)
        hand = np.float32(2.2) * ratio * np.sqrt(ratio) + np.float32(0.4) * np.minimum(dry / 2, 1) + upland
        near = np.minimum(dry / 6, 1)
        hand += near * (
            np.float32(0.8) * swells + (np.float32(0.15) + np.float32(0.035) * np.minimum(upland, 120)) * rough
        )
        hand = np.where(distance < 0, np.maximum(np.float32(0.3) * distance, -4), np.maximum(hand, 0.05))
        return Ground(distance, field(self._level), hand.astype(np.float32), field(self._surge))

    def slope(self, height: FloatArray) -> FloatArray:
        """Slope in degrees of heights (m) on the scene's pixels, central differences; borders one-sided."""
        down, right = np.gradient(height, np.float32(self.gsd))
        return np.degrees(np.arctan(np.hypot(down, right))).astype(np.float32)


def radar_shadow(height: FloatArray, incidence_deg: FloatArray, *, gsd: float, halo: int) -> NDArray[np.bool_]:
    """Where terrain to the left hides the ground from a radar that looks from left to right.

    ``height`` (m) has ``halo`` more columns on the left than the answer; ``incidence_deg`` is one value per column of
    ``height``. A pixel is hidden when a point on its left is above the ray: h(x') − h(x) > (x − x') / tan(incidence).
    """
    across = (np.arange(height.shape[1], dtype=np.float32) * np.float32(gsd))[None, :]
    ray = height + across / np.tan(np.radians(float(np.mean(incidence_deg))))
    highest = np.maximum.accumulate(ray, axis=1)
    return np.asarray((highest - ray)[:, halo:] > 1e-3)


def hidden_columns(relief: float, gsd: float) -> int:
    """How many columns to the left can matter for shadow: hills of a few times ``relief`` at 30° incidence."""
    return int(min(192, max(8, math.ceil(relief * math.tan(math.radians(46)) / gsd / 2))))

"""Terrain from an elevation model: slope on the grid of a scene. Height above drainage is in another room, drainage."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.raster.area import PixelAreas
from engine.raster.drainage import hand_raster
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster

__all__ = ["hand_raster", "slope_degrees"]

_A = 6_378_137.0
_E2 = (2 - 1 / 298.257223563) / 298.257223563


def slope_degrees(dem: Raster, grid: Grid, window: Window) -> NDArray[np.float32]:
    """Slope in degrees, 0–90, float32 (rows, columns) of ``window`` of ``grid``; NaN where the DEM has no value.

    The DEM (band 1, metres) is brought onto ``grid`` (bilinear, or the mean where it is finer); gradients are those of
    Horn (1981), Hill shading and the reflectance map, in true ground metres: degrees and the scale of the projection
    are accounted for. A neighbour without a value counts as level with the pixel. Values do not depend on the window.
    """
    finer = min(grid.gsd_m()) > 1.5 * max(dem.grid.gsd_m())
    view = dem.onto(grid, resampling="average" if finer else "bilinear")
    around = view.read(window.grow(1), [1])[0]
    centre = around[1:-1, 1:-1]

    def at(row: int, col: int) -> NDArray[np.float32]:
        part = around[1 + row : 1 + row + window.height, 1 + col : 1 + col + window.width]
        return np.where(np.isnan(part), centre, part)

    nw, n, ne, w, e, sw, s, se = (at(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0))
    by_col = ((ne + 2 * e + se) - (nw + 2 * w + sw)) / 8
    by_row = ((sw + 2 * s + se) - (nw + 2 * n + ne)) / 8
    (ax, ay), (dx, dy) = _ground_metres(grid, window)
    # Solve the gradient east and north from its projections on the pixel's two sides.
    determinant = ax * dy - dx * ay
    east = (dy * by_col - ay * by_row) / determinant
    north = (ax * by_row - dx * by_col) / determinant
    slope = np.degrees(np.arctan(np.hypot(east, north))).astype(np.float32)
    slope[np.isnan(centre)] = np.nan  # Horn's formula does not look at the pixel itself
    return np.asarray(slope)


Side = tuple[NDArray[np.float64] | float, NDArray[np.float64] | float]


def _ground_metres(grid: Grid, window: Window) -> tuple[Side, Side]:
    """(east, north) metres of a step along the row and of a step down the column; arrays broadcast to the window."""
    t = grid.transform
    if grid.geographic:
        rows = np.arange(window.row, window.row_stop, dtype=float)[:, None] + 0.5
        latitude = np.radians(np.clip(t.e * rows + t.f + t.d * (window.col + window.width / 2), -89.9, 89.9))
        if t.d:
            cols = np.arange(window.col, window.col_stop, dtype=float)[None, :] + 0.5
            latitude = np.radians(np.clip(t.e * rows + t.f + t.d * cols, -89.9, 89.9))
        root = np.sqrt(1 - _E2 * np.sin(latitude) ** 2)
        degree_east = math.pi / 180 * _A / root * np.cos(latitude)
        degree_north = math.pi / 180 * _A * (1 - _E2) / root**3
        return (t.a * degree_east, t.b * degree_east), (t.d * degree_north, t.e * degree_north)
    # A map unit's true length: exact where the projection keeps angles, the mean of both directions elsewhere.
    scale = np.sqrt(PixelAreas(grid).of(window) / abs(t.determinant))
    return (t.a * scale, t.b * scale), (t.d * scale, t.e * scale)

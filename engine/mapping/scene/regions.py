"""The part of a grid that is mapped."""

from __future__ import annotations

import numpy as np

from engine.errors import RegionError
from engine.raster.grid import Grid, Window
from engine.raster.regions import Regions


def crop_to(region: Regions | None, grid: Grid, path: str) -> Window:
    """The window of ``grid`` (of the scene ``path``) that holds the area of interest; all of it where there is none.

    Raises RegionError when they do not meet.
    """
    if region is None:
        return grid.window
    crop = window_of_bounds(region.bounds, grid)
    if crop.empty:
        raise RegionError(
            f"{region.path}: the area of interest lies outside {path}.",
            remedy="Draw it on the scene, or check its CRS.",
        )
    return crop


def window_of_bounds(bounds: tuple[float, float, float, float], grid: Grid) -> Window:
    """The smallest window of the grid that covers a box (west, south, east, north in its CRS), clipped to the grid."""
    west, south, east, north = bounds
    inverse = ~grid.transform
    corners = [inverse @ corner for corner in ((west, south), (west, north), (east, south), (east, north))]
    cols, rows = [c[0] for c in corners], [c[1] for c in corners]
    # Rounding noise of the inverse must not add a row of pixels that only touches the box.
    top, left = int(np.floor(min(rows) + 1e-6)), int(np.floor(min(cols) + 1e-6))
    bottom, right = int(np.ceil(max(rows) - 1e-6)), int(np.ceil(max(cols) - 1e-6))
    if bottom <= top or right <= left:
        return Window(0, 0, 0, 0)
    return Window(top, left, bottom - top, right - left).intersect(grid.window)

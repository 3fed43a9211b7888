"""Where a photo may have been taken, as a raster: one pixel a cell, brighter where the search finds it more likely."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from engine.crossview.cells import CellLayout, Ids
from engine.raster.crs import WGS84, Transformation, pyproj_crs
from engine.raster.grid import Grid
from engine.raster.write import CogWriter

NODATA = 255
_ROWS = 256


def relative_likelihood(z: NDArray[np.floating], slope: float) -> NDArray[np.uint8]:
    """Per cent of the likeliest cell's odds: 100 · exp(slope · (z − best z)), ``slope`` the sharpness of a
    calibrated choice."""
    apart = np.asarray(z, np.float64) - float(np.max(z))
    return np.rint(100 * np.exp(slope * apart)).astype(np.uint8)


def heat_grid(lon: NDArray[np.float64], lat: NDArray[np.float64], crs: Any, cell_m: float) -> Grid:
    """A grid in ``crs`` over all cells whose pixels measure about ``cell_m``."""
    x, y = Transformation(WGS84, crs)(lon, lat)
    geographic = pyproj_crs(crs).is_geographic
    if geographic and np.ptp(x) > 180:
        x = np.where(x < 0, x + 360, x)
    middle = float(np.median(lat))
    if geographic:
        down = math.degrees(cell_m / 6_371_008.8)
        along = down / math.cos(math.radians(middle))
    else:
        # Metres on the ground to units of the CRS there: web mercator's are larger than they seem.
        k = len(lon) // 2
        step = math.degrees(cell_m / 6_371_008.8)
        nx, ny = Transformation(WGS84, crs)(np.array([lon[k], lon[k]]), np.array([lat[k], lat[k] + step]))
        down = along = float(np.hypot(nx[1] - nx[0], ny[1] - ny[0]))
    west, north = float(x.min()) - along / 2, float(y.max()) + down / 2
    width = max(1, math.ceil((float(x.max()) + along / 2 - west) / along))
    height = max(1, math.ceil((north - float(y.min()) + down / 2) / down))
    return Grid(height, width, Affine(along, 0, west, 0, -down, north), CRS.from_user_input(crs))


def write_heatmap(
    path: Path, grid: Grid, layout: CellLayout, ids: Ids, values: NDArray[np.uint8], *, tags: dict[str, str]
) -> None:
    """A uint8 COG of per cent by cell (``values`` of ``ids``); 255 where no cell of the index is. Raises
    OutputError."""
    order = np.argsort(ids)
    ordered = ids[order]
    back = Transformation(grid.crs, WGS84)
    with CogWriter(
        path,
        grid,
        dtype="uint8",
        nodata=NODATA,
        band_names=["relative likelihood, per cent"],
        tags=tags,
        overview_resampling="nearest",
    ) as writer:
        for strip in grid.strips(_ROWS):
            window = strip.core
            cols, rows = np.meshgrid(np.arange(window.width) + 0.5, window.row + np.arange(window.height) + 0.5)
            lon, lat = back(*(grid.transform @ (cols, rows)))
            seen = np.isfinite(lon)
            found = layout.ids_at(np.where(seen, lon, 0.0), np.where(seen, lat, 0.0))
            at = np.minimum(np.searchsorted(ordered, found), len(ordered) - 1)
            there = seen & (ordered[at] == found)
            writer.write(window, np.where(there, values[order[at]], NODATA).astype(np.uint8))

"""Areas of the pixels of a map."""

from __future__ import annotations

from affine import Affine

from engine.raster.area import PixelAreas
from engine.raster.grid import Grid

ASSUMED_GSD_M = 10.0
"""Metres a pixel of a chip without georeference."""


def pixel_areas(grid: Grid) -> PixelAreas:
    """Geodesic areas; a chip without CRS counts as :data:`ASSUMED_GSD_M` pixels, Sentinel-1's usual spacing."""
    if grid.crs is not None:
        return PixelAreas(grid)
    return PixelAreas(Grid(grid.height, grid.width, Affine.scale(ASSUMED_GSD_M, -ASSUMED_GSD_M), None))

"""Do two files lie on one ground, or on one grid?"""

from __future__ import annotations

import math
from pathlib import Path

from rasterio.warp import transform_bounds

from engine.errors import GridError
from engine.raster.grid import Grid
from engine.raster.read import Raster


def alike(raster: Raster, grid: Grid) -> bool:
    """Can the raster be read on the grid as it is: the same grid, or none of the two has a CRS?"""
    return raster.grid == grid or (raster.grid.crs is None and grid.crs is None)


def check_overlap(raster: Raster, post: Raster, what: str) -> None:
    """Raise GridError where a file cannot be laid on the scene ``post`` (for a flood map, that after the event)."""
    whole = post.grid
    if whole.crs is None or raster.grid.crs is None:
        if whole.crs is None and raster.grid.crs is None and raster.grid.shape == whole.shape:
            return
        raise GridError(
            f"{raster.path}: a {what} can be laid on the scene after it only with a CRS in both.",
            remedy="Georeference both files.",
        )
    if not overlap(raster.grid, whole):
        raise GridError(
            f"{raster.path}: the {what} does not overlap {post.path}.", remedy="Choose a scene of the same place."
        )


def overlap(a: Grid, b: Grid) -> bool:
    """Do the bounding boxes of two georeferenced grids meet (in b's CRS)?"""
    try:
        west, south, east, north = transform_bounds(a.crs, b.crs, *a.bounds, densify_pts=21)
    except Exception:  # a grid outside the CRS's domain cannot overlap
        return False
    if not all(map(math.isfinite, (west, south, east, north))):
        return False
    other = b.bounds
    if b.geographic and west > east:  # across the antimeridian
        return north > other.south and south < other.north and (other.east > west or other.west < east)
    return west < other.east and east > other.west and south < other.north and north > other.south


def same_pixels(image: Grid, label: Grid, path: Path | None, label_path: Path) -> None:
    """Raise GridError unless a label lies on the grid of its image, pixel by pixel, to half a pixel; without a CRS in
    both only the size is compared."""
    if image.shape != label.shape:
        raise GridError(
            f"{label_path}: the label has {label.height} x {label.width} pixels, "
            f"its image {image.height} x {image.width}."
        )
    if image.crs is None or label.crs is None or image.crs != label.crs:
        return  # chips without georeference are matched pixel by pixel
    corners = [(0, 0), (image.width, 0), (0, image.height)]
    pixel = abs(image.transform.determinant) ** 0.5
    for corner in corners:
        (x, y), (u, v) = image.transform @ corner, label.transform @ corner
        if max(abs(x - u), abs(y - v)) > pixel / 2:
            raise GridError(f"{label_path}: the label does not lie on the grid of {path}.")

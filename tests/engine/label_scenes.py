"""Small scenes with labelled fields, made for the tests of training on one's own labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine

UTM = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_500_000.0)
DEGREES = Affine(1.0e-4, 0.0, 14.0, 0.0, -1.0e-4, 50.0)
BANDS = ("B02", "B03", "B04", "B08")
MEANS = {"water": (0.05, 0.05, 0.04, 0.02), "forest": (0.03, 0.05, 0.03, 0.28), "field": (0.06, 0.09, 0.10, 0.22)}
"""Reflectance of each class in :data:`BANDS`."""
CELL = 16
"""Fields are squares of so many pixels."""


def truth_of(side: int, *, seed: int = 0) -> np.ndarray:
    """(side, side) class number: squares of :data:`CELL` pixels, drawn."""
    cells = np.random.default_rng(seed).integers(0, len(MEANS), (side // CELL, side // CELL))
    return np.kron(cells, np.ones((CELL, CELL), np.int64))


def write_scene(
    path: Path,
    truth: np.ndarray,
    *,
    crs: str = "EPSG:32633",
    transform: Affine = UTM,
    nodata_rows: int = 0,
    seed: int = 0,
) -> Path:
    """A Sentinel-2 raster of ``truth`` with noise; the first ``nodata_rows`` rows hold no value."""
    rng = np.random.default_rng(seed)
    means = np.array(list(MEANS.values()), np.float32)
    values = means[truth].transpose(2, 0, 1) + rng.normal(0, 0.01, (len(BANDS), *truth.shape)).astype(np.float32)
    stored = np.clip(values * 10_000, 1, None).astype(np.uint16)
    stored[:, :nodata_rows] = 0
    with rasterio.open(
        path, "w", driver="GTiff", height=truth.shape[0], width=truth.shape[1], count=len(BANDS), dtype="uint16",
        crs=CRS.from_string(crs) if crs else None, transform=transform, nodata=0, tiled=True, blockxsize=64,
        blockysize=64,
    ) as file:  # fmt: skip
        file.write(stored)
        file.descriptions = BANDS
        file.update_tags(ACQUIRED="2023-06-01")
    return path


def field_polygons(truth: np.ndarray, transform: Affine = UTM, *, count: int = 40, seed: int = 1) -> tuple[list, list]:
    """Polygons two pixels inside of drawn squares, and the names of their classes."""
    rng = np.random.default_rng(seed)
    rows, cols = truth.shape[0] // CELL, truth.shape[1] // CELL
    chosen = rng.permutation(rows * cols)[:count]
    names = list(MEANS)
    shapes, classes = [], []
    for cell in chosen:
        top, left = cell // cols * CELL, cell % cols * CELL
        corners = [(left + 2, top + 2), (left + 14, top + 2), (left + 14, top + 14), (left + 2, top + 14)]
        shapes.append(shapely.Polygon([transform @ corner for corner in corners]))
        classes.append(names[truth[top + 5, left + 5]])
    return shapes, classes


def write_labels(
    path: Path, shapes: list, classes: list, *, crs: str | None = "EPSG:32633", field: str = "class"
) -> Path:
    """A layer of any geometries with one field."""
    column = np.array(classes, object if any(isinstance(c, str) or c is None for c in classes) else None)
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes, object)), [column], [field], geometry_type="Unknown", crs=crs,
        driver="GPKG" if path.suffix == ".gpkg" else None,
    )  # fmt: skip
    return path

"""Labels on the pixels of a scene: which pixel is of which class and feature."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import RegionError
from engine.raster.grid import Grid, Window
from engine.raster.vector import burn
from engine.training.labels.classes import ClassTable
from engine.training.labels.layer import LabelLayer, outside_error

CONFLICT_LIMIT = 0.05
"""Largest share of labelled pixels that features of different classes may both claim."""
_SIDE = 2048
Int = NDArray[np.int64]


@dataclass(frozen=True)
class LabelPixels:
    """Labelled pixels, sorted by row and column: ``row``, ``col``, ``klass`` (index in the class table), ``unit``.

    A unit is a feature with all that share a pixel with it: what must stay together when labels are split. ``features``
    counts for each class those that have a pixel here. ``conflicts`` pixels are claimed by different classes and are
    left out; ``small`` polygons hold no pixel's centre and ``outside`` features lie outside of the grid.
    """

    grid: Grid
    row: Int
    col: Int
    klass: Int
    unit: Int
    features: Int
    conflicts: int = 0
    small: int = 0
    outside: int = 0

    def __len__(self) -> int:
        return len(self.row)

    def only(self, keep: NDArray[np.bool_] | Int) -> LabelPixels:
        """The pixels that ``keep`` names (bool, one a pixel, or indexes); counts of features stay."""
        return LabelPixels(
            self.grid,
            self.row[keep],
            self.col[keep],
            self.klass[keep],
            self.unit[keep],
            self.features,
            self.conflicts,
            self.small,
            self.outside,
        )


def thin(pixels: LabelPixels, most: int) -> NDArray[np.int64]:
    """Indexes of at most about ``most`` pixels, sorted: large units give way first, each evenly over its pixels, and
    keeps at least one."""
    if len(pixels) <= most:
        return np.arange(len(pixels))
    order = np.argsort(pixels.unit, kind="stable")
    counts = np.unique(pixels.unit, return_counts=True)[1]
    low, high = 1, int(counts.max())
    while low < high:  # the largest quota of a unit that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if int(np.minimum(counts, middle).sum()) <= most else (low, middle - 1)
    starts = np.cumsum(counts) - counts
    chosen = [
        order[start + np.linspace(0, count - 1, min(count, low)).round().astype(np.int64)]
        for start, count in zip(starts, counts, strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def rasterise(
    layer: LabelLayer,
    table: ClassTable,
    grid: Grid,
    *,
    scene: str,
    point_size: Literal[1, 3] = 1,
    check: Callable[[], None] = lambda: None,
) -> LabelPixels:
    """The labels on ``grid``: of a polygon the pixels whose centre lies in it, of a point the pixel that holds it (or
    the 3 × 3 pixels around, ``point_size`` 3).

    Pixels that features of different classes claim are left out. Raises RegionError: no feature lies on the grid (both
    extents are named), no pixel is held, or more than :data:`CONFLICT_LIMIT` of the pixels are claimed twice.
    """
    parts: list[tuple[Int, int]] = []
    small = outside = 0
    features = np.zeros(len(table), np.int64)
    klass = np.array([table.index(value) for value in layer.values], np.int64)
    for number, shapes in enumerate(layer.shapes):
        if number % 64 == 0:
            check()
        flat, near = _pixels_of(shapes, grid, point_size)
        if len(flat):
            parts.append((flat, number))
            features[klass[number]] += 1
        elif near:
            small += 1
        else:
            outside += 1
    if outside == len(layer):
        raise outside_error(layer, grid, scene)
    if not parts:
        raise RegionError(
            f"{layer.path}: {small} polygons lie in the scene {scene}, but none holds the centre of a pixel "
            f"({grid.gsd_m()[1]:.3g} m).",
            remedy="Draw larger polygons, or points.",
        )
    pixel = np.concatenate([flat for flat, _ in parts])
    owner = np.concatenate([np.full(len(flat), number, np.int64) for flat, number in parts])
    return _merged(layer, grid, pixel, owner, klass, features, small, outside)


def _merged(
    layer: LabelLayer, grid: Grid, pixel: Int, owner: Int, klass: Int, features: Int, small: int, outside: int
) -> LabelPixels:
    order = np.lexsort((owner, pixel))
    pixel, owner = pixel[order], owner[order]
    first = np.flatnonzero(np.r_[True, pixel[1:] != pixel[:-1]])
    of_class = klass[owner]
    low, high = np.minimum.reduceat(of_class, first), np.maximum.reduceat(of_class, first)
    clash = low != high
    conflicts = int(clash.sum())
    if conflicts > CONFLICT_LIMIT * len(first):
        worst = np.flatnonzero(clash)[0]
        ends = np.r_[first[1:], len(pixel)]
        rivals = sorted({layer.ids[i] for i in owner[first[worst] : ends[worst]]})
        raise RegionError(
            f"{layer.path}: features of different classes overlap in {conflicts:,} of {len(first):,} labelled pixels "
            f"({conflicts / len(first):.0%}; at most {CONFLICT_LIMIT:.0%} are passed over), for example the features "
            f"{' and '.join(rivals[:3])}.",
            remedy="Cut the polygons so that each place has one class.",
        )
    unit = _units(len(layer), owner, first)
    kept = first[~clash]
    rows, cols = np.divmod(pixel[kept], grid.width)
    return LabelPixels(
        grid, rows, cols, of_class[kept], unit[owner[kept]], features, conflicts, small=small, outside=outside
    )


def _units(count: int, owner: Int, first: Int) -> Int:
    """For each feature the lowest feature that it is joined to by shared pixels."""
    parent = np.arange(count)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    shared = np.ones(len(owner), bool)
    shared[first] = False  # an owner after the first of its pixel
    pairs = {(int(owner[i - 1]), int(owner[i])) for i in np.flatnonzero(shared)}
    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return np.array([root(i) for i in range(count)], np.int64)


def _pixels_of(shapes: tuple[Any, ...], grid: Grid, point_size: int) -> tuple[Int, bool]:
    """Sorted flat indexes of a feature's pixels, and whether it lies on the grid at all."""
    found: list[Int] = []
    near = False
    inverse = ~grid.transform
    half = point_size // 2
    for shape in shapes:
        if shape.geom_type == "Point":
            x, y = inverse @ (shape.x, shape.y)
            window = Window(math.floor(y) - half, math.floor(x) - half, point_size, point_size).intersect(grid.window)
            if 0 <= x < grid.width and 0 <= y < grid.height:
                found.append(_flat(np.ones(window.shape, bool), window, grid))
                near = True
            continue
        window = _window_of(shape.bounds, grid)
        near = near or not window.empty
        found += [_flat(burn([shape], grid, piece), piece, grid) for piece in _pieces(window)]
    return (np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)), near


def _flat(mask: NDArray[np.bool_], window: Window, grid: Grid) -> Int:
    rows, cols = np.nonzero(mask)
    return np.asarray((rows + window.row) * grid.width + cols + window.col, np.int64)


def _window_of(bounds: tuple[float, float, float, float], grid: Grid) -> Window:
    """The pixels that a box in the grid's system touches."""
    west, south, east, north = bounds
    inverse = ~grid.transform
    corners = [inverse @ corner for corner in ((west, south), (west, north), (east, south), (east, north))]
    cols, rows = [c[0] for c in corners], [c[1] for c in corners]
    top, left = math.floor(min(rows)), math.floor(min(cols))
    whole = Window(top, left, math.floor(max(rows)) + 1 - top, math.floor(max(cols)) + 1 - left)
    return whole.intersect(grid.window)


def _pieces(window: Window) -> list[Window]:
    rows = range(window.row, window.row_stop, _SIDE)
    cols = range(window.col, window.col_stop, _SIDE)
    return [
        Window(r, c, min(_SIDE, window.row_stop - r), min(_SIDE, window.col_stop - c))
        for r, c in itertools.product(rows, cols)
    ]

"""A raster seen on another grid, computed window by window.

Built here and not by GDAL's warper for three reasons: every kind of missing value counts (each pixel that the reader
gives as NaN, whatever marked it), the values do not depend on how the windows are cut, and a raster whose grid differs
by whole pixels only comes through bit for bit.

Rules. The centre of a target pixel is transformed to the source grid. ``nearest`` takes the source pixel that holds
it. ``bilinear`` weighs the four nearest centres; invalid ones drop out. ``average`` is the mean of k × k bilinear
samples spread evenly over the target pixel, k the ratio of the pixel sizes (the exact mean where pixels nest); invalid
ones drop out. A target pixel is valid exactly where the source pixel that holds its centre is valid; for ``average``
where at least half of its samples are valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from engine.errors import GridError
from engine.raster.crs import Transformation, crs_name, same_crs
from engine.raster.grid import Grid, Window
from engine.raster.read import FloatArray, Raster, Resampling

# A lattice cell is interpolated when its centre is off by less than this share of a source pixel; else it is exact.
_TOLERANCE_PX = 0.01
_CELL_PX = 32
_MAX_PX = 4_000_000
_CHUNK_PX = 250_000
_MAX_SAMPLES = 16
_WHOLE_PX = 1e-4

Coordinates = NDArray[np.float64]


class ResampledRaster(Raster):
    """The view that :meth:`Raster.onto` gives; the source stays open elsewhere and is not closed with it."""

    def __init__(self, source: Raster, grid: Grid, *, resampling: Resampling) -> None:
        if resampling not in ("nearest", "bilinear", "average"):
            raise ValueError(f"Unknown resampling {resampling!r}.")
        super().__init__(
            path=source.path,
            what=source.what,
            grid=grid,
            names=source.names,
            dtype=source.dtype,
            nodata=source.nodata,
            tags=source.tags,
            block=(min(grid.height, 256), grid.width),
            remote=source.remote,
        )
        self._acquired = source._acquired
        self._source, self._how = source, resampling
        self._shift = _whole_shift(source.grid, grid)
        if self._shift is None:
            self._mapping = PixelMapping(grid, source.grid, name=f"{source.path} ({source.what})")
            self._samples = self._sample_count() if resampling == "average" else 1
            # Where pixels nest, a sample lies on a centre and bilinear is nearest: take the cheaper.
            self._smooth = resampling == "bilinear" or (
                resampling == "average" and not _nested(source.grid, grid, self._samples)
            )

    def read(self, window: Window, bands: tuple[int, ...] | list[int] | None = None) -> FloatArray:  # type: ignore[override]
        """As :meth:`Raster.read`; a window may reach over this grid's edges, and finds what the source has there."""
        if self._shift is not None:
            return self._source.read(window.shift(*self._shift), bands)
        wanted = tuple(range(1, self.count + 1)) if bands is None else tuple(int(b) for b in bands)
        if window.empty or not wanted:
            return np.full((len(wanted), *window.shape), np.nan, np.float32)
        out = np.empty((len(wanted), *window.shape), np.float32)
        self._into(out, window, wanted)
        return out

    def _into(self, out: FloatArray, window: Window, bands: tuple[int, ...]) -> None:
        """Fill ``out``; a window that needs a large part of the source is cut first."""
        k = self._samples
        if window.height * window.width * k * k > _MAX_PX and max(window.shape) > 1:
            self._halves(out, window, bands)
            return
        row, col = self._mapping.source_pixels(window, samples=k)
        needed = _bounding(row, col, self._source.grid.window, margin=1 if self._smooth else 0)
        if needed.height * needed.width > _MAX_PX and max(window.shape) > 1:
            self._halves(out, window, bands)
            return
        if needed.empty:
            out[...] = np.nan
            return
        values = self._source.read(needed, bands)
        row, col = row - needed.row, col - needed.col
        sample = _bilinear if self._smooth else _nearest
        step = max(1, _CHUNK_PX // (row.shape[1] * k))
        for first in range(0, window.height, step):
            lines = slice(first * k, (first + step) * k)
            samples = self._sampled(sample, values, row[lines], col[lines])
            out[:, first : first + step] = samples if k == 1 else _mean(samples, k)

    def _sampled(
        self, sample: Callable[..., FloatArray], values: FloatArray, row: Coordinates, col: Coordinates
    ) -> FloatArray:
        """``sample`` of the part of ``values`` that the points need: its own arrays stay small."""
        box = Window(0, 0, values.shape[1], values.shape[2])
        near = _bounding(row, col, box, margin=1 if self._smooth else 0)
        if near.empty:
            return np.full((len(values), *row.shape), np.nan, np.float32)
        rows, cols = near.within(box)
        return sample(values[:, rows, cols], row - near.row, col - near.col)

    def _halves(self, out: FloatArray, window: Window, bands: tuple[int, ...]) -> None:
        if window.width >= window.height:
            half = window.width // 2
            self._into(out[:, :, :half], Window(window.row, window.col, window.height, half), bands)
            rest = Window(window.row, window.col + half, window.height, window.width - half)
            self._into(out[:, :, half:], rest, bands)
        else:
            half = window.height // 2
            self._into(out[:, :half], Window(window.row, window.col, half, window.width), bands)
            rest = Window(window.row + half, window.col, window.height - half, window.width)
            self._into(out[:, half:], rest, bands)

    def _sample_count(self) -> int:
        (down, along), (fine_down, fine_along) = self.grid.gsd_m(), self._source.grid.gsd_m()
        ratio = max(down / max(fine_down, 1e-12), along / max(fine_along, 1e-12))
        return min(_MAX_SAMPLES, max(1, math.ceil(ratio - 0.01)))


class PixelMapping:
    """Where the pixels of one grid lie in another, in fractional rows and columns (a pixel's centre is at .5).

    Raises GridError when just one of the grids has a CRS, or no transformation between them is known.
    """

    def __init__(self, grid: Grid, source: Grid, *, name: str) -> None:
        if (grid.crs is None) != (source.crs is None):
            raise GridError(
                f"{name}: has {crs_name(source.crs)}, the scene has {crs_name(grid.crs)}: they cannot be laid over "
                "each other.",
                remedy="Assign a coordinate reference system to the one without.",
            )
        self._grid, self._inverse = grid, ~source.transform
        self._transform = None if same_crs(grid.crs, source.crs) else Transformation(grid.crs, source.crs)
        # One turn of longitude in source units, for grids on different sides of the antimeridian.
        self._turn = 360.0 if source.geographic else 0.0
        self._centre = source.transform @ (source.width / 2, source.height / 2)

    def source_pixels(self, window: Window, *, samples: int = 1) -> tuple[Coordinates, Coordinates]:
        """Rows and columns (float64, window's shape times ``samples``) in the source of evenly spread points."""
        rows = window.row + (np.arange(window.height * samples) + 0.5) / samples
        cols = window.col + (np.arange(window.width * samples) + 0.5) / samples
        if self._transform is None:
            return self._to_pixels(*self._grid_xy(rows[:, None], cols[None, :]))
        return self._interpolated(rows, cols)

    def _grid_xy(self, row: Coordinates, col: Coordinates) -> tuple[Coordinates, Coordinates]:
        t = self._grid.transform
        return t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f

    def _exact(self, row: Coordinates, col: Coordinates) -> tuple[Coordinates, Coordinates]:
        x, y = self._grid_xy(row, col)
        return self._to_pixels(*(self._transform(x, y) if self._transform is not None else (x, y)))

    def _to_pixels(self, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        if self._turn:
            x = x - self._turn * np.round((x - self._centre[0]) / self._turn)
        i = self._inverse
        return i.d * x + i.e * y + i.f, i.a * x + i.b * y + i.c

    def _interpolated(self, rows: Coordinates, cols: Coordinates) -> tuple[Coordinates, Coordinates]:
        """Bilinear interpolation on a lattice that is tied to the grid, so that every window gives the same."""
        first_row, first_col = math.floor(rows[0] / _CELL_PX), math.floor(cols[0] / _CELL_PX)
        node_rows = np.arange(first_row, math.floor(rows[-1] / _CELL_PX) + 2) * float(_CELL_PX)
        node_cols = np.arange(first_col, math.floor(cols[-1] / _CELL_PX) + 2) * float(_CELL_PX)
        node_r, node_c = self._exact(*np.broadcast_arrays(node_rows[:, None], node_cols[None, :]))
        half = _CELL_PX / 2
        true_r, true_c = self._exact(*np.broadcast_arrays(node_rows[:-1, None] + half, node_cols[None, :-1] + half))
        with np.errstate(invalid="ignore"):
            bad = ~(
                (np.abs(_cell_means(node_r) - true_r) < _TOLERANCE_PX)
                & (np.abs(_cell_means(node_c) - true_c) < _TOLERANCE_PX)
            )
        i, u = np.divmod(rows / _CELL_PX - first_row, 1.0)
        j, v = np.divmod(cols / _CELL_PX - first_col, 1.0)
        i, j = i.astype(np.intp), j.astype(np.intp)
        row, col = (_bilinear_nodes(nodes, i, u, j, v) for nodes in (node_r, node_c))
        for cell_row, cell_col in zip(*np.nonzero(bad), strict=True):
            r = slice(*np.searchsorted(i, (cell_row, cell_row + 1)))
            c = slice(*np.searchsorted(j, (cell_col, cell_col + 1)))
            exact = self._exact(*np.broadcast_arrays(rows[r, None], cols[None, c]))
            row[r, c], col[r, c] = exact
        return row, col


def _whole_shift(source: Grid, grid: Grid) -> tuple[int, int] | None:
    """(rows, columns) by which ``grid`` lies inside ``source`` when only whole pixels part them; else None."""
    if source == grid:
        return 0, 0
    if not same_crs(source.crs, grid.crs):
        return None
    between = ~source.transform @ grid.transform
    reach = max(grid.height, grid.width, 1)
    scale_off = max(abs(between.a - 1), abs(between.e - 1), abs(between.b), abs(between.d)) * reach
    rows, cols = round(between.f), round(between.c)
    if scale_off < _WHOLE_PX and abs(between.f - rows) < _WHOLE_PX and abs(between.c - cols) < _WHOLE_PX:
        if source.geographic and grid.window.shift(rows, cols).intersect(source.window).empty:
            return None  # perhaps one turn of longitude away
        return rows, cols
    return None


def _nested(source: Grid, grid: Grid, factor: int) -> bool:
    """True when every pixel of ``grid`` holds factor × factor whole pixels of ``source``."""
    fine = Grid(grid.height * factor, grid.width * factor, grid.transform @ Affine.scale(1 / factor), grid.crs)
    return _whole_shift(source, fine) is not None


def _bounding(row: Coordinates, col: Coordinates, inside: Window, *, margin: int) -> Window:
    """The smallest window of ``inside`` that holds all points that lie in it, and ``margin`` more."""
    with np.errstate(invalid="ignore"):
        held = (row >= -margin) & (row < inside.height + margin) & (col >= -margin) & (col < inside.width + margin)
    if not held.any():
        return Window(0, 0, 0, 0)
    r, c = (row, col) if held.all() else (row[held], col[held])
    top, left = math.floor(r.min()) - margin, math.floor(c.min()) - margin
    box = Window(top, left, math.floor(r.max()) + 1 + margin - top, math.floor(c.max()) + 1 + margin - left)
    return box.intersect(inside)


def _nearest(values: FloatArray, row: Coordinates, col: Coordinates) -> FloatArray:
    _, height, width = values.shape
    with np.errstate(invalid="ignore"):
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    if inside.all():
        return np.asarray(values[:, row.astype(np.intp), col.astype(np.intp)])
    out = np.full((values.shape[0], *row.shape), np.nan, np.float32)
    out[:, inside] = values[:, row[inside].astype(np.intp), col[inside].astype(np.intp)]
    return out


def _bilinear(values: FloatArray, row: Coordinates, col: Coordinates) -> FloatArray:
    bands, height, width = values.shape
    nearest = _nearest(values, row, col)
    # Points far outside have no nearest pixel: where they are moved to does not matter.
    r = np.clip(np.nan_to_num(row, nan=0.0) - 0.5, -1.0, height - 1e-6)
    c = np.clip(np.nan_to_num(col, nan=0.0) - 0.5, -1.0, width - 1e-6)
    top, left = np.floor(r), np.floor(c)
    down, right = (r - top).astype(np.float32), (c - left).astype(np.float32)
    base = ((top + 1) * (width + 2) + left + 1).astype(np.intp)
    # A rim without values, so that no neighbour lies outside.
    there = np.zeros((bands, height + 2, width + 2), np.float32)
    there[:, 1:-1, 1:-1] = np.isfinite(values)
    filled = np.zeros_like(there)
    filled[:, 1:-1, 1:-1] = np.where(there[:, 1:-1, 1:-1] > 0, values, np.float32(0))
    filled, there = filled.reshape(bands, -1), there.reshape(bands, -1)
    total, weights = np.zeros_like(nearest), np.zeros_like(nearest)
    for i, weight_i in ((0, 1 - down), (1, down)):
        for j, weight_j in ((0, 1 - right), (1, right)):
            at, weight = base + (i * (width + 2) + j), weight_i * weight_j
            for band in range(bands):
                total[band] += weight * filled[band].take(at)
                weights[band] += weight * there[band].take(at)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.isfinite(nearest) & (weights > 0), total / weights, np.float32(np.nan))


def _mean(samples: FloatArray, k: int) -> FloatArray:
    bands, height, width = samples.shape
    cells = samples.reshape(bands, height // k, k, width // k, k)
    valid = np.isfinite(cells)
    count = valid.sum(axis=(2, 4))
    total = np.where(valid, cells, np.float32(0)).sum(axis=(2, 4), dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(2 * count >= k * k, total / count, np.nan).astype(np.float32)


def _cell_means(nodes: Coordinates) -> Coordinates:
    return (nodes[:-1, :-1] + nodes[1:, :-1] + nodes[:-1, 1:] + nodes[1:, 1:]) / 4


def _bilinear_nodes(
    nodes: Coordinates, i: NDArray[np.intp], u: Coordinates, j: NDArray[np.intp], v: Coordinates
) -> Coordinates:
    lines = nodes[:, j] * (1 - v) + nodes[:, j + 1] * v
    return np.asarray(lines[i] * (1 - u)[:, None] + lines[i + 1] * u[:, None])

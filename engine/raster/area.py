"""Areas on the ellipsoid: of every pixel of a grid, and of polygons. Square metres on WGS 84.

Pixels of a north-up grid in degrees lie between two parallels and two meridians; their area has a closed form
(Snyder, Map Projections: A Working Manual, 1987, equation 3-12). For any other grid the area of a pixel is the area
of its parallelogram on the ellipsoid's surface at a lattice of points, interpolated between them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from engine.errors import GridError
from engine.raster.crs import WGS84, Transformation, pyproj_crs
from engine.raster.grid import Grid, Window

_A = 6_378_137.0
_F = 1 / 298.257223563
_E2 = _F * (2 - _F)
_E = math.sqrt(_E2)
# Bilinear interpolation over 4 km is off by less than 1e-5 up to 80 degrees of latitude in every common projection.
_LATTICE_M = 4_000.0
_STEP_M = 50.0
_SEGMENT_M = 1_000.0
# When sums by code go code by code: few codes, and rows long enough that it pays to go row by row.
_FEW_CODES, _WIDE = 16, 1_000
_COUNTED_ROWS = 22  # the sum of the numbers below it fits a byte

FloatArray = NDArray[np.float64]


class PixelAreas:
    """Area in m² of every pixel of ``grid``, relative error below 1e-5 (pixels under 10 km).

    A grid without CRS gives |determinant of the transform| (pixels, where there is no georeference at all), as does a
    CRS that is not tied to the Earth. Part of a pixel beyond a pole counts as nothing.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        t = grid.transform
        self._constant: float | None = None
        self._by_row = False
        if grid.crs is None:
            self._constant = abs(t.determinant)
            return
        crs = pyproj_crs(grid.crs)
        self._by_row = crs.is_geographic and t.b == 0 and t.d == 0 and _is_wgs84(crs)
        if self._by_row:
            self._degree = crs.axis_info[0].unit_conversion_factor  # radians per unit
            return
        try:
            self._to_degrees = Transformation(crs, WGS84)
            self._build_lattice()
        except GridError:
            factor = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
            self._constant = abs(t.determinant) * factor**2

    def within(self, window: Window) -> WindowAreas:
        """The areas of ``window``, worked out as they are asked for."""
        return WindowAreas(self, window)

    def least(self, window: Window) -> float:
        """m² that no pixel of ``window`` (inside the grid) is below."""
        if self._constant is not None:
            return self._constant
        if self._by_row:
            return float(self.of(window).min(initial=np.inf))
        rows, cols = (
            slice(max(0, int(np.searchsorted(nodes, start, "right")) - 1), int(np.searchsorted(nodes, stop)) + 1)
            for nodes, start, stop in (
                (self._rows, window.row, window.row_stop),
                (self._cols, window.col, window.col_stop),
            )
        )
        # Between nodes the areas lie between those of the nodes, but for the last bits.
        return float(self._lattice[rows, cols].min()) * (1 - 1e-12)

    def at(self, rows: NDArray[Any], cols: NDArray[Any]) -> FloatArray:
        """m² of single pixels: float64 of the shape of ``rows`` (whole) and ``cols`` (which may lie between two
        pixels), both from the grid's first."""
        if self._constant is not None:
            return np.full(rows.shape, self._constant)
        if self._by_row:
            lines, place = np.unique(rows, return_inverse=True)
            if lines.size == 0:
                return np.zeros(rows.shape)
            first = int(lines[0])
            return self.of(Window(first, 0, int(lines[-1]) + 1 - first, 1))[lines - first, 0][place]
        (top, down), (left, along) = _between(rows + 0.5, self._rows), _between(cols + 0.5, self._cols)
        lattice = self._lattice
        upper = lattice[top, left] * (1 - along) + lattice[top, left + 1] * along
        lower = lattice[top + 1, left] * (1 - along) + lattice[top + 1, left + 1] * along
        return np.asarray(upper * (1 - down) + lower * down)

    def of(self, window: Window) -> FloatArray:
        """float64 areas, of ``window``'s shape or broadcastable to it: (1, 1), (rows, 1) or (rows, columns)."""
        if self._constant is not None:
            return np.full((1, 1), self._constant)
        if self._by_row:
            t = self.grid.transform
            edges = t.f + t.e * np.arange(window.row, window.row_stop + 1, dtype=float)
            zone = _zone_area(np.clip(edges * self._degree, -math.pi / 2, math.pi / 2))
            return np.asarray(np.abs(np.diff(zone)) * abs(t.a) * self._degree)[:, None]
        down = _interpolation(np.arange(window.row, window.row_stop, dtype=np.float64) + 0.5, self._rows)
        return _along(down @ self._lattice, np.arange(window.col, window.col_stop, dtype=np.float64) + 0.5, self._cols)

    def sums(
        self,
        window: Window,
        codes: NDArray[np.integer[Any]],
        length: int,
        *,
        present: Sequence[int] | NDArray[np.integer[Any]] | None = None,
    ) -> FloatArray:
        """Sum of the areas by code: float64 (length); ``codes`` (rows, columns) are 0 … length − 1. ``present``: the
        only codes that there are, where that is known."""
        if self._constant is not None:
            return np.asarray(np.bincount(codes.ravel(), minlength=length) * self._constant, np.float64)
        if present is None and codes.dtype == np.uint8:
            present = np.flatnonzero(np.bincount(codes.ravel(), minlength=length))
        if present is None or len(present) > _FEW_CODES or codes.shape[1] < _WIDE:
            weights = np.broadcast_to(self.of(window), codes.shape).ravel()
            return np.asarray(np.bincount(codes.ravel(), weights=weights, minlength=length), np.float64)
        sums = np.zeros(length)
        sums[present] = (
            self._sums_by_rows(window, codes, present) if self._by_row else self._sums(window, codes, present)
        )
        return sums

    def _sums_by_rows(self, window: Window, codes: NDArray[Any], present: Any) -> FloatArray:
        counts = np.array([[np.count_nonzero(row == code) for code in present] for row in codes], np.float64)
        return np.asarray(self.of(window)[:, 0] @ counts)

    def _sums(self, window: Window, codes: NDArray[Any], present: Any) -> FloatArray:
        """Down a column areas change evenly from node to node: their sum follows from how many pixels of a code there
        are and from the sum of their rows."""
        before, share = _between(np.arange(window.row, window.row_stop, dtype=np.float64) + 0.5, self._rows)
        along = np.arange(window.col, window.col_stop, dtype=np.float64) + 0.5
        sums = np.zeros(len(present))
        for node in range(before[0], before[-1] + 1) if len(before) else ():
            upper, lower = _along(self._lattice[node : node + 2], along, self._cols)
            more = lower - upper
            start, stop = np.searchsorted(before, (node, node + 1))
            for row in range(start, stop, _COUNTED_ROWS):
                part = codes[row : min(row + _COUNTED_ROWS, stop)]
                for place, code in enumerate(present):
                    number, rows = _counted(part == code)
                    # Where a pixel lies between the nodes: where the first row does, and its own row further down.
                    down = share[row] * number + rows * self._step_of_rows
                    sums[place] += number @ upper + down @ more
        return sums

    def _build_lattice(self) -> None:
        down, along = self.grid.gsd_m()
        self._rows = _nodes(self.grid.height, _LATTICE_M / max(down, 1e-9))
        self._cols = _nodes(self.grid.width, _LATTICE_M / max(along, 1e-9))
        col, row = np.meshgrid(self._cols, self._rows)
        # Half steps in pixels, of at least 50 m on the ground so that rounding does not show.
        by_col, by_row = max(0.5, _STEP_M / max(along, 1e-9)), max(0.5, _STEP_M / max(down, 1e-9))
        east = self._surface(col + by_col, row) - self._surface(col - by_col, row)
        south = self._surface(col, row + by_row) - self._surface(col, row - by_row)
        self._lattice = np.linalg.norm(np.cross(east / (2 * by_col), south / (2 * by_row)), axis=-1)
        self._lattice = np.nan_to_num(self._lattice, nan=0.0)
        self._step_of_rows = 1 / float(self._rows[1] - self._rows[0])

    def _surface(self, col: FloatArray, row: FloatArray) -> FloatArray:
        """Earth-centred coordinates (…, 3) of points of the grid."""
        t = self.grid.transform
        x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
        lon, lat = (np.radians(v) for v in self._to_degrees(x, y))
        normal = _A / np.sqrt(1 - _E2 * np.sin(lat) ** 2)
        return np.stack(
            [
                normal * np.cos(lat) * np.cos(lon),
                normal * np.cos(lat) * np.sin(lon),
                normal * (1 - _E2) * np.sin(lat),
            ],
            axis=-1,
        )


class WindowAreas:
    """Areas of the pixels of one window of a grid, worked out where they are asked for: a whole array of them takes
    longer than most of what is done with it."""

    def __init__(self, areas: PixelAreas, window: Window) -> None:
        self._areas, self.window = areas, window

    @property
    def least(self) -> float:
        """m² that no pixel is below."""
        return self._areas.least(self.window)

    def at(self, rows: NDArray[Any], cols: NDArray[Any]) -> FloatArray:
        """As :meth:`PixelAreas.at`; ``rows`` and ``cols`` count from the window's first."""
        return self._areas.at(rows + self.window.row, cols + self.window.col)

    def whole(self) -> FloatArray:
        """float64 (rows, columns), m² of every pixel."""
        return np.broadcast_to(self._areas.of(self.window), self.window.shape)

    def sums(self, codes: NDArray[np.integer[Any]], length: int, *, present: Any = None) -> FloatArray:
        """As :meth:`PixelAreas.sums`."""
        return self._areas.sums(self.window, codes, length, present=present)


def polygon_area_m2(geometry: Any, crs: Any) -> float:
    """Geodesic area in m² of a polygon or multipolygon (holes subtracted) with coordinates in ``crs``.

    Edges are straight in ``crs``: they are cut into pieces of at most 1 km before they go to the ellipsoid. Without a
    CRS the area is planar. Empty geometries and those of lower dimension have area 0.
    """
    if geometry is None or geometry.is_empty:
        return 0.0
    if crs is None:
        return float(geometry.area)
    system = pyproj_crs(crs)
    unit = math.radians(1) * 6_371_000 if system.is_geographic else 1.0
    pieces = shapely.segmentize(geometry, _SEGMENT_M / unit)
    to_degrees = Transformation(system, WGS84)
    geod = pyproj.Geod(ellps="WGS84")
    total = 0.0
    for polygon in shapely.get_parts(pieces):
        if polygon.geom_type != "Polygon":
            continue
        total += _ring_area(polygon.exterior, to_degrees, geod)
        total -= sum(_ring_area(ring, to_degrees, geod) for ring in polygon.interiors)
    return total


def _ring_area(ring: Any, to_degrees: Transformation, geod: pyproj.Geod) -> float:
    xy = shapely.get_coordinates(ring)
    lon, lat = to_degrees(xy[:, 0], xy[:, 1])
    inside = np.isfinite(lon)
    return abs(float(geod.polygon_area_perimeter(lon[inside], lat[inside])[0]))


def _is_wgs84(crs: pyproj.CRS) -> bool:
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:
        return False
    # GRS 80 differs from WGS 84 by 1e-11 of the area: the closed form serves both.
    return math.isclose(ellipsoid.semi_major_metre, _A, rel_tol=1e-9) and math.isclose(
        ellipsoid.inverse_flattening, 1 / _F, rel_tol=1e-6
    )


def _counted(where: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """By column of at most :data:`_COUNTED_ROWS` rows: how many are true, and the sum of their rows, counted from 0. In
    bytes: many times as fast as weights of every pixel."""
    ones = where.view(np.uint8)
    rows = ones * np.arange(len(ones), dtype=np.uint8)[:, None]
    number, total = (np.add.reduce(values, axis=0, dtype=np.uint8).astype(np.float64) for values in (ones, rows))
    return number, total


def _zone_area(latitude: FloatArray) -> FloatArray:
    """Area in m² per radian of longitude between the equator and ``latitude`` (radians)."""
    s = np.sin(latitude)
    polar = _A * _A * (1 - _E2)
    return np.asarray(polar / 2 * (s / (1 - _E2 * s * s) + np.arctanh(_E * s) / _E))


def _nodes(size: int, spacing: float) -> FloatArray:
    count = max(2, math.ceil(size / max(spacing, 1.0)) + 1)
    return np.linspace(0.0, float(size), count)


def _along(values: FloatArray, at: FloatArray, nodes: FloatArray) -> FloatArray:
    """(rows, points): ``values`` (rows, nodes) by :func:`_interpolation` along their rows, node by node, which is many
    times faster than a product with a matrix that is nearly all zeros."""
    left, share = _between(at, nodes)
    out = np.empty((len(values), len(at)))
    cuts = [0, *(np.flatnonzero(np.diff(left)) + 1), len(at)]
    for start, stop in itertools.pairwise(cuts):
        if start < stop:
            here = values[:, left[start], None]
            np.multiply(values[:, left[start] + 1, None] - here, share[start:stop], out=out[:, start:stop])
            out[:, start:stop] += here
    return out


def _between(at: FloatArray, nodes: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """The node before each place, and how far it is from there to the next one (0…1)."""
    step = nodes[1] - nodes[0]
    left = np.clip(np.floor((at - nodes[0]) / step).astype(np.int64), 0, len(nodes) - 2)
    return left, np.asarray((at - nodes[left]) / step)


def _interpolation(at: FloatArray, nodes: FloatArray) -> FloatArray:
    """(points, nodes) matrix of linear interpolation on evenly spaced nodes, going on straight beyond the ends."""
    left, share = _between(at, nodes)
    matrix = np.zeros((len(at), len(nodes)))
    index = np.arange(len(at))
    matrix[index, left] = 1 - share
    matrix[index, left + 1] = share
    return matrix

"""Areas on the ellipsoid: of every pixel of a grid, and of polygons. Square metres on WGS 84.

Pixels of a north-up grid in degrees lie between two parallels and two meridians; their area has a closed form
(Snyder, Map Projections: A Working Manual, 1987, equation 3-12). For any other grid the area of a pixel is the area
of its parallelogram on the ellipsoid's surface at a lattice of points, interpolated between them.
"""

from __future__ import annotations

import itertools
import math
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

    def sums(self, window: Window, codes: NDArray[np.integer[Any]], length: int) -> FloatArray:
        """Sum of the areas by code: float64 (length); ``codes`` (rows, columns) are 0 … length − 1."""
        areas = self.of(window)
        if areas.size == 1:
            return np.asarray(np.bincount(codes.ravel(), minlength=length) * areas[0, 0], np.float64)
        weights = np.broadcast_to(areas, codes.shape).ravel()
        return np.asarray(np.bincount(codes.ravel(), weights=weights, minlength=length), np.float64)

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
    step = nodes[1] - nodes[0]
    left = np.clip(np.floor((at - nodes[0]) / step).astype(int), 0, len(nodes) - 2)
    share = (at - nodes[left]) / step
    out = np.empty((len(values), len(at)))
    cuts = [0, *(np.flatnonzero(np.diff(left)) + 1), len(at)]
    for start, stop in itertools.pairwise(cuts):
        if start < stop:
            here = values[:, left[start], None]
            np.multiply(values[:, left[start] + 1, None] - here, share[start:stop], out=out[:, start:stop])
            out[:, start:stop] += here
    return out


def _interpolation(at: FloatArray, nodes: FloatArray) -> FloatArray:
    """(points, nodes) matrix of linear interpolation on evenly spaced nodes, going on straight beyond the ends."""
    step = nodes[1] - nodes[0]
    left = np.clip(np.floor((at - nodes[0]) / step).astype(int), 0, len(nodes) - 2)
    share = (at - nodes[left]) / step
    matrix = np.zeros((len(at), len(nodes)))
    index = np.arange(len(at))
    matrix[index, left] = 1 - share
    matrix[index, left + 1] = share
    return matrix

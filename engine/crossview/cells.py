"""Search cells: the ground laid out in squares of a size in metres, each with an identity that never changes.

Rows are bands of latitude, ``size_m`` high; each row is cut into a whole number of columns of about ``size_m``, so
columns are spaced by the cosine of the row's latitude. The layout is one for the whole Earth and knows no region:
regions that touch or overlap share cells, and an index can be added to. Lengths are on the sphere of mean radius; on
the ellipsoid a cell is up to 0.6 % longer or shorter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.errors import ParameterError, RegionError

RADIUS_M = 6_371_008.8
"""Mean radius of the Earth."""
METRES_PER_DEGREE = math.pi / 180 * RADIUS_M
POLE = 85.0
"""Degrees of latitude up to which cells are laid out: photos from farther away are not searched for."""
_BIT = 32
_CHUNK = 1 << 20

Ids = NDArray[np.int64]
Degrees = NDArray[np.float64]


@dataclass(frozen=True)
class CellLayout:
    """The layout of cells of ``size_m`` metres (5 to 1000). Raises ParameterError for another size."""

    size_m: float = 30.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.size_m) and 5 <= self.size_m <= 1000):
            raise ParameterError(
                f"Cells of {self.size_m} m cannot be laid out; expected 5 to 1000.", remedy="Leave --cell at 30."
            )

    @property
    def row_deg(self) -> float:
        """Height of a row in degrees of latitude."""
        return self.size_m / METRES_PER_DEGREE

    def columns(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many cells go around the Earth in each row (rows count from the equator, negative to the south)."""
        around = 2 * math.pi * RADIUS_M * np.cos(np.radians(self.row_lat(rows)))
        return np.maximum(1, np.rint(around / self.size_m)).astype(np.int64)

    def row_lat(self, rows: NDArray[np.int64]) -> Degrees:
        """Latitude of the rows' middle."""
        return np.asarray((np.asarray(rows, np.float64) + 0.5) * self.row_deg)

    def rows_of(self, lat: Degrees) -> NDArray[np.int64]:
        """Row that holds a latitude."""
        return np.floor(np.asarray(lat, np.float64) / self.row_deg).astype(np.int64)

    def ids_at(self, lon: Degrees, lat: Degrees) -> Ids:
        """Identity of the cell that holds each point; longitudes by any turn."""
        rows = self.rows_of(lat)
        number = self.columns(rows)
        share = np.mod(np.asarray(lon, np.float64) + 180.0, 360.0) / 360.0
        return _ids(rows, np.minimum(np.floor(share * number).astype(np.int64), number - 1))

    def centres(self, ids: Ids) -> tuple[Degrees, Degrees]:
        """Longitude (−180 to 180) and latitude of the cells' centres."""
        rows, cols = split_ids(ids)
        return (cols + 0.5) * (360.0 / self.columns(rows)) - 180.0, self.row_lat(rows)

    def neighbours(self, ids: Ids, reach: int = 1) -> Ids:
        """(N, (2 reach + 1)²) the cells around each, itself among them: those that hold the points a whole number of
        cells away to the north and east."""
        lon, lat = self.centres(ids)
        steps = np.arange(-reach, reach + 1)
        north, east = (a.ravel() for a in np.meshgrid(steps, steps, indexing="ij"))
        width = self.size_m / (METRES_PER_DEGREE * np.cos(np.radians(lat)))
        return self.ids_at(lon[:, None] + east * width[:, None], lat[:, None] + north * self.row_deg)

    def in_region(self, geometry: Any) -> Iterator[Ids]:
        """The cells whose centre lies in ``geometry`` (a polygon in degrees; longitudes may go beyond 180), from the
        north to the south and from the west to the east, in pieces of limited size. A region too small to hold a centre
        has the cell that holds a point of it. Raises RegionError for a region that reaches beyond 85 degrees."""
        west, south, east, north = geometry.bounds
        if south < -POLE or north > POLE:
            raise RegionError(
                f"The region reaches from {south:.3f} to {north:.3f} degrees of latitude; cells are laid out between "
                f"-{POLE:g} and {POLE:g}.",
                remedy="Cut the region.",
            )
        shapely.prepare(geometry)
        found = False
        first, last = (int(r) for r in self.rows_of(np.array([north, south])))
        for row in range(first, last - 1, -1):
            for lon, ids in self._row_pieces(row, west, east):
                inside = shapely.contains_xy(geometry, lon, float(self.row_lat(np.array(row))))
                if inside.any():
                    found = True
                    yield np.unique(ids[inside]) if east - west > 359 else ids[inside]
        if not found:
            point = geometry.representative_point()
            yield self.ids_at(np.array([point.x]), np.array([point.y]))

    def about(self, geometry: Any) -> int:
        """About how many cells a region (a polygon in degrees) has, from its area; at least 1."""
        lat = (geometry.bounds[1] + geometry.bounds[3]) / 2
        area = geometry.area * METRES_PER_DEGREE**2 * math.cos(math.radians(lat))
        return max(1, round(area / self.size_m**2))

    def _row_pieces(self, row: int, west: float, east: float) -> Iterator[tuple[Degrees, Ids]]:
        number = int(self.columns(np.array(row)))
        width = 360.0 / number
        first, stop = math.floor((west + 180) / width), math.ceil((east + 180) / width)
        for start in range(first, stop, _CHUNK):
            cols = np.arange(start, min(start + _CHUNK, stop), dtype=np.int64)
            yield (
                np.asarray((cols + 0.5) * width - 180.0, np.float64),
                _ids(np.full(len(cols), row), np.mod(cols, number)),
            )


def split_ids(ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (from the equator, negative to the south) and columns (from 180° west)."""
    found = np.asarray(ids, np.int64)
    return found >> _BIT, found & ((1 << _BIT) - 1)


def distance_m(lon: Degrees | float, lat: Degrees | float, to_lon: Degrees | float, to_lat: Degrees | float) -> Degrees:
    """Great-circle distance on the sphere of mean radius in metres (haversine), broadcast."""
    a, b = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(to_lat, np.float64))
    half = np.radians(np.asarray(to_lon, np.float64) - np.asarray(lon, np.float64)) / 2
    inner = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(half) ** 2
    return np.asarray(2 * RADIUS_M * np.arcsin(np.sqrt(np.clip(inner, 0, 1))))


def _ids(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Ids:
    return (np.asarray(rows, np.int64) << _BIT) | np.asarray(cols, np.int64)

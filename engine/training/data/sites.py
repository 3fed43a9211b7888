"""Which images share ground: what must never stand on both sides of a split, whatever the files are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyproj

from engine.errors import GridError
from engine.raster.crs import WGS84, Transformation
from engine.raster.read import open_raster


@dataclass(frozen=True)
class Footprint:
    """The circle around an image: its centre in degrees (WGS 84) and the distance to the farthest corner in metres.

    A circle needs no care at the antimeridian or a pole, and errs towards sharing.
    """

    longitude: float
    latitude: float
    radius_m: float


def footprint_of(path: Path) -> Footprint:
    """The footprint of a raster file; raises MissingFileError, DamagedFileError, GridError (no CRS)."""
    with open_raster(path, what="image") as raster:
        grid = raster.grid
        if grid.crs is None:
            raise GridError(
                f"{path}: has no coordinate reference system, so nobody knows what ground it shares.",
                remedy="Georeference the file.",
            )
        wide, high = float(grid.width), float(grid.height)
        columns, rows = (0.0, wide, 0.0, wide, wide / 2), (0.0, 0.0, high, high, high / 2)
        t = grid.transform
        x = [t.a * col + t.b * row + t.c for col, row in zip(columns, rows, strict=True)]
        y = [t.d * col + t.e * row + t.f for col, row in zip(columns, rows, strict=True)]
        lon, lat = Transformation(grid.crs, WGS84)(x, y)
    corners = [_apart_m(lon[4], lat[4], lon[i], lat[i]) for i in range(4)]
    return Footprint(float(lon[4]), float(lat[4]), max(corners))


def gap_m(a: Footprint, b: Footprint) -> float:
    """Metres between two footprints, negative where they overlap."""
    return _apart_m(a.longitude, a.latitude, b.longitude, b.latitude) - a.radius_m - b.radius_m


def sites(footprints: Sequence[Footprint], *, apart_m: float = 0.0) -> list[int]:
    """The site of each footprint: the number of its first one. Those less than ``apart_m`` metres apart are one site,
    and so is what is joined by others in between."""
    found = list(range(len(footprints)))
    for i, one in enumerate(footprints):
        for j in range(i):
            if found[i] != found[j] and gap_m(one, footprints[j]) < apart_m:
                low, high = sorted((found[i], found[j]))
                found = [low if site == high else site for site in found]
    return found


def _apart_m(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    return float(pyproj.Geod(ellps="WGS84").inv(lon_a, lat_a, lon_b, lat_b)[2])

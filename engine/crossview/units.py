"""Cells in units of work: blocks of 8 rows by about 64 columns of the layout, in an order that reads the image once.

Units belong to the layout, not to the region: what is computed for a cell never depends on where a region begins. They
come by swaths from west to east, in a swath from north to south, so narrow that what neighbouring rows of units share
of the image stays in memory. Nothing is listed in advance: memory does not grow with the region.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from engine.crossview.cells import METRES_PER_DEGREE, CellLayout, Ids, split_ids

ROWS, COLUMNS = 8, 64


@dataclass(frozen=True)
class Unit:
    """Some cells that are described together: ``ids`` from north to south, west to east."""

    row: int
    column: int
    ids: Ids


def units(layout: CellLayout, geometry: Any, *, swath_m: float = math.inf) -> Iterator[Unit]:
    """The cells of a region by units, in swaths of about ``swath_m`` metres. Each cell comes once.

    Raises RegionError as :meth:`CellLayout.in_region`.
    """
    west, _, east, _ = geometry.bounds
    for left, right in _swaths(geometry, swath_m):
        # A unit belongs to the swath that holds its middle; its cells may reach half a unit beyond.
        lat = max(abs(geometry.bounds[1]), abs(geometry.bounds[3]))
        reach = COLUMNS * layout.size_m / (METRES_PER_DEGREE * max(0.05, math.cos(math.radians(lat))))
        box = shapely.box(max(west, left - reach), -90, min(east, right + reach), 90)
        part = geometry if left <= west and right >= east else shapely.intersection(geometry, box)
        if part.is_empty:
            continue
        for unit in _rows_of_units(layout, part, smallest=part is geometry):
            if left <= _middle(layout, unit, west) < right:
                yield unit


def _rows_of_units(layout: CellLayout, geometry: Any, *, smallest: bool) -> Iterator[Unit]:
    waiting: list[Ids] = []
    current: int | None = None
    for ids in layout.in_region(geometry) if smallest else _without_point(layout, geometry):
        row = int(split_ids(ids[:1])[0][0]) // ROWS
        if current is not None and row != current:
            yield from _cut(layout, current, waiting)
            waiting = []
        current = row
        waiting.append(ids)
    if current is not None:
        yield from _cut(layout, current, waiting)


def _without_point(layout: CellLayout, geometry: Any) -> Iterator[Ids]:
    """Of a part of a region: a part that holds no centre has no cell."""
    for ids in layout.in_region(geometry):
        lon, lat = layout.centres(ids)
        near = shapely.contains_xy(geometry, lon, lat) | shapely.contains_xy(geometry, lon + 360, lat)
        if near.any():
            yield ids[near]


def _cut(layout: CellLayout, row: int, waiting: list[Ids]) -> Iterator[Unit]:
    ids = np.concatenate(waiting)
    keys = unit_columns(layout, ids)
    order = np.argsort(keys, kind="stable")
    ids, keys = ids[order], keys[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    # From where the region begins: a region over the antimeridian has its western part first.
    for start, stop in sorted(zip(starts, np.r_[starts[1:], len(keys)], strict=True), key=lambda s: int(order[s[0]])):
        yield Unit(row, int(keys[start]), ids[start:stop])


def unit_columns(layout: CellLayout, ids: Ids) -> Ids:
    """Which unit of its row each cell belongs to, from 180° west."""
    rows, cols = split_ids(ids)
    return cols * _around(layout, rows // ROWS) // layout.columns(rows)


def _around(layout: CellLayout, unit_rows: Ids) -> Ids:
    """Units around the Earth in a row of units."""
    return np.maximum(1, -(-layout.columns(unit_rows * ROWS + ROWS // 2) // COLUMNS))


def _middle(layout: CellLayout, unit: Unit, west: float) -> float:
    """Longitude of a unit's middle, by the turn that lies east of the region's western edge (less half a unit)."""
    number = int(_around(layout, np.array([unit.row]))[0])
    lon = (unit.column + 0.5) * 360.0 / number - 180.0
    half = 180.0 / number
    return west - half + (lon - west + half) % 360.0


def _swaths(geometry: Any, swath_m: float) -> Iterator[tuple[float, float]]:
    west, south, east, north = geometry.bounds
    if not math.isfinite(swath_m):
        yield -math.inf, math.inf
        return
    lat = min(abs(south), abs(north)) if south * north > 0 else 0.0
    width = (east - west) * METRES_PER_DEGREE * math.cos(math.radians(lat))
    number = max(1, math.ceil(width / swath_m))
    edges = [west + (east - west) * k / number for k in range(1, number)]
    yield from zip([-math.inf, *edges], [*edges, math.inf], strict=True)

"""Search cells: one layout for the Earth, no gaps, no doubles, units that do not depend on the region."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.crossview.cells import RADIUS_M, CellLayout, distance_m, split_ids
from engine.crossview.units import unit_columns, units
from engine.errors import ParameterError, RegionError

LAYOUT = CellLayout(30.0)
CITY = shapely.box(9.15, 48.76, 9.20, 48.79)


def cells(geometry, layout=LAYOUT):
    return np.concatenate(list(layout.in_region(geometry)))


@settings(max_examples=60, deadline=None)
@given(st.floats(-180, 179.999), st.floats(-84, 84), st.floats(5, 200))
def test_every_place_has_one_cell_whose_centre_is_near(lon, lat, size):
    layout = CellLayout(size)
    ids = layout.ids_at(np.array([lon]), np.array([lat]))
    at = layout.centres(ids)
    # Half a diagonal; columns are a whole number, so they may be a little wider than asked for.
    assert distance_m(lon, lat, *at)[0] <= size * 0.75
    assert np.array_equal(layout.ids_at(*at), ids)
    assert np.array_equal(layout.ids_at(np.array([lon + 360]), np.array([lat])), ids)


def test_spacing_is_in_metres_at_every_latitude():
    for lat in (0, 40, 60, 80):
        rows = LAYOUT.rows_of(np.array([lat, lat]))
        width = 2 * np.pi * RADIUS_M * np.cos(np.radians(LAYOUT.row_lat(rows[:1]))) / LAYOUT.columns(rows[:1])
        assert abs(width[0] - 30) < 0.01
        around = LAYOUT.neighbours(LAYOUT.ids_at(np.array([10.0]), np.array([float(lat)])))
        lon, own_lat = LAYOUT.centres(around[0])
        apart = distance_m(lon, own_lat, lon[4], own_lat[4])
        assert len(set(around[0].tolist())) == 9
        assert (np.sort(apart)[1:5] < 34).all()
        assert apart.max() < 58


def test_neighbouring_regions_share_cells_and_leave_no_gap():
    west, east = shapely.box(9.15, 48.76, 9.1733, 48.79), shapely.box(9.1733, 48.76, 9.20, 48.79)
    both = np.concatenate([cells(west), cells(east)])
    assert len(np.unique(both)) == len(both)
    assert np.array_equal(np.sort(both), np.sort(cells(CITY)))
    overlapping = cells(shapely.box(9.16, 48.75, 9.18, 48.80))
    lon, _ = LAYOUT.centres(cells(CITY))
    inside = (lon > 9.16) & (lon < 9.18)
    assert set(cells(CITY)[inside].tolist()) <= set(overlapping.tolist())


def test_area_over_cells_is_the_cell_size():
    polygon = shapely.Point(9.18, 48.78).buffer(0.04)
    area = polygon.area * (np.pi / 180 * RADIUS_M) ** 2 * np.cos(np.radians(48.78))
    assert area / len(cells(polygon)) == pytest.approx(900, rel=0.005)


def test_the_antimeridian_and_a_hole():
    box = shapely.box(179.98, -17.01, 180.02, -16.98)
    found = cells(box)
    lon, _ = LAYOUT.centres(found)
    assert (lon > 0).any() and (lon < 0).any()
    assert len(np.unique(found)) == len(found)
    for swath in (np.inf, 1500.0):
        joined = np.concatenate([u.ids for u in units(LAYOUT, box, swath_m=swath)])
        assert np.array_equal(np.sort(joined), np.sort(found))
    hole = CITY.difference(shapely.Point(9.175, 48.775).buffer(0.005))
    assert LAYOUT.ids_at(np.array([9.175]), np.array([48.775]))[0] not in cells(hole)


def test_units_do_not_depend_on_region_or_swath():
    whole = {(u.row, u.column): u.ids for u in units(LAYOUT, CITY)}
    assert sum(map(len, whole.values())) == len(cells(CITY))
    for swath in (800.0, 2500.0):
        cut = list(units(LAYOUT, CITY, swath_m=swath))
        assert len({(u.row, u.column) for u in cut}) == len(cut)
        assert all(np.array_equal(whole[(u.row, u.column)], u.ids) for u in cut)
    part = list(units(LAYOUT, shapely.box(9.16, 48.765, 9.18, 48.785)))
    for unit in part:
        assert set(unit.ids.tolist()) <= set(whole[(unit.row, unit.column)].tolist())
        assert (unit_columns(LAYOUT, unit.ids) == unit.column).all()
        rows, _ = split_ids(unit.ids)
        assert (rows // 8 == unit.row).all()
        assert (np.diff(rows) <= 0).all()  # from the north


def test_a_tiny_region_has_its_one_cell_and_the_poles_none():
    assert len(cells(shapely.box(9.18, 48.78, 9.18001, 48.78001))) == 1
    with pytest.raises(RegionError, match="85"):
        cells(shapely.box(0, 84, 1, 86))
    with pytest.raises(ParameterError):
        CellLayout(2)

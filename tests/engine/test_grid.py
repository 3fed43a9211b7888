"""Windows and grids: the arithmetic that everything else stands on."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from engine.raster.grid import Grid, Window

windows = st.builds(Window, st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 9), st.integers(0, 9))


def pixels(window: Window) -> set[tuple[int, int]]:
    return {(r, c) for r in range(window.row, window.row_stop) for c in range(window.col, window.col_stop)}


@given(windows, windows)
def test_intersection_is_the_common_pixels(one: Window, other: Window) -> None:
    common = one.intersect(other)
    assert pixels(common) == pixels(one) & pixels(other)
    assert common.empty == (not pixels(common))


@given(windows, st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 4))
def test_shift_and_grow(window: Window, rows: int, cols: int, more: int) -> None:
    assert pixels(window.shift(rows, cols)) == {(r + rows, c + cols) for r, c in pixels(window)}
    grown = window.grow(more)
    assert grown.shape == (window.height + 2 * more, window.width + 2 * more)
    assert pixels(window) <= pixels(grown)


@given(windows, windows)
def test_slices_inside_another(inner: Window, outer: Window) -> None:
    inside = inner.row >= outer.row and inner.col >= outer.col
    inside = inside and inner.row_stop <= outer.row_stop and inner.col_stop <= outer.col_stop
    if not inside:
        with pytest.raises(ValueError, match="inside"):
            inner.within(outer)
        return
    names = np.array(
        [[r * 100 + c for c in range(outer.col, outer.col_stop)] for r in range(outer.row, outer.row_stop)]
    )
    found = names.reshape(outer.shape)[inner.within(outer)]
    assert set(found.ravel().tolist()) == {r * 100 + c for r, c in pixels(inner)}


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 60), st.integers(0, 9))
def test_strips_cover_every_row_once(height: int, width: int, rows: int, halo: int) -> None:
    grid = Grid(height, width, Affine.identity(), None)
    strips = list(grid.strips(rows, halo=halo))
    assert [r for s in strips for r in range(s.core.row, s.core.row_stop)] == list(range(height))
    for strip in strips:
        assert strip.core.width == strip.outer.width == width
        assert strip.outer.row == max(0, strip.core.row - halo)
        assert strip.outer.row_stop == min(height, strip.core.row_stop + halo)


@given(windows, st.sampled_from([Affine(10, 0, 4e5, 0, -10, 6e6), Affine(2, 1, 7, 1, -3, 5)]))
def test_a_cropped_pixel_keeps_its_place(window: Window, transform: Affine) -> None:
    part = Grid(20, 20, transform, None).crop(window)
    assert part.shape == window.shape
    np.testing.assert_allclose(part.transform @ (1.5, 2.5), transform @ (window.col + 1.5, window.row + 2.5))


def test_bounds_hold_all_corners_and_sizes_are_metres() -> None:
    turned = Grid(10, 20, Affine.translation(100, 50) @ Affine.rotation(90) @ Affine.scale(2, -2), None)
    np.testing.assert_allclose(turned.bounds, (100, 50, 120, 90))
    assert turned.gsd_m() == pytest.approx((2, 2))
    degrees = Grid(100, 100, Affine(1e-4, 0, 10, 0, -1e-4, 60.005), CRS.from_epsg(4326))
    assert degrees.gsd_m() == pytest.approx((11.12, 5.56), rel=1e-3)
    feet = Grid(10, 10, Affine(100, 0, 6e6, 0, -100, 2e6), CRS.from_epsg(2229))
    assert feet.gsd_m() == pytest.approx((30.48, 30.48), rel=1e-4)
    # A local system is not projected: rasterio knows no unit of it. Its own lengths, as without a CRS.
    local = Grid(10, 10, Affine(5, 0, 0, 0, -5, 0), CRS.from_wkt('LOCAL_CS["plane",UNIT["metre",1]]'))
    assert local.gsd_m() == (5, 5)
    with pytest.raises(ValueError, match="negative"):
        Window(0, 0, -1, 5)

"""Pixel and polygon areas against pyproj's geodesic polygons, and one ground against itself in several systems."""

from __future__ import annotations

import itertools

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from engine.raster.area import PixelAreas, polygon_area_m2
from engine.raster.grid import Grid, Window

GEOD = pyproj.Geod(ellps="WGS84")


def pixel_by_geod(grid: Grid, row: int, col: int) -> float:
    """Brute force: the pixel's outline, cut into many pieces, as a geodesic polygon."""
    to_degrees = pyproj.Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True)
    ring = np.array([(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1), (col, row)], float)
    points = np.concatenate([np.linspace(a, b, 50, endpoint=False) for a, b in itertools.pairwise(ring)])
    t = grid.transform
    x, y = t.a * points[:, 0] + t.b * points[:, 1] + t.c, t.d * points[:, 0] + t.e * points[:, 1] + t.f
    return abs(GEOD.polygon_area_perimeter(*to_degrees.transform(x, y))[0])


TURN = Affine.rotation(30)
GRIDS = {
    "degrees": Grid(400, 300, Affine(0.01, 0, -1.5, 0, -0.01, 52), CRS.from_epsg(4326)),
    "degrees south-up": Grid(400, 300, Affine(0.01, 0, -1.5, 0, 0.01, 52), CRS.from_epsg(4326)),
    "degrees rotated": Grid(
        400, 300, Affine.translation(10, 60) @ Affine.rotation(30) @ Affine.scale(0.01), CRS.from_epsg(4326)
    ),
    "antimeridian": Grid(400, 300, Affine(0.01, 0, 178.7, 0, -0.01, -16), CRS.from_epsg(4326)),
    "utm": Grid(2000, 1500, Affine(100, 0, 4e5, 0, -100, 6e6), CRS.from_epsg(32633)),
    "utm rotated": Grid(
        2000, 1500, Affine.translation(5e5, 1e6) @ Affine.rotation(17) @ Affine.scale(100, -100), CRS.from_epsg(32733)
    ),
    "web mercator": Grid(2000, 1500, Affine(100, 0, 1e6, 0, -100, 11e6), CRS.from_epsg(3857)),
    "laea": Grid(2000, 1500, Affine(100, 0, 4e6, 0, -100, 3e6), CRS.from_epsg(3035)),
    "polar": Grid(2000, 1500, Affine(500, 0, -4e5, 0, -500, 5e5), CRS.from_epsg(3031)),
    "us feet": Grid(2000, 1500, Affine(300, 0, 6e6, 0, -300, 2e6), CRS.from_epsg(2229)),
    "british": Grid(2000, 1500, Affine(100, 0, 4e5, 0, -100, 4e5), CRS.from_epsg(27700)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_every_pixel_is_its_geodesic_polygon(name: str) -> None:
    grid = GRIDS[name]
    areas = np.broadcast_to(PixelAreas(grid).of(grid.window), grid.shape)
    for row, col in ((0, 0), (grid.height - 1, grid.width - 1), (grid.height // 3, grid.width // 2), (1, 299)):
        assert areas[row, col] == pytest.approx(pixel_by_geod(grid, row, col), rel=2e-5), (row, col)


@given(row=st.integers(-5, 60), col=st.integers(-5, 60), height=st.integers(0, 40), width=st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_a_window_gives_what_the_whole_gives(row: int, col: int, height: int, width: int) -> None:
    for name in ("utm rotated", "degrees", "degrees rotated"):
        areas = PixelAreas(GRIDS[name])
        window = Window(row, col, height, width)
        whole = np.broadcast_to(areas.of(Window(-5, -5, 120, 120)), (120, 120))
        got = np.broadcast_to(areas.of(window), window.shape)
        np.testing.assert_allclose(got, whole[row + 5 : row + 5 + height, col + 5 : col + 5 + width], rtol=1e-12)


@pytest.mark.parametrize(
    ("lon", "lat", "epsg"), [(14.0, 52.0, 32633), (179.97, -17.0, 32760), (-179.97, -17.0, 32760), (12.1, 78.0, 32633)]
)
def test_degrees_and_utm_of_one_ground_give_one_area(lon: float, lat: float, epsg: int) -> None:
    """A square of about 10 km, rasterised in both systems by its polygon: areas within 0.1 %."""
    to_utm = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    x, y = to_utm.transform(lon, lat)
    square = shapely.segmentize(shapely.box(x - 5000, y - 5000, x + 5000, y + 5000), 100)
    utm = Grid(1200, 1200, Affine(10, 0, x - 6000, 0, -10, y + 6000), CRS.from_epsg(epsg))
    step = 1e-4
    degrees = Grid(1300, 6500, Affine(step, 0, lon - 3250 * step, 0, -step, lat + 650 * step), CRS.from_epsg(4326))

    def covered(grid: Grid, polygon: shapely.Polygon) -> float:
        col, row = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
        t = grid.transform
        inside = shapely.contains_xy(polygon, t.a * col + t.c, t.e * row + t.f)
        return float((np.broadcast_to(PixelAreas(grid).of(grid.window), grid.shape) * inside).sum())

    back = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    ring = np.array(square.exterior.coords)
    ring_lon, ring_lat = back.transform(ring[:, 0], ring[:, 1])
    ring_lon = np.where(ring_lon - lon > 180, ring_lon - 360, np.where(ring_lon - lon < -180, ring_lon + 360, ring_lon))
    in_degrees = shapely.Polygon(np.column_stack([ring_lon, ring_lat]))
    one, other = covered(utm, square), covered(degrees, in_degrees)
    assert one == pytest.approx(other, rel=1e-3)
    assert one == pytest.approx(polygon_area_m2(square, CRS.from_epsg(epsg)), rel=1e-3)
    assert polygon_area_m2(square, CRS.from_epsg(epsg)) == pytest.approx(
        polygon_area_m2(in_degrees, CRS.from_epsg(4326)), rel=1e-6
    )


def test_the_whole_globe_has_the_area_of_the_ellipsoid() -> None:
    grid = Grid(180, 360, Affine(1, 0, -180, 0, -1, 90), CRS.from_epsg(4326))
    total = float(PixelAreas(grid).of(grid.window).sum() * grid.width)
    assert total == pytest.approx(510_065_621_724_088.4, rel=1e-9)


def test_without_crs_pixels_have_the_transforms_area() -> None:
    assert PixelAreas(Grid(5, 5, Affine.identity(), None)).of(Window(0, 0, 5, 5)) == 1.0
    assert PixelAreas(Grid(5, 5, Affine(2, 0, 0, 0, -3, 0), None)).of(Window(0, 0, 5, 5)) == 6.0
    assert polygon_area_m2(shapely.box(0, 0, 2, 3), None) == 6.0


def test_sums_by_code() -> None:
    codes = np.random.default_rng(1).integers(0, 4, (400, 300)).astype(np.uint8)
    for name in ("degrees", "degrees rotated"):
        grid = GRIDS[name]
        areas = PixelAreas(grid)
        whole = np.broadcast_to(areas.of(grid.window), grid.shape)
        expected = [whole[codes == c].sum() for c in range(6)]
        np.testing.assert_allclose(areas.sums(grid.window, codes, 6), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["utm", "utm rotated", "polar", "degrees wide", "none"])
def test_what_is_asked_of_a_window_is_what_its_pixels_say(name: str) -> None:
    """Rows long enough to be counted code by code, windows that begin anywhere and pass the lattice's nodes."""
    grids = {
        **GRIDS,
        "degrees wide": Grid(400, 1500, Affine(0.01, 0, -1.5, 0, -0.01, 52), CRS.from_epsg(4326)),
        "none": Grid(400, 1500, Affine(2, 0, 0, 0, -3, 0), None),
    }
    areas = PixelAreas(grids[name])
    generator = np.random.default_rng(5)
    for window in (Window(0, 0, 90, 1500), Window(37, 301, 101, 1100), Window(399, 0, 1, 1500)):
        whole = areas.within(window).whole()
        codes = generator.choice(np.array([0, 10, 30, 255], np.uint8), window.shape)
        expected = [whole[codes == c].sum() for c in range(256)]
        np.testing.assert_allclose(areas.within(window).sums(codes, 256), expected, rtol=1e-12)
        np.testing.assert_allclose(areas.sums(window, codes, 256, present=[0, 10, 30, 255]), expected, rtol=1e-12)
        many = generator.integers(0, 256, window.shape).astype(np.uint8)
        expected = [whole[many == c].sum() for c in range(256)]
        np.testing.assert_allclose(areas.sums(window, many, 256), expected, rtol=1e-12)
        rows, cols = np.nonzero(codes == 10)
        np.testing.assert_allclose(areas.within(window).at(rows, cols), whole[rows, cols], rtol=1e-12)
        assert 0.999 * whole.min() < areas.within(window).least <= whole.min()


def test_holes_do_not_count_and_large_polygons_follow_parallels() -> None:
    frame = shapely.Polygon(shapely.box(0, 50, 2, 52).exterior, [shapely.box(0.5, 50.5, 1.5, 51.5).exterior.reverse()])
    grid = Grid(200, 200, Affine(0.01, 0, 0, 0, -0.01, 52), CRS.from_epsg(4326))
    inside = np.ones(grid.shape, bool)
    inside[50:150, 50:150] = False
    pixels = float((np.broadcast_to(PixelAreas(grid).of(grid.window), grid.shape) * inside).sum())
    assert polygon_area_m2(frame, CRS.from_epsg(4326)) == pytest.approx(pixels, rel=1e-6)
    assert polygon_area_m2(shapely.MultiPolygon([frame, shapely.box(5, 50, 5.1, 50.1)]), "EPSG:4326") > pixels
    assert polygon_area_m2(shapely.Polygon(), "EPSG:4326") == 0.0

"""A raster seen on another grid: exact where pixels match, true to nodata, the same however it is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject

from engine.errors import GridError
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster, open_raster

UTM = CRS.from_epsg(32633)
GRID = Grid(120, 150, Affine(10, 0, 4e5, 0, -10, 6e6), UTM)


def field(grid: Grid) -> np.ndarray:
    """A smooth field of the place on Earth, with holes."""
    row, col = np.mgrid[: grid.height, : grid.width] + 0.5
    t = grid.transform
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    values = np.sin(x / 200) * 5 + np.cos(y / 300) * 3 - 10
    values[30:40, 50:60] = np.nan
    values[0, 0] = values[100, 7] = np.nan
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resample") / "scene.tif"
    values = field(GRID)
    stored = np.stack([np.where(np.isnan(values), -9999, values), np.where(np.isnan(values), -9999, 2 * values)])
    with rasterio.open(
        path, "w", "GTiff", GRID.width, GRID.height, 2, dtype="float32", crs=UTM, transform=GRID.transform, nodata=-9999
    ) as file:
        file.write(stored.astype(np.float32))
    return path


def whole(raster: Raster) -> np.ndarray:
    return raster.read(raster.grid.window)


@pytest.mark.parametrize("how", ["nearest", "bilinear", "average"])
def test_on_its_own_grid_it_is_itself(scene: Path, how: str) -> None:
    with open_raster(scene) as raster:
        view = raster.onto(GRID, resampling=how)  # type: ignore[arg-type]
        np.testing.assert_array_equal(whole(view), whole(raster))
        assert (view.names, view.nodata, view.count) == (raster.names, raster.nodata, raster.count)


@given(row=st.integers(-30, 130), col=st.integers(-30, 160), height=st.integers(1, 60), width=st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_whole_pixels_away_it_is_the_same_to_the_bit(scene: Path, row: int, col: int, height: int, width: int) -> None:
    part = GRID.crop(Window(row, col, height, width))
    padded = np.full((2, 400, 400), np.nan, np.float32)
    with open_raster(scene) as raster:
        padded[:, 100:220, 100:250] = whole(raster)
        expected = padded[:, 100 + row : 100 + row + height, 100 + col : 100 + col + width]
        np.testing.assert_array_equal(whole(raster.onto(part)), expected)
        np.testing.assert_array_equal(whole(raster.onto(part, resampling="bilinear")), expected)


def grids() -> dict[str, Grid]:
    lon, lat = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(4e5, 6e6)
    x, y = pyproj.Transformer.from_crs(32633, 32634, always_xy=True).transform(4e5, 6e6)
    return {
        "degrees": Grid(170, 220, Affine(1.1e-4, 0, lon - 5e-4, 0, -1.1e-4, lat + 5e-4), CRS.from_epsg(4326)),
        "half pixel": Grid(100, 100, Affine(10, 0, 4e5 + 15.5, 0, -10, 6e6 - 24.5), UTM),
        "rotated": Grid(
            150, 150, Affine.translation(400600, 6000300) @ Affine.rotation(-31) @ Affine.scale(9, -9), UTM
        ),
        "south-up": Grid(90, 120, Affine(12, 0, 4e5 - 31, 0, 12, 6e6 - 1300), UTM),
        "next zone": Grid(130, 160, Affine(11, 0, x, 0, -11, y + 100), CRS.from_epsg(32634)),
        "finer": Grid(300, 300, Affine(3, 0, 400100, 0, -3, 5999900), UTM),
    }


@pytest.mark.parametrize("name", grids())
def test_nearest_is_the_pixel_that_holds_the_centre(scene: Path, name: str) -> None:
    """Against brute force: transform every centre exactly, take that pixel."""
    grid = grids()[name]
    row, col = np.mgrid[: grid.height, : grid.width] + 0.5
    t = grid.transform
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    x, y = pyproj.Transformer.from_crs(grid.crs.to_wkt(), 32633, always_xy=True).transform(x, y)
    r, c = (6e6 - y) / 10, (x - 4e5) / 10
    inside = (r >= 0) & (r < 120) & (c >= 0) & (c < 150)
    expected = np.full(grid.shape, np.nan, np.float32)
    expected[inside] = field(GRID)[r[inside].astype(int), c[inside].astype(int)]
    with open_raster(scene) as raster:
        got = whole(raster.onto(grid))[0]
    edge = (np.abs(r - np.round(r)) < 0.02) | (np.abs(c - np.round(c)) < 0.02)  # the lattice may tip these
    assert np.isfinite(expected).mean() > 0.2
    np.testing.assert_array_equal(got[~edge], expected[~edge])


@pytest.mark.parametrize("name", grids())
def test_bilinear_is_close_to_the_field_and_valid_where_nearest_is(scene: Path, name: str) -> None:
    grid = grids()[name]
    with open_raster(scene) as raster:
        smooth, near = whole(raster.onto(grid, resampling="bilinear")), whole(raster.onto(grid))
        np.testing.assert_array_equal(np.isnan(smooth), np.isnan(near))
        np.testing.assert_allclose(smooth[1], 2 * smooth[0], rtol=1e-5)
        reference = np.full(grid.shape, np.nan, np.float32)
        reproject(
            field(GRID), reference, src_transform=GRID.transform, src_crs=UTM, src_nodata=np.nan, dst_nodata=np.nan,
            dst_transform=grid.transform, dst_crs=grid.crs, resampling=Resampling.bilinear, tolerance=0,
        )  # fmt: skip
    both = np.isfinite(smooth[0]) & np.isfinite(reference)
    assert both.mean() > 0.2
    if name != "finer":  # GDAL filters where pixels shrink; only compare where it does not
        assert np.percentile(np.abs(smooth[0] - reference)[both], 99) < 0.12


@pytest.mark.parametrize("how", ["nearest", "bilinear", "average"])
@pytest.mark.parametrize("name", ["degrees", "rotated", "half pixel"])
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_the_cut_does_not_matter(scene: Path, how: str, name: str, data: st.DataObject) -> None:
    grid = grids()[name]
    with open_raster(scene) as raster:
        view = raster.onto(grid, resampling=how)  # type: ignore[arg-type]
        everything = view.read(Window(-20, -20, 260, 260))
        row, col = data.draw(st.integers(-20, 150)), data.draw(st.integers(-20, 150))
        height, width = data.draw(st.integers(0, 80)), data.draw(st.integers(0, 80))
        got = view.read(Window(row, col, height, width))
    np.testing.assert_array_equal(got, everything[:, row + 20 : row + 20 + height, col + 20 : col + 20 + width])


@pytest.mark.parametrize("factor", [2, 3, 5, 10])
def test_average_of_nested_pixels_is_their_mean(scene: Path, factor: int) -> None:
    grid = Grid(120 // factor, 150 // factor, GRID.transform @ Affine.scale(factor), UTM)
    cells = field(GRID)[: grid.height * factor, : grid.width * factor]
    cells = cells.reshape(grid.height, factor, grid.width, factor).transpose(0, 2, 1, 3).reshape(*grid.shape, -1)
    valid = np.isfinite(cells).sum(-1)
    with np.errstate(invalid="ignore"):
        mean = np.where(np.isfinite(cells), cells, 0).sum(-1) / valid
    expected = np.where(2 * valid >= factor**2, mean, np.nan)
    with open_raster(scene) as raster:
        np.testing.assert_allclose(whole(raster.onto(grid, resampling="average"))[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("west", [179.995, -180.005])
def test_across_the_antimeridian(tmp_path: Path, west: float) -> None:
    """The same ground under longitudes a turn apart, and in the two UTM zones there."""
    step = 1e-4
    values = np.tile(np.arange(90, dtype=np.float32), (80, 1))
    path = tmp_path / "x.tif"
    here = Affine(step, 0, west, 0, -step, -16)
    with rasterio.open(path, "w", "GTiff", 90, 80, 1, dtype="float32", crs="EPSG:4326", transform=here) as file:
        file.write(values[None])
    turned = Affine(step, 0, west + (360 if west < 0 else -360), 0, -step, -16)
    with open_raster(path) as raster:
        got = whole(raster.onto(Grid(80, 90, turned, CRS.from_epsg(4326))))[0]
        assert (got == values).mean() > 0.97  # rounding of the turn moves a centre on an edge
        for epsg in (32701, 32760):
            x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(180.0, -16.004)
            utm = Grid(40, 40, Affine(10, 0, x - 200, 0, -10, y + 200), CRS.from_epsg(epsg))
            seen = whole(raster.onto(utm))[0]
            assert np.isfinite(seen).mean() > 0.9
            assert (np.diff(seen, axis=1) >= 0).all()  # longitude grows along the row, over the turn too


def test_polar_grids_see_all_around(tmp_path: Path) -> None:
    path = tmp_path / "globe.tif"
    lon = np.tile(np.arange(-180, 180, dtype=np.float32) + 0.5, (180, 1))
    globe = Affine(1, 0, -180, 0, -1, 90)
    with rasterio.open(path, "w", "GTiff", 360, 180, 1, dtype="float32", crs="EPSG:4326", transform=globe) as file:
        file.write(lon[None])
    polar = Grid(200, 200, Affine(10_000, 0, -1e6, 0, -10_000, 1e6), CRS.from_epsg(3031))
    with open_raster(path) as raster:
        got = whole(raster.onto(polar))[0]
    row, col = np.mgrid[:200, :200] + 0.5
    true = np.degrees(np.arctan2(col - 100, 100 - row))
    assert np.isfinite(got).all()
    away = np.abs((got - true + 180) % 360 - 180)
    assert away[np.hypot(row - 100, col - 100) > 2].max() < 0.52


def test_one_crs_and_none_cannot_meet(scene: Path, tmp_path: Path) -> None:
    with open_raster(scene) as raster, pytest.raises(GridError, match="no CRS"):
        raster.onto(Grid(5, 5, Affine.identity(), None))
    far = Grid(9, 9, Affine(10, 0, 9e5, 0, -10, 1e6), UTM)
    with open_raster(scene) as raster:
        for how in ("nearest", "bilinear", "average"):
            assert np.isnan(whole(raster.onto(far, resampling=how))).all()  # type: ignore[arg-type]

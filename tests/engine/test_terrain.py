"""Slope against planes of known slope in every kind of grid; HAND against brute force on small models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from engine.errors import DamagedFileError, GridError, MissingExtraError, MissingFileError
from engine.events import CancelToken, Reporter
from engine.raster.drainage import MARGIN_M, hand_raster, work_grid
from engine.raster.grid import Grid, Window
from engine.raster.read import open_raster
from engine.raster.terrain import slope_degrees

UTM = CRS.from_epsg(32633)


def write(path: Path, values: np.ndarray, transform: Affine, crs: Any = UTM, nodata: float | None = -9999) -> Path:
    height, width = values.shape
    stored = np.where(np.isnan(values), -9999, values).astype(np.float32)
    with rasterio.open(
        path, "w", "GTiff", width, height, 1, dtype="float32", crs=crs, transform=transform, nodata=nodata
    ) as file:
        file.write(stored[None])
    return path


def plane(grid: Grid, east: float, north: float) -> np.ndarray:
    """Heights of a plane that rises by ``east`` and ``north`` metres a true metre around the grid's centre (54 N)."""
    row, col = np.mgrid[: grid.height, : grid.width] + 0.5
    t = grid.transform
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    lon, lat = pyproj.Transformer.from_crs(grid.crs.to_wkt(), 4326, always_xy=True).transform(x, y)
    local = pyproj.CRS.from_proj4("+proj=tmerc +lat_0=54 +lon_0=15 +k=1 +datum=WGS84 +units=m")
    e, n = pyproj.Transformer.from_crs(4326, local, always_xy=True).transform(lon, lat)
    return np.asarray(east * np.asarray(e) + north * np.asarray(n) + 1000)


x0, y0 = pyproj.Transformer.from_crs(4326, 32633, always_xy=True).transform(15.0, 54.0)
mx, my = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(15.0, 54.0)
GRIDS = {
    "utm": Grid(60, 60, Affine(30, 0, x0 - 900, 0, -30, y0 + 900), UTM),
    "degrees": Grid(60, 60, Affine(3e-4, 0, 15 - 9e-3, 0, -3e-4, 54 + 9e-3), CRS.from_epsg(4326)),
    "degrees rotated": Grid(60, 60, Affine.translation(15, 54) @ Affine.rotation(40) @ Affine.scale(3e-4, -3e-4) @ Affine.translation(-30, -30), CRS.from_epsg(4326)),  # noqa: E501
    "utm rotated": Grid(60, 60, Affine.translation(x0, y0) @ Affine.rotation(25) @ Affine.scale(30, -30) @ Affine.translation(-30, -30), UTM),  # noqa: E501
    "south-up": Grid(60, 60, Affine(30, 0, x0 - 900, 0, 30, y0 - 900), UTM),
    "web mercator": Grid(60, 60, Affine(50, 0, mx - 1500, 0, -50, my + 1500), CRS.from_epsg(3857)),
}  # fmt: skip


@pytest.mark.parametrize("dem_name", GRIDS)
@pytest.mark.parametrize("grid_name", ["utm", "degrees", "web mercator", "utm rotated"])
def test_a_plane_has_its_slope_in_every_system(tmp_path: Path, dem_name: str, grid_name: str) -> None:
    dem, grid = GRIDS[dem_name], GRIDS[grid_name]
    path = write(tmp_path / "dem.tif", plane(dem, 0.3, -0.4), dem.transform, dem.crs)
    with open_raster(path, what="DEM") as raster:
        slope = slope_degrees(raster, grid, Window(20, 20, 20, 20))
    assert slope.dtype == np.float32
    np.testing.assert_allclose(slope, np.degrees(np.arctan(0.5)), rtol=2e-3)


@given(row=st.integers(-3, 60), col=st.integers(-3, 60), height=st.integers(0, 20), width=st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_slope_does_not_depend_on_the_window(
    tmp_path_factory: pytest.TempPathFactory, row: int, col: int, height: int, width: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "rough.tif"
    if not path.exists():
        rough = np.random.default_rng(0).normal(0, 20, (60, 60))
        rough[10:14, 30:40] = np.nan
        write(path, rough, GRIDS["utm"].transform)
    for name in ("utm", "degrees", "degrees rotated"):
        with open_raster(path) as raster:
            whole = slope_degrees(raster, GRIDS[name], Window(-3, -3, 90, 90))
            part = slope_degrees(raster, GRIDS[name], Window(row, col, height, width))
        expected = whole[row + 3 : row + 3 + height, col + 3 : col + 3 + width]
        np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-4)
        assert np.isnan(whole).any()


def test_slope_against_brute_force_and_beside_gaps(tmp_path: Path) -> None:
    """Horn's formula pixel by pixel on the DEM's own grid; a missing neighbour is level with the pixel."""
    grid = GRIDS["utm"]
    values = np.random.default_rng(1).normal(0, 5, grid.shape).astype(np.float32).astype(float)
    values[5, 5] = np.nan
    with open_raster(write(tmp_path / "dem.tif", values, grid.transform)) as raster:
        slope = slope_degrees(raster, grid, grid.window)
    assert np.isnan(slope).sum() == 1
    for row, col in ((0, 0), (4, 4), (5, 6), (30, 30), (59, 20)):
        near = np.full((3, 3), values[row, col])
        for i in range(3):
            for j in range(3):
                r, c = row + i - 1, col + j - 1
                if 0 <= r < 60 and 0 <= c < 60 and not np.isnan(values[r, c]):
                    near[i, j] = values[r, c]
        weights = np.array([1, 2, 1])
        dx = ((near[:, 2] - near[:, 0]) * weights).sum() / 8 / 30
        dy = ((near[2] - near[0]) * weights).sum() / 8 / 30
        # 3e-4: the true scale of UTM at its central meridian.
        assert slope[row, col] == pytest.approx(np.degrees(np.arctan(np.hypot(dx, dy))), rel=1e-3)


def test_hand_of_a_valley_is_the_height_above_its_river(tmp_path: Path) -> None:
    pytest.importorskip("pyflwdir")
    row, col = np.mgrid[:300, :300]
    # A V-shaped valley whose floor falls southwards: every flank cell drains straight to column 150.
    values = np.abs(col - 150) * 3.0 + (300 - row) * 0.3
    dem = Affine(30, 0, x0, 0, -30, y0)
    path = write(tmp_path / "dem.tif", values, dem)
    grid = Grid(100, 100, Affine(30, 0, x0 + 3000, 0, -30, y0 - 3000), UTM)
    events: list[Any] = []
    made = hand_raster(path, grid, tmp_path, Reporter(events.append))
    assert made == tmp_path / "hand.tif"
    with open_raster(made) as raster:
        hand = raster.onto(grid).read(grid.window)[0]
        assert raster.grid.crs == UTM
    above = np.abs(col - 150)[100:200, 100:200] * 3.0
    river = above == 0
    assert (hand[river] == 0).all()
    # Flow goes down the flank or diagonally: at most the fall of the floor over the flank's length less or more.
    assert np.abs(hand - above).max() <= 0.3 * 51
    assert events


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_hand_against_a_walk_downstream(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Brute force: follow the directions from every cell to the first channel; height difference, at least 0."""
    pyflwdir = pytest.importorskip("pyflwdir")
    rng = np.random.default_rng(seed)
    values = (rng.normal(0, 8, (30, 30)).cumsum(0).cumsum(1) / 20).astype(np.float32)
    values[rng.random((30, 30)) < 0.03] = np.nan
    folder = tmp_path_factory.mktemp("walk")
    transform = Affine(100, 0, x0, 0, -100, y0)
    path = write(folder / "dem.tif", values, transform)
    grid = Grid(30, 30, transform, UTM)
    with open_raster(hand_raster(path, grid, folder, Reporter(), channel_km2=0.2)) as raster:
        hand = raster.read(raster.grid.window)[0]
    _, d8 = pyflwdir.dem.fill_depressions(np.where(np.isnan(values), -9999, values), nodata=-9999.0)
    flow = pyflwdir.from_array(d8, ftype="d8", transform=transform, latlon=False)
    area, down = flow.upstream_area(unit="cell").ravel(), flow.idxs_ds
    for cell in range(900):
        if np.isnan(values.ravel()[cell]):
            assert np.isnan(hand.ravel()[cell])
            continue
        at = cell
        while area[at] * 0.01 < 0.2 and down[at] >= 0 and down[at] != at:
            at = down[at]
        expected = max(0.0, float(values.ravel()[cell] - values.ravel()[at]))
        assert hand.ravel()[cell] == pytest.approx(expected, abs=1e-4)


def test_the_work_grid_covers_the_scene_and_is_bounded(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(0, 1, (1200, 1200))
    path = write(tmp_path / "fine.tif", values, Affine(10, 0, x0, 0, -10, y0))
    with open_raster(path) as dem:
        small = Grid(100, 100, Affine(10, 0, x0 + 6000, 0, -10, y0 - 6000), UTM)
        work = work_grid(dem, small)
        assert work.gsd_m()[0] >= 30
        bounds, need = work.bounds, small.bounds
        assert bounds.west <= need.west - MARGIN_M + 31
        assert bounds.north >= need.north + MARGIN_M - 31
        assert work.height * work.width < 500 * 500
        tiny = work_grid(dem, small, max_cells=1000)
        assert tiny.height * tiny.width <= 1200
        lon, lat = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(x0 + 6000, y0 - 6000)
        degrees = work_grid(dem, Grid(50, 50, Affine(1e-4, 0, lon, 0, -1e-4, lat), CRS.from_epsg(4326)))
        assert degrees.crs == UTM
        with pytest.raises(GridError, match=r"fine\.tif: the DEM does not overlap"):
            work_grid(dem, Grid(50, 50, Affine(10, 0, x0 + 9e5, 0, -10, y0), UTM))


def test_hand_failures_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyflwdir")
    grid = Grid(20, 20, Affine(30, 0, x0, 0, -30, y0), UTM)
    flat = np.zeros((20, 20))
    (tmp_path / "bad.tif").write_bytes(b"II*\0damaged")
    cases = [
        (tmp_path / "gone.tif", MissingFileError, "gone.tif: the DEM does not exist"),
        (tmp_path / "bad.tif", DamagedFileError, "bad.tif: the DEM cannot be opened"),
        (write(tmp_path / "nocrs.tif", flat, grid.transform, None), GridError, "nocrs.tif: the DEM has no coordinate"),
        (write(tmp_path / "nan.tif", flat * np.nan, grid.transform), DamagedFileError, "nan.tif: the DEM has no valid"),
    ]
    for path, kind, words in cases:
        with pytest.raises(kind, match=words):
            hand_raster(path, grid, tmp_path, Reporter())
    good = write(tmp_path / "good.tif", flat, grid.transform)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Exception, match="Cancelled"):
        hand_raster(good, grid, tmp_path, Reporter(token=token))
    assert not (tmp_path / "hand.tif").exists()
    monkeypatch.setitem(__import__("sys").modules, "pyflwdir", None)
    with pytest.raises(MissingExtraError, match=r"samescene\[terrain\]"):
        hand_raster(good, grid, tmp_path, Reporter())

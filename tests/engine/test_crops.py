"""Crops in metres from any grid: place, scale and direction are right, blocks are decoded once, gaps are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS

from engine.crossview.cells import METRES_PER_DEGREE, CellLayout
from engine.crossview.crops import Cropper
from engine.crossview.imagery import Imagery, halve
from engine.crossview.index.build import swath_m
from engine.crossview.resolution import served_scales
from engine.crossview.units import units
from engine.errors import BandError, GridError
from engine.raster.crs import Transformation
from engine.raster.read import open_raster

LON, LAT = 9.18, 48.78


def scene(path, transform, crs, shape, *, dtype="uint8", mask=None, count=3, block=128, **keywords):
    """A picture that is a smooth function of the place in metres around (LON, LAT), drawn on any grid."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    x, y = transform @ (cols, rows)
    lon, lat = Transformation(crs, "EPSG:4326")(x, y)
    picture = colors((lon - LON) * METRES_PER_DEGREE * math.cos(math.radians(LAT)), (lat - LAT) * METRES_PER_DEGREE)
    values = np.rint(picture * 255).astype(np.uint8)[:count]
    if dtype != "uint8":
        values = (values.astype(np.float32) * 10 + 100).astype(dtype)
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=count, dtype=dtype, crs=crs,
        transform=transform, tiled=True, blockxsize=block, blockysize=block, **keywords,
    ) as target:  # fmt: skip
        if mask is not None:
            values = np.where(mask, values, keywords["nodata"])
        target.write(values)
    return str(path)


def colors(east, north):
    return np.stack(
        [0.5 + 0.4 * np.sin(east / 21), 0.5 + 0.4 * np.cos(north / 17), 0.5 + 0.3 * np.sin((east - north) / 33)]
    )


def expected(side, gsd, turn=0.0, at=(0.0, 0.0)):
    step = (np.arange(side) + 0.5 - side / 2) * gsd
    right, up = np.meshgrid(step, -step)
    a = math.radians(turn)
    return colors(at[0] + right * math.cos(a) + up * math.sin(a), at[1] + up * math.cos(a) - right * math.sin(a))


def utm(angle=0.0, size=0.5):
    x, y = Transformation("EPSG:4326", "EPSG:32632")(np.array([LON]), np.array([LAT]))
    return (
        Affine.translation(x[0], y[0])
        @ Affine.rotation(angle)
        @ Affine.scale(size, -size)
        @ Affine.translation(-400, -400)
    )


GRIDS = {
    "utm": (utm(), CRS.from_epsg(32632)),
    "rotated": (utm(33.0), CRS.from_epsg(32632)),
    "south up": (utm() @ Affine.translation(0, 800) @ Affine.scale(1, -1), CRS.from_epsg(32632)),
    "degrees": (
        Affine(
            0.5 / METRES_PER_DEGREE / math.cos(math.radians(LAT)),
            0,
            LON - 0.00273,
            0,
            -0.5 / METRES_PER_DEGREE,
            LAT + 0.0018,
        ),
        CRS.from_epsg(4326),
    ),
    "another zone": (None, CRS.from_epsg(32633)),
    "mercator": (None, CRS.from_epsg(3857)),
}


def grid_of(name):
    transform, crs = GRIDS[name]
    if transform is None:
        x, y = Transformation("EPSG:4326", crs)(np.array([LON]), np.array([LAT]))
        transform = Affine(0.75, 0, x[0] - 300, 0, -0.75, y[0] + 300)
    return transform, crs


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("gsd", [0.5, 1.0, 1.7])
def test_a_crop_shows_the_ground_in_metres_north_up(tmp_path, name, gsd):
    transform, crs = grid_of(name)
    with open_raster(scene(tmp_path / "r.tif", transform, crs, (800, 800))) as raster:
        cropper = Cropper(Imagery(raster), side=64)
        crops = cropper.cut(np.array([LON]), np.array([LAT]), gsd)
        assert crops.observed[0] == 1
        assert np.abs(crops.pixels[0].numpy() - expected(64, gsd)).max() < 0.035
        turned = cropper.cut(np.array([LON]), np.array([LAT]), gsd, turn_deg=np.array([70.0]))
        assert np.abs(turned.pixels[0].numpy() - expected(64, gsd, 70.0)).max() < 0.035
        # On the sphere a metre is up to 0.6 % longer or shorter than on the ellipsoid.
        assert cropper.gsd_m(LON, LAT) == pytest.approx(0.75 if name == "another zone" else 0.5, rel=0.02)


def test_a_crop_does_not_depend_on_its_company(tmp_path):
    transform, crs = grid_of("rotated")
    with open_raster(scene(tmp_path / "r.tif", transform, crs, (800, 800))) as raster:
        cropper = Cropper(Imagery(raster), side=48)
        rng = np.random.default_rng(0)
        lon, lat = LON + rng.uniform(-1, 1, 12) * 0.002, LAT + rng.uniform(-1, 1, 12) * 0.0013
        together = cropper.cut(lon, lat, 0.8)
        for k in range(12):
            alone = cropper.cut(lon[k : k + 1], lat[k : k + 1], 0.8)
            assert np.abs((alone.pixels[0] - together.pixels[k]).numpy()).max() < 1e-3
            assert abs(alone.observed[0] - together.observed[k]) < 0.01


def test_missing_pixels_are_told_and_have_the_mean_colour(tmp_path):
    transform, crs = grid_of("utm")
    mask = np.ones((800, 800), bool)
    mask[:, 400:] = False
    with open_raster(scene(tmp_path / "r.tif", transform, crs, (800, 800), mask=mask, nodata=0)) as raster:
        cropper = Cropper(Imagery(raster), side=64)
        crops = cropper.cut(np.array([LON, LON, 0.0]), np.array([LAT, LAT + 0.5, 0.0]), 1.0)
        assert crops.observed[0] == pytest.approx(0.5, abs=0.03)
        assert crops.observed[1] == crops.observed[2] == 0
        pixels = crops.pixels[0].numpy()
        assert np.abs(pixels[:, :, :30] - expected(64, 1.0)[:, :, :30]).max() < 0.035
        assert pixels[:, :, 36:].std(axis=(1, 2)).max() < 1e-3
        assert np.allclose(pixels[:, 32, 60], pixels[:, :, :31].mean(axis=(1, 2)), atol=0.02)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_images_are_stretched_the_same_everywhere(tmp_path, dtype):
    transform, crs = grid_of("utm")
    with open_raster(scene(tmp_path / "r.tif", transform, crs, (800, 800), dtype=dtype)) as raster:
        imagery = Imagery(raster)
        assert 100 < imagery.stretch.low < imagery.stretch.high < 2650
        pixels = Cropper(imagery, side=64).cut(np.array([LON]), np.array([LAT]), 0.5).pixels[0].numpy()
        assert np.corrcoef(pixels.ravel(), expected(64, 0.5).ravel())[0, 1] > 0.99


def test_one_band_is_grey_and_a_colour_table_is_refused(tmp_path):
    transform, crs = grid_of("utm")
    path = scene(tmp_path / "grey.tif", transform, crs, (800, 800), count=1)
    with open_raster(path) as raster:
        pixels = Cropper(Imagery(raster), side=32).cut(np.array([LON]), np.array([LAT]), 0.5).pixels[0]
        assert (pixels[0] == pixels[1]).all() and (pixels[1] == pixels[2]).all()
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
    with open_raster(path) as raster, pytest.raises(BandError, match="colour table"):
        Imagery(raster)


class Counting:
    """A raster that counts how often each block is read."""

    def __init__(self, raster):
        self._raster, self.reads = raster, {}

    def __getattr__(self, name):
        return getattr(self._raster, name)

    def read(self, window, bands):
        block = self._raster.block
        for i in range(window.row // block[0], -(-window.row_stop // block[0])):
            for j in range(window.col // block[1], -(-window.col_stop // block[1])):
                self.reads[(i, j)] = self.reads.get((i, j), 0) + 1
        return self._raster.read(window, bands)


def all_crops(imagery, side, gsd, swath):
    cropper, layout = Cropper(imagery, side=side), CellLayout(15)
    box = shapely.box(LON - 0.0035, LAT - 0.0012, LON + 0.0035, LAT + 0.0012)
    count = 0
    for unit in units(layout, box, swath_m=swath):
        for start in range(0, len(unit.ids), 32):
            lon, lat = layout.centres(unit.ids[start : start + 32])
            count += len(cropper.cut(lon, lat, gsd).pixels)
    return count


def test_each_block_is_decoded_once_for_many_overlapping_crops(tmp_path):
    transform, crs = grid_of("utm")
    transform = transform @ Affine.translation(-300, -200)
    with open_raster(scene(tmp_path / "r.tif", transform, crs, (1200, 1400), block=32)) as raster:
        counted = Counting(raster)
        imagery = Imagery(counted)
        imagery.chunk = (64, 64)
        # The last row of units with what its crops reach over: a few rows of chunks are all that is kept.
        imagery._budget = 14 * 26 * 64 * 64 * 5
        crops = all_crops(imagery, 64, 1.0, swath_m(imagery, 64.0, 0.5, CellLayout(15)))
        assert crops > 500
        assert set(counted.reads.values()) == {1}
        assert imagery._bytes <= imagery.budget_bytes
        # Without a budget worth the name the same crops read the same blocks again and again.
        starved = Imagery(Counting(raster))
        starved.chunk, starved._budget = (64, 64), 64 * 64 * 30
        all_crops(starved, 64, 1.0, math.inf)
        assert max(starved.raster.reads.values()) > 3


def test_levels_are_means_of_valid_pixels():
    rng = np.random.default_rng(1)
    colors_, valid = rng.integers(0, 256, (3, 7, 9), dtype=np.uint8), rng.random((7, 9)) > 0.4
    for mask in (None, valid):
        small, good = halve(colors_, mask)
        assert small.shape == (3, 4, 5)
        seen = np.ones((7, 9), bool) if mask is None else mask
        for i, j in ((0, 0), (1, 2), (2, 3)):
            own = seen[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            assert (good is None) or good[i, j] == (own.sum() >= 2)
            if own.sum() >= 2:
                values = colors_[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2][:, own]
                assert np.abs(small[:, i, j] - values.mean(axis=1)).max() <= 0.5


def test_a_reference_that_is_too_coarse_is_refused_with_what_is_needed():
    assert served_scales(0.6, (0.2, 0.4, 0.8, 1.6), name="naip") == (0.8, 1.6)
    assert served_scales(0.21, (0.2, 0.4, 0.8, 1.6), name="x") == (0.2, 0.4, 0.8, 1.6)
    with pytest.raises(GridError, match=r"s2\.tif.* 10 m .*expected 1\.6 m") as error:
        served_scales(10.0, (0.2, 0.4, 0.8, 1.6), name="s2.tif")
    assert "at most 1.84 m" in error.value.remedy

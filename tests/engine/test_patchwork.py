"""Crops across the seams of several files are those of the one mosaic of them all."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from engine.crossview.crops import Cropper
from engine.crossview.imagery import Imagery
from engine.crossview.patchwork import Patchwork
from engine.crossview.samples import Samples
from engine.raster.crs import Transformation
from engine.raster.read import open_raster
from tests.engine import locate_world as world
from tests.engine.test_crops import LAT, LON, expected, scene

TURNS = np.array([0.0, 33.0, 90.0, 200.0, 301.5])


@pytest.fixture
def opened():
    """Croppers of files, which are closed after the test."""
    with ExitStack() as stack:
        yield lambda path, side=64: Cropper(Imagery(stack.enter_context(open_raster(str(path)))), side=side)


def write(path, values, *, left=0, top=0, nodata=None):
    """Pixels of the world's grid from column ``left`` and row ``top`` on."""
    profile = {
        "driver": "GTiff", "height": values.shape[1], "width": values.shape[2], "count": 3, "dtype": "uint8",
        "crs": "EPSG:32632", "transform": world.transform() @ Affine.translation(left, top), "tiled": True,
        "blockxsize": 64, "blockysize": 64, "nodata": nodata,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)
    return path


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """Values without 0, which is nodata in some files, and the file of them all."""
    values = np.clip(world.ground(3), 1, 255)
    return values, write(tmp_path_factory.mktemp("mosaic") / "whole.tif", values)


def around(*east):
    return tuple(map(np.array, zip(*(world.at(e, 3.0) for e in east), strict=True)))


def same(found, wanted):
    """Equal but for rounding: within a tenth of an 8-bit step, as crops that are cut in different company."""
    assert np.array_equal(found.observed, wanted.observed)
    assert float((found.pixels - wanted.pixels).abs().max()) < 4e-4


# 0.5 m a pixel is the files' own; 1 and 2 m are read from levels of half and a quarter of the size.
@pytest.mark.parametrize("gsd", [0.37, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("overlap", [0, 24])
def test_files_side_by_side_are_one_mosaic(ground, opened, tmp_path, gsd, overlap):
    """Equal but for rounding, whatever share of the crop each file has."""
    values, whole = ground
    west = opened(write(tmp_path / "w.tif", values[:, :, : 400 + overlap]))
    east = opened(write(tmp_path / "e.tif", values[:, :, 400 - overlap :], left=400 - overlap))
    lon, lat = around(-9.7, -2.0, 0.0, 1.3, 12.0)
    for turn in (None, TURNS):
        wanted = opened(whole).cut(lon, lat, gsd, turn_deg=turn)
        for order in ((west, east), (east, west)):
            same(Patchwork(order).cut(lon, lat, gsd, turn_deg=turn), wanted)


@pytest.mark.parametrize("gsd", [1.0, 2.0])
def test_a_seam_between_the_pixels_of_a_level(ground, opened, tmp_path, gsd):
    """The files' levels begin at their own corners: beside a seam at an odd column pixels lie up to half a pixel of the
    crop aside."""
    values, whole = ground
    west = opened(write(tmp_path / "w.tif", values[:, :, :401]))
    east = opened(write(tmp_path / "e.tif", values[:, :, 401:], left=401))
    lon, lat = around(-8.0, 0.0, 8.0)
    crops, wanted = Patchwork([west, east]).cut(lon, lat, gsd), opened(whole).cut(lon, lat, gsd)
    assert np.array_equal(crops.observed, np.ones(3))
    off, steps = (crops.pixels - wanted.pixels).abs(), wanted.pixels.diff(dim=3).abs()
    assert float(off.mean()) < 0.5 * float(steps.mean()) and float(off.max()) < float(steps.max())


def test_four_files_that_meet_at_a_corner(ground, opened, tmp_path):
    """Each has a quarter of the crop: none of them half."""
    values, whole = ground
    parts = []
    for k, (top, left) in enumerate(((0, 0), (0, 400), (400, 0), (400, 400))):
        part = values[:, top : top + 400, left : left + 400]
        parts.append(opened(write(tmp_path / f"{k}.tif", part, left=left, top=top)))
    lon, lat = map(np.array, zip(*(world.at(*place) for place in ((0, 0), (2.2, -3.1), (-14, 0.4))), strict=True))
    for turn in (None, TURNS[:3]):
        same(Patchwork(parts).cut(lon, lat, 0.5, turn_deg=turn), opened(whole).cut(lon, lat, 0.5, turn_deg=turn))


def test_margins_of_nodata_are_no_seam(ground, opened, tmp_path):
    """Both files reach over the seam, but have nothing there: as delivered sheets with a margin of nodata."""
    values, whole = ground
    west, east = values[:, :, :480].copy(), values[:, :, 320:].copy()
    west[:, :, 400:], east[:, :, :80] = 0, 0
    croppers = [
        opened(write(tmp_path / "w.tif", west, nodata=0)),
        opened(write(tmp_path / "e.tif", east, left=320, nodata=0)),
    ]
    lon, lat = around(-9.7, -2.0, 0.0, 1.3, 12.0)
    same(Patchwork(croppers).cut(lon, lat, 0.5, turn_deg=TURNS), opened(whole).cut(lon, lat, 0.5, turn_deg=TURNS))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1 << 31), share=st.floats(0.05, 0.95))
def test_whatever_a_file_lacks_comes_from_the_next(ground, tmp_path_factory, seed, share):
    """Any pixel may be in either file alone: samples are weighted by what is there, so fill colours are never mixed
    in."""
    values, whole = ground
    mask = np.random.default_rng(seed).random(values.shape[1:]) < share
    folder = tmp_path_factory.mktemp("masks")
    write(folder / "a.tif", np.where(mask, values, 0), nodata=0)
    write(folder / "b.tif", np.where(mask, 0, values), nodata=0)
    lon, lat = around(-20.0, 31.0)
    with ExitStack() as stack:
        a, b, alone = (
            Cropper(Imagery(stack.enter_context(open_raster(str(path)))), side=32)
            for path in (folder / "a.tif", folder / "b.tif", whole)
        )
        turn = np.array([0.0, 70.0])
        same(Patchwork([a, b]).cut(lon, lat, 0.4, turn_deg=turn), alone.cut(lon, lat, 0.4, turn_deg=turn))


@pytest.mark.parametrize(("crs", "size"), [(32633, 0.5), (3857, 1.1), (32632, 0.8)])
def test_files_of_other_grids_meet_without_a_line(opened, tmp_path, crs, size):
    """West of the middle in UTM at 0.5 m, all around in another CRS or coarser: within what bilinear samples are off on
    one grid (as in test_crops.py), with no fill colour beside the seam."""
    x, y = Transformation("EPSG:4326", "EPSG:32632")(np.array([LON]), np.array([LAT]))
    west = scene(tmp_path / "w.tif", Affine(0.5, 0, x[0] - 200, 0, -0.5, y[0] + 150), CRS.from_epsg(32632), (600, 400))
    x, y = Transformation("EPSG:4326", f"EPSG:{crs}")(np.array([LON]), np.array([LAT]))
    other = Affine(size, 0, x[0] - 150.3, 0, -size, y[0] + 150.2)
    around_it = scene(tmp_path / "o.tif", other, CRS.from_epsg(crs), (500, 500))
    east = np.ones((500, 500), bool)
    east[:, : int(150.3 / size)] = False  # nodata west of the middle, but for a sliver on slanting grids
    beside = scene(tmp_path / "e.tif", other, CRS.from_epsg(crs), (500, 500), mask=east, nodata=0)
    at = (np.array([LON, LON]), np.array([LAT, LAT]))
    turn = np.array([0.0, 70.0])
    for path in (around_it, beside):
        for order in ((west, path), (path, west)):
            crops = Patchwork([opened(one) for one in order]).cut(*at, 1.0, turn_deg=turn)
            least = 1 if path == around_it or crs == 32632 else 0.9
            assert (crops.observed >= least).all(), "the meridians of two zones differ by some degrees"
            for k in range(2):
                off = np.abs(crops.pixels[k].numpy() - expected(64, 1.0, turn[k])).max(axis=0)
                assert np.mean(off < 0.035) >= crops.observed[k] - 0.01 and (least < 1 or off.max() < 0.045)


def test_a_crop_that_one_file_covers_comes_from_it_alone(ground, opened, tmp_path):
    """Sheets of different days are mixed only where none has it all; another is read only where it is needed."""
    values, whole = ground
    dark = opened(write(tmp_path / "dark.tif", values[:, :, :420] // 2))
    light = opened(whole)
    lon, lat = around(-60.0, 3.0, 60.0)
    crops = Patchwork([dark, light]).cut(lon, lat, 0.5)
    assert float((crops.pixels[:1] - dark.cut(lon[:1], lat[:1], 0.5).pixels).abs().max()) < 1e-6
    assert float((crops.pixels[1:] - light.cut(lon[1:], lat[1:], 0.5).pixels).abs().max()) < 1e-6
    unread = opened(whole)
    Patchwork([dark, unread]).cut(lon[:1], lat[:1], 0.5)
    assert unread.imagery.decoded == 0


def test_one_file_alone_is_as_without_a_patchwork(ground, opened, tmp_path):
    values, _ = ground
    holes = np.where(np.random.default_rng(5).random(values.shape[1:]) < 0.2, 0, values)
    alone = opened(write(tmp_path / "holes.tif", holes[:, :, :500], nodata=0))
    lon, lat = around(-120.0, -40.0, 40.0, 51.0, 180.0)
    for cutter in (Patchwork([alone]), Patchwork([alone, opened(write(tmp_path / "far.tif", values, left=5000))])):
        crops, wanted = cutter.cut(lon, lat, 0.7), alone.cut(lon, lat, 0.7)
        assert np.array_equal(crops.observed, wanted.observed) and 0 < wanted.observed[3] < 1
        assert np.array_equal(crops.pixels.numpy(), wanted.pixels.numpy())


def test_what_no_file_has_is_told_and_has_the_mean_colour(ground, opened, tmp_path):
    values, whole = ground
    croppers = [
        opened(write(tmp_path / "w.tif", values[:, :, :392])),
        opened(write(tmp_path / "e.tif", values[:, :, 408:], left=408)),
    ]
    lon, lat = around(0.0)
    crops, wanted = Patchwork(croppers).cut(lon, lat, 0.5), opened(whole).cut(lon, lat, 0.5)
    assert crops.observed[0] == pytest.approx(0.75, abs=0.02)
    sides = np.r_[0:23, 41:64]
    assert float((crops.pixels - wanted.pixels)[..., sides].abs().max()) < 1e-5
    gap = crops.pixels[0, :, :, 25:39].flatten(1)
    assert float(gap.std(dim=1).max()) < 1e-5
    assert np.allclose(gap[:, 0], wanted.pixels[0][..., sides].mean(dim=(1, 2)), atol=0.01)


def test_samples_of_nothing():
    """Two files that both lack a place, as far from any imagery."""
    import torch

    empty = Samples(torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 8))
    joined = empty.joined(empty.lacking(), empty)
    assert joined.crops().observed.tolist() == [0, 0] and float(joined.crops().pixels.abs().max()) == 0

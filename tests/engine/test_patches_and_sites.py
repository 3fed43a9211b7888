"""Patches that share no pixel, and sites that share no ground."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import GridError, MissingFileError
from engine.training.data.patches import normalised_patches, patch_windows
from engine.training.data.sites import Footprint, footprint_of, gap_m, sites
from engine.training.data.statistics import BandStatistics

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40))
def test_patches_lie_inside_share_no_pixel_and_are_as_many_as_fit(height, width, side):
    seen = np.zeros((height, width), int)
    windows = patch_windows(height, width, side)
    for window in windows:
        assert window.row >= 0 and window.col >= 0 and window.row_stop <= height and window.col_stop <= width
        seen[window.row : window.row_stop, window.col : window.col_stop] += 1
    assert seen.max(initial=0) <= 1
    assert len(windows) == (height // side) * (width // side)
    if windows and width >= 2 * side:
        assert {w.col for w in windows} >= {0, width - side}, "spread to both edges"


def test_a_stride_is_kept():
    windows = patch_windows(120, 120, 64, stride=56)
    assert [(w.row, w.col) for w in windows] == [(0, 0), (0, 56), (56, 0), (56, 56)]
    assert patch_windows(63, 200, 64, stride=8) == []


def test_patches_are_normalised_and_missing_pixels_are_zero():
    draw = np.random.default_rng(0)
    image = draw.normal(5, 2, (2, 8, 12)).astype(np.float32)
    image[1, 3, 4] = np.nan
    statistics = BandStatistics(("VV", "VH"), (5.0, 4.0), (2.0, 0.5), (1, 1))
    values, valid = normalised_patches(image, patch_windows(8, 12, 4), statistics)
    assert values.shape == (6, 2, 4, 4) and valid.shape == (6, 1, 4, 4)
    assert not valid[1, 0, 3, 0] and valid.sum() == 6 * 16 - 1
    assert (values[1, :, 3, 0] == 0).all()
    assert values[5, 1, 2, 1] == pytest.approx((image[1, 6, 9] - 4.0) / 0.5, rel=1e-5)
    none, _ = normalised_patches(image, [], statistics)
    assert len(none) == 0


def test_sites_are_joined_by_what_lies_between():
    """A, B and C in a row: A meets B, B meets C; D is far away."""
    row = [Footprint(10.0 + 0.02 * i, 50.0, 800.0) for i in range(3)] + [Footprint(11.0, 50.0, 800.0)]
    assert gap_m(row[0], row[1]) < 0 < gap_m(row[0], row[2])
    assert sites([row[0], row[2], row[3], row[1]]) == [0, 0, 2, 0]
    assert sites([row[0], row[2]]) == [0, 1]
    assert sites(row, apart_m=100_000) == [0, 0, 0, 0]
    assert sites([]) == []


def test_the_antimeridian_and_the_pole_divide_nothing():
    assert gap_m(Footprint(179.999, 10.0, 500.0), Footprint(-179.999, 10.0, 500.0)) < 0
    assert gap_m(Footprint(0.0, 89.999, 500.0), Footprint(180.0, 89.999, 500.0)) < 0


def write(path, crs, transform):
    import rasterio

    with rasterio.open(
        path, "w", driver="GTiff", width=100, height=50, count=1, dtype="uint8", crs=crs, transform=transform
    ) as file:
        file.write(np.ones((1, 50, 100), np.uint8))


def test_the_footprint_of_a_file(tmp_path):
    from rasterio import Affine

    write(tmp_path / "utm.tif", "EPSG:32633", Affine(10, 0, 500_000, 0, -10, 5_000_000))
    found = footprint_of(tmp_path / "utm.tif")
    assert found.radius_m == pytest.approx(np.hypot(500, 250), rel=1e-3)
    assert found.longitude == pytest.approx(15.0 + 500 / 78_700, abs=1e-4)
    write(tmp_path / "none.tif", None, Affine(1, 0, 0, 0, -1, 50))
    with pytest.raises(GridError, match=r"none\.tif: has no coordinate reference system"):
        footprint_of(tmp_path / "none.tif")
    with pytest.raises(MissingFileError):
        footprint_of(tmp_path / "absent.tif")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_the_two_seasons_of_one_place_are_one_site_and_a_pair_that_is_a_chip_is_found():
    with (SHARED / "s1s2_pairs" / "pairs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = sites([footprint_of(SHARED / row["s1"]) for row in rows])
    by_name = dict(zip((row["name"] for row in rows), found, strict=True))
    assert by_name["ssl4eo_0000200_20200604"] == by_name["ssl4eo_0000200_20200813"]
    assert len(set(found)) == len(rows) - 1
    chip = footprint_of(SHARED / "flood" / "train" / "Spain_7370579_S1.tif")
    assert [r["name"] for r in rows if gap_m(footprint_of(SHARED / r["s1"]), chip) < 50_000] == [
        "sen1floods11_Spain_7370579"
    ]

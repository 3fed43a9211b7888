"""Overviews against their rule, cell by cell, and as a file has them level by level."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from engine.raster.grid import Grid
from engine.raster.overviews import halved
from engine.raster.write import CogWriter


def by_rule(values: np.ndarray, nodata: float | None, how: str) -> np.ndarray:
    """One band, as the docstring says it."""
    rows, cols = values.shape
    out = np.zeros(((rows + 1) // 2, (cols + 1) // 2), values.dtype)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            cell = [values[min(2 * i + di, rows - 1), min(2 * j + dj, cols - 1)] for di in (0, 1) for dj in (0, 1)]
            valid = [v for v in cell if v == v and (nodata is None or v != nodata)]
            if how == "nearest" or not valid:
                out[i, j] = cell[0]
            elif how == "mode":
                counts = Counter(valid)
                out[i, j] = next(v for v in valid if counts[v] == max(counts.values()))
            else:
                mean = sum(float(v) for v in valid) / len(valid)
                out[i, j] = math.floor(mean + 0.5) if values.dtype.kind != "f" else mean
    return out


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    few=st.sampled_from([[7], [0, 255], [10, 20, 255], [0, 10, 20, 30], [1, 2, 100, 254, 255]]),
    nodata=st.sampled_from([None, 255, 0, 10, -1]),
    how=st.sampled_from(["nearest", "mode", "average"]),
    dtype=st.sampled_from(["uint8", "int16", "float32"]),
)
@settings(max_examples=300, deadline=None)
def test_cells_are_joined_by_the_rule(seed, shape, few, nodata, how, dtype):
    values = np.random.default_rng(seed).choice(np.array(few, dtype), shape)
    expected = by_rule(values, nodata, how)
    got = halved(values[None], nodata=nodata, how=how)
    assert got.dtype == values.dtype
    np.testing.assert_array_equal(got[0], expected)
    # A part of an array, whose rows do not lie one after another, gives the same.
    wide = np.concatenate((values, values), axis=1)[None, :, : shape[1]]
    np.testing.assert_array_equal(halved(wide, nodata=nodata, how=how)[0], expected)


@pytest.mark.parametrize("how", ["mode", "average"])
def test_a_file_has_the_levels_of_the_rule(tmp_path: Path, how: str) -> None:
    codes = np.random.default_rng(3).choice(np.array([10, 20, 30, 255], np.uint8), (1301, 207), p=[0.4, 0.3, 0.1, 0.2])
    grid = Grid(*codes.shape, Affine(10, 0, 4e5, 0, -10, 6e6), CRS.from_epsg(32633))
    path = tmp_path / "x.tif"
    with CogWriter(path, grid, dtype="uint8", nodata=255, band_names=["x"], overview_resampling=how) as writer:
        for strip in grid.strips(100):
            writer.write(strip.core, codes[strip.core.row : strip.core.row_stop])
    expected = codes
    with rasterio.open(path) as made:
        np.testing.assert_array_equal(made.read(1), codes)
        levels = len(made.overviews(1))
    assert levels == 2
    for level in range(levels):
        expected = by_rule(expected, 255, how)
        with rasterio.open(path, overview_level=level) as smaller:
            np.testing.assert_array_equal(smaller.read(1), expected)

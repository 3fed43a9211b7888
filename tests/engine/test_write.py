"""The COG writer: what was written comes back to the bit, whole or not at all, in memory that does not grow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from engine.errors import GridError, OutputError
from engine.raster.grid import Grid, Window
from engine.raster.read import open_raster
from engine.raster.write import CogWriter

UTM = CRS.from_epsg(32633)
COLORS = {0: (245, 243, 238, 0), 1: (31, 78, 158, 255), 2: (232, 89, 12, 255), 255: (0, 0, 0, 0)}
CLASSES = {0: "dry land", 1: "reference <water> & more", 2: "flood", 255: "not observed"}


def grid_of(height: int, width: int, transform: Affine | None = None, crs: CRS | None = UTM) -> Grid:
    return Grid(height, width, transform or Affine(10, 0, 4e5, 0, -10, 6e6), crs)


def test_a_class_map_comes_back_with_colours_names_tags_and_overviews(tmp_path: Path) -> None:
    grid = grid_of(1300, 2100)
    codes = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 3, (130, 210)), 10, 0), 10, 1).astype(np.uint8)
    path = tmp_path / "flood.tif"
    with CogWriter(
        path, grid, dtype="uint8", nodata=255, band_names=["flood"], colors=COLORS, class_names=CLASSES,
        tags={"ACQUIRED": "2020-01-02", "NOTE": 'a <b> & "c" ü'}, overview_resampling="mode",
    ) as writer:  # fmt: skip
        for strip in grid.strips(300):
            writer.write(strip.core, codes[strip.core.row : strip.core.row_stop])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flood.tif", "flood.tif.aux.xml"]
    with rasterio.open(path) as made:
        np.testing.assert_array_equal(made.read(1), codes)
        assert made.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert made.profile["compress"] == "deflate"
        assert made.block_shapes == [(512, 512)]
        assert made.overviews(1)[:2] == [2, 4]
        assert made.nodata == 255
        assert made.descriptions == ("flood",)
        assert made.tags()["NOTE"] == 'a <b> & "c" ü'
        assert made.tags(1)["CLASS_1"] == CLASSES[1]
        assert made.colormap(1)[2] == (232, 89, 12, 255)
        smaller = made.read(1, out_shape=(650, 1050))
        np.testing.assert_array_equal(smaller, codes[::2, ::2])
    side = (tmp_path / "flood.tif.aux.xml").read_text(encoding="utf-8")
    assert "<Category>reference &lt;water&gt; &amp; more</Category>" in side


def test_gdal_reads_category_names_and_attribute_table(tmp_path: Path) -> None:
    python = Path("/usr/bin/python3")
    probe = "from osgeo import gdal"
    if not python.exists() or subprocess.run([python, "-c", probe], capture_output=True).returncode:
        pytest.skip("no system GDAL with Python bindings")
    grid = grid_of(20, 20)
    with CogWriter(
        tmp_path / "x.tif", grid, dtype="uint8", nodata=255, band_names=["x"], colors=COLORS, class_names=CLASSES
    ) as writer:
        writer.write(grid.window, np.ones((20, 20), np.uint8))
    code = (
        "import sys\nfrom osgeo import gdal\nd = gdal.Open(sys.argv[1])\nb = d.GetRasterBand(1)\n"
        "t = b.GetDefaultRAT()\nprint(b.GetCategoryNames()[1], t.GetRowCount(), t.GetValueAsString(1, 1), sep='|')\n"
    )
    shown = subprocess.run([python, "-c", code, str(tmp_path / "x.tif")], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "reference <water> & more|4|reference <water> & more"


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine(1 / 3, 0, 1e5 / 7, 0, -1 / 3, 2e5 / 3), UTM),
        (Affine(1 / 3, 0, 1e5 / 7, 0, 1 / 3, 2e5 / 3), UTM),
        (Affine.translation(4e5 / 7, 6e6) @ Affine.rotation(17.3) @ Affine.scale(10 / 3, -10 / 3), UTM),
        (Affine(8.983152841195215e-05, 0, 179.99, 0, -8.983152841195215e-05, -16.1), CRS.from_epsg(4326)),
        (Affine.identity(), None),
        (Affine(2, 0, 5, 0, -3, 7), None),
        (Affine.identity(), UTM),
        (Affine(5, 0, 1e5, 0, -5, 2e5), CRS.from_proj4("+proj=laea +lat_0=11 +lon_0=22.5 +datum=WGS84 +units=m")),
    ],
    ids=["north-up", "south-up", "rotated", "antimeridian", "nothing", "no CRS", "identity", "no code"],
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_grid_is_kept_to_the_bit(tmp_path: Path, transform: Affine, crs: CRS | None, dtype: str) -> None:
    grid = Grid(37, 61, transform, crs)
    values = np.random.default_rng(0).integers(0, 200, (2, 37, 61)).astype(dtype)
    with CogWriter(tmp_path / "x.tif", grid, dtype=dtype, nodata=None, band_names=["a", "b"]) as writer:
        writer.write(grid.window, values)
    with open_raster(tmp_path / "x.tif") as raster:
        assert raster.grid.transform == grid.transform
        assert raster.grid.crs == grid.crs
        assert raster.names == ("a", "b")
        np.testing.assert_array_equal(raster.read(grid.window), values)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_windows_in_any_order_fill_in_and_the_rest_is_nodata(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    height, width = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    rows = sorted({0, height, *data.draw(st.lists(st.integers(0, height), max_size=3))})
    cols = sorted({0, width, *data.draw(st.lists(st.integers(0, width), max_size=3))})
    windows = [Window(r, c, s - r, t - c) for r, s in zip(rows, rows[1:]) for c, t in zip(cols, cols[1:])]  # noqa: B905, RUF007
    chosen = data.draw(st.permutations(windows))[: data.draw(st.integers(0, len(windows)))]
    values = np.random.default_rng(height).normal(size=(2, height, width)).astype(np.float32)
    expected = np.full_like(values, np.nan)
    path = tmp_path_factory.mktemp("w") / "x.tif"
    with CogWriter(path, grid_of(height, width), dtype="float32", nodata=np.nan, band_names=["a", "b"]) as writer:
        for window in chosen:
            at = (slice(None), *window.within(Window(0, 0, height, width)))
            writer.write(window, values[at])
            expected[at] = values[at]
    with open_raster(path) as raster:
        np.testing.assert_array_equal(raster.read(raster.grid.window), expected)


def test_an_exception_leaves_nothing_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    path.write_text("old")
    with pytest.raises(KeyError), CogWriter(path, grid_of(9, 9), dtype="uint8", band_names=["a"]) as writer:
        writer.write(Window(0, 0, 9, 9), np.ones((9, 9), np.uint8))
        assert path.read_text() == "old"
        raise KeyError
    assert [p.name for p in tmp_path.iterdir()] == ["x.tif"]
    assert path.read_text() == "old"


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GridError, match="0 x 5"):
        CogWriter(tmp_path / "x.tif", grid_of(5, 0), dtype="uint8", band_names=["a"])
    with pytest.raises(OutputError, match=r"gone/x\.tif.*: cannot be written"):
        CogWriter(tmp_path / "gone" / "x.tif", grid_of(5, 5), dtype="uint8", band_names=["a"])
    with CogWriter(tmp_path / "x.tif", grid_of(5, 5), dtype="uint8", band_names=["a"]) as writer:
        with pytest.raises(ValueError, match="float32"):
            writer.write(Window(0, 0, 5, 5), np.zeros((5, 5), np.float32))
        with pytest.raises(ValueError, match="does not fit"):
            writer.write(Window(0, 0, 5, 5), np.zeros((5, 4), np.uint8))
        with pytest.raises(ValueError, match="inside"):
            writer.write(Window(3, 0, 5, 5), np.zeros((5, 5), np.uint8))
        writer.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Any]:
    """Mounts a file system of a given size; only root can."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = []

    def mount(kilobytes: int) -> Path:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)
            mounted.clear()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)], capture_output=True
        )
        if done.returncode:
            pytest.skip("mounting a small file system is not allowed here")
        mounted.append(disk)
        return disk

    yield mount
    if mounted:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_full_disk_gives_one_line_at_any_size_and_leaves_nothing(small_disk: Any, capfd: Any) -> None:
    if os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    grid = grid_of(700, 900)
    values = np.random.default_rng(0).integers(0, 200, grid.shape).astype(np.uint8)
    outcomes = set()
    for kilobytes in (100, 500, 640, 800, 1000, 1200, 1300, 1400, 1500, 1700, 2600, 4000):
        folder = small_disk(kilobytes)
        try:
            with CogWriter(folder / "x.tif", grid, dtype="uint8", nodata=255, band_names=["a"]) as writer:
                for strip in grid.strips(100):
                    writer.write(strip.core, values[strip.core.row : strip.core.row_stop])
        except OutputError as error:
            assert "x.tif: cannot be written" in error.line
            assert "disk is full" in error.line
            assert list(folder.iterdir()) == []
            outcomes.add("full")
        else:
            with open_raster(folder / "x.tif") as raster:
                np.testing.assert_array_equal(raster.read(grid.window)[0], values)
            outcomes.add("whole")
    assert outcomes == {"full", "whole"}
    assert capfd.readouterr() == ("", "")


MEMORY = """
import sys, numpy as np
from affine import Affine
from engine.raster.grid import Grid
from engine.raster.write import CogWriter
grid = Grid(int(sys.argv[2]), 6000, Affine(10, 0, 4e5, 0, -10, 6e6), None)
rng = np.random.default_rng(0)
strip_values = rng.integers(0, 100, (256, 6000)).astype(np.uint8)
with CogWriter(sys.argv[1], grid, dtype="uint8", nodata=255, band_names=["a"]) as writer:
    for strip in grid.strips(256):
        writer.write(strip.core, strip_values[: strip.core.height])
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")
    peaks = []
    for rows in (12000, 36000):
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(tmp_path / "x.tif"), str(rows)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) / 1024)
    # What grows is GDAL's list of lines, some 40 bytes a row; the data itself must not.
    assert peaks[1] < 1.1 * peaks[0], peaks

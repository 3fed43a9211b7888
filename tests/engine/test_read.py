"""The reader: every way to mark missing values, every georeference, damage of every kind."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from engine.errors import BandError, DamagedFileError, EngineError, GridError, InputError, MissingFileError
from engine.raster.grid import Window
from engine.raster.read import open_raster

UTM = CRS.from_epsg(32633)
NORTH_UP = Affine(10, 0, 4e5, 0, -10, 6e6)


def make(
    path: Path,
    array: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    names: Any = (),
    alpha: bool = False,
    **profile: Any,
) -> Path:
    array = array if array.ndim == 3 else array[None]
    options = {"crs": UTM, "transform": NORTH_UP, **profile}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", "GTiff", array.shape[2], array.shape[1], len(array), dtype=array.dtype, **options
        ) as file,
    ):
        if alpha:
            file.colorinterp = [*file.colorinterp[:-1], ColorInterp.alpha]
        file.write(array)
        if names:
            file.descriptions = names
        if mask is not None:
            file.write_mask(mask)
    return path


VALUES = np.arange(1, 61, dtype=np.float32).reshape(2, 5, 6)
HOLE = np.zeros((5, 6), bool)
HOLE[1:3, 2:5] = True


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("kind", ["value", "nan", "inf", "-inf", "none", "mask", "alpha", "lowest"])
def test_whatever_marks_missing_values_becomes_nan(tmp_path: Path, kind: str, dtype: str) -> None:
    floating = np.dtype(dtype).kind == "f"
    if kind in ("nan", "inf", "-inf", "lowest") and not floating:
        pytest.skip("integers have no such value")
    array, expected = VALUES.astype(dtype), VALUES.copy()
    options: dict[str, Any] = {}
    if kind != "none":
        expected[:, HOLE] = np.nan
    if kind == "value":
        array[:, HOLE], options["nodata"] = 0, 0
    elif kind in ("nan", "inf", "-inf"):
        array[:, HOLE] = float(kind)
        options["nodata"] = float(kind) if kind == "nan" else None
    elif kind == "lowest":
        array[:, HOLE], options["nodata"] = np.finfo(dtype).min, float(np.finfo(dtype).min)
    elif kind == "mask":
        options["mask"] = np.where(HOLE, 0, 255).astype(np.uint8)
    elif kind == "alpha":
        top = np.iinfo(dtype).max if not floating else 1
        array = np.concatenate([array, np.where(HOLE, 0, top).astype(dtype)[None]])
        options["alpha"] = True
    with open_raster(make(tmp_path / "x.tif", array, **options)) as raster:
        assert raster.count == 2
        got = raster.read(Window(0, 0, 5, 6))
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(raster.read_valid(Window(0, 0, 5, 6)), np.isfinite(expected))


def test_nodata_and_mask_and_nan_all_count_at_once(tmp_path: Path) -> None:
    array = VALUES.copy()
    array[0, 0, 0], array[0, 0, 1], array[1, 4, 5] = np.nan, -9999, np.inf
    mask = np.full((5, 6), 255, np.uint8)
    mask[4, 0] = 0
    expected = array.copy()
    expected[0, 0, :2] = expected[1, 4, 5] = np.nan
    expected[:, 4, 0] = np.nan
    with open_raster(make(tmp_path / "x.tif", array, nodata=-9999, mask=mask)) as raster:
        np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 6)), expected)
        np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 6), [2, 1]), expected[::-1])


def test_each_band_has_its_own_nodata_in_a_vrt(tmp_path: Path) -> None:
    make(tmp_path / "x.tif", VALUES)
    bands = "".join(
        f'<VRTRasterBand dataType="Float32" band="{b}"><NoDataValue>{nodata}</NoDataValue>'
        f"<Description>{name}</Description><SimpleSource>"
        f'<SourceFilename relativeToVRT="1">x.tif</SourceFilename><SourceBand>{b}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for b, nodata, name in ((1, 3, "VV"), (2, 33, "VH"))
    )
    (tmp_path / "x.vrt").write_text(f'<VRTDataset rasterXSize="6" rasterYSize="5">{bands}</VRTDataset>')
    expected = np.where((VALUES == 3) | (VALUES == 33), np.nan, VALUES)
    with open_raster(tmp_path / "x.vrt") as raster:
        assert raster.nodata == (3.0, 33.0)
        assert raster.names == ("VV", "VH")
        np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 6)), expected)


def test_integer_nodata_that_no_pixel_can_hold_is_no_trouble(tmp_path: Path) -> None:
    make(tmp_path / "x.tif", VALUES.astype(np.uint8))
    band = (
        '<VRTRasterBand dataType="Byte" band="1"><NoDataValue>-9999</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">x.tif</SourceFilename></SimpleSource></VRTRasterBand>'
    )
    (tmp_path / "x.vrt").write_text(f'<VRTDataset rasterXSize="6" rasterYSize="5">{band}</VRTDataset>')
    with open_raster(tmp_path / "x.vrt") as raster:
        np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 6))[0], VALUES[0])


def test_scale_and_offset_are_applied_and_nodata_is_not_scaled(tmp_path: Path) -> None:
    stored = np.array([[-123456, -32768], [250000, 0]], np.int32)
    path = make(tmp_path / "x.tif", stored, nodata=-32768)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (1e-4,), (2.0,)
    with open_raster(path) as raster:
        np.testing.assert_allclose(raster.read(Window(0, 0, 2, 2))[0], [[-10.3456, np.nan], [27.0, 2.0]], rtol=1e-6)


@given(row=st.integers(-8, 8), col=st.integers(-8, 8), height=st.integers(0, 9), width=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_windows_reach_over_the_edges(
    tmp_path_factory: pytest.TempPathFactory, row: int, col: int, height: int, width: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "edges.tif"
    if not path.exists():
        make(path, VALUES)
    padded = np.full((2, 40, 40), np.nan, np.float32)
    padded[:, 15:20, 15:21] = VALUES
    with open_raster(path) as raster:
        got = raster.read(Window(row, col, height, width))
    np.testing.assert_array_equal(got, padded[:, 15 + row : 15 + row + height, 15 + col : 15 + col + width])


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (NORTH_UP, UTM),
        (Affine(1 / 3, 0, 1e5 / 7, 0, 1 / 3, 2e5 / 3), UTM),
        (Affine.translation(4e5, 6e6) @ Affine.rotation(17.3) @ Affine.scale(10 / 3, -10 / 3), UTM),
        (Affine(8.983152841195215e-05, 0, 179.99, 0, -8.983152841195215e-05, -16.1), CRS.from_epsg(4326)),
        (Affine.identity(), None),
        (Affine(2, 0, 5, 0, -3, 7), None),
    ],
    ids=["north-up", "south-up", "rotated", "antimeridian", "nothing", "no CRS"],
)
def test_the_grid_is_the_files_to_the_bit(tmp_path: Path, transform: Affine, crs: CRS | None, recwarn: Any) -> None:
    with open_raster(make(tmp_path / "x.tif", VALUES, transform=transform, crs=crs)) as raster:
        assert raster.grid.transform == transform
        assert raster.grid.crs == crs
        assert raster.grid.shape == (5, 6)
        np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 6)), VALUES)
        if crs is None:
            with pytest.raises(GridError, match=r"x\.tif: the raster has no coordinate reference system\. Assign"):
                raster.require_crs()
        else:
            raster.require_crs()
    assert not [w for w in recwarn if "eoreferenc" in str(w.message)]


def test_ground_control_points_alone_are_refused_with_a_remedy(tmp_path: Path) -> None:
    points = [GroundControlPoint(row=r, col=c, x=10 + c, y=50 - r) for r in (0, 4) for c in (0, 5)]
    path = tmp_path / "grd.tif"
    with rasterio.open(path, "w", driver="GTiff", height=5, width=6, count=1, dtype="uint16") as file:
        file.write(VALUES[:1].astype(np.uint16))
        file.gcps = (points, CRS.from_epsg(4326))
    with (
        open_raster(path, what="scene") as raster,
        pytest.raises(GridError, match=r"only 4 ground control points .*terrain-corrected"),
    ):
        raster.require_crs()


def test_names_tags_and_time(tmp_path: Path) -> None:
    path = make(tmp_path / "x.tif", VALUES, names=("Sigma0_VV_db", None))
    with rasterio.open(path, "r+") as file:
        file.update_tags(ACQUIRED="2019-09-17T06:05:04Z")
        file.update_tags(2, BandName="VH")
    with open_raster(path) as raster:
        assert raster.names == ("Sigma0_VV_db", "VH")
        assert raster.acquired is not None
        assert raster.acquired.isoformat() == "2019-09-17T06:05:04+00:00"
        assert not raster.acquired_date_only
        assert raster.dtype == "float32"
        assert raster.block == (5, 6)
        with pytest.raises(BandError, match=r"no band 3; found 2"):
            raster.read(Window(0, 0, 1, 1), [3])
    product = make(tmp_path / "S1A_IW_GRDH_1SDV_20211223T051122_20211223T051147_041148_04E3A1_5371.tif", VALUES)
    with open_raster(product) as raster:
        assert raster.acquired is not None
        assert raster.acquired.isoformat() == "2021-12-23T05:11:22+00:00"


ODD_NAMES = ["a:b.tif", "s3:x.tif", "scene #1?.tif", "Überflutung 洪水.tif", "a!b|c=d.tif", "x" * 200 + ".tif"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_file_name_opens(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "plain.tif", VALUES)
    (tmp_path / "plain.tif").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, name):
        with open_raster(path) as raster:
            np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 6)), VALUES)


def test_what_is_not_there_or_not_a_raster_is_named_in_one_line(tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "text.tif").write_text("no raster")
    (tmp_path / "empty.tif").touch()
    for path in ("absent.tif", "text.tif", "empty.tif", "."):
        with pytest.raises(MissingFileError if path == "absent.tif" else DamagedFileError) as caught:
            open_raster(tmp_path / path, what="scene")
        assert str(tmp_path) in caught.value.message
        assert "scene" in caught.value.message
        assert "\n" not in caught.value.line
        assert caught.value.remedy
    assert capfd.readouterr() == ("", "")


def test_headers_that_cannot_be_true_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.vrt").write_text('<VRTDataset rasterXSize="6" rasterYSize="5"></VRTDataset>')
    with pytest.raises(DamagedFileError, match=r"none\.vrt"):
        open_raster(tmp_path / "none.vrt")
    (tmp_path / "huge.vrt").write_text(
        '<VRTDataset rasterXSize="2000000000" rasterYSize="5"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    )
    with pytest.raises(DamagedFileError, match="2000000000 x 5"):
        open_raster(tmp_path / "huge.vrt")
    with pytest.raises(InputError, match="complex"):
        open_raster(make(tmp_path / "slc.tif", VALUES.astype(np.complex64)))
    (tmp_path / "gap.vrt").write_text(
        '<VRTDataset rasterXSize="6" rasterYSize="5"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">gone.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    with pytest.raises(DamagedFileError, match=r"gap\.vrt"), open_raster(tmp_path / "gap.vrt") as raster:
        raster.read(raster.grid.window)


@pytest.fixture(scope="module")
def speckle(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, np.ndarray]:
    """A small tiled deflated file, header first, and its values."""
    values = np.random.default_rng(0).normal(-12, 4, (2, 96, 96)).astype(np.float32)
    path = tmp_path_factory.mktemp("speckle") / "scene.tif"
    make(path, values, tiled=True, blockxsize=32, blockysize=32, compress="deflate", nodata=np.nan)
    return path.read_bytes(), values


def read_all(path: Path) -> np.ndarray:
    with open_raster(path) as raster:
        assert raster.grid.height * raster.grid.width < 10**9
        return raster.read(raster.grid.window)


def test_truncation_at_every_kilobyte_is_told(tmp_path: Path, speckle: tuple[bytes, np.ndarray], capfd: Any) -> None:
    data, values = speckle
    path = tmp_path / "cut.tif"
    for size in range(0, len(data), 1024):
        path.write_bytes(data[:size])
        with pytest.raises(DamagedFileError, match=r"cut\.tif") as caught:
            read_all(path)
        assert "\n" not in caught.value.line
    path.write_bytes(data)
    np.testing.assert_array_equal(read_all(path), values)
    assert capfd.readouterr() == ("", "")


def test_flipped_bits_give_values_or_one_line_and_nothing_else(
    tmp_path: Path, speckle: tuple[bytes, np.ndarray], capfd: Any
) -> None:
    data, _ = speckle
    path = tmp_path / "flip.tif"
    rng = np.random.default_rng(1)
    # Half of the flips in the header and directory, where they hurt most.
    places = np.concatenate([rng.integers(0, 400, 150), rng.integers(0, len(data), 150)])
    told = 0
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(damaged)
        try:
            read_all(path)
        except EngineError as error:
            told += 1
            assert "flip.tif" in error.line
            assert "\n" not in error.line
        except AssertionError:
            continue  # a header that claims a large, possible size
    assert told > 75
    assert capfd.readouterr() == ("", "")


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files with byte ranges; fails the first requests when told so."""

    failures = 0

    def do_GET(self) -> None:
        if type(self).failures > 0:
            type(self).failures -= 1
            self.send_error(503)
            return
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        wanted = self.headers.get("Range")
        start, stop = 0, len(data)
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), min(len(data), int(last) + 1 if last else len(data))
            if start >= len(data):
                self.send_error(416)
                return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[start:stop])

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = type("Handler", (RangeHandler,), {"failures": 0})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path)))
    httpd.handler = handler  # type: ignore[attr-defined]
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def test_http(tmp_path: Path, server: str, speckle: tuple[bytes, np.ndarray], capfd: Any) -> None:
    data, values = speckle
    with pytest.raises(MissingFileError, match=rf"{server}/x\.tif: the scene cannot be reached"):
        open_raster(f"{server}/x.tif?sig=hidden", what="scene")
    (tmp_path / "x.tif").write_bytes(data)
    # A worker that failed once must see the file when it is there, and the new one when it is replaced.
    with open_raster(f"{server}/x.tif") as raster:
        assert raster.remote
        np.testing.assert_array_equal(raster.read(Window(40, 10, 20, 30)), values[:, 40:60, 10:40])
    make(tmp_path / "x.tif", VALUES)
    with open_raster(f"{server}/x.tif") as raster:
        np.testing.assert_array_equal(raster.read(Window(0, 0, 5, 6)), VALUES)
    (tmp_path / "x.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(DamagedFileError, match=rf"{server}/x\.tif"):
        read_url = open_raster(f"{server}/x.tif")
        read_url.read(read_url.grid.window)
    (tmp_path / "text.tif").write_text("no raster" * 1000)
    with pytest.raises(DamagedFileError, match=r"text\.tif"):
        open_raster(f"{server}/text.tif")
    assert capfd.readouterr() == ("", "")


def test_keys_in_addresses_are_not_shown() -> None:
    with pytest.raises(MissingFileError) as caught:
        open_raster("http://user:secret@127.0.0.1:9/x.tif?token=secret")
    assert "http://127.0.0.1:9/x.tif" in caught.value.line
    assert "secret" not in caught.value.message


def test_a_foreign_environment_does_no_harm(tmp_path: Path) -> None:
    path = make(tmp_path / "x.tif", VALUES)
    junk = {name: str(tmp_path) for name in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH")}
    code = (
        "import sys\nfrom engine.raster.read import open_raster\nfrom engine.raster.area import PixelAreas\n"
        "from engine.raster.regions import read_regions\n"
        "with open_raster(sys.argv[1]) as r:\n"
        "    print(r.grid.crs.to_epsg(), PixelAreas(r.grid).of(r.grid.window)[0, 0].round(3))\n"
        "    print(read_regions('13,54,13.1,54.1', crs=r.grid.crs).bounds)\n"
    )
    command = [sys.executable, "-I", "-c", code, str(path)]
    runs = [subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True) for env in ({}, junk)]
    assert runs[0].stdout.startswith("32633 100.0")
    assert runs[1].stdout == runs[0].stdout
    assert runs[1].stderr == ""


SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_shared_scenes_have_the_nodata_that_is_documented() -> None:
    path = SHARED / "scenes" / "stacoverflow_awc00_S1.tif"
    if not path.exists():
        pytest.skip("the shared data is not beside the checkout")
    with open_raster(path) as raster:
        assert raster.names == ("VV", "VH")
        values = raster.read(raster.grid.window)
        assert 0.26 < np.isnan(values).mean() < 0.28
        assert np.nanmax(values) < 30
        assert not (values == 0).any()


def test_a_file_closed_while_another_thread_reads_is_closed_after_that_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", height=64, width=64, count=1, dtype="float32") as target:
        target.write(np.ones((1, 64, 64), np.float32))
    raster = open_raster(path)
    source = raster._source  # type: ignore[attr-defined]
    started, go_on = threading.Event(), threading.Event()

    class Slow:
        def read(self, *args: object, **options: object) -> object:
            started.set()
            go_on.wait(10)
            return source.read(*args, **options)

        def close(self) -> None:
            source.close()

    raster._source = Slow()  # type: ignore[attr-defined]
    got = []
    thread = threading.Thread(target=lambda: got.append(raster.read(Window(0, 0, 64, 64))))
    thread.start()
    started.wait(10)
    raster.close()
    assert not source.closed, "closed in the middle of a read"
    go_on.set()
    thread.join(10)
    assert source.closed and float(got[0].sum()) == 64 * 64

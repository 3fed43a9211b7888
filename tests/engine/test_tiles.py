"""Tile servers as rasters: every kind of address, polite fetching, and whatever a server can do wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InputError, MissingFileError, OutputError, ParameterError
from engine.raster.crs import Transformation
from engine.raster.grid import Window
from engine.raster.tilecache import TileCache, user_cache_folder
from engine.raster.tilefetch import Manners, TileFetcher
from engine.raster.tiles import decode_tile, open_tiles, tile_at
from engine.raster.xyz import gsd_at, is_template, parse_template, zoom_for
from tests.engine.tile_server import TileServer, plain_tile, png

LON, LAT = 9.18, 48.78
QUICK = Manners(per_second=500, backoff_s=0.01)


@pytest.fixture
def server():
    made = TileServer(plain_tile)
    yield made
    made.close()


def opened(server, *, cache=None, zoom_max=19, manners=QUICK, gsd_m=0.4, address=None, tms=False):
    template = parse_template(address or server.address, zoom_max=zoom_max, tms=tms)
    return open_tiles(template, gsd_m=gsd_m, lon=LON, lat=LAT, cache=cache, manners=manners)


def test_templates_of_all_kinds(tmp_path):
    assert parse_template("https://a.org/{z}/{x}/{y}.jpg?key=s").tile(3, 1, 2) == "https://a.org/3/1/2.jpg?key=s"
    assert parse_template("https://a.org/{z}/{x}/{-y}.jpg").tile(3, 1, 2) == "https://a.org/3/1/5.jpg"
    assert parse_template("https://a.org/{z}/{x}/{y}.jpg", tms=True).tile(3, 1, 2) == "https://a.org/3/1/5.jpg"
    assert parse_template("https://a.org/t{q}").tile(3, 3, 5) == "https://a.org/t213"  # as Bing documents it
    for text in (
        "type=xyz&url=https://a.org/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=21&zmin=2",
        "zmin=2&type=xyz&zmax=21&url=https%3A%2F%2Fa.org%2F%7Bz%7D%2F%7Bx%7D%2F%7By%7D.png",
    ):
        assert is_template(text)
        found = parse_template(text)
        assert (found.address, found.zoom_min, found.zoom_max) == ("https://a.org/{z}/{x}/{y}.png", 2, 21)
    assert parse_template(f"{tmp_path}/{{z}}/{{x}}/{{y}}.png").local
    assert parse_template(f"file://{tmp_path}/{{z}}/{{x}}/{{y}}.png").local
    assert not is_template("scene.tif") and not is_template("https://a.org/scene.tif")
    assert "secret" not in parse_template("https://me:secret@a.org/{z}/{x}/{y}?key=secret").name()


@pytest.mark.parametrize(
    "text",
    ["ftp://a.org/{z}/{x}/{y}", "https:///{z}/{x}/{y}", "https://a.org/{z}/{x}", "https://a.org/{z}/{x}/{y}/{apikey}",
     "/vsicurl/x{z}{x}{y}/", "gopher://a/{z}/{x}/{y}", "type=xyz&url=&zmax=3"],
)  # fmt: skip
def test_bad_templates_are_refused(text):
    with pytest.raises(ParameterError):
        parse_template(text)


def test_zoom_and_ground_resolution():
    assert gsd_at(0, 0, 256) == pytest.approx(156543.034, abs=0.001)
    for gsd in (0.2, 0.4, 1.6):
        zoom = zoom_for(gsd, LAT, 256)
        assert gsd_at(zoom, LAT, 256) <= gsd * 1.05 < gsd_at(zoom - 1, LAT, 256)
    assert tile_at(1, 0.001, 0.001) == (1, 0)
    x, y = Transformation("EPSG:4326", "EPSG:3857")(np.array([LON]), np.array([LAT]))
    col, row = ~parse_template("t{q}/").grid(19, 256).transform @ (x[0], y[0])
    assert tile_at(19, LON, LAT) == (int(col // 256), int(row // 256))


def test_pixels_lie_where_the_tiles_are(server):
    with opened(server) as raster:
        x, y = tile_at(raster.zoom, LON, LAT)
        assert raster.grid.crs.to_epsg() == 3857
        window = Window(y * 256 + 200, x * 256 - 10, 100, 30)
        values = raster.read(window)
        assert values.shape == (3, 100, 30)
        assert (values[0, :, :10] == (x - 1) % 251).all() and (values[0, :, 10:] == x % 251).all()
        assert (values[1, :56] == y % 251).all() and (values[1, 56:] == (y + 1) % 251).all()
        assert values[2, 0].tolist() == [*range(246, 256), *range(20)]
        assert raster.counts.fetched == 5  # one to learn the size of the tiles
        assert all(agent.startswith("SameScene/") and "http" in agent for agent in server.agents)


def test_tms_rows_and_a_folder_give_the_same_picture(server, tmp_path):
    with opened(server, zoom_max=3) as raster:
        wanted = raster.read(Window(512, 1024, 300, 300))
    flipped = TileServer(lambda z, x, y: plain_tile(z, x, (1 << z) - 1 - y))
    try:
        with opened(flipped, zoom_max=3, tms=True) as raster:
            assert np.array_equal(raster.read(Window(512, 1024, 300, 300)), wanted)
    finally:
        flipped.close()
    for x in range(8):
        for y in range(8):
            (tmp_path / f"3/{x}").mkdir(parents=True, exist_ok=True)
            (tmp_path / f"3/{x}/{y}.png").write_bytes(plain_tile(3, x, y))
    with opened(server, address=f"{tmp_path}/{{z}}/{{x}}/{{y}}.png", zoom_max=3) as raster:
        assert np.array_equal(raster.read(Window(512, 1024, 300, 300)), wanted)


def test_what_was_fetched_is_not_fetched_again(server, tmp_path):
    server.picture = lambda z, x, y: None if (x + y) % 2 else plain_tile(z, x, y)
    values = []
    for turn in range(2):
        cache = TileCache(tmp_path, limit_bytes=1 << 24)
        with opened(server, cache=cache, zoom_max=12) as raster:
            x, y = tile_at(12, LON, LAT)
            values.append(raster.read(Window(y * 256, x * 256, 512, 512)))
            asked = len(server.asked)
            counts = raster.counts
            assert counts.missing >= 2 and (counts.fetched > 0) == (turn == 0) and counts.cached >= turn
        server.asked = [] if turn == 0 else server.asked
        assert turn == 0 or asked == 0
    assert np.array_equal(*values, equal_nan=True)
    assert np.isnan(values[0]).mean() == 0.5
    # Older than a month: asked for again.
    for path in tmp_path.rglob("*.tile"):
        os.utime(path, (time.time() - 40 * 86400,) * 2)
    with opened(server, cache=TileCache(tmp_path, limit_bytes=1 << 24), zoom_max=12) as raster:
        assert raster.counts.fetched == 1


def test_the_cache_keeps_to_its_limit(tmp_path):
    cache = TileCache(tmp_path, limit_bytes=1 << 20)
    for k in range(40):
        cache.put("k", 5, k, 0, bytes(60_000))
        os.utime(tmp_path / "k" / "5" / str(k) / "0.tile", (1000 + k, 1000 + k))
    assert sum(p.stat().st_size for p in tmp_path.rglob("*.tile")) <= 1 << 20
    assert cache.get("k", 5, 0, 0) is None
    assert (tmp_path / "k/5/39/0.tile").exists()
    with pytest.raises(OutputError):
        TileCache(tmp_path, limit_bytes=10)
    assert user_cache_folder({"XDG_CACHE_HOME": "/c"}, "linux") == Path("/c/samescene/tiles")
    assert user_cache_folder({"LOCALAPPDATA": "C:/l"}, "win32") == Path("C:/l/samescene/tiles")


def test_a_busy_server_is_asked_again_and_slowly(server):
    z = 12
    x, y = tile_at(z, LON, LAT)
    server.headers = {"Retry-After": "0"}
    server.faults = {f"/t/{z}/{x}/{y}.png": [503, 429, 500]}
    with opened(server, zoom_max=z) as raster:
        assert np.isfinite(raster.read(Window(y * 256, x * 256, 256, 256))).all()
        assert raster.counts.failed == 0
        assert len(server.asked) == 5


def test_rate_and_connections_are_limited(server):
    server.delay = 0.03
    with opened(server, zoom_max=14, manners=Manners(connections=2, per_second=40)) as raster:
        x, y = tile_at(14, LON, LAT)
        start = time.monotonic()
        raster.read(Window(y * 256, x * 256, 1024, 1024))
        assert time.monotonic() - start > 16 / 40 * 0.9
        assert server.most_at_once <= 2
    with pytest.raises(ParameterError):
        Manners(connections=50)


def test_some_failures_are_counted_and_a_dead_server_is_told(server):
    z = 12
    x, y = tile_at(z, LON, LAT)
    server.faults = {f"/t/{z}/{x + 1}/{y}.png": [500] * 20}
    with opened(server, zoom_max=z) as raster:
        values = raster.read(Window(y * 256, x * 256, 256, 512))
        assert np.isfinite(values[:, :, :256]).all() and np.isnan(values[:, :, 256:]).all()
        assert (raster.counts.failed, raster.counts.missing) == (1, 0)
        server.down = 500
        with pytest.raises(MissingFileError, match=r"127\.0\.0\.1.*1[23] tiles in a row.*500"):
            raster.read(Window(y * 256 + 1024, x * 256, 1024, 1024))
    server.down = 403
    with pytest.raises(InputError, match=r"refuses.*403"):
        opened(server)
    server.down = 404
    with pytest.raises(MissingFileError, match=r"no tile was found.*9 missing"):
        opened(server)
    address = server.address
    server.close()
    with pytest.raises(MissingFileError, match="fails"):
        opened(server, address=address, manners=Manners(per_second=500, retries=0))


def test_what_is_no_picture_is_counted_and_never_opened_as_another_format(server, tmp_path):
    secret = tmp_path / "secret.tif"
    vrt = '<VRTDataset rasterXSize="256" rasterYSize="256"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
    vrt += f"<SourceFilename>{secret}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
    vrt += "</VRTDataset>"
    for content in (
        vrt.encode(),
        b"<html>quota exceeded</html>",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"\xff\xd8\xff" + bytes(9),
        b"",
    ):
        assert decode_tile(content) is None
    z = 12
    x, y = tile_at(z, LON, LAT)
    server.picture = lambda z, a, b: b"<html>no</html>" if a != x else plain_tile(z, a, b)
    with opened(server, zoom_max=z) as raster:
        assert np.isnan(raster.read(Window(y * 256, x * 256 + 256, 256, 256))).all()
        assert raster.counts.damaged == 1


def test_kinds_of_tiles():
    values = np.zeros((4, 256, 256), np.uint8)
    values[0], values[3, :, 128:] = 200, 255
    clear = decode_tile(png(values))
    assert np.isnan(clear[:, :, :128]).all() and (clear[0, :, 128:] == 200).all()
    grey = decode_tile(png(values[:1]))
    assert grey.shape == (3, 256, 256) and (grey == 200).all()
    assert abs(decode_tile(png(values[:3], "JPEG"))[0].mean() - 200) < 2


def test_a_huge_answer_is_given_up(server, monkeypatch):
    monkeypatch.setattr("engine.raster.tilefetch.MAX_BYTES", 1000)
    fetcher = TileFetcher(parse_template(server.address), manners=QUICK)
    server.picture = lambda z, x, y: bytes(200_000)
    assert fetcher.get(12, 0, 0) is None
    assert fetcher.counts.failed == 1
    fetcher.close()

"""Bad input through the command line: exit 1, one line on stderr that names what is wrong, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.transform import from_origin

from engine.device import torch_build
from tests.engine.zygote import Zygote, check_refused

SIDE = 160
WEST, NORTH = 500_000.0, 4_500_000.0
INSIDE = "15.001,40.64,15.01,40.647"


def scene_db(seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    speckle = 10 * np.log10(generator.gamma(4.4, 1 / 4.4, (2, SIDE, SIDE)))
    water = np.arange(SIDE) < SIDE // 3
    return (np.stack([np.where(water, -19, -9), np.where(water, -26, -15.5)])[:, np.newaxis] + speckle).astype("f4")


def write(path: Path, array, *, names=("VV", "VH"), crs="EPSG:32633", west=WEST, north=NORTH, **more) -> Path:
    array = np.asarray(array)
    place = {"crs": crs, "transform": from_origin(west, north, 10, 10)} if crs else {}
    count, height, width = array.shape
    profile = {"driver": "GTiff", "dtype": array.dtype, "count": count, "height": height, "width": width}
    with rasterio.open(path, "w", **profile, **place, **more) as file:
        file.write(array)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return path


def vector(path: Path, box, *, crs="urn:ogc:def:crs:OGC:1.3:CRS84") -> Path:
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    feature = {"type": "Feature", "properties": {"name": "x"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    """A folder of files, good and bad, that no test writes to."""
    folder = tmp_path_factory.mktemp("inputs") / "daten für Prüfung"
    folder.mkdir()
    db = scene_db()
    good = write(folder / "good.tif", db)
    content = good.read_bytes()
    for percent in (3, 30, 90):
        (folder / f"cut{percent}.tif").write_bytes(content[: len(content) * percent // 100])
    (folder / "empty.tif").touch()
    (folder / "text.tif").write_text("not a raster\n" * 20)
    (folder / "huge.vrt").write_text('<VRTDataset rasterXSize="2000000000" rasterYSize="2000000000"></VRTDataset>')
    (folder / "hollow.vrt").write_text(
        '<VRTDataset rasterXSize="160" rasterYSize="160"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000,10,0,4500000,0,-10</GeoTransform>"
        '<VRTRasterBand dataType="Float32" band="1"><Description>VV</Description><SimpleSource>'
        '<SourceFilename relativeToVRT="1">gone.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    write(folder / "nocrs.tif", db, crs=None)
    points = [GroundControlPoint(r, c, 15 + c / 1e3, 40 - r / 1e3) for r in (0, 159) for c in (0, 159)]
    write(folder / "gcps.tif", db, crs=None)
    with rasterio.open(folder / "gcps.tif", "r+") as file:
        file.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
    write(folder / "optical.tif", db, names=("B02", "B03"))
    write(folder / "unnamed.tif", db, names=())
    write(folder / "twice.tif", db, names=("VV", "VV"))
    write(folder / "power.tif", 10 ** (db / 10))
    write(folder / "dn.tif", np.clip(10 ** (db / 20) * 1000, 0, 65535).astype("u2"))
    write(folder / "complex.tif", db.astype("c8"))
    write(folder / "far.tif", db, west=WEST + 100_000)
    write(folder / "dem.tif", np.full((1, SIDE, SIDE), 5, "f4"), names=())
    dem = (folder / "dem.tif").read_bytes()
    (folder / "dem_cut.tif").write_bytes(dem[: len(dem) // 3])
    write(folder / "dem_far.tif", np.full((1, SIDE, SIDE), 5, "f4"), names=(), west=WEST + 100_000)
    vector(folder / "aoi_far.geojson", (-70, -20, -69, -19))
    (folder / "aoi.txt").write_text("no geometry")
    (folder / "aoi_none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    vector(folder / "zones.geojson", (15.001, 40.64, 15.01, 40.647))
    (folder / "pickled").mkdir()
    (folder / "pickled" / "model.pth").write_bytes(b"\x80\x04.")
    return folder


IMPORTS = """
import engine.mapping.flood.job, engine.mapping.flood.evaluate, engine.simulate.job, engine.models.bundle
import engine.mapping.flood.threshold, engine.raster.drainage
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    zygote = Zygote(tmp_path_factory.mktemp("streams"), IMPORTS)
    yield zygote.run
    zygote.close()


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


FLOOD = {
    "missing file": (["nowhere.tif"], ["nowhere.tif", "does not exist"]),
    "folder": (["."], ["cannot be opened"]),
    "empty file": (["empty.tif"], ["empty.tif"]),
    "text": (["text.tif"], ["text.tif"]),
    "cut in the header": (["cut3.tif"], ["cut3.tif"]),
    "cut in the middle": (["cut30.tif"], ["cut30.tif"]),
    "cut near the end": (["cut90.tif"], ["cut90.tif"]),
    "huge": (["huge.vrt"], ["huge.vrt"]),
    "VRT of a file that is gone": (["hollow.vrt"], ["hollow.vrt"]),
    "no CRS": (["nocrs.tif"], ["nocrs.tif", "coordinate reference system"]),
    "control points only": (["gcps.tif"], ["gcps.tif", "ground control points"]),
    "wrong bands": (["optical.tif"], ["optical.tif", "VV", "B02"]),
    "bands without names": (["unnamed.tif"], ["unnamed.tif", "VV", "--bands"]),
    "a band twice": (["twice.tif"], ["twice.tif", "VV"]),
    "band numbers that are not there": (["unnamed.tif", "--bands", "VV=1,VH=3"], ["unnamed.tif", "3"]),
    "band numbers that are none": (["good.tif", "--bands", "one"], ["one"]),
    "decibel called power": (["good.tif", "--units", "power"], ["good.tif", "power"]),
    "decibel called amplitude": (["good.tif", "--units", "amplitude"], ["good.tif", "amplitude"]),
    "power called decibel": (["power.tif", "--units", "db"], ["power.tif", "db"]),
    "digital numbers": (["dn.tif"], ["dn.tif"]),
    "complex": (["complex.tif"], ["complex.tif", "complex"]),
    "AOI outside": (["good.tif", "--aoi", "aoi_far.geojson"], ["aoi_far.geojson"]),
    "AOI box outside": (["good.tif", "--aoi", "-70,-20,-69,-19"], ["-70,-20,-69,-19"]),
    "AOI box of three": (["good.tif", "--aoi", "1,2,3"], ["1,2,3"]),
    "AOI missing": (["good.tif", "--aoi", "aoi_gone.gpkg"], ["aoi_gone.gpkg"]),
    "AOI that is none": (["good.tif", "--aoi", "aoi.txt"], ["aoi.txt"]),
    "AOI without a polygon": (["good.tif", "--aoi", "aoi_none.geojson"], ["aoi_none.geojson"]),
    "zones missing": (["good.tif", "--zones", "zones_gone.gpkg"], ["zones_gone.gpkg"]),
    "zone field unknown": (["good.tif", "--zones", "zones.geojson", "--zone-field", "code"], ["code", "name"]),
    "zone field without zones": (["good.tif", "--zone-field", "code"], ["--zones"]),
    "before elsewhere": (["good.tif", "--before", "far.tif"], ["far.tif"]),
    "before missing": (["good.tif", "--before", "gone.tif"], ["gone.tif"]),
    "before without CRS": (["good.tif", "--before", "nocrs.tif"], ["nocrs.tif"]),
    "before without bands": (["good.tif", "--before", "optical.tif"], ["optical.tif"]),
    "DEM cut": (["good.tif", "--dem", "dem_cut.tif"], ["dem_cut.tif"]),
    "DEM that is none": (["good.tif", "--dem", "text.tif"], ["text.tif"]),
    "DEM elsewhere": (["good.tif", "--dem", "dem_far.tif"], ["dem_far.tif"]),
    "HAND missing": (["good.tif", "--hand", "hand.tif"], ["hand.tif"]),
    "reference water cut": (["good.tif", "--reference-water", "dem_cut.tif"], ["dem_cut.tif"]),
    "unknown model": (["good.tif", "--method", "deep-thought"], ["deep-thought", "known models"]),
    "pickled model": (["good.tif", "--method", "./pickled"], ["model.pth", "pickled"]),
    "unknown device": (["good.tif", "--device", "tpu"], ["tpu"]),
    "probability": (["good.tif", "--probability", "0"], ["probability", "0"]),
    "minimum area": (["good.tif", "--min-area", "-5"], ["min_area", "-5"]),
    "not a number": (["good.tif", "--max-hand", "nan"], ["max_hand"]),
    "time": (["good.tif", "--observed-at", "yesterday"], ["yesterday"]),
}


@pytest.mark.parametrize("case", FLOOD)
def test_flood_refuses(inputs, tmp_path, case, run):
    arguments, named = FLOOD[case]
    before = tree(inputs)
    done = run("flood", *arguments, "-o", tmp_path / "new" / "out", cwd=inputs)
    check_refused(done, *named)
    assert tree(tmp_path) == []
    assert tree(inputs) == before


def test_a_process_of_its_own_says_the_same(inputs, tmp_path, run):
    command = [sys.executable, "-m", "engine", "flood", "cut30.tif", "-o", str(tmp_path / "out")]
    alone = subprocess.run(command, capture_output=True, text=True, cwd=inputs, timeout=120)
    forked = run(*command[3:], cwd=inputs)
    assert (alone.returncode, alone.stdout, alone.stderr) == (forked.returncode, forked.stdout, forked.stderr)


def test_the_good_input_is_good(inputs, tmp_path, run):
    aoi = ["--aoi", INSIDE, "--dem", "dem.tif", "--zones", "zones.geojson", "--zone-field", "name"]
    done = run("flood", "good.tif", *aoi, "-o", tmp_path / "out", cwd=inputs)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "flood.tif").exists()
    assert tree(tmp_path)[0] == "out"


@pytest.mark.skipif(torch_build().cuda is not None, reason="this torch may have a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", "mps"])
def test_a_device_that_is_not_there(inputs, tmp_path, device, run):
    check_refused(run("flood", "good.tif", "--device", device, "-o", tmp_path / "out", cwd=inputs), device)
    assert tree(tmp_path) == []


def test_a_file_in_place_of_the_folder(inputs, tmp_path, run):
    (tmp_path / "out").write_text("mine")
    check_refused(run("flood", "good.tif", "-o", tmp_path / "out", cwd=inputs), "out", "file")
    check_refused(run("flood", "good.tif", "-o", tmp_path / "out" / "below", cwd=inputs), "below")
    assert (tmp_path / "out").read_text() == "mine"
    assert tree(tmp_path) == ["out"]


def test_a_folder_that_is_not_empty(inputs, tmp_path, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    check_refused(run("flood", "good.tif", "-o", tmp_path / "out", cwd=inputs), "notes.txt", "--overwrite")
    assert tree(tmp_path) == ["out", "out/notes.txt"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place that root cannot write to")
def test_a_place_that_cannot_be_written(inputs, run):
    check_refused(run("flood", "good.tif", "-o", "/proc/flood/out", cwd=inputs), "/proc/flood/out")


@contextmanager
def mounted(folder: Path, options: str):
    """A small file system in memory; skips where mounting is not allowed."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_read_only_file_system(inputs, tmp_path, run):
    with mounted(tmp_path / "disk", "size=1m,ro") as disk:
        check_refused(run("flood", "good.tif", "-o", disk / "out", cwd=inputs), str(disk / "out"), "read-only")
        assert tree(disk) == []


@pytest.mark.parametrize("size", [12, 40, 80, 160, 240])
def test_a_disk_that_is_full(inputs, tmp_path, size, run):
    """From one that holds not even the first file to one that fails near the end."""
    with mounted(tmp_path / "disk", f"size={size}k") as disk:
        check_refused(run("flood", "good.tif", "-o", disk / "out", cwd=inputs), "full", str(disk))
        assert tree(disk) == []


@pytest.mark.parametrize("size", [2_000, 20_000, 60_000])
def test_a_limit_on_the_size_of_files(inputs, tmp_path, size, run):
    done = run("flood", "good.tif", "-o", tmp_path / "out", cwd=inputs, limit=size)
    check_refused(done, "out")
    assert tree(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["simulate", "scene", "--size", "8", "-o", "OUT"], ["width"]),
        (["simulate", "scene", "--crs", "EPSG:1", "-o", "OUT"], ["EPSG:1"]),
        (["simulate", "scene", "--products", "gold", "-o", "OUT"], ["gold"]),
        (["evaluate", "flood", "nowhere", "--json", "OUT"], ["nowhere"]),
        (["evaluate", "flood", ".", "--json", "OUT", "--method", "deep-thought"], ["chip"]),
        (["evaluate", "flood", "tar:.", "--json", "OUT"], ["tar"]),
        (["models", "show", "deep-thought"], ["deep-thought"]),
        (["models", "verify", "pickled"], ["pickled"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_other_commands_refuse(inputs, tmp_path, arguments, named, run):
    arguments = [str(tmp_path / "new" / "out") if a == "OUT" else a for a in arguments]
    check_refused(run(*arguments, cwd=inputs), *named)
    assert tree(tmp_path) == []

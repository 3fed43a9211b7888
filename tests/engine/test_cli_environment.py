"""The same map in a polluted environment, and from any folder, however odd its name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

JUNK = {
    "PROJ_LIB": "/nowhere/proj",
    "PROJ_DATA": "/nowhere/proj",
    "GDAL_DATA": "/nowhere/gdal",
    "GDAL_DRIVER_PATH": "/nowhere/plugins",
    "GDAL_SKIP": "GTiff COG GPKG",
    "OGR_SKIP": "GPKG",
    "CPL_DEBUG": "ON",
    "PYTHONWARNINGS": "always",
}


def scene(path: Path) -> Path:
    """In degrees, so that areas need PROJ."""
    generator = np.random.default_rng(6)
    speckle = 10 * np.log10(generator.gamma(4.4, 1 / 4.4, (2, 200, 200)))
    water = np.arange(200) < 70
    db = (np.stack([np.where(water, -19, -9), np.where(water, -26, -15.5)])[:, np.newaxis] + speckle).astype("f4")
    profile = {"driver": "GTiff", "dtype": "float32", "count": 2, "height": 200, "width": 200, "crs": "EPSG:4326"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile, transform=from_origin(12, 41, 9e-5, 9e-5)) as file:
        file.write(db)
        file.set_band_description(1, "VV")
        file.set_band_description(2, "VH")
    return path


def flood(post: Path, out: Path, **variables) -> subprocess.CompletedProcess:
    environ = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    command = [
        sys.executable,
        "-m",
        "engine",
        "flood",
        str(post),
        "--aoi",
        "12.001,40.984,12.017,40.999",
        "-o",
        str(out),
    ]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120)


def contents(out: Path) -> dict[str, np.ndarray]:
    found = {}
    for name in ("flood.tif", "water_probability.tif"):
        with rasterio.open(out / name) as file:
            found[name] = file.read(1)
            assert file.crs.to_epsg() == 4326
    return found


def test_pollution_and_odd_names_change_nothing(tmp_path):
    post = scene(tmp_path / "post.tif")
    clean = flood(post, tmp_path / "clean")
    assert (clean.returncode, clean.stderr) == (0, "")
    # Longer than a window's title, spaces, quotes, other alphabets, a percent sign and a hash.
    odd = tmp_path / ("länger " * 12 + "水 'x' 100% #1") / "out ü"
    copy = odd.parent / "сцена post.tif"
    odd.parent.mkdir()
    shutil.copyfile(post, copy)
    done = flood(copy, odd, **JUNK)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.replace(str(copy), str(post)).splitlines()[:-1] == clean.stdout.splitlines()[:-1]
    first, second = contents(tmp_path / "clean"), contents(odd)
    for name in first:
        assert np.array_equal(first[name], second[name])
    assert {p.name for p in odd.iterdir()} == {p.name for p in (tmp_path / "clean").iterdir()}


def test_it_runs_from_a_folder_with_modules_of_the_same_names(tmp_path):
    """The command line with -P or in the worker never takes modules from the folder it was started in."""
    post = scene(tmp_path / "post.tif")
    for name in ("json", "click", "numpy", "rasterio", "engine"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger was imported')")
    worker = Path(sys.prefix) / "bin" / "engine"
    if not worker.exists():
        worker = Path(sys.prefix) / "Scripts" / "engine.exe"
    done = subprocess.run(
        [str(worker), "flood", "post.tif", "-o", "out"], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert post.exists()
    assert (tmp_path / "out" / "flood.tif").exists()

"""What the tests of the Locate tab are made of: a simulated town, photos that cannot be found, real imagery."""

from __future__ import annotations

import csv
import math
import subprocess
from pathlib import Path

import numpy as np
from osgeo import gdal, ogr, osr

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "crossview" / "pairs"
REAL = "cvact_05"
_AMONG = ("cvact_02", "cvact_03", "cvact_04", REAL, "cvact_06", "cvact_07")
_GSD_M, _SIDE = 0.2812, 256


def make_town(python: str, root: Path, folder: Path) -> dict:
    """A town of 200 m seen from above, and five of its panoramas, taken on the same day.

    ``truth``: photo → longitude, latitude and heading; ``positions``: a table of the same. These five places are told
    apart; it is not so in every street of every town (docs/locate-engine.md has how often).
    """
    command = [python, "-m", "engine", "simulate", "city", "--seed", "3", "--character", "town", "--size", "200"]
    command += ["--panoramas", "5", "--samples", "1", "--same-day", "--pano-size", "1024x512"]
    done = subprocess.run(
        [*command, "--overhead-gsd", "0.2", "-o", str(folder)], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    with (folder / "panoramas.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    truth = {Path(row["panorama"]).stem: [float(row[key]) for key in ("lon", "lat", "heading_deg")] for row in rows}
    positions = folder / "positions.csv"
    lines = [",".join(map(str, (f"{name}.jpg", *place))) for name, place in truth.items()]
    positions.write_text("\n".join(["photo,lon,lat,heading_deg", *lines]) + "\n")
    made = {"overhead": folder / "overhead.tif", "photos": folder / "panoramas", "positions": positions}
    return {name: str(path) for name, path in made.items()} | {"truth": truth}


def make_room(path: Path) -> Path:
    """A panorama from the middle of a room with a chequered floor: no place of a map looks like it."""
    rows, columns = np.mgrid[:512, :1024]
    up, round_ = math.pi / 2 - (rows + 0.5) / 512 * math.pi, (columns + 0.5) / 1024 * 2 * math.pi
    ray = np.stack([np.cos(up) * np.sin(round_), np.cos(up) * np.cos(round_), np.sin(up)])
    reach = np.array([2.5, 3.5, 1.3])[:, None, None] / np.maximum(np.abs(ray), 1e-9)
    face = reach.argmin(axis=0)
    east, north, height = ray * reach.min(axis=0)
    shade = np.where(face == 0, 200, 170).astype(float)
    shade[(face == 2) & (height > 0)] = 235
    floor = (face == 2) & (height < 0)
    shade[floor] = np.where((np.floor(east) + np.floor(north)) % 2, 150, 70)[floor]
    shade[(face == 1) & (north > 0) & (abs(east) < 1) & (abs(height) < 0.7)] = 255
    image = np.clip(shade + np.random.default_rng(1).normal(0, 3, shade.shape), 0, 255).astype(np.uint8)
    picture = gdal.GetDriverByName("MEM").Create("", 1024, 512, 3, gdal.GDT_Byte)
    for band in (1, 2, 3):
        picture.GetRasterBand(band).WriteArray(image)
    gdal.GetDriverByName("JPEG").CreateCopy(str(path), picture)
    return path


def make_broken(path: Path, whole: Path) -> Path:
    """A photo that breaks off."""
    path.write_bytes(whole.read_bytes()[:600])
    return path


def make_coarse(path: Path, overhead: str) -> Path:
    """The imagery with pixels of 3 m: the ground around a camera cannot be told on it."""
    gdal.Translate(str(path), overhead, xRes=3, yRes=3, resampleAlg="average")
    return path


def make_line_polygon(path: Path, like: str) -> Path:
    """A polygon layer whose only polygon has no area: a line there and back, in the middle of the imagery."""
    raster = gdal.Open(like)
    x, dx, _, y, _, dy = raster.GetGeoTransform()
    x, y = x + dx * raster.RasterXSize / 2, y + dy * raster.RasterYSize / 2
    made = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = made.CreateLayer(path.stem, osr.SpatialReference(raster.GetProjection()), ogr.wkbPolygon)
    feature = ogr.Feature(layer.GetLayerDefn())
    feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON(({x} {y}, {x + 40} {y}, {x} {y}, {x} {y}))"))
    layer.CreateFeature(feature)
    made = None
    return path


def make_real(path: Path) -> dict | None:
    """Six real overhead images side by side as one raster (two rows of three), somewhere on the Earth; None where there
    is no ../shared. ``photo``: the panorama of one of them; ``truth``: where it was taken in the raster."""
    if not (SHARED / f"{REAL}_pano.png").is_file():
        return None
    pixels = np.zeros((3, 2 * _SIDE, 3 * _SIDE), np.uint8)
    for number, name in enumerate(_AMONG):
        row, column = divmod(number, 3)
        tile = gdal.Open(str(SHARED / f"{name}_overhead.png")).ReadAsArray()[:3]
        pixels[:, row * _SIDE : (row + 1) * _SIDE, column * _SIDE : (column + 1) * _SIDE] = tile
    plane, degrees = osr.SpatialReference(), osr.SpatialReference()
    plane.ImportFromEPSG(32755)
    degrees.ImportFromEPSG(4326)
    degrees.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    left, top = 690_000.0, 6_090_000.0
    made = gdal.GetDriverByName("GTiff").Create(str(path), 3 * _SIDE, 2 * _SIDE, 3, gdal.GDT_Byte, ["PHOTOMETRIC=RGB"])
    made.SetGeoTransform((left, _GSD_M, 0, top, 0, -_GSD_M))
    made.SetProjection(plane.ExportToWkt())
    made.WriteArray(pixels)
    made = None
    row, column = divmod(_AMONG.index(REAL), 3)
    lon, lat, _ = osr.CoordinateTransformation(plane, degrees).TransformPoint(
        left + (column + 0.5) * _SIDE * _GSD_M, top - (row + 0.5) * _SIDE * _GSD_M
    )
    return {"overhead": str(path), "photo": str(SHARED / f"{REAL}_pano.png"), "truth": [lon, lat, 0.0]}


def off_by(place: list[float], truth: list[float]) -> tuple[float, float]:
    """Metres and degrees between a place with a heading and the truth."""
    lon, lat, heading = place
    east = (lon - truth[0]) * 111_195 * math.cos(math.radians(lat))
    return math.hypot(east, (lat - truth[1]) * 111_195), abs((heading - truth[2] + 180) % 360 - 180)

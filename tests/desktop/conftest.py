"""Tests that start a real QGIS window; see driver.py. The scenes that they use."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from osgeo import gdal, ogr, osr

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

gdal.UseExceptions()
SCENE = ROOT.parent / "shared" / "data" / "flood" / "train" / "Spain_7370579_S1.tif"


@pytest.fixture(scope="session")
def scene(tmp_path_factory) -> Path:
    """A real scene where there is one, else a made one of the same size: dark water in brighter land."""
    if SCENE.is_file():
        return SCENE
    return made_scene(tmp_path_factory.mktemp("scene") / "Made_S1.tif")


def made_scene(path: Path) -> Path:
    """512 x 512 pixels in dB: land at −8 and −14, a lake at −20 and −26, with speckle of 4 looks."""
    import numpy as np

    random = np.random.default_rng(1)
    rows, cols = np.mgrid[:512, :512]
    water = (rows - 250) ** 2 + (cols - 260) ** 2 < 140**2
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32630)
    made = gdal.GetDriverByName("GTiff").Create(str(path), 512, 512, 2, gdal.GDT_Float32, ["TILED=YES"])
    made.SetGeoTransform((500000, 10, 0, 4400000, 0, -10))
    made.SetProjection(reference.ExportToWkt())
    made.SetMetadata({"ACQUIRED": "2019-09-17T06:03:00Z", "UNITS": "dB"})
    for band, (name, land, lake) in enumerate((("VV", -8, -20), ("VH", -14, -26)), 1):
        values = np.where(water, lake, land) + 10 * np.log10(random.gamma(4, 1 / 4, water.shape))
        made.GetRasterBand(band).SetDescription(name)
        made.GetRasterBand(band).WriteArray(values.astype(np.float32))
    made = None
    return path


@pytest.fixture(scope="session")
def large_scene(scene, tmp_path_factory) -> Path:
    """The scene blown up to 6000 x 6000: long enough a run to be cancelled."""
    path = tmp_path_factory.mktemp("large") / "large_S1.tif"
    gdal.Translate(
        str(path), str(scene), width=6000, height=6000, creationOptions=["TILED=YES", "COMPRESS=DEFLATE", "ZLEVEL=1"]
    )
    return path


@pytest.fixture(scope="session")
def zones(scene, tmp_path_factory) -> Path:
    """The scene's four quarters, named."""
    raster = gdal.Open(str(scene))
    x, dx, _, y, _, dy = raster.GetGeoTransform()
    path = tmp_path_factory.mktemp("zones") / "districts.gpkg"
    made = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = made.CreateLayer("districts", osr.SpatialReference(raster.GetProjection()), ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("name", ogr.OFTString))
    half_x, half_y = dx * raster.RasterXSize / 2, dy * raster.RasterYSize / 2
    for name, column, row in (("North West", 0, 0), ("North East", 1, 0), ("South West", 0, 1), ("South East", 1, 1)):
        left, top = x + column * half_x, y + row * half_y
        ring = ((left, top), (left + half_x, top), (left + half_x, top + half_y), (left, top + half_y), (left, top))
        feature = ogr.Feature(layer.GetLayerDefn())
        feature.SetField("name", name)
        text = ", ".join(f"{px} {py}" for px, py in ring)
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON(({text}))"))
        layer.CreateFeature(feature)
    made = None
    return path

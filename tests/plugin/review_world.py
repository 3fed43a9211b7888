"""A search result as the engine leaves it, small and made by hand: imagery, index card, candidates, photos."""

from __future__ import annotations

import json
import math

import numpy as np
from osgeo import gdal, ogr, osr
from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsPointXY, QgsProject
from qgis.PyQt.QtGui import QImage

from plugin.photos.facts import Photo

LON, LAT = 15.0006, 39.6880
UTM = "EPSG:32633"
COLORS = {"n": (220, 30, 30), "e": (30, 200, 30), "s": (30, 30, 220), "w": (220, 220, 30)}
"""Of the photo's ground, by where the columns look when its middle looks to the north; of the imagery, by quarter."""
PLACES = ((0.0, 0.0, 40.0), (20.0, -10.0, 130.0), (-25.0, 15.0, None))
"""Metres east and north of LON, LAT, and heading, of the candidates of every photo."""


def place(east_m: float, north_m: float) -> QgsPointXY:
    """Degrees of a place near LON, LAT."""
    return QgsPointXY(LON + east_m / (111_320 * math.cos(math.radians(LAT))), LAT + north_m / 111_035)


def in_utm(point: QgsPointXY) -> QgsPointXY:
    move = QgsCoordinateTransform(
        QgsCoordinateReferenceSystem("EPSG:4326"), QgsCoordinateReferenceSystem(UTM), QgsProject.instance()
    )
    return move.transform(point)


def write_imagery(path, *, deep: bool = False, east: float = 0.0) -> str:
    """200 m around LON, LAT, or a place so many metres east of it, at 0.5 m: a colour for each quarter, and a white
    square of 4 m that lies 30 m east."""
    middle, side, gsd = in_utm(QgsPointXY(LON, LAT)), 400, 0.5
    values = np.zeros((3, side, side), np.uint16 if deep else np.uint8)
    half = side // 2
    quarters = {"n": np.s_[:half, half:], "e": np.s_[half:, half:], "s": np.s_[half:, :half], "w": np.s_[:half, :half]}
    for name, part in quarters.items():
        for band in range(3):
            values[band][part] = COLORS[name][band] * (20 if deep else 1)
    values[:, half - 4 : half + 4, half + 56 : half + 64] = 255 * (20 if deep else 1)
    kind = gdal.GDT_UInt16 if deep else gdal.GDT_Byte
    made = gdal.GetDriverByName("GTiff").Create(str(path), side, side, 3, kind)
    made.SetGeoTransform((middle.x() + east - half * gsd, gsd, 0, middle.y() + half * gsd, 0, -gsd))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32633)
    made.SetProjection(reference.ExportToWkt())
    for band in range(3):
        made.GetRasterBand(band + 1).WriteArray(values[band])
    made = None
    return str(path)


def write_photo(path, *, width: int = 720) -> Photo:
    """A panorama whose ground has the colour of the quarter that its columns look into (the middle: "n"); sky grey."""
    pixels = np.full((width // 2, width, 3), 190, np.uint8)
    azimuth = ((np.arange(width) + 0.5) / width * 360 + 180) % 360
    for name, turn in (("n", 0), ("e", 90), ("s", 180), ("w", 270)):
        pixels[width // 4 :, np.abs((azimuth - turn + 180) % 360 - 180) <= 45] = COLORS[name]
    image = QImage(pixels.tobytes(), width, width // 2, 3 * width, QImage.Format.Format_RGB888)
    if not image.save(str(path)):
        raise OSError(path)
    return Photo(
        path=str(path), width=width, height=width // 2, kind="panorama", hfov_deg=360.0, vfov_deg=180.0,
        pitch_center_deg=0.0, heading_deg=None, pitch_deg=0.0, roll_deg=0.0, lon=LON, lat=LAT, altitude_m=None,
        taken_at=None, camera="", thumbnail=None, notes=(), fault="",
    )  # fmt: skip


def write_index(folder, *imagery: str, stretch=(0.0, 255.0)) -> str:
    """The card of an index, as far as the plugin reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"stretch": list(stretch), "imagery_date": "2021-06-01", "attribution": None}
    listed = [{"path": path, **facts} for path in imagery]
    (folder / "card.json").write_text(json.dumps({"kind": "samescene-cell-index", "imagery": listed}))
    return str(folder)


def write_result(folder, photos: list[str], index: str, **parameters) -> dict:
    """The result folder of a search: three candidates for each photo; the content of ``result.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    made = ogr.GetDriverByName("GPKG").CreateDataSource(str(folder / "candidates.gpkg"))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32633)
    layer = made.CreateLayer("candidates", reference, ogr.wkbPoint)
    for name in ("score", "probability", "heading_deg", "radius_m", "lon", "lat"):
        layer.CreateField(ogr.FieldDefn(name, ogr.OFTReal))
    layer.CreateField(ogr.FieldDefn("rank", ogr.OFTInteger))
    layer.CreateField(ogr.FieldDefn("photo", ogr.OFTString))
    names = [path.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0] for path in photos]
    for name in names:
        for rank, (east, north, heading) in enumerate(PLACES, 1):
            point = place(east, north)
            there = in_utm(point)
            feature = ogr.Feature(layer.GetLayerDefn())
            values = {"photo": name, "rank": rank, "score": 6.0 - rank, "probability": 0.6 / rank, "radius_m": 50.0,
                      "lon": point.x(), "lat": point.y(), "heading_deg": heading}  # fmt: skip
            for field, value in values.items():
                if value is not None:
                    feature.SetField(field, value)
            feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POINT({there.x()} {there.y()})"))
            layer.CreateFeature(feature)
    made = None
    result = {
        "job": "locate-search",
        "outputs": {"candidates": "candidates.gpkg"},
        "inputs": {
            "index": {"path": index, "sha256": None},
            **{name: {"path": photos[k], "sha256": f"{k:064x}"} for k, name in enumerate(names)},
        },
        "parameters": {"index": index, "panorama": photos, "method": "auto", "verify": 30, **parameters},
        "figures": {
            "method": "geometric", "cells": 100,
            "photos": [{"photo": name, "match": True, "panorama": True, "problems": []} for name in names],
        },
        "match": True,
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result))
    return result

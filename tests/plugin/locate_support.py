"""Small indexes, results and photos of the Locate tab, in the layouts that the engine writes."""

from __future__ import annotations

import json
from pathlib import Path

from osgeo import gdal, ogr, osr
from qgis.core import QgsFeature, QgsGeometry, QgsPointXY, QgsProject, QgsVectorLayer

from plugin.photos.facts import Photo, PhotoSet, photo_of

ogr.UseExceptions()


def make_index(folder: Path, *, cells: int = 12, model: str = "", date: str | None = "2024-05-01") -> Path:
    """An index folder as ``engine locate index`` leaves it."""
    folder.mkdir(parents=True)
    layer = {"name": "geometric", "model": {"name": model, "sha256": None} if model else None, "side": 240,
             "scales_m": [0.3], "dim": 4, "dtype": "uint8", "linear": False}  # fmt: skip
    files = {"cells": {"name": "cells-00000.bin", "bytes": 9 * cells, "sha256": "0" * 64},
             "geometric": {"name": "geometric-00000.bin", "bytes": 4 * cells, "sha256": "0" * 64}}  # fmt: skip
    for file in files.values():
        (folder / file["name"]).write_bytes(bytes(file["bytes"]))
    card = {
        "kind": "samescene-cell-index", "format": 1, "engine_version": "0.1.0", "method": model or "geometric",
        "cell_m": 10.0, "cells": cells, "gaps": 3, "extent": [14.998, 39.687, 15.001, 39.690],
        "regions": ["14.998,39.687,15.001,39.690"], "layers": [layer],
        "imagery": [{"path": "/data/ortho.tif", "sha256": None, "crs": "EPSG:32633", "gsd_m": 0.25,
                     "imagery_date": date, "attribution": "A provider", "stretch": [0, 255], "tiles": None,
                     "zoom": None}],
        "shards": [{"cells": cells, "imagery": 0, "files": files}],
        "created": "2026-01-02T03:04:05+00:00", "updated": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "result.json").write_text("{}")
    return folder


FOUND = {
    "one": (True, [(500_010.0, 4_393_200.0, 0.83, 199.4), (500_100.0, 4_393_260.0, 0.05, None)]),
    "it's two": (False, [(499_950.0, 4_393_100.0, 0.004, 12.0), (500_200.0, 4_393_300.0, 0.0, 0.0)]),
}
"""photo → whether it matches, and x, y, probability and heading of its candidates by rank, in EPSG:32633."""


def make_found(
    folder: Path, *, found: dict | None = None, index: str = "/data/index", heat: bool = True, skipped: tuple = ()
) -> Path:
    """A result folder as ``engine locate search`` leaves it."""
    folder.mkdir(parents=True)
    found = FOUND if found is None else found
    utm, degrees = osr.SpatialReference(), osr.SpatialReference()
    utm.ImportFromEPSG(32633)
    degrees.ImportFromEPSG(4326)
    degrees.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    turn = osr.CoordinateTransformation(utm, degrees)
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(folder / "candidates.gpkg"))
    layer = source.CreateLayer("candidates", utm, ogr.wkbPoint)
    for name, kind in (("photo", ogr.OFTString), ("rank", ogr.OFTInteger64), ("score", ogr.OFTReal),
                       ("probability", ogr.OFTReal), ("heading_deg", ogr.OFTReal), ("radius_m", ogr.OFTReal),
                       ("lon", ogr.OFTReal), ("lat", ogr.OFTReal)):  # fmt: skip
        layer.CreateField(ogr.FieldDefn(name, kind))
    for photo, (_, places) in found.items():
        for rank, (x, y, probability, heading) in enumerate(places, 1):
            feature = ogr.Feature(layer.GetLayerDefn())
            lon, lat, _ = turn.TransformPoint(x, y)
            given = {"photo": photo, "rank": rank, "score": 9.5 - rank, "probability": probability,
                     "heading_deg": heading, "radius_m": 50.0, "lon": lon, "lat": lat}  # fmt: skip
            for name, value in given.items():
                if value is not None:
                    feature.SetField(name, value)
            feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POINT({x} {y})"))
            layer.CreateFeature(feature)
    layer = source = None
    outputs = {"candidates": "candidates.gpkg", "result": "result.json"}
    for photo in found if heat else ():
        outputs[f"heatmap_{photo}"] = f"heatmap_{photo}.tif"
        made = gdal.GetDriverByName("GTiff").Create(str(folder / f"heatmap_{photo}.tif"), 4, 4, 1)
        made.SetGeoTransform((500_000, 10, 0, 4_393_300, 0, -10))
        made.SetProjection(utm.ExportToWkt())
        made = None
    result = {
        "job": "locate-search",
        "outputs": outputs,
        "inputs": {"index": {"path": index, "sha256": None},
                   **{photo: {"path": f"/photos/{photo}.jpg", "sha256": None} for photo in found}},
        "parameters": {"index": index, "panorama": [f"/photos/{photo}.jpg" for photo in found]},
        "figures": {"method": "geometric", "cells": 876,
                    "skipped": [{"name": name, "why": f"{name}: this is no picture."} for name in skipped],
                    "photos": [{"photo": photo, "match": match, "candidates": len(places), "panorama": True,
                                "heading_known": False, "problems": ["No GPano metadata."]}
                               for photo, (match, places) in found.items()]},
        "match": any(match for match, _ in found.values()),
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def panorama(path: str, **facts) -> Photo:
    """A full panorama of which nothing is known but what is given."""
    given = {"width": 512, "height": 256, "kind": "panorama", "hfov_deg": 360.0, "vfov_deg": 180.0, **facts}
    return photo_of({"path": path, **given})


def photo_set(count: int, *, located: int) -> PhotoSet:
    """So many panoramas, of which the first have a position."""
    photos = PhotoSet()
    photos.add(panorama(f"/photos/{k}.jpg", lon=9.0 if k < located else None, lat=48.7 if k < located else None)
               for k in range(count))  # fmt: skip
    return photos


def places_layer(places: list[tuple[str, float, float]]) -> QgsVectorLayer:
    """Photos' names with longitude and latitude as a layer of the project, as QGIS's own import makes it."""
    layer = QgsVectorLayer("Point?crs=EPSG:4326&field=filename:string", "places", "memory")
    for name, lon, lat in places:
        feature = QgsFeature(layer.fields())
        feature.setAttributes([name])
        feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(lon, lat)))
        layer.dataProvider().addFeatures([feature])
    QgsProject.instance().addMapLayer(layer)
    return layer

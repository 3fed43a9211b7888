"""Small layers that tests are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from osgeo import gdal, osr
from qgis.core import (
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

gdal.UseExceptions()


def write_scene(path: Path, *, epsg: int | None = 32633, origin=(500_000.0, 5_600_000.0), names=("VV", "VH"), size=64):
    """A small dB scene of 10 m pixels; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = gdal.GetDriverByName("GTiff").Create(str(path), size, size, len(names), gdal.GDT_Float32)
    made.SetGeoTransform((origin[0], 10, 0, origin[1], 0, -10))
    if epsg:
        crs = osr.SpatialReference()
        crs.ImportFromEPSG(epsg)
        made.SetProjection(crs.ExportToWkt())
    made.SetMetadataItem("ACQUIRED", "2021-07-16T05:42:00Z")
    for number, name in enumerate(names, 1):
        band = made.GetRasterBand(number)
        band.SetDescription(name)
        band.SetNoDataValue(-9999.0)
        band.WriteArray(np.linspace(-25, -5, size * size, dtype="float32").reshape(size, size) + number)
    del made
    return str(path)


def polygon_layer(squares, *, crs="EPSG:32633", path: Path | None = None, layer_name="zones", points=False):
    """Squares (x, y, side, name) as a layer, or their centres as one of points."""
    layer = QgsVectorLayer(f"{'Point' if points else 'Polygon'}?crs={crs}", "squares", "memory")
    layer.dataProvider().addAttributes([QgsField("name", QVariant.Type.String)])
    layer.updateFields()
    features = []
    for x, y, side, name in squares:
        feature = QgsFeature(layer.fields())
        square = QgsGeometry.fromRect(QgsRectangle(x, y, x + side, y + side))
        feature.setGeometry(square.centroid() if points else square)
        feature.setAttributes([name])
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    if path is None:
        return layer
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.layerName = layer_name
    if path.exists():
        options.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), QgsProject.instance().transformContext(), options)
    return QgsVectorLayer(f"{path}|layername={layer_name}", "squares", "ogr")


SQUARES = [(500_000, 5_599_700, 100, "a"), (500_200, 5_599_700, 100, "b"), (500_400, 5_599_700, 100, "c")]

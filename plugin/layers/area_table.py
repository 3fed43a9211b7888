"""How much water each probability threshold would give: the figure beside the slider."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from qgis.core import QgsDistanceArea, QgsGeometry, QgsProject, QgsRasterLayer, QgsRectangle

from .names import REFERENCE_WATER

ROWS = 256


class AreaTableError(Exception):
    """The rasters of a result cannot be read or do not fit each other."""


def area_by_threshold(
    flood: str, probability: str, *, is_cancelled: Callable[[], bool] = lambda: False
) -> np.ndarray | None:
    """Square metres with probability ≥ t for t = 0…100, without reference water: float64 (101,); None when cancelled.

    ``flood`` and ``probability`` are the files of one result. Geodesic areas, of each strip of rows at once; memory
    for one strip. May be called in any thread. Raises AreaTableError.
    """
    codes, percents = QgsRasterLayer(flood, "", "gdal"), QgsRasterLayer(probability, "", "gdal")
    if not codes.isValid() or not percents.isValid():
        raise AreaTableError(f"{probability if codes.isValid() else flood}: it cannot be read.")
    if (codes.width(), codes.height()) != (percents.width(), percents.height()):
        raise AreaTableError(f"{probability}: it has another size than {flood}.")
    measure = QgsDistanceArea()
    if codes.crs().isValid():
        measure.setSourceCrs(codes.crs(), QgsProject.instance().transformContext())
        measure.setEllipsoid(codes.crs().ellipsoidAcronym() or "EPSG:7030")
    extent, width, height = codes.extent(), codes.width(), codes.height()
    row_height = extent.height() / height
    histogram = np.zeros(256)
    for top in range(0, height, ROWS):
        if is_cancelled():
            return None
        rows = min(ROWS, height - top)
        upper = extent.yMaximum() - top * row_height
        strip = QgsRectangle(extent.xMinimum(), upper - rows * row_height, extent.xMaximum(), upper)
        water = _read(percents, strip, width, rows)
        water = water[_read(codes, strip, width, rows) != REFERENCE_WATER]
        pixel_m2 = measure.measureArea(QgsGeometry.fromRect(strip)) / (rows * width)
        histogram += np.bincount(water, minlength=256) * pixel_m2
    return np.cumsum(histogram[:101][::-1])[::-1]


def _read(layer: QgsRasterLayer, extent: QgsRectangle, width: int, rows: int) -> np.ndarray:
    block = layer.dataProvider().block(1, extent, width, rows)
    values = np.frombuffer(bytes(block.data()), np.uint8)
    if values.size != width * rows:
        raise AreaTableError(f"{layer.source()}: it is damaged.")
    return values

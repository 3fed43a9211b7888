"""Features written to a file for the engine: a copy of a feature source, or a rectangle of the map."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingFeatureSource,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QMetaType, QVariant

from ..compat import scoped
from .layer_files import LayerFault

_SIDE_POINTS = 32
_POINT = scoped((Qgis, "GeometryType.Point"), (QgsWkbTypes, "GeometryType.PointGeometry"))
_MULTI_POLYGON = scoped((Qgis, "WkbType.MultiPolygon"), (QgsWkbTypes, "Type.MultiPolygon"))
_MULTI_POINT = scoped((Qgis, "WkbType.MultiPoint"), (QgsWkbTypes, "Type.MultiPoint"))
_SINGLE_POINT = scoped((Qgis, "WkbType.Point"), (QgsWkbTypes, "Type.Point"))


def copy_features(
    source: QgsProcessingFeatureSource,
    path: str,
    *,
    what: str,
    context: QgsCoordinateTransformContext,
    layer_name: str = "polygons",
) -> int:
    """Write the features of ``source`` (polygons or points) to the GeoPackage ``path``; the answer is how many.

    Feature ids stay (zones without a field are known by them); curves become lines. Raises LayerFault.
    """
    points = QgsWkbTypes.geometryType(source.wkbType()) == _POINT
    single = points and not QgsWkbTypes.isMultiType(source.wkbType())
    fields = QgsFields()
    long_long = scoped((QVariant, "Type.LongLong"), (QMetaType, "Type.LongLong"))  # Qt 5, Qt 6
    fields.append(QgsField("fid", long_long))
    kept = [i for i, field in enumerate(source.fields()) if field.name().casefold() != "fid"]
    for index in kept:
        fields.append(source.fields().at(index))
    unchecked = scoped(
        (Qgis, "ProcessingFeatureSourceFlag.SkipGeometryValidityChecks"),
        (QgsProcessingFeatureSource, "Flag.FlagSkipGeometryValidityChecks"),
    )

    def features() -> Iterable[QgsFeature]:
        for feature in source.getFeatures(QgsFeatureRequest(), unchecked):
            copy = QgsFeature(fields)
            values = feature.attributes()
            copy.setAttributes([feature.id(), *(values[i] for i in kept)])
            copy.setGeometry(_plain(feature.geometry(), multiple=not single))
            yield copy

    kind = _MULTI_POLYGON if not points else _SINGLE_POINT if single else _MULTI_POINT
    return _write(features(), fields, source.sourceCrs(), path, kind, what=what, context=context, layer_name=layer_name)


def degrees_of(rectangle: QgsRectangle, crs: QgsCoordinateReferenceSystem, context) -> QgsRectangle | None:
    """The rectangle in degrees (EPSG:4326) when it is one there too, or None (a tilted figure, as of UTM).

    Raises LayerFault when it has no image in degrees.
    """
    try:
        ring = _to_degrees(_outline(rectangle), crs, context)
    except QgsCsException as error:
        raise LayerFault(f"Area of interest: the extent cannot be transformed to degrees ({error}).") from error
    box = ring.boundingBox()
    tolerance = 1e-9 + 1e-6 * max(box.width(), box.height())
    on_side = all(
        min(abs(p.x() - box.xMinimum()), abs(p.x() - box.xMaximum())) <= tolerance
        or min(abs(p.y() - box.yMinimum()), abs(p.y() - box.yMaximum())) <= tolerance
        for p in ring.vertices()
    )
    return box if on_side else None


def write_rectangle(rectangle: QgsRectangle, crs: QgsCoordinateReferenceSystem, path: str, *, context) -> None:
    """The rectangle as a polygon file in its own CRS, its sides with points between so that they bend as they must."""
    feature = QgsFeature()
    feature.setGeometry(_outline(rectangle))
    _write([feature], QgsFields(), crs, path, _MULTI_POLYGON, what="Area of interest", context=context)


def _outline(rectangle: QgsRectangle) -> QgsGeometry:
    west, south, east, north = rectangle.xMinimum(), rectangle.yMinimum(), rectangle.xMaximum(), rectangle.yMaximum()
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    points = []
    for side in range(4):
        (x0, y0), (x1, y1) = corners[side], corners[side + 1]
        points += [
            QgsPointXY(x0 + (x1 - x0) * i / _SIDE_POINTS, y0 + (y1 - y0) * i / _SIDE_POINTS)
            for i in range(_SIDE_POINTS)
        ]
    return QgsGeometry.fromPolygonXY([[*points, points[0]]])


def _to_degrees(geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem, context) -> QgsGeometry:
    moved = QgsGeometry(geometry)
    moved.transform(QgsCoordinateTransform(crs, QgsCoordinateReferenceSystem("EPSG:4326"), context))
    return moved


def _plain(geometry: QgsGeometry, *, multiple: bool = True) -> QgsGeometry:
    """Without curves, heights and measures; of several parts, or of one as points are."""
    if geometry.isNull():
        return geometry
    straight = QgsGeometry(geometry.constGet().segmentize())
    straight.get().dropZValue()
    straight.get().dropMValue()
    if multiple:
        straight.convertToMultiType()
    return straight


def _write(
    features: Iterable[QgsFeature],
    fields: QgsFields,
    crs,
    path: str,
    kind,
    *,
    what: str,
    context,
    layer_name: str = "polygons",
) -> int:
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = layer_name
    writer = QgsVectorFileWriter.create(path, fields, kind, crs, context, options)
    no_error = scoped((QgsVectorFileWriter, "WriterError.NoError"))
    if writer.hasError() != no_error:
        raise LayerFault(f"{what}: the features cannot be copied to {path}: {writer.errorMessage()}.")
    count = 0
    for feature in features:
        if not writer.addFeature(feature):
            raise LayerFault(f"{what}: a feature cannot be copied to {path}: {writer.errorMessage()}.")
        count += 1
    del writer
    return count

"""How candidates are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextScope,
    QgsFeature,
    QgsPointXY,
    QgsProject,
    QgsVectorLayer,
)

from plugin.layers.locate_styles import TURNED


def test_arrows_point_along_the_heading_on_a_map_in_any_crs(qgis_app):
    """Rotation is that of the heading's line on the map: grids whose north is not true north turn the arrow too."""
    layer = QgsVectorLayer(
        "Point?crs=EPSG:4326&field=heading_deg:double&field=lon:double&field=lat:double", "p", "memory"
    )
    for crs, place in (("EPSG:32633", (18.5, 60.0)), ("EPSG:3857", (9, 48)), ("EPSG:3031", (45, -70)), ("", (9, 48))):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([30.0, *place])
        context, scope = QgsExpressionContext(), QgsExpressionContextScope()
        scope.setVariable("map_crs", crs)
        context.appendScope(scope)
        context.setFeature(feature)
        found = QgsExpression(TURNED).evaluate(context)
        if not crs:
            assert found == 30
            continue
        transform = QgsCoordinateTransform(
            QgsCoordinateReferenceSystem("EPSG:4326"), QgsCoordinateReferenceSystem(crs), QgsProject.instance()
        )
        step, a = 1e-4, np.radians(30)
        ahead = (place[0] + step * np.sin(a) / np.cos(np.radians(place[1])), place[1] + step * np.cos(a))
        here, there = transform.transform(QgsPointXY(*place)), transform.transform(QgsPointXY(*ahead))
        assert (found - here.azimuth(there) + 180) % 360 - 180 == pytest.approx(0, abs=0.3), crs

"""The live estimate of an index: the question from the form's own parameters, and the engine's answer below it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gui_support import spin
from made_layers import polygon_layer
from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)

from plugin.engine_client.settings import environment_python
from plugin.gui.locate import estimate as estimate_module
from plugin.gui.locate.index_form import IndexForm
from plugin.gui.locate.region_picker import DRAWN
from plugin.photos.facts import PhotoSet
from plugin.processing.layer_files import LayerFault
from plugin.processing.locate_plan import plan_request

ROOT = Path(__file__).resolve().parents[2]
PYTHON = environment_python(ROOT / ".venv-engine")
UTM = QgsCoordinateReferenceSystem("EPSG:32633")
DEGREES = QgsCoordinateReferenceSystem("EPSG:4326")
TILES = "type=xyz&url=http://127.0.0.1:9/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=17"
needs_engine = pytest.mark.skipif(not PYTHON.exists(), reason=f"no engine environment: {PYTHON} (scripts/setup_engine)")
pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots", "provider")


def ortho(path: Path, *, pixel: float = 0.25, side: int = 400) -> str:
    """An image of grey pixels in EPSG:32633."""
    made = gdal.GetDriverByName("GTiff").Create(str(path), side, side, 3)
    made.SetGeoTransform((500_000, pixel, 0, 5_600_000, 0, -pixel))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32633)
    made.SetProjection(reference.ExportToWkt())
    for band in (1, 2, 3):
        made.GetRasterBand(band).WriteArray(np.full((side, side), 90, np.uint8))
    made = None
    return str(path)


@pytest.fixture
def context(qgis_app):
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    yield context
    QgsProject.instance().clear()


def test_the_question_is_that_of_the_algorithm(context, tmp_path):
    layer = QgsRasterLayer(ortho(tmp_path / "ortho.tif"), "Ortho")
    tiles = QgsRasterLayer(TILES, "Tiles", "wms")
    zones = polygon_layer([(500_010, 5_599_950, 40, "a")], path=tmp_path / "zones.gpkg")
    QgsProject.instance().addMapLayers([layer, tiles, zones])
    box = QgsReferencedRectangle(QgsRectangle(14.9999, 50.5, 15.001, 50.501), DEGREES)
    asked = plan_request({"REFERENCE": layer.id(), "EXTENT": box, "METHOD": "geometric", "CELL": 15.0}, context)
    assert asked == {
        "region": "14.9999,50.5,15.001,50.501",
        "reference": layer.source(),
        "method": "geometric",
        "cell": 15.0,
    }
    asked = plan_request({"REFERENCE": tiles.id(), "REGION": zones.id(), "METHOD": "auto"}, context)
    assert asked["reference"] == "http://127.0.0.1:9/{z}/{x}/{y}.png" and asked["max_zoom"] == 17
    assert asked["region"].startswith(str(tmp_path / "zones.gpkg")) and "method" not in asked
    address = "https://tiles.example.org/{z}/{x}/{y}.jpg"
    asked = plan_request({"ADDRESS": address, "EXTENT": box, "UPDATE": True, "OUTPUT": str(tmp_path / "i")}, context)
    assert asked["reference"] == address and asked["index"] == str(tmp_path / "i")
    with pytest.raises(LayerFault, match="no imagery"):
        plan_request({"EXTENT": box}, context)


def test_of_a_layer_that_qgis_draws_the_engine_is_told_nothing(context, tmp_path):
    path = tmp_path / "classes.tif"
    made = gdal.GetDriverByName("GTiff").Create(str(path), 8, 8, 1)
    made.SetGeoTransform((500_000, 1, 0, 5_600_000, 0, -1))
    made.SetProjection(UTM.toWkt())
    colors = gdal.ColorTable()
    colors.SetColorEntry(1, (10, 20, 30, 255))
    made.GetRasterBand(1).SetColorTable(colors)
    made = None
    layer = QgsRasterLayer(str(path), "Classes")
    QgsProject.instance().addMapLayer(layer)
    box = QgsReferencedRectangle(QgsRectangle(15, 50, 15.001, 50.001), DEGREES)
    assert plan_request({"REFERENCE": layer.id(), "EXTENT": box}, context) == {"region": "15,50,15.001,50.001"}


@needs_engine
def test_the_estimate_says_what_the_engine_says(iface, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate_module, "PAUSE_MS", 50)
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", str(PYTHON))
    fine = QgsRasterLayer(ortho(tmp_path / "ortho.tif"), "Ortho")
    coarse = QgsRasterLayer(ortho(tmp_path / "coarse.tif", pixel=3.0, side=40), "Coarse")
    QgsProject.instance().addMapLayers([fine, coarse])
    iface.canvas.setDestinationCrs(UTM)
    iface.canvas.setLayers([fine])
    iface.canvas.setExtent(fine.extent())
    form = IndexForm(iface.canvas, PhotoSet())
    form.restore()
    form.method.set_value("geometric")
    form.show()
    text = form.estimate.text
    spin(lambda: "cells" in text.text(), 60)
    said = text.text().replace("\N{NO-BREAK SPACE}", " ")  # numbers stay with their units
    assert said.endswith("Imagery of 0.25 m a pixel: fine enough.") and "cells of 10 m" in said
    assert form.estimate.plan["problems"] == []
    form.reference.layer.set_layer(coarse)
    spin(lambda: "coarse" in text.text(), 60)
    assert "coarse.tif" in text.text() and "0.9" in text.text(), "the resolution that is needed"
    form.reference.layer.set_layer(fine)
    square = QgsGeometry.fromRect(QgsRectangle(900_000, 5_599_900, 900_060, 5_599_960))
    form.region.drawing.take(square, UTM)
    form.region.kind.setCurrentIndex(DRAWN)
    spin(lambda: "outside" in text.text(), 60)
    assert "lies outside of the reference" in text.text() and form.estimate.plan is None
    form.shut_down()

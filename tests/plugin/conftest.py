"""The plugin is imported from this checkout as the package ``plugin`` (``samescene.plugin`` once installed)."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from osgeo import gdal, osr
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsSettings

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, Path(__file__).resolve().parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session", autouse=True)
def settings_of_this_session(qgis_app, tmp_path_factory):
    """QgsSettings in a fresh folder: what an earlier or a parallel session set must not decide a test."""
    from qgis.PyQt.QtCore import QSettings

    folder = tmp_path_factory.mktemp("settings")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))
    return folder


# A machine that does other work too is no fault of a test.
settings.register_profile("plugin", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.load_profile("plugin")


@pytest.fixture
def iface(qgis_app):
    from gui_support import Iface

    yield Iface()
    QgsProject.instance().clear()


@pytest.fixture
def fresh_settings(qgis_app, monkeypatch):
    QgsSettings().remove("samescene")
    monkeypatch.delenv("SAMESCENE_ENGINE_PYTHON", raising=False)
    yield
    QgsSettings().remove("samescene")


@pytest.fixture
def faults_in_slots(monkeypatch):
    """An exception in a slot fails the test; PyQt would only print it."""
    seen = []
    monkeypatch.setattr("sys.excepthook", lambda *fault: seen.append(fault))
    yield
    assert seen == []


@pytest.fixture
def registry(qgis_app):
    from plugin.engine_client.runs import RunRegistry

    return RunRegistry()


@pytest.fixture
def provider(registry):
    from plugin.processing.provider import SameSceneProvider

    provider = SameSceneProvider(registry)
    QgsApplication.processingRegistry().addProvider(provider)
    yield provider
    QgsApplication.processingRegistry().removeProvider(provider)


@pytest.fixture
def scene(tmp_path) -> QgsRasterLayer:
    path = tmp_path / "Ebro_S1.tif"
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32630)
    made = gdal.GetDriverByName("GTiff").Create(str(path), 20, 10, 2, gdal.GDT_Float32)
    made.SetGeoTransform((500000, 10, 0, 4400000, 0, -10))
    made.SetProjection(reference.ExportToWkt())
    for band, name in ((1, "VV"), (2, "VH")):
        made.GetRasterBand(band).SetDescription(name)
        made.GetRasterBand(band).WriteArray(np.full((10, 20), -15.0, np.float32))
    made = None
    layer = QgsRasterLayer(str(path), "Ebro")
    QgsProject.instance().addMapLayer(layer)
    yield layer
    QgsProject.instance().clear()

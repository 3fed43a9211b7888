"""samescene:photos and samescene:photo_place in the real engine, held against QGIS's own reading of photos."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from exif_photos import make_photo
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsExifTools,
    QgsFeature,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsVectorLayer,
)

from plugin.engine_client.command_line import engine_command
from plugin.engine_client.runs import DONE, FAILED, RunRegistry
from plugin.engine_client.settings import environment_python
from plugin.layers.names import scene_name
from plugin.layers.results import load_results
from plugin.processing.photos_parameters import FACTS_FIELDS, PLACE_FIELDS
from plugin.processing.provider import SameSceneProvider

ROOT = Path(__file__).resolve().parents[2]
PYTHON = environment_python(ROOT / ".venv-engine")
DATA = ROOT.parent / "shared" / "data" / "crossview" / "panoramas"
DATA = DATA if DATA.is_dir() else Path(__file__).resolve().parents[3] / "shared" / "data" / "crossview" / "panoramas"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason=f"no engine environment: {PYTHON} (scripts/setup_engine)")
real = pytest.mark.skipif(not DATA.is_dir(), reason="The real panoramas (../shared/data/crossview) are not here.")
QGIS_FIELDS = [
    "photo",
    "filename",
    "directory",
    "altitude",
    "direction",
    "rotation",
    "longitude",
    "latitude",
    "timestamp",
]


@pytest.fixture
def run(qgis_app, monkeypatch):
    """run(name, parameters) → (outputs, succeeded, log lines); registry in run.registry."""
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", str(PYTHON))
    registry = RunRegistry()
    provider = SameSceneProvider(registry)
    QgsApplication.processingRegistry().addProvider(provider)

    class Run:
        def __init__(self):
            self.registry, self.context = registry, QgsProcessingContext()
            self.context.setProject(QgsProject.instance())

        def fault(self, name, parameters):
            algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"samescene:{name}")
            good, message = algorithm.checkParameterValues(parameters, self.context)
            assert not good
            return message

        def __call__(self, name, parameters):
            algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"samescene:{name}")
            good, message = algorithm.checkParameterValues(parameters, self.context)
            assert good, message
            feedback = QgsProcessingFeedback(False)
            outputs, good = algorithm.run(parameters, self.context, feedback)
            return outputs, good, feedback.textLog()

    yield Run()
    QgsApplication.processingRegistry().removeProvider(provider)
    QgsProject.instance().clear()


@pytest.fixture
def folder(tmp_path):
    """Two photos with positions, one without, one broken."""
    make_photo(tmp_path / "in" / "south.jpg", lon=-70.76, lat=-33.5, heading=210.5)
    make_photo(tmp_path / "in" / "sub" / "north.jpg", (120, 90), lon=4.84372, lat=45.7482)
    make_photo(tmp_path / "in" / "nowhere.jpg")
    (tmp_path / "in" / "broken.jpg").write_text("no photo")
    return tmp_path / "in"


def rows(source):
    layer = QgsVectorLayer(source, "l", "ogr") if isinstance(source, str) else source
    assert layer.isValid()
    return {f["filename"]: f for f in layer.getFeatures()}


def test_parameters_are_the_engines_request():
    code = (
        "from engine.photos.requests import *; import json;"
        "print(json.dumps([list(m.model_fields) for m in (PhotoFactsRequest, PhotoPlaceRequest)]))"
    )
    told = subprocess.run([str(PYTHON), "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(told) == [list(FACTS_FIELDS), list(PLACE_FIELDS)]


def test_photos_become_points_like_those_of_qgis(run, folder, tmp_path):
    outputs, good, log = run("photos", {"FOLDER": str(folder), "OUTPUT": str(tmp_path / "out")})
    assert good and (outputs["COUNT"], outputs["WITH_POSITION"], outputs["UNREADABLE"]) == (4, 2, 1)
    found = rows(outputs["POINTS"])
    assert sorted(found) == ["north", "south"] and found["south"]["direction"] == 210.5
    assert (found["north"]["kind"], found["south"]["kind"]) == ("photo", "panorama")
    assert "broken.jpg: this is no image" in log and run.registry.runs()[0].state == DONE
    ours = QgsVectorLayer(outputs["POINTS"], "ours", "ogr")
    theirs = imported(folder)
    assert [f.name() for f in ours.fields()][1:10] == [f.name() for f in theirs.fields()] == QGIS_FIELDS
    assert [f.type() for f in ours.fields()][1:10] == [f.type() for f in theirs.fields()]
    assert ours.wkbType() == theirs.wkbType()
    for name, feature in rows(theirs).items():
        for field in ("photo", "directory", "altitude", "direction"):
            assert feature[field] == found[name][field], field
        assert feature.geometry().asPoint().distance(found[name].geometry().asPoint()) < 1e-7


def imported(folder):
    from qgis.analysis import QgsNativeAlgorithms

    registry = QgsApplication.processingRegistry()
    if registry.providerById("native") is None:
        registry.addProvider(QgsNativeAlgorithms())
    context = QgsProcessingContext()
    algorithm = registry.createAlgorithmById("native:importphotos")
    given = {"FOLDER": str(folder), "RECURSIVE": True, "OUTPUT": "memory:"}
    outputs, good = algorithm.run(given, context, QgsProcessingFeedback())
    assert good
    return context.takeResultLayer(outputs["OUTPUT"])


@real
def test_real_panoramas_are_read_as_qgis_reads_them(run, tmp_path):
    outputs, good, _ = run("photos", {"FOLDER": str(DATA), "OUTPUT": str(tmp_path / "out")})
    found, theirs = rows(outputs["POINTS"]), rows(imported(DATA))
    assert good and sorted(found) == sorted(theirs) == ["lyon_1", "lyon_2", "toulouse_1", "toulouse_2"]
    for name, feature in theirs.items():
        assert feature["direction"] == found[name]["direction"]
        assert feature["altitude"] == found[name]["altitude"]
        # QGIS reads the seconds of an arc with two decimals.
        assert feature.geometry().asPoint().distance(found[name].geometry().asPoint()) < 3e-6


def test_the_layer_is_named_grouped_and_shows_where_photos_look(run, folder, tmp_path):
    run("photos", {"PHOTOS": [str(folder / "south.jpg")], "OUTPUT": str(tmp_path / "out")})
    layer = load_results(tmp_path / "out")[0]
    assert layer.name() == "Photos – south"
    assert scene_name({"parameters": {"photos": ["/d/drive 1/a.jpg", "/d/drive 1/b.jpg"]}}) == "drive 1"
    layers = layer.renderer().symbol().symbolLayers()
    assert len(layers) == 2 and layer.displayExpression() == '"filename"'
    keys = layers[0].dataDefinedProperties().propertyKeys()
    assert len(keys) == 2, "turned, and absent without a direction"


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({}, "none are chosen"),
        ({"PHOTOS": ["/gone.jpg"]}, "gone.jpg does not exist"),
        ({"FOLDER": __file__}, "is not a folder"),
    ],
)
def test_faults_before_the_run(run, tmp_path, parameters, line):
    assert line in run.fault("photos", {**parameters, "OUTPUT": str(tmp_path / "out")})


def test_one_photo_gets_its_place_in_a_copy(run, folder, tmp_path):
    original = (folder / "nowhere.jpg").read_bytes()
    given = {"PHOTO": str(folder / "nowhere.jpg"), "POSITION": "500000,5000000 [EPSG:32631]",
             "OUTPUT": str(tmp_path / "out")}  # fmt: skip
    outputs, good, _ = run("photo_place", {**given, "HEADING": 271.25, "ACCURACY": 25})
    assert good and outputs["WRITTEN"] == 1 and outputs["COPY"] == str(tmp_path / "out" / "nowhere.jpg")
    point, there = QgsExifTools.getGeoTag(outputs["COPY"])
    assert there and point.x() == pytest.approx(3.0, abs=1e-5) and point.y() == pytest.approx(45.1535, abs=1e-3)
    tags = QgsExifTools.readTags(outputs["COPY"])
    assert tags["Exif.GPSInfo.GPSImgDirection"] == pytest.approx(271.25)
    assert 'GPano:PoseHeadingDegrees="271.25"' in gdal.Open(outputs["COPY"]).GetMetadata("xml:XMP")[0]
    assert (folder / "nowhere.jpg").read_bytes() == original
    record = run.registry.runs()[0]
    assert record.state == DONE
    assert engine_command(record.job, record.params).startswith("engine photos place ")
    assert "already" in run_fault(run, given)
    assert "originals are never changed" in run_fault(run, {**given, "OUTPUT": str(folder), "OVERWRITE": True})


def run_fault(run, parameters):
    """The one line of a run that fails in the engine."""
    _, good, log = run("photo_place", parameters)
    record = run.registry.runs()[0]
    assert not good and record.state == FAILED and record.error in log
    return record.error


def test_a_layer_of_places_in_any_crs(run, folder, tmp_path):
    layer = QgsVectorLayer(
        "Point?crs=EPSG:3857&field=photo:string&field=path:string&field=heading_deg:double&field=radius_m:double",
        "located", "memory",
    )  # fmt: skip
    values = [("south.jpg", folder / "south.jpg", 90.0, 50.0), ("north.jpg", folder / "sub" / "north.jpg", None, None),
              ("broken.jpg", folder / "broken.jpg", 1.0, 1.0)]  # fmt: skip
    features = []
    for number, (name, path, heading, radius) in enumerate(values):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([name, str(path), heading, radius])
        feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(111319.49079327358 * (number + 1), 0.0)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    QgsProject.instance().addMapLayer(layer)
    outputs, good, log = run("photo_place", {"PLACES": layer.id(), "OUTPUT": str(tmp_path / "out")})
    assert good and (outputs["WRITTEN"], outputs["SKIPPED"]) == (2, 1) and "broken.jpg" in log
    point, _ = QgsExifTools.getGeoTag(str(tmp_path / "out" / "north.jpg"))
    assert (point.x(), point.y()) == pytest.approx((2.0, 0.0), abs=1e-6)
    tags = QgsExifTools.readTags(str(tmp_path / "out" / "south.jpg"))
    assert tags["Exif.GPSInfo.GPSImgDirection"] == pytest.approx(90)
    layer.selectByIds([])
    assert "both given" in run.fault("photo_place", {"PLACES": layer.id(), "PHOTO": str(folder / "south.jpg"),
                                                     "OUTPUT": str(tmp_path / "o")})  # fmt: skip
    assert "no field 'azimuth'" in run.fault("photo_place", {"PLACES": layer.id(), "HEADING_FIELD": "azimuth",
                                                             "OUTPUT": str(tmp_path / "o")})  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({}, "Photo: none is chosen"),
        ({"PHOTO": "/gone.jpg", "POSITION": "1,2 [EPSG:4326]"}, "gone.jpg does not exist"),
        ({"PHOTO": __file__}, "Position: none is given"),
    ],
)
def test_faults_before_a_place_is_written(run, tmp_path, parameters, line):
    assert line in run.fault("photo_place", {**parameters, "OUTPUT": str(tmp_path / "out")})

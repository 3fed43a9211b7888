"""What ``samescene:flood`` hands to the engine for each kind of layer, and what it refuses before a run."""

from __future__ import annotations

import gc
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_layers import SQUARES, polygon_layer, write_scene
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsField,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

from plugin.engine_client.runs import RunRegistry
from plugin.engine_client.settings import environment_python
from plugin.processing.definitions import UNITS
from plugin.processing.features_file import degrees_of
from plugin.processing.flood import FloodAlgorithm
from plugin.processing.flood_parameters import FIELDS
from plugin.processing.flood_request import FloodPreparation
from plugin.processing.layer_files import LayerFault, vector_needs_copy
from plugin.processing.model_names import model_names
from plugin.processing.provider import SameSceneProvider

ROOT = Path(__file__).resolve().parents[2]
ENGINE_PYTHON = environment_python(ROOT / ".venv-engine")
gdal.UseExceptions()


@pytest.fixture
def algorithm(qgis_app):
    registry = RunRegistry()
    provider = SameSceneProvider(registry)
    QgsApplication.processingRegistry().addProvider(provider)
    made = QgsApplication.processingRegistry().createAlgorithmById("samescene:flood")
    made.registry = registry
    yield made
    QgsApplication.processingRegistry().removeProvider(provider)


@pytest.fixture
def context(qgis_app):
    made = QgsProcessingContext()
    made.setProject(QgsProject.instance())
    yield made
    made.temporaryLayerStore().removeAllMapLayers()
    QgsProject.instance().clear()
    # What hangs in cycles (parsed arguments, tracebacks) must go before QGIS does, or the interpreter crashes at exit.
    gc.collect()


class Fill:
    """request(**parameters) → the engine's request; fault(**parameters) → what is refused."""

    def __init__(self, algorithm, context, folder: Path) -> None:
        self._algorithm, self._context, self._folder = algorithm, context, folder
        self.scene = write_scene(folder / "scene ü.tif")

    def values(self, parameters):
        return {"POST": self.scene, "OUTPUT": str(self._folder / "out"), **parameters}

    def run(self, **parameters):
        return FloodPreparation(self._algorithm, self.values(parameters), self._context).prepare()

    def request(self, **parameters):
        return self.run(**parameters).params

    def fault(self, **parameters):
        good, message = self._algorithm.checkParameterValues(self.values(parameters), self._context)
        assert good == (message == "")
        assert "\n" not in message
        return message


@pytest.fixture
def fill(algorithm, context, tmp_path, monkeypatch):
    python = tmp_path / "python-of-the-engine"
    python.write_text("")
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", str(python))
    return Fill(algorithm, context, tmp_path)


def features_of(path: str) -> QgsVectorLayer:
    layer = QgsVectorLayer(path, "copy", "ogr")
    assert layer.isValid()
    return layer


# the parameters themselves


@pytest.mark.skipif(not ENGINE_PYTHON.exists(), reason=f"no engine environment: {ENGINE_PYTHON}")
def test_parameters_and_defaults_are_those_of_the_engines_request(algorithm):
    code = (
        "import json; from engine.mapping.flood.request import FloodRequest\n"
        "print(json.dumps(FloodRequest.model_json_schema()))"
    )
    answer = subprocess.run([str(ENGINE_PYTHON), "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    schema = json.loads(answer.stdout)
    assert list(FIELDS) == list(schema["properties"])
    units = set(schema["$defs"]["Unit"]["enum"])
    assert set(UNITS) == {"auto"} | units - {"dn"}, "uncalibrated numbers are no unit to choose"
    names = {definition.name() for definition in algorithm.parameterDefinitions()}
    assert {name for group in FIELDS.values() for name in group} | {"LOAD_RESULTS"} == names
    for field, (name, *_) in FIELDS.items():
        wanted = schema["properties"][field]
        definition = algorithm.parameterDefinition(name)
        optional = bool(definition.flags() & definition.Flag.FlagOptional)
        default = definition.defaultValue()
        if field in ("post", "out"):
            assert field in schema["required"] and not optional
        elif field == "units":
            assert wanted["default"] is None and default == "auto"
        else:
            assert default == wanted["default"], field
        numbers = {"minimum": "minimum", "exclusiveMinimum": "minimum", "maximum": "maximum"}
        for key, bound in numbers.items():
            if key in wanted:
                assert getattr(definition, bound)() == pytest.approx(wanted[key], abs=2e-6), (field, key)


def test_every_parameter_has_a_title_and_help(algorithm):
    for definition in algorithm.parameterDefinitions():
        assert definition.description() and definition.help(), definition.name()
    text = algorithm.shortHelpString()
    assert "254 set aside" in text and algorithm.shortDescription() and algorithm.group() and algorithm.tags()
    assert not algorithm.icon().isNull() and not algorithm.provider().icon().isNull()


def test_the_widgets_of_the_dialog_start_with_the_defaults(algorithm, context):
    from qgis.gui import QgsGui, QgsProcessingGui

    kind = getattr(QgsProcessingGui, "WidgetType", QgsProcessingGui).Standard
    for definition in algorithm.parameterDefinitions():
        if definition.type() not in ("string", "number", "enum", "boolean"):
            continue
        wrapper = QgsGui.processingGuiRegistry().createParameterWidgetWrapper(definition, kind)
        widget = wrapper.createWrappedWidget(context)
        wrapper.setParameterValue(definition.defaultValue(), context)
        assert (wrapper.parameterValue() or None) == (definition.defaultValue() or None), definition.name()
        widget.deleteLater()


# what is handed over


def test_defaults_are_left_to_the_engine(fill, tmp_path):
    assert fill.request() == {"post": fill.scene, "out": str(tmp_path / "out")}


def test_every_option_reaches_the_request_in_its_order(fill, tmp_path):
    other = write_scene(tmp_path / "before.tif")
    zones = polygon_layer(SQUARES, path=tmp_path / "zones.gpkg")
    request = fill.request(
        BEFORE=other, S2=other, SCL=other, REFERENCE_WATER=other, DEM=other, HAND=other,
        AOI_EXTENT="14.9,15.1,50.4,50.6 [EPSG:4326]",
        ZONES=zones, ZONE_FIELD="name", METHOD="threshold", UNITS="db", BANDS="VV=1,VH=2", PROBABILITY=60,
        MIN_AREA=500, MAX_HAND=20, MAX_SLOPE=7, OBSERVED_AT="2021-07-16T05:42:00Z", DEVICE="cpu", OVERWRITE=True,
    )  # fmt: skip
    assert request == {
        "post": fill.scene, "before": other, "s2": other, "scl": other, "reference_water": other, "dem": other,
        "hand": other, "aoi": "14.9,50.4,15.1,50.6",
        "zones": f"{tmp_path}/zones.gpkg|layername=zones", "zone_field": "name",
        "method": "threshold", "units": "db", "bands": "VV=1,VH=2", "probability": 60, "min_area": 500.0,
        "max_hand": 20.0, "max_slope": 7.0, "observed_at": "2021-07-16T05:42:00Z",
        "device": "cpu", "overwrite": True, "out": str(tmp_path / "out"),
    }  # fmt: skip
    order = [field for field in FIELDS if field not in ("out",)]
    assert [name for name in request if name != "out"] == order


def test_a_relative_folder_becomes_absolute(fill, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fill.request(OUTPUT="here/out")["out"] == str(tmp_path / "here" / "out")


def test_a_model_folder_is_a_method(fill, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    assert "card.json" in fill.fault(MODEL_FOLDER=str(folder))
    (folder / "card.json").write_text("{}")
    assert fill.fault(MODEL_FOLDER=str(folder)) == ""
    assert fill.request(MODEL_FOLDER=str(folder))["method"] == str(folder)
    assert "both" in fill.fault(MODEL_FOLDER=str(folder), METHOD="threshold")
    assert fill.request(METHOD="my-model")["method"] == "my-model"


def test_models_that_the_engine_would_find_are_offered(tmp_path, monkeypatch):
    flood, inside = '{"task": "flood"}', "root/resources/models"
    cards = {"a/river": flood, "a/crops": '{"task": "landcover"}', "a/torn": "{", "a/list": "[]"}
    cards |= {"data/samescene/models/fields": '{"task": "landcover"}'}
    cards |= {f"{inside}/starter": flood, f"{inside}/river": flood}
    for name, text in cards.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "card.json").write_text(text)
    monkeypatch.setenv("SAMESCENE_MODELS", f"{tmp_path / 'a'}{os.pathsep}{tmp_path / 'absent'}")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert model_names(tmp_path / "root", "flood") == ["river", "starter"]
    assert model_names(tmp_path / "root", "landcover") == ["crops", "fields"]
    monkeypatch.delenv("SAMESCENE_MODELS")
    assert model_names(tmp_path / "root", "flood") == ["river", "starter"]
    assert model_names(tmp_path / "empty", "flood") == []
    assert model_names(tmp_path / "empty", "landcover") == ["fields"]


def test_a_web_address_goes_to_the_engine_as_it_is(fill):
    url = "https://example.org/scene.tif?a=1"
    assert fill.request(BEFORE=url)["before"] == url


def test_a_layer_of_the_project_is_its_file(fill, tmp_path):
    layer = QgsRasterLayer(fill.scene, "my scene", "gdal")
    QgsProject.instance().addMapLayer(layer)
    run = fill.run(POST=layer.id())
    assert run.params["post"] == fill.scene and run.title == "Flood – my scene" and run.notes == []


def test_a_crs_assigned_in_qgis_reaches_the_engine(fill, tmp_path):
    path = write_scene(tmp_path / "no crs & <x>.tif", epsg=None)
    layer = QgsRasterLayer(path, "no crs", "gdal")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    run = fill.run(POST=layer)
    assert run.params["post"].endswith(".vrt") and any("CRS assigned" in line for _, line in run.notes)
    vrt, source = gdal.Open(run.params["post"]), gdal.Open(path)
    assert osr.SpatialReference(wkt=vrt.GetProjection()).GetAuthorityCode(None) == "32633"
    assert vrt.GetGeoTransform() == source.GetGeoTransform()
    assert [vrt.GetRasterBand(b).GetDescription() for b in (1, 2)] == ["VV", "VH"]
    assert vrt.GetRasterBand(1).GetNoDataValue() == -9999.0
    assert vrt.GetRasterBand(1).DataType == gdal.GDT_Float32
    assert vrt.GetMetadataItem("ACQUIRED") == "2021-07-16T05:42:00Z"
    np.testing.assert_array_equal(vrt.ReadAsArray(), source.ReadAsArray())


def test_no_data_settings_of_the_layer_are_told_to_be_ignored(fill):
    layer = QgsRasterLayer(fill.scene, "scene", "gdal")
    layer.dataProvider().setUseSourceNoDataValue(1, False)
    notes = fill.run(POST=layer).notes
    assert notes and notes[0][0] == "warning" and "no-data settings" in notes[0][1]


def test_pictures_of_web_maps_are_refused(fill):
    tiles = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/{z}/{x}/{y}.png&zmax=3&zmin=0", "tiles", "wms")
    assert tiles.isValid()
    message = fill.fault(POST=tiles)
    assert "'tiles'" in message and "pictures" in message and "raster file" in message
    with pytest.raises(LayerFault):
        fill.run(DEM=tiles)


def test_rasters_without_a_file_are_copied(fill, context):
    """A virtual raster layer of QGIS (computed bands) has values but no file."""
    source = QgsRasterLayer(fill.scene, "scene", "gdal")
    QgsProject.instance().addMapLayer(source)
    extent = source.extent()
    uri = (
        f"?crs=EPSG:32633&extent={extent.xMinimum()},{extent.yMinimum()},{extent.xMaximum()},{extent.yMaximum()}"
        f'&width={source.width()}&height={source.height()}&formula="scene@1" + 1'
        f"&scene:uri={fill.scene}&scene:provider=gdal"
    )
    layer = QgsRasterLayer(uri, "computed", "virtualraster")
    if not layer.isValid():
        pytest.skip("this QGIS has no virtual raster provider")
    run = fill.run(DEM=layer)
    copy, original = gdal.Open(run.params["dem"]).ReadAsArray(), gdal.Open(fill.scene).ReadAsArray()[0]
    np.testing.assert_allclose(copy, original + 1, rtol=1e-6)
    assert any("was copied" in line for _, line in run.notes)


def test_polygons_of_a_file_are_the_file(fill, tmp_path):
    zones = polygon_layer(SQUARES, path=tmp_path / "one.gpkg")
    assert fill.request(ZONES=zones)["zones"] == f"{tmp_path / 'one.gpkg'}|layername=zones"
    plain = QgsVectorLayer(str(tmp_path / "one.gpkg"), "plain", "ogr")
    assert fill.request(ZONES=plain)["zones"] == str(tmp_path / "one.gpkg")
    polygon_layer(SQUARES[:1], path=tmp_path / "one.gpkg", layer_name="other")
    zones = QgsVectorLayer(f"{tmp_path / 'one.gpkg'}|layername=zones", "zones", "ogr")
    assert fill.request(ZONES=zones)["zones"] == f"{tmp_path / 'one.gpkg'}|layername=zones"
    unnamed = fill.run(ZONES=QgsVectorLayer(str(tmp_path / "one.gpkg"), "unnamed", "ogr"))
    assert "one of several layers" in unnamed.notes[0][1]


def test_a_style_saved_in_the_file_is_no_second_layer(fill, tmp_path):
    path = tmp_path / "styled.gpkg"
    zones = polygon_layer(SQUARES, path=path)
    assert not zones.saveStyleToDatabase("mine", "", True, "")
    assert gdal.OpenEx(str(path), gdal.OF_VECTOR).GetLayerByName("layer_styles") is not None
    assert fill.request(ZONES=QgsVectorLayer(str(path), "plain", "ogr"))["zones"] == str(path)


def test_a_layer_is_told_without_opening_its_file_again(tmp_path, monkeypatch):
    """It is asked in the window's thread when a run starts: all providers opening the file took 20 to 90 ms."""
    layer = QgsVectorLayer(str(polygon_layer(SQUARES, path=tmp_path / "one.gpkg").source()).split("|")[0], "one", "ogr")

    def opened(*_):
        raise AssertionError("the file is opened again")

    monkeypatch.setattr(QgsProviderRegistry, "querySublayers", opened)
    assert vector_needs_copy(layer, layer) == ""


@pytest.mark.parametrize("kind", ["memory", "filter", "selection", "edits", "crs", "expression"])
def test_what_is_not_simply_a_file_is_copied_as_qgis_shows_it(fill, tmp_path, kind):
    layer = polygon_layer(SQUARES, path=None if kind == "memory" else tmp_path / "zones.gpkg")
    QgsProject.instance().addMapLayer(layer)
    value, names, field = layer, ["a", "b", "c"], "name"
    if kind == "filter":
        layer.setSubsetString("name <> 'b'")
        names = ["a", "c"]
    elif kind == "selection":
        layer.selectByExpression("name = 'b'")
        value, names = QgsProcessingFeatureSourceDefinition(layer.id(), True), ["b"]
    elif kind == "edits":
        layer.startEditing()
        layer.deleteFeature(next(f.id() for f in layer.getFeatures() if f["name"] == "c"))
        names = ["a", "b"]
    elif kind == "crs":
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    elif kind == "expression":
        layer.addExpressionField("upper(name)", QgsField("big", QVariant.Type.String))
        field = "big"
    run = fill.run(ZONES=value, ZONE_FIELD=field)
    copy = features_of(run.params["zones"])
    assert not run.params["zones"].startswith(str(tmp_path / "zones.gpkg"))
    assert sorted(f["name"] for f in copy.getFeatures()) == names
    ids = {f["name"]: f.id() for f in layer.getFeatures()}
    assert {f["name"]: f.id() for f in copy.getFeatures()} == {n: ids[n] for n in names}, "feature ids stay"
    assert copy.crs() == layer.crs() and any("copied" in line for _, line in run.notes)
    if kind == "expression":
        assert sorted(f["big"] for f in copy.getFeatures()) == ["A", "B", "C"]


def test_a_selection_of_nothing_is_refused(fill):
    layer = polygon_layer(SQUARES)
    QgsProject.instance().addMapLayer(layer)
    with pytest.raises(LayerFault, match="no features to use"):
        fill.run(AOI_LAYER=QgsProcessingFeatureSourceDefinition(layer.id(), True))


def test_an_extent_in_degrees_or_mercator_is_a_box_and_one_in_utm_is_its_polygon(fill, context):
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    box = QgsReferencedRectangle(QgsRectangle(14.99, 50.54, 15.0, 50.55), degrees)
    assert fill.request(AOI_EXTENT=box)["aoi"] == "14.99,50.54,15,50.55"
    mercator = QgsRectangle(1_669_000, 6_540_000, 1_671_000, 6_542_000)
    text = fill.request(AOI_EXTENT=QgsReferencedRectangle(mercator, QgsCoordinateReferenceSystem("EPSG:3857")))["aoi"]
    west, south, east, north = map(float, text.split(","))
    assert (
        west == pytest.approx(1_669_000 / 6378137 * 180 / np.pi, abs=1e-8)
        and south < north
        and east - west == pytest.approx(2_000 / 6378137 * 180 / np.pi, abs=2e-8)
    )
    utm = QgsReferencedRectangle(
        QgsRectangle(500_100, 5_599_400, 500_600, 5_599_900), QgsCoordinateReferenceSystem("EPSG:32633")
    )
    run = fill.run(AOI_EXTENT=utm)
    copy = features_of(run.params["aoi"])
    assert copy.crs().authid() == "EPSG:32633" and copy.extent() == utm
    assert next(copy.getFeatures()).geometry().area() == pytest.approx(500 * 500)


def test_an_extent_without_crs_is_in_that_of_the_scene(fill):
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem())
    copy = features_of(fill.request(AOI_EXTENT="500100,500600,5599400,5599900")["aoi"])
    assert copy.crs().authid() == "EPSG:32633"


def test_a_rectangle_around_a_pole_is_no_box(qgis_app):
    polar = QgsCoordinateReferenceSystem("EPSG:3413")
    context = QgsProject.instance().transformContext()
    assert degrees_of(QgsRectangle(-1e6, -1e6, 1e6, 1e6), polar, context) is None


# what is refused before the run


def test_good_parameters_pass(fill):
    assert fill.fault() == ""


def test_without_an_engine_the_dialog_opens_and_says_what_to_do(fill, algorithm, monkeypatch):
    assert algorithm.canExecute()[0] is True
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", "/nowhere/python")
    assert "/nowhere/python" in fill.fault()


def test_faults_of_rasters(fill, tmp_path):
    assert fill.fault(POST=str(tmp_path / "absent.tif"))
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0 not a tiff")
    assert fill.fault(POST=str(broken))
    no_crs = write_scene(tmp_path / "nocrs.tif", epsg=None)
    assert "no CRS" in fill.fault(POST=no_crs)
    far = write_scene(tmp_path / "far.tif", origin=(700_000, 5_000_000))
    assert "does not overlap" in fill.fault(BEFORE=far) and "EPSG:32633" in fill.fault(BEFORE=far)
    assert "does not overlap" in fill.fault(DEM=far)
    assert "same file" in fill.fault(BEFORE=fill.scene)


def test_faults_of_areas(fill, tmp_path):
    inside, outside = polygon_layer(SQUARES), polygon_layer([(900_000, 100_000, 10, "x")])
    box = "500100,500600,5599400,5599900 [EPSG:32633]"
    assert fill.fault(AOI_EXTENT=box) == "" and fill.fault(AOI_LAYER=inside) == ""
    assert "both given" in fill.fault(AOI_EXTENT=box, AOI_LAYER=inside)
    assert "outside the scene" in fill.fault(AOI_EXTENT="0,1,0,1 [EPSG:4326]")
    assert "outside the scene" in fill.fault(AOI_LAYER=outside)
    assert "has no CRS" in fill.fault(ZONES=polygon_layer(SQUARES, crs=""))
    assert "without zones" in fill.fault(ZONE_FIELD="name")
    assert "no field 'nome'; found: name" in fill.fault(ZONES=inside, ZONE_FIELD="nome")
    lines = QgsVectorLayer("LineString?crs=EPSG:4326", "lines", "memory")
    assert "no polygons" in fill.fault(ZONES=lines)


@pytest.mark.parametrize(
    ("bands", "good"),
    [("VV=1", True), ("vv=1, vh=2", True), ("VV=3", False), ("VV", False), ("HH=1", False), ("VV=1,VV=2", False),
     ("B03=1,B8A=2", True), ("VV=0", False), ("VV=1;VH=2", False)],
)  # fmt: skip
def test_faults_of_band_numbers(fill, bands, good):
    assert (fill.fault(BANDS=bands) == "") == good


@pytest.mark.parametrize(
    ("moment", "good"),
    [("2021-07-16T05:42:00Z", True), ("2021-07-16", True), ("2021-07-16T05:42:00+02:00", True), ("yesterday", False),
     ("16.07.2021", False)],
)  # fmt: skip
def test_faults_of_times(fill, moment, good):
    assert (fill.fault(OBSERVED_AT=moment) == "") == good


def test_faults_of_the_results_folder(fill, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    assert fill.fault(OUTPUT=str(full)) == ""
    (full / "mine.txt").write_text("mine")
    assert "not empty" in fill.fault(OUTPUT=str(full))
    assert fill.fault(OUTPUT=str(full), OVERWRITE=True) == ""
    assert "is a file" in fill.fault(OUTPUT=str(full / "mine.txt"))
    assert fill.fault(OUTPUT="TEMPORARY_OUTPUT") == ""


def test_a_model_meets_the_same_checks(algorithm, context, fill):
    """A model runs prepareAlgorithm without checkParameterValues."""
    from qgis.core import QgsProcessingFeedback

    feedback = QgsProcessingFeedback(False)
    _, good = algorithm.run(fill.values({"ZONE_FIELD": "name"}), context, feedback)
    assert not good and "without zones" in feedback.textLog()


def test_instances_share_the_registry_and_nothing_else(algorithm):
    other = algorithm.create()
    assert isinstance(other, FloodAlgorithm) and other is not algorithm
    assert other._registry is algorithm.registry

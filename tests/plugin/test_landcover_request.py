"""What the land-cover and accuracy algorithms hand to the engine, and what they refuse before a run."""

from __future__ import annotations

import gc
import json
import subprocess
from pathlib import Path

import pytest
from made_layers import SQUARES, polygon_layer, write_scene
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsVectorLayer,
)

from plugin.engine_client.command_line import engine_command
from plugin.engine_client.runs import RunRegistry
from plugin.engine_client.settings import environment_python
from plugin.processing import (
    accuracy_parameters,
    change_parameters,
    landcover_parameters,
    sample_parameters,
)
from plugin.processing.definitions import legend_names
from plugin.processing.label_classes import PALETTE, class_colors_fault, class_colors_json, label_classes
from plugin.processing.provider import SameSceneProvider

ROOT = Path(__file__).resolve().parents[2]
ENGINE_PYTHON = environment_python(ROOT / ".venv-engine")
S2 = ("B02", "B03", "B04", "B08")
gdal.UseExceptions()

FIELDS = {
    "landcover": (landcover_parameters.FIELDS, "engine.mapping.landcover.request:LandcoverRequest"),
    "landcover_change": (change_parameters.FIELDS, "engine.mapping.landcover.change_request:LandcoverChangeRequest"),
    "sample_points": (sample_parameters.FIELDS, "engine.assess.requests:SampleRequest"),
    "accuracy": (accuracy_parameters.FIELDS, "engine.assess.requests:ReportRequest"),
}


def write_map(path: Path, *, shift=0.0, size=32, bands=1) -> str:
    """A map of class codes, 10 m pixels; its path."""
    return write_scene(path, names=("",) * bands, origin=(500_000.0 + shift, 5_600_000.0), size=size)


class Fill:
    """request(name, …) → the engine's request; fault(name, …) → what is refused."""

    def __init__(self, context, folder: Path) -> None:
        self._context, self._folder = context, folder
        self.s2 = write_scene(folder / "s2 ü.tif", names=S2)
        self.s1 = write_scene(folder / "s1.tif")
        self.map = write_map(folder / "map.tif")
        self.labels = polygon_layer(SQUARES, path=folder / "labels.gpkg", layer_name="labels")
        self.sample = folder / "sample"
        self.sample.mkdir()
        polygon_layer(
            [(500_000, 5_599_700, 10, "1")], path=self.sample / "points.gpkg", layer_name="points", points=True
        )
        (self.sample / "design.json").write_text("{}")

    def algorithm(self, name):
        return QgsApplication.processingRegistry().createAlgorithmById(f"samescene:{name}")

    def values(self, name, parameters):
        usual = {
            "landcover": {"SCENES": [self.s2]},
            "landcover_change": {"MAP_A": self.map, "MAP_B": self.s2b()},
            "sample_points": {"MAP": self.map},
            "accuracy": {"SAMPLE_FOLDER": str(self.sample)},
            "train_landcover": {"SCENES": [self.s2], "LABELS": self.labels, "CLASS_FIELD": "name"},
        }
        return {**usual[name], "OUTPUT": str(self._folder / "out"), **parameters}

    def s2b(self):
        return write_map(self._folder / "later.tif", shift=50)

    def request(self, name, **parameters):
        return self.algorithm(name).prepared(self.values(name, parameters), self._context).params

    def fault(self, name, **parameters):
        good, message = self.algorithm(name).checkParameterValues(self.values(name, parameters), self._context)
        assert good == (message == "")
        assert "\n" not in message
        return message


@pytest.fixture
def context(qgis_app):
    made = QgsProcessingContext()
    made.setProject(QgsProject.instance())
    yield made
    made.temporaryLayerStore().removeAllMapLayers()
    QgsProject.instance().clear()
    gc.collect()


@pytest.fixture
def fill(qgis_app, context, tmp_path, monkeypatch):
    python = tmp_path / "python-of-the-engine"
    python.write_text("")
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", str(python))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    provider = SameSceneProvider(RunRegistry())
    QgsApplication.processingRegistry().addProvider(provider)
    made = Fill(context, tmp_path)
    yield made
    del made.labels  # pytest frees a fixture after the session's teardown has ended QGIS
    QgsApplication.processingRegistry().removeProvider(provider)


@pytest.fixture(scope="module")
def schemas():
    """JSON schemas of the requests, from the engine itself."""
    if not ENGINE_PYTHON.exists():
        pytest.skip(f"no engine environment: {ENGINE_PYTHON}")
    code = (
        "import importlib, json, sys\n"
        "made = {}\n"
        "for where in sys.argv[1:]:\n"
        "    module, name = where.split(':')\n"
        "    made[where] = getattr(importlib.import_module(module), name).model_json_schema()\n"
        "print(json.dumps(made))"
    )
    wanted = [where for _, where in FIELDS.values()]
    answer = subprocess.run(
        [str(ENGINE_PYTHON), "-c", code, *wanted], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return json.loads(answer.stdout)


# the parameters themselves


@pytest.mark.parametrize("name", FIELDS)
def test_parameters_and_defaults_are_those_of_the_engines_request(fill, schemas, name):
    fields, where = FIELDS[name]
    schema, algorithm = schemas[where], fill.algorithm(name)
    assert list(fields) == list(schema["properties"])
    names = {definition.name() for definition in algorithm.parameterDefinitions()}
    assert {one for group in fields.values() for one in group} == names - {"LOAD_RESULTS"}
    for field, (parameter, *_) in fields.items():
        wanted, definition = schema["properties"][field], algorithm.parameterDefinition(parameter)
        optional = bool(definition.flags() & definition.Flag.FlagOptional)
        assert field == "sample" or (field in schema["required"]) == (not optional and "default" not in wanted), field
        if field not in schema["required"]:
            default = "auto" if field == "units" else wanted["default"]
            assert definition.defaultValue() == default, field
        for key, bound in {"minimum": "minimum", "exclusiveMaximum": "maximum", "maximum": "maximum"}.items():
            if key in wanted:
                assert getattr(definition, bound)() == wanted[key] - (key == "exclusiveMaximum"), (field, key)
        if "enum" in wanted:
            assert definition.options() == wanted["enum"]


def test_legends_that_ship_are_offered():
    assert set(legend_names()) == {path.stem for path in (ROOT / "resources" / "legends").glob("*.json")}
    assert legend_names()[0] == "worldcover"


@pytest.mark.parametrize("name", [*FIELDS, "train_landcover"])
def test_every_parameter_has_a_title_and_help(fill, name):
    algorithm = fill.algorithm(name)
    for definition in algorithm.parameterDefinitions():
        assert definition.description() and definition.help(), definition.name()
    assert algorithm.shortHelpString() and algorithm.shortDescription() and algorithm.group() and algorithm.tags()
    assert not algorithm.icon().isNull()
    assert (ROOT / "resources" / "icons" / f"{algorithm.icon_name}.svg").is_file()


@pytest.mark.parametrize("name", [*FIELDS, "train_landcover"])
def test_the_widgets_of_the_dialog_start_with_the_defaults(fill, context, name):
    """Above all: a number without a default stays unset, or every run of the dialog would send it."""
    from qgis.gui import QgsGui, QgsProcessingGui

    kind = getattr(QgsProcessingGui, "WidgetType", QgsProcessingGui).Standard
    algorithm, values = fill.algorithm(name), {}
    for definition in algorithm.parameterDefinitions():
        if definition.type() not in ("string", "number", "enum", "boolean"):
            continue
        wrapper = QgsGui.processingGuiRegistry().createParameterWidgetWrapper(definition, kind)
        widget = wrapper.createWrappedWidget(context)
        wrapper.setParameterValue(definition.defaultValue(), context)
        values[definition.name()] = wrapper.parameterValue()
        assert (wrapper.parameterValue() or None) == (definition.defaultValue() or None), definition.name()
        widget.deleteLater()
    untouched = {key: value for key, value in values.items() if key not in ("MODEL_NAME", "LOAD_RESULTS")}
    assert fill.request(name, **untouched) == fill.request(name)


# what is handed over


@pytest.mark.parametrize("name", [*FIELDS, "train_landcover"])
def test_usual_parameters_pass(fill, name):
    assert fill.fault(name) == ""


def test_defaults_are_left_to_the_engine(fill, tmp_path):
    out = str(tmp_path / "out")
    assert fill.request("landcover") == {"scene": [fill.s2], "out": out}
    assert fill.request("landcover_change") == {"map_a": fill.map, "map_b": fill.s2b(), "out": out}
    assert fill.request("sample_points") == {"map": fill.map, "out": out}
    assert fill.request("accuracy") == {"sample": str(fill.sample), "out": out}


def test_every_option_of_a_map_reaches_the_request_in_its_order(fill, tmp_path):
    zones = polygon_layer(SQUARES, path=tmp_path / "zones.gpkg")
    request = fill.request(
        "landcover", SCENES=[fill.s2, fill.s1], SCL=fill.map, AOI_EXTENT="14.9,15.1,50.4,50.6 [EPSG:4326]",
        ZONES=zones, ZONE_FIELD="name", MODEL="mine", LEGEND="dfc2020", UNKNOWN_BELOW=0, MIN_AREA=0, UNITS="db",
        BANDS="B02=1", OBSERVED_AT="2023-06-10", DEVICE="cpu", OVERWRITE=True,
    )  # fmt: skip
    assert request == {
        "scene": [fill.s2, fill.s1], "scl": fill.map, "aoi": "14.9,50.4,15.1,50.6",
        "zones": f"{tmp_path}/zones.gpkg|layername=zones", "zone_field": "name", "model": "mine", "legend": "dfc2020",
        "unknown_below": 0, "min_area": 0.0, "units": "db", "bands": "B02=1", "observed_at": "2023-06-10",
        "device": "cpu", "overwrite": True, "out": str(tmp_path / "out"),
    }  # fmt: skip
    assert list(request) == [field for field in landcover_parameters.FIELDS if field != "out"] + ["out"]
    assert engine_command("landcover", request, windows=False).startswith(f"engine landcover '{fill.s2}' {fill.s1} ")


def test_own_files_and_folders_stand_beside_the_lists(fill, tmp_path):
    """QGIS's dialog lets nobody type into a list of offered values."""
    (tmp_path / "own.json").write_text("{}")
    for name in ("landcover", "landcover_change", "sample_points", "accuracy"):
        assert fill.request(name, LEGEND_FILE=str(tmp_path / "own.json"))["legend"] == str(tmp_path / "own.json")
    assert fill.request("train_landcover", ENCODER_FOLDER=str(tmp_path))["encoder"] == str(tmp_path)
    assert fill.request("train_landcover", ENCODER="random")["encoder"] == "random"
    assert "both 'random' and a folder" in fill.fault("train_landcover", ENCODER="random", ENCODER_FOLDER=str(tmp_path))


def test_scenes_are_layers_files_or_addresses(fill, tmp_path):
    layer = QgsRasterLayer(fill.s2, "scene of June")
    QgsProject.instance().addMapLayer(layer)
    for value in ([layer], layer, [layer.id()], fill.s2, [fill.s2]):
        assert fill.request("landcover", SCENES=value)["scene"] == [fill.s2], value
    address = "https://host/a.tif"
    assert fill.request("landcover", SCENES=[address, layer])["scene"] == [address, fill.s2]
    values = fill.values("landcover", {"SCENES": [layer]})
    assert fill.algorithm("landcover").prepared(values, QgsProcessingContext()).title == "Land cover – scene of June"


def test_every_option_of_a_sample_reaches_the_request(fill, tmp_path):
    request = fill.request(
        "sample_points", DESIGN="simple", POINTS=20, ALLOCATION="10=5,20=15", MIN_POINTS=0, EXPECTED="10=.9,20=1",
        STRATA=fill.map, AOI_EXTENT="14.9,15.1,50.4,50.6 [EPSG:4326]", SEED=3, OVERWRITE=True,
    )  # fmt: skip
    assert request == {
        "map": fill.map, "design": "simple", "points": 20, "allocation": "10=5,20=15", "min_points": 0,
        "expected": "10=.9,20=1", "strata": fill.map, "aoi": "14.9,50.4,15.1,50.6", "seed": 3, "overwrite": True,
        "out": str(tmp_path / "out"),
    }  # fmt: skip
    numbers = fill.request("sample_points", ALLOCATION_NUMBERS="10=5,20=15")
    assert numbers == {"map": fill.map, "allocation": "10=5,20=15", "out": str(tmp_path / "out")}
    assert engine_command("assess-sample", request).startswith("engine assess sample ")


def test_a_sample_is_known_by_its_layer(fill, tmp_path):
    layer = QgsVectorLayer(f"{fill.sample / 'points.gpkg'}|layername=points", "points", "ogr")
    given = {"SAMPLE_FOLDER": None, "SAMPLE_LAYER": layer, "LABEL_FIELD": "name"}
    assert fill.fault("accuracy", **given) == ""
    assert fill.request("accuracy", **given)["sample"] == str(fill.sample)
    assert fill.request("accuracy", **given)["label_field"] == "name"
    layer.setSubsetString("name = '1'")
    assert "Map" in fill.fault("accuracy", **given), "a part of a sample is none, and names no map"
    assert fill.request("accuracy", **given, MAP=fill.map)["sample"].endswith(".gpkg")
    layer.setSubsetString("")
    layer.startEditing()
    layer.changeAttributeValue(1, layer.fields().lookupField("name"), "2")
    assert "unsaved edits" in fill.fault("accuracy", **given)
    layer.rollBack()


def test_labels_selected_only_where_asked(fill, context):
    layer = fill.labels
    QgsProject.instance().addMapLayer(layer)
    layer.selectByIds([1, 2])
    assert fill.request("train_landcover")["labels_from"] == layer.source()
    asked = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    request = fill.request("train_landcover", LABELS=asked)
    assert QgsVectorLayer(request["labels_from"]).featureCount() == 2
    assert "class_colors" not in request, "the engine knows legends and words"
    symbol = QgsFillSymbol.createSimple({"color": "#00aa00"})
    layer.setRenderer(QgsCategorizedSymbolRenderer("name", [QgsRendererCategory("a", symbol, "Wood")]))
    request = fill.request("train_landcover", LABELS=asked)
    assert json.loads(request["class_colors"]) == {
        "a": {"code": 1, "name": "Wood", "color": "#00aa00"},
        "b": {"code": 2, "name": "b", "color": PALETTE[1]},
    }


def test_points_of_memory_stay_points(fill):
    points = polygon_layer(SQUARES, points=True)
    path = fill.request("train_landcover", LABELS=points)["labels_from"]
    copy = QgsVectorLayer(path, "copy", "ogr")
    assert copy.featureCount() == 3
    assert [f.geometry().asPoint().x() for f in copy.getFeatures()] == [500_050, 500_250, 500_450]


def test_a_model_is_registered_unless_it_shall_not(fill, tmp_path):
    request = fill.request("train_landcover", MODEL_NAME="fields-2023", HEAD="pixel", TIME_LIMIT=2.5, BLOCK_M=500)
    assert request["task"] == "landcover" and request["class_field"] == "name" and request["scene"] == [fill.s2]
    assert (request["name"], request["register_as"]) == ("fields-2023", "fields-2023")
    assert (request["head"], request["time_limit"], request["block_m"]) == ("pixel", 2.5, 500.0)
    assert "register_as" not in fill.request("train_landcover", REGISTER=False)


# classes of labels


def classes_of(layer, field="name"):
    return [(one.value, one.code, one.name, one.color) for one in label_classes(layer, layer, field)]


def test_names_are_numbered_and_take_colours_of_the_palette(qgis_app):
    layer = polygon_layer([(0, 0, 1, name) for name in ("wood", "Crop", "wood")])
    assert classes_of(layer) == [("Crop", 1, "Crop", PALETTE[0]), ("wood", 2, "wood", PALETTE[1])]


def test_categories_of_the_layer_give_names_colours_and_order(qgis_app):
    layer = polygon_layer([(0, 0, 1, name) for name in ("wood", "crop", "other")])
    symbol = QgsFillSymbol.createSimple({"color": "#00aa00"})
    categories = [
        QgsRendererCategory("wood", symbol, "Wood and forest"),
        QgsRendererCategory("crop", QgsFillSymbol.createSimple({"color": "#ffee00"}), ""),
        QgsRendererCategory("", symbol.clone(), "all else"),
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer('"name"', categories))
    assert classes_of(layer) == [
        ("wood", 1, "Wood and forest", "#00aa00"),
        ("crop", 2, "crop", "#ffee00"),
        ("other", 3, "other", PALETTE[2]),
    ]
    assert class_colors_fault(class_colors_json(label_classes(layer, layer, "name"))) == ""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("10", "80"), [(10, "Tree cover", "#006400"), (80, "Permanent water", "#0064c8")]),
        (("3", "1"), [(1, "1", PALETTE[0]), (3, "3", PALETTE[1])]),
        (("300", "1"), [(1, "1", PALETTE[0]), (2, "300", PALETTE[1])]),
    ],
)
def test_whole_numbers_are_the_codes(qgis_app, values, expected):
    layer = polygon_layer([(0, 0, 1, value) for value in values])
    assert [entry[1:] for entry in classes_of(layer)] == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "no JSON"),
        ("[1]", "expected"),
        ('{"a": {"code": 0, "name": "a", "color": "#000000"}}', "from 1 to 254"),
        ('{"a": {"code": 1, "name": "a", "color": "red"}}', "#rrggbb"),
        ('{"a": {"code": 1, "name": "a", "color": "#000000"}, "b": {"code": 1, "name": "b", "color": "#000000"}}', "1"),
    ],
)
def test_faults_of_class_colors(fill, text, part):
    assert part in fill.fault("train_landcover", CLASS_COLORS=text)


# what is refused


def test_faults_of_scenes(fill, tmp_path):
    for name in ("landcover", "train_landcover"):
        assert "gone.tif' cannot be opened" in fill.fault(name, SCENES=[fill.s2, str(tmp_path / "gone.tif")])
        assert "web address" in fill.fault(name, SCENES=["https://host/a.tif"])
    far = write_scene(tmp_path / "far.tif", names=S2, origin=(700_000.0, 5_000_000.0))
    assert "does not overlap" in fill.fault("landcover", SCENES=[fill.s2, far])
    assert "chosen twice" in fill.fault("landcover", SCENES=[fill.s2, fill.s2])
    unnamed = write_map(tmp_path / "unnamed.tif", bands=3)
    assert "have no names" in fill.fault("landcover", SCENES=[unnamed])
    assert fill.fault("landcover", SCENES=[unnamed], BANDS="B02=1,B03=2,B04=3") == ""
    assert "no CRS" in fill.fault("landcover", SCENES=[write_scene(tmp_path / "no.tif", names=S2, epsg=None)])
    assert "one of the scenes" in fill.fault("landcover", SCL=fill.s2)
    assert "Band numbers" in fill.fault("landcover", BANDS="B02=9")
    assert "Legend" in fill.fault("landcover", LEGEND="corine")
    assert "both" in fill.fault("landcover", MODEL="x", MODEL_FOLDER=str(tmp_path))
    assert "does not exist" in fill.fault("landcover", LEGEND_FILE=str(tmp_path / "own.json"))
    own = tmp_path / "exists.json"
    own.write_text("{}")
    assert "both 'worldcover' and a file" in fill.fault("landcover", LEGEND="worldcover", LEGEND_FILE=str(own))
    pictures = QgsRasterLayer("type=xyz&url=https://host/{z}/{x}/{y}.png&zmax=1", "map", "wms")
    QgsProject.instance().addMapLayer(pictures)
    assert "pictures" in fill.fault("landcover", SCENES=[pictures.id()])


def test_faults_of_change(fill, tmp_path):
    assert "same file" in fill.fault("landcover_change", MAP_B=fill.map)
    assert "4 bands" in fill.fault("landcover_change", MAP_B=fill.s2)
    far = write_map(tmp_path / "far.tif", shift=1e5)
    assert "does not overlap the earlier map" in fill.fault("landcover_change", MAP_B=far)


def test_faults_of_samples(fill):
    assert "4 bands" in fill.fault("sample_points", MAP=fill.s2)
    assert "Points by class" in fill.fault("sample_points", ALLOCATION="neyman")
    assert "not understood" in fill.fault("sample_points", ALLOCATION_NUMBERS="10:5")
    assert "both 'equal' and numbers" in fill.fault("sample_points", ALLOCATION="equal", ALLOCATION_NUMBERS="10=5")
    assert "optimal needs" in fill.fault("sample_points", ALLOCATION="optimal")
    assert fill.fault("sample_points", ALLOCATION="optimal", EXPECTED="10=.9, 50=0.7") == ""
    assert "not understood" in fill.fault("sample_points", EXPECTED="10=90")


def test_faults_of_an_accuracy_report(fill, tmp_path):
    assert "none are chosen" in fill.fault("accuracy", SAMPLE_FOLDER=None)
    assert "design.json" in fill.fault("accuracy", SAMPLE_FOLDER=str(tmp_path))
    assert "Give one of them" in fill.fault("accuracy", SAMPLE_LAYER=polygon_layer(SQUARES, points=True))
    points = {"SAMPLE_FOLDER": None, "SAMPLE_LAYER": polygon_layer(SQUARES, points=True)}
    assert "no field 'label'; found: name" in fill.fault("accuracy", **points)
    assert "Map" in fill.fault("accuracy", **points, LABEL_FIELD="name")
    assert fill.fault("accuracy", **points, LABEL_FIELD="name", MAP=fill.map) == ""
    assert "no points" in fill.fault("accuracy", SAMPLE_FOLDER=None, SAMPLE_LAYER=fill.labels)


def test_faults_of_labels(fill, tmp_path):
    assert "outside the scene" in fill.fault("train_landcover", LABELS=polygon_layer([(0, 0, 9, "a"), (9, 9, 9, "b")]))
    assert "no field 'kind'; found: fid, name" in fill.fault("train_landcover", CLASS_FIELD="kind")
    assert "numbers the features" in fill.fault("train_landcover", CLASS_FIELD="fid")
    assert "only the class 'a'" in fill.fault("train_landcover", LABELS=polygon_layer(SQUARES[:1]))
    assert "no features" in fill.fault("train_landcover", LABELS=polygon_layer([]))
    many = polygon_layer([(500_000, 5_599_700, 10, f"v{n}") for n in range(101)])
    assert "101 different values" in fill.fault("train_landcover", LABELS=many)
    for bad in ("", "a b", "Fields", "../x", ".x"):
        assert fill.fault("train_landcover", MODEL_NAME=bad), bad
    assert "not your own" in fill.fault("train_landcover", MODEL_NAME="flood-s1")
    unnamed = write_map(tmp_path / "unnamed.tif", bands=3)
    assert "Use a file whose bands have names" in fill.fault("train_landcover", SCENES=[unnamed])
    (tmp_path / "data" / "samescene" / "models" / "mine").mkdir(parents=True)
    assert "already" in fill.fault("train_landcover", MODEL_NAME="mine")
    assert fill.fault("train_landcover", MODEL_NAME="mine", REGISTER=False) == ""
    assert fill.fault("train_landcover", MODEL_NAME="mine", OVERWRITE=True) == ""

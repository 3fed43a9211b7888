"""Learning an area and testing the search, in the dock and as an algorithm; the engine is real in two tests."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from gui_support import spin
from locate_support import photo_set, places_layer
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)

from plugin.engine_client.command_line import engine_command
from plugin.engine_client.locate import CHECKOUT, EngineLocation
from plugin.engine_client.settings import environment_python, user_models_folder
from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.locate.learn_form import LearnForm
from plugin.gui.locate.learning_view import LearningView, training_folder
from plugin.gui.locate.photo_source import FOLDER
from plugin.gui.locate.position_source import LAYER
from plugin.processing.locate_learn_parameters import FIELDS
from plugin.processing.model_names import model_names
from plugin.processing.reference_store import imagery_folder

ROOT = Path(__file__).resolve().parents[2]
PYTHON = environment_python(ROOT / ".venv-engine")
pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")
real_engine = pytest.mark.skipif(not PYTHON.exists(), reason=f"no engine environment: {PYTHON} (scripts/setup_engine)")
gdal.UseExceptions()
SIDE, GSD, LEFT, TOP = 480, 0.5, 500_000.0, 5_400_000.0


@pytest.fixture
def algorithm(provider):
    return QgsApplication.processingRegistry().createAlgorithmById("samescene:locate_learn")


@pytest.fixture
def context():
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context


@pytest.fixture(scope="session")
def town(tmp_path_factory) -> Path:
    """A folder with ``ortho.tif`` (240 m of noise), ``photos/`` (26 panoramas of it) and ``places.csv``."""
    folder = tmp_path_factory.mktemp("town ü")
    draw = np.random.default_rng(2)
    noise = np.kron(draw.integers(0, 255, (3, SIDE // 8, SIDE // 8)), np.ones((8, 8))).astype(np.uint8)
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32632)
    made = gdal.GetDriverByName("GTiff").Create(str(folder / "ortho.tif"), SIDE, SIDE, 3)
    made.SetGeoTransform((LEFT, GSD, 0, TOP, 0, -GSD))
    made.SetProjection(reference.ExportToWkt())
    made.WriteArray(noise)
    made = None
    degrees = osr.SpatialReference()
    degrees.ImportFromEPSG(4326)
    degrees.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    turn = osr.CoordinateTransformation(reference, degrees)
    (folder / "photos").mkdir()
    pitch = np.radians(90 - (np.arange(64) + 0.5) * 180 / 64)[:, None]
    azimuth = np.radians((np.arange(128) + 0.5) * 360 / 128 - 180)[None]
    far = np.where(pitch < 0, 2.5 / np.tan(np.maximum(-pitch, 1e-3)), 1e6)
    rows = []
    for k in range(26):
        x, y = draw.uniform(60, 180, 2)
        column = np.clip((x + far * np.sin(azimuth)) / GSD, 0, SIDE - 1).astype(int)
        row = np.clip((y - far * np.cos(azimuth)) / GSD, 0, SIDE - 1).astype(int)
        pixels = np.where(pitch < 0, noise[:, row, column], 200).astype(np.uint8)
        made = gdal.GetDriverByName("MEM").Create("", 128, 64, 3)
        made.WriteArray(pixels)
        gdal.GetDriverByName("PNG").CreateCopy(str(folder / "photos" / f"p{k:02d}.png"), made)
        made = None
        lon, lat, _ = turn.TransformPoint(LEFT + x, TOP - y)
        rows.append({"photo": f"p{k:02d}.png", "lon": lon, "lat": lat})
    for stray in (folder / "photos").glob("*.aux.xml"):
        stray.unlink()
    with (folder / "places.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture
def ortho(town) -> QgsRasterLayer:
    layer = QgsRasterLayer(str(town / "ortho.tif"), "Orthophoto")
    QgsProject.instance().addMapLayer(layer)
    yield layer
    QgsProject.instance().clear()


def points(town: Path) -> QgsVectorLayer:
    """The photos' places as a layer."""
    with (town / "places.csv").open() as stream:
        return places_layer([(row["photo"], float(row["lon"]), float(row["lat"])) for row in csv.DictReader(stream)])


@real_engine
def test_every_field_of_the_request_has_a_parameter_with_the_engines_default(algorithm):
    code = (
        "import json; from engine.training.crossview.adapt.request import CrossviewAdaptRequest as R;"
        "print(json.dumps(R.model_json_schema()['properties']))"
    )
    answer = subprocess.run([str(PYTHON), "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    fields = json.loads(answer.stdout)
    assert list(FIELDS) == [name for name in fields if name not in ("encoder", "width")], "the size stands for these"
    names = {definition.name() for definition in algorithm.parameterDefinitions()}
    assert {name for group in FIELDS.values() for name in group} == names
    for field, (name, *_) in FIELDS.items():
        definition = algorithm.parameterDefinition(name)
        if "default" in fields[field] and field not in ("register_as", "tile_cache"):
            assert definition.defaultValue() == fields[field]["default"], field
    for definition in algorithm.parameterDefinitions():
        assert definition.description() and definition.help(), definition.name()
    assert "never learned from" in algorithm.shortHelpString() and not algorithm.icon().isNull()


def prepared(algorithm, context, values):
    return algorithm.create().prepared(values, context)


def test_the_request_is_what_the_command_takes(algorithm, context, town, ortho, tmp_path):
    given = {
        "PHOTOS_FOLDER": str(town / "photos"), "REFERENCE": ortho.id(),
        "EXTENT": "500020,500220,5399780,5399980 [EPSG:32632]",
        "POSITIONS": points(town).id(), "MODEL_NAME": "town-1", "STEPS": 50, "TILE_EXTENT": 40, "HEADING": "unknown",
        "APART": 0.25, "OUTPUT": str(tmp_path / "learned"),
    }  # fmt: skip
    run = prepared(algorithm, context, given)
    params = run.params
    assert list(params) == [name for name in FIELDS if name in params and name != "out"] + ["out"]
    assert params["photos"] == [str(town / "photos")] and params["reference"] == str(town / "ortho.tif")
    assert params["register_as"] == params["name"] == "town-1" and params["extent"] == 40 and params["apart"] == 0.25
    with Path(params["positions"]).open() as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == 26 and table[0]["photo"] == "p00.png" and float(table[0]["lon"]) == pytest.approx(9, abs=0.1)
    assert engine_command("crossview-adapt", params, windows=False).startswith("engine crossview adapt '/")
    files = [str(path) for path in sorted((town / "photos").iterdir())]
    run = prepared(algorithm, context, {**given, "PHOTOS_FOLDER": "", "PHOTOS": files, "REGISTER": False})
    assert run.params["photos"] == files and "register_as" not in run.params


class _Watch:
    def log(self, level, line): ...

    def progress(self, fraction, stage, message): ...

    def part(self, low, high): ...

    def is_cancelled(self):
        return False


@real_engine
def test_imagery_that_qgis_must_draw_is_drawn_fine_enough_and_goes_again(algorithm, context, town, tmp_path):
    colors = gdal.ColorTable()
    for value in range(256):
        colors.SetColorEntry(value, (value, 255 - value, 90, 255))
    source = gdal.Open(str(town / "ortho.tif"))
    made = gdal.GetDriverByName("GTiff").Create(str(tmp_path / "painted.tif"), SIDE, SIDE, 1)
    made.SetGeoTransform(source.GetGeoTransform())
    made.SetProjection(source.GetProjection())
    made.GetRasterBand(1).SetColorTable(colors)
    made.GetRasterBand(1).WriteArray(source.GetRasterBand(1).ReadAsArray())
    made = None
    given = {
        "PHOTOS_FOLDER": str(town / "photos"), "REFERENCE": str(tmp_path / "painted.tif"), "START": "random",
        "EXTENT": "500060,500180,5399820,5399940 [EPSG:32632]", "OUTPUT": str(tmp_path / "learned"),
    }  # fmt: skip
    run = prepared(algorithm, context, given)
    run.before(EngineLocation(PYTHON, ROOT, CHECKOUT).process(), _Watch())
    drawn = gdal.Open(run.params["reference"])
    assert drawn.RasterCount == 4 and 0.4 < drawn.GetGeoTransform()[1] <= 0.575, "tiles of 64 m have 128 pixels"
    red, green, _, alpha = drawn.ReadAsArray().astype(int)
    assert (alpha == 255).mean() > 0.9
    assert np.abs(red + green - 255)[alpha == 255].max() <= 2, "the colours that the layer is shown in"
    drawn = None
    run.finished()
    assert not imagery_folder(tmp_path / "learned").exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"PHOTOS_FOLDER": ""}, "Photos: none is chosen"),
        ({"PHOTOS_FOLDER": "/nowhere"}, "/nowhere does not exist"),
        ({"PHOTOS_FOLDER": "", "PHOTOS": "one"}, "1 are too few to learn from; at least 24"),
        ({"REFERENCE": None}, "Reference: no imagery is given"),
        ({"EXTENT": "0,10,0,10 [EPSG:32632]"}, "lies outside the reference"),
        ({"MODEL_NAME": "My Town"}, "'My Town' is no name"),
        ({"MODEL_NAME": "fused"}, "means something else"),
        ({"START": "random", "START_FOLDER": "/x"}, "both 'random' and a folder"),
        ({"START_FOLDER": "/nowhere"}, "is no model bundle"),
    ],
)
def test_what_is_wrong_is_said_before_the_run(algorithm, context, town, ortho, tmp_path, monkeypatch, changes, text):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    changes = {k: str(town / "photos" / "p00.png") if v == "one" else v for k, v in changes.items()}
    given = {"PHOTOS_FOLDER": str(town / "photos"), "REFERENCE": ortho.id(), "OUTPUT": str(tmp_path / "out"), **changes}
    faults = list(algorithm.create().faults(given, context))
    assert faults and text in faults[0], faults
    assert all("\n" not in fault for fault in faults)


def test_a_name_that_is_taken_is_replaced_only_when_asked(algorithm, context, town, ortho, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (user_models_folder() / "my-area").mkdir(parents=True)
    given = {"PHOTOS_FOLDER": str(town / "photos"), "REFERENCE": ortho.id(), "OUTPUT": str(tmp_path / "out")}
    assert "there is a model 'my-area' among your own already" in next(algorithm.create().faults(given, context))
    assert list(algorithm.create().faults({**given, "OVERWRITE": True}, context)) == []
    assert list(algorithm.create().faults({**given, "REGISTER": False}, context)) == []


@real_engine
def test_an_area_is_learned_and_the_search_tested_in_the_dock(
    iface, provider, registry, town, ortho, tmp_path, monkeypatch
):
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", str(PYTHON))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # on a machine with other work threads only wait for each other
    dock = SameSceneDock(iface, registry, EngineSetup(iface))
    tab = dock.tabs.page("locate")
    iface.canvas.setDestinationCrs(ortho.crs())
    iface.canvas.setExtent(QgsRectangle(500_070, 5_399_830, 500_170, 5_399_930))
    page = tab.learn
    form = page.form
    form.photos.folder.setFilePath(str(town / "photos"))
    form.photos.kind.setCurrentIndex(FOLDER)
    form.reference.layer.set_layer(ortho)
    form.positions.layer.set_layer(points(town))
    form.positions.kind.setCurrentIndex(LAYER)
    form.name.setText("town-1")
    form.options.steps.setValue(10)
    form.options.apart.setValue(0)
    form.options.cell.setValue(20)
    form.options.start.setCurrentText("random")
    form.options.device.setCurrentText("cpu")
    form.out.setFilePath(str(tmp_path / "learned"))
    learned = []
    page.learned.connect(learned.append)
    assert page.page.start() is not None, page.page.message.text()
    assert page.shows_training
    spin(lambda: page.view.model or not page.view.cancel.isEnabled(), 500)
    assert learned == ["town-1"], page.view.title.text()
    assert model_names(ROOT, "crossview")[0] == "town-1", "the lists of methods offer it"
    assert "town-1" in page.view.title.text() and "26 photos that were learned from" in page.view.said.text()
    assert [page.view.apart.item(row, 0).text() for row in range(3)] == ["By chance", "Geometric", "This model"]
    assert "loss" in page.view.loss.toolTip() and page.view.index.isEnabled()
    found = {"expected": 0.74, "n": 139, "measured": {"value": 0.806, "low": 0.74, "high": 0.87, "n": 139}}
    page.view._show_figures({"figures": {"believed": 139, "believed_right": found}})
    assert "Of 139 found places whose truth is known 81 % are within 25 m." in page.view.said.text()
    record = registry.newest_of(str(tmp_path / "learned"))
    assert record.state == "done" and record.report.endswith("report.html")

    index = str(tmp_path / "index")
    EngineLocation(PYTHON, ROOT, CHECKOUT).process().run_job(
        "locate-index",
        {"reference": str(town / "ortho.tif"), "region": _degrees(iface), "out": index, "method": "town-1", "cell": 20},
    )
    test = tab.test
    test.form.index.use(index)
    spin(lambda: not tab.library.looking)
    few = tmp_path / "few"
    few.mkdir()
    for k in range(3):
        shutil.copy(town / "photos" / f"p{k:02d}.png", few)
    test.form.photos.folder.setFilePath(str(few))
    test.form.photos.kind.setCurrentIndex(FOLDER)
    test.form.positions.layer.set_path(str(town / "places.csv"))
    test.form.positions.kind.setCurrentIndex(LAYER)
    test.form.out.setFilePath(str(tmp_path / "tested"))
    assert test.page.start() is not None, test.page.message.text()
    spin(lambda: (test.shows_results and not test.view.reading) or not test.page.running, 500)
    spin(lambda: test.shows_results and not test.view.reading)
    assert "photos are within 50 m at the first guess" in test.view.title.text(), test.page.message.text()
    assert "town-1" in test.view.title.text() and test.view.photos.rowCount() == 3
    dock.shut_down()


def _degrees(iface) -> str:
    transform = QgsCoordinateTransform(
        iface.canvas.mapSettings().destinationCrs(), QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance()
    )
    box = transform.transformBoundingBox(iface.canvas.extent())
    return f"{box.xMinimum()},{box.yMinimum()},{box.xMaximum()},{box.yMaximum()}"


class _Record:
    error, fraction, message, stage, is_finished, state, report = "", 0.4, "Step 3", "train", False, "running", ""


class _NoRuns:
    """A workspace whose runs are all alike."""

    class registry:  # noqa: N801 - an attribute of the workspace
        record = None

        @classmethod
        def newest_of(cls, folder):
            return cls.record


def test_the_form_says_what_to_expect_and_what_is_missing(iface, ortho, tmp_path):
    photos = photo_set(10, located=0)
    form = LearnForm(iface.canvas, photos)
    assert "10 photos are ticked; at least 24" in form.fault()[0] and "at least 24" in form.expect.text().lower()
    assert "nothing will be measured" in form.measured.text()
    photos.add(photo_set(60, located=30).photos())
    assert "60 photos are few" in form.expect.text() and "30 photos tell one; 6 of these" in form.measured.text()
    form.options.apart.setValue(10)
    assert "too few to keep some apart" in form.measured.text()
    photos.hide_positions = True
    assert "hidden" in form.measured.text().lower() and form.parameters()["IGNORE_POSITIONS"] is True
    photos.hide_positions = False
    assert form.fault()[1] is form.reference
    form.reference.layer.set_layer(ortho)
    iface.canvas.setExtent(QgsRectangle(500_000, 5_399_800, 500_200, 5_400_000))
    form.out.setFilePath(str(tmp_path / "learned"))
    assert form.fault() == ("", None)
    for name in ("My Town", "geometric"):
        form.name.setText(name)
        assert form.fault()[1] is form.name
    form.photos.kind.setCurrentIndex(FOLDER)
    assert "Choose the folder" in form.fault()[0]
    form.photos.folder.setFilePath(str(tmp_path))
    form.name.setText("town")
    assert form.fault() == ("", None) and form.parameters()["PHOTOS_FOLDER"] == str(tmp_path)
    form.shut_down()


def test_the_form_fills_the_algorithm_with_its_own_defaults(iface, algorithm, ortho, tmp_path):
    form = LearnForm(iface.canvas, photo_set(30, located=30))
    form.reference.layer.set_layer(ortho)
    form.out.setFilePath(str(tmp_path / "learned"))
    given = form.parameters()
    known = {definition.name(): definition.defaultValue() for definition in algorithm.parameterDefinitions()}
    assert set(given) <= set(known)
    for name in (
        "START",
        "SIZE",
        "HEADING",
        "CELL",
        "APART",
        "CAMERA_HEIGHT",
        "SEED",
        "DEVICE",
        "REGISTER",
        "OVERWRITE",
    ):
        assert given[name] == known[name], name
    assert len(given["PHOTOS"]) == 30 and given["REFERENCE"] == ortho.id()
    form.options.start.setCurrentText(str(tmp_path))
    assert form.parameters()["START_FOLDER"] == str(tmp_path) and form.parameters()["START"] == "auto"
    form.name.setText("other")
    form.save()
    again = LearnForm(iface.canvas, photo_set(0, located=0))
    again.restore()
    assert again.name.text() == "other" and again.reference.value() == ortho.id()
    form.shut_down()
    again.shut_down()


def test_the_curve_follows_the_training_before_there_are_results(qgis_app, tmp_path):
    out = tmp_path / "learned"
    folder = training_folder(str(out))
    folder.mkdir(parents=True)
    assert folder.parent.name == ".learned.learning"
    rows = [{"step": k, "loss": 3.0 - k / 10, "top1_ground": k / 10, "labels_share": 0.2} for k in range(5)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    workspace = _NoRuns()
    workspace.registry.record = _Record()
    view = LearningView(workspace)
    view.follow(str(out))
    view._look()
    assert "loss 2.600" in view.loss.toolTip() and "photos told apart 0.400" in view.shares.toolTip()
    assert view.title.text() == "Step 3" and view.bar.value() == 400 and not view.cancel.isHidden()
    workspace.registry.record = None
    view.finish(False, {})
    assert "goes on where it was" in view.title.text() and view.cancel.isHidden() and not view.index.isEnabled()
    view.shut_down()


def test_the_tab_hands_a_learned_model_over_to_an_index(iface, registry, provider, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    dock = SameSceneDock(iface, registry, EngineSetup(iface))
    tab = dock.tabs.page("locate")
    model = user_models_folder() / "town-1"
    model.mkdir(parents=True)
    (model / "card.json").write_text(json.dumps({"task": "crossview"}))
    tab.turn_to("learn")
    tab.learn.form.photos.choice.add.click()
    assert tab.current == "photos"
    tab.learn.learned.emit("town-1")
    for form in (tab.region.form, tab.search.form, tab.test.form):
        assert form.method.findText("town-1") >= 0
    tab.learn.view.model = "town-1"
    tab.learn.view.index.setEnabled(True)
    tab.learn.view.index.click()
    assert tab.current == "region" and tab.region.form.method.value() == "town-1"
    dock.shut_down()

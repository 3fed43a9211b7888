"""Land cover from one end to the other in the real engine: train on labels, map, compare, sample, label, assess."""

from __future__ import annotations

import csv
import gc
import json
import os
import shutil
import subprocess
import weakref
from pathlib import Path

import numpy as np
import pytest
from feedback import Feedback
from osgeo import gdal, ogr
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsMarkerSymbol,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsVectorLayer,
    edit,
)

from plugin.engine_client.command_line import engine_command
from plugin.engine_client.locate import CHECKOUT, EngineLocation
from plugin.engine_client.runs import CANCELLED, DONE, FAILED, RunRegistry
from plugin.engine_client.settings import environment_python, user_models_folder
from plugin.layers.results import load_results, run_layers
from plugin.processing.model_names import model_names
from plugin.processing.provider import SameSceneProvider

ROOT = Path(__file__).resolve().parents[2]
PYTHON = environment_python(ROOT / ".venv-engine")
MODEL = "of-this-test"
gdal.UseExceptions()

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason=f"no engine environment: {PYTHON} (scripts/setup_engine)")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A simulated scene, its environment variables and a layer of labelled points."""
    folder = tmp_path_factory.mktemp("land cover ü")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMESCENE_ENGINE_PYTHON", str(PYTHON))
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        EngineLocation(PYTHON, ROOT, CHECKOUT).process().run_job(
            "simulate-scene", {"width": 180, "height": 150, "seed": 4, "out": str(folder / "scene")}
        )
        write_labels(folder / "labels.gpkg", folder / "scene" / "landcover.tif")
        yield folder


def write_labels(path: Path, truth: Path, *, step: int = 9) -> None:
    """Points on a grid with the code of the true class in the field ``class``, of classes with a dozen and more."""
    raster = gdal.Open(str(truth))
    codes, place = raster.ReadAsArray(), raster.GetGeoTransform()
    made = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = made.CreateLayer("labels", raster.GetSpatialRef(), ogr.wkbPoint)
    layer.CreateField(ogr.FieldDefn("class", ogr.OFTInteger))
    found, counts = np.unique(codes[4::step, 4::step], return_counts=True)
    common = set(found[counts >= 12].tolist())
    for row in range(4, codes.shape[0], step):
        for column in range(4, codes.shape[1], step):
            if codes[row, column] not in common:
                continue
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetField("class", int(codes[row, column]))
            x, y = place[0] + (column + 0.5) * place[1], place[3] + (row + 0.5) * place[5]
            feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POINT({x} {y})"))
            layer.CreateFeature(feature)
    made = None


@pytest.fixture(scope="module")
def registry(qgis_app):
    return RunRegistry()


@pytest.fixture(scope="module")
def run(qgis_app, work, registry):
    """run(name, parameters) → outputs; the algorithm as a dialog runs it, without loading layers."""
    provider = SameSceneProvider(registry)
    QgsApplication.processingRegistry().addProvider(provider)

    def go(name, parameters, context=None):
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"samescene:{name}")
        feedback, context = Feedback(), context or QgsProcessingContext()
        good, fault = algorithm.checkParameterValues(parameters, context)
        assert good, fault
        results, good = algorithm.run(parameters, context, feedback)
        assert good, feedback.lines
        go.log = feedback.lines
        return results

    yield go
    QgsApplication.processingRegistry().removeProvider(provider)
    gc.collect()


def drawn_labels(work: Path) -> QgsVectorLayer:
    """The labels as a layer that is drawn by class: trees are called and coloured otherwise than in any legend."""
    layer = QgsVectorLayer(f"{work / 'labels.gpkg'}|layername=labels", "labels", "ogr")
    symbol = QgsMarkerSymbol.createSimple({"color": "#123456"})
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", [QgsRendererCategory(10, symbol, "Old wood")]))
    return layer


@pytest.fixture(scope="module")
def trained(run, work):
    """The outputs of a training run whose model is registered."""
    return run(
        "train_landcover",
        {
            "SCENES": [str(work / "scene" / "after_S2.tif")],
            "LABELS": drawn_labels(work),
            "CLASS_FIELD": "class",
            "MODEL_NAME": MODEL,
            "HEAD": "pixel",
            "OUTPUT": str(work / "training"),
        },
    )


@pytest.fixture(scope="module")
def mapped(run, work, trained):
    """The outputs of a map by that model, with zones."""
    return run("landcover", map_parameters(work, work / "map"))


def map_parameters(work: Path, out: Path) -> dict:
    return {
        "SCENES": [str(work / "scene" / "after_S2.tif"), str(work / "scene" / "after_S1.tif")],  # one is not for it
        "ZONES": f"{work / 'scene' / 'zones.gpkg'}|layername=zones",
        "MODEL": MODEL,
        "MIN_AREA": 500,
        "OUTPUT": str(out),
    }


def engine(*words: str, out: Path) -> Path:
    """The same by the ``engine`` command."""
    command = [str(PYTHON), "-m", "engine.cli.main", *words, "-o", str(out)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return out


def same_files(one: Path, other: Path, *names: str) -> None:
    for name in names:
        first, second = gdal.Open(str(one / name)), gdal.Open(str(other / name))
        np.testing.assert_array_equal(first.ReadAsArray(), second.ReadAsArray())
        assert first.GetGeoTransform() == second.GetGeoTransform() and first.GetProjection() == second.GetProjection()
    figures = [json.loads((f / "result.json").read_text())["figures"] for f in (one, other)]
    assert figures[0] == figures[1]


def test_training_ends_with_a_model_in_the_list(trained, registry, work):
    assert trained["MODEL"] == MODEL
    assert (user_models_folder() / MODEL / "card.json").is_file()
    assert MODEL in model_names(ROOT, "landcover")
    assert (Path(trained["MODEL_FOLDER"]) / "card.json").is_file()
    assert Path(trained["REPORT"]).is_file() and 0 < trained["OVERALL_ACCURACY"] <= 1
    record = next(r for r in registry.runs() if r.job == "finetune")
    assert record.state == DONE and record.title == f"Land-cover model – {MODEL}"
    assert "--labels-from" in record.command and "--task landcover" in record.command


def test_a_cancelled_training_leaves_nothing(run, work, registry, tmp_path):
    def changed(run_id):
        if registry.run(run_id).fraction > 0.15:  # labels are read, the model is being fitted
            registry.cancel(run_id)

    layer = drawn_labels(work)
    kept = weakref.ref(layer)
    registry.changed.connect(changed)
    try:
        algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:train_landcover")
        parameters = {
            "SCENES": [str(work / "scene" / "after_S2.tif")], "LABELS": layer, "CLASS_FIELD": "class",
            "MODEL_NAME": "never", "OUTPUT": str(tmp_path / "out"),
        }  # fmt: skip
        feedback = Feedback()
        results, good = algorithm.run(parameters, QgsProcessingContext(), feedback)
    finally:
        registry.changed.disconnect(changed)
    assert not good and not results and registry.runs()[0].state == CANCELLED, feedback.lines
    assert not (tmp_path / "out").exists() and not (user_models_folder() / "never").exists()
    del layer, parameters
    gc.collect()
    assert kept() is None, "a layer that a failed run holds outlives QGIS, and QGIS crashes at exit"


def test_a_refused_run_lets_go_of_its_layers(run, work, tmp_path):
    layer = drawn_labels(work)
    kept = weakref.ref(layer)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:train_landcover")
    parameters = {
        "SCENES": [str(work / "scene" / "after_S2.tif")], "LABELS": layer, "CLASS_FIELD": "nosuch",
        "MODEL_NAME": "never", "OUTPUT": str(tmp_path / "out"),
    }  # fmt: skip
    results, good = algorithm.run(parameters, QgsProcessingContext(), Feedback())
    assert not good and not results
    del layer, parameters
    gc.collect()
    assert kept() is None


def test_the_user_s_models_lie_where_the_engine_says(work):
    code = "from engine.models.library import user_models_folder; print(user_models_folder())"
    for folder in (str(work / "data"), "relative", ""):
        environment = {**os.environ, "XDG_DATA_HOME": folder}
        answer = subprocess.run(
            [str(PYTHON), "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_DATA_HOME", folder)
            assert str(user_models_folder()) == answer.stdout.strip()


def test_a_map_is_the_same_by_the_algorithm_and_by_the_command(mapped, work, registry, tmp_path):
    given = map_parameters(work, tmp_path / "out")
    out = engine(
        "landcover", *given["SCENES"], "--zones", given["ZONES"], "--model", MODEL, "--min-area", "500",
        out=tmp_path / "out",
    )  # fmt: skip
    same_files(work / "map", out, "landcover.tif", "confidence.tif")
    tables = [QgsVectorLayer(f"{f / 'landcover.gpkg'}|layername=zones", "z", "ogr") for f in (work / "map", out)]
    rows = [sorted(tuple(f.attributes()[1:]) for f in table.getFeatures()) for table in tables]
    assert rows[0] == rows[1] and rows[0]
    record = next(r for r in registry.runs() if r.job == "landcover")
    result = json.loads((work / "map" / "result.json").read_text())
    assert record.command == result["command"] == engine_command("landcover", record.params)


def test_outputs_of_a_map(mapped):
    codes = gdal.Open(mapped["LANDCOVER"]).ReadAsArray()
    result = json.loads(Path(mapped["RESULT"]).read_text())
    assert set(np.unique(codes)) <= {row["code"] for row in result["figures"]["classes"]} | {255}
    assert QgsRasterLayer(mapped["CONFIDENCE"]).isValid() and Path(mapped["REPORT"]).is_file()
    areas = QgsVectorLayer(mapped["AREAS"], "areas", "ogr")
    assert areas.isValid() and areas.featureCount() == sum(row["pixels"] > 0 for row in result["figures"]["classes"])
    assert QgsVectorLayer(mapped["LANDCOVER_ZONES"], "zones", "ogr").featureCount() > 0
    assert mapped["UNKNOWN_PERCENT"] == result["figures"]["unknown_percent"]
    assert 0 < mapped["OBSERVED_PERCENT"] <= 100


def test_a_map_loads_in_its_group_with_the_classes_that_occur(mapped, work):
    try:
        load_results(work / "map")
        layers = run_layers(work / "map")
        assert set(layers) == {"zones", "landcover", "confidence", "areas"}
        codes = np.unique(gdal.Open(mapped["LANDCOVER"]).ReadAsArray())
        renderer = layers["landcover"].renderer()
        assert isinstance(renderer, QgsPalettedRasterRenderer)
        assert {int(c.value) for c in renderer.classes()} == set(codes.tolist()) - {255}
        wood = next(c for c in renderer.classes() if c.value == 10)
        assert wood.label.startswith("Old wood (") and wood.color.name() == "#123456", "as the labels were drawn"
        assert layers["landcover"].name() == "Land cover 2021-06-17 – after"
        assert "simulated" in layers["landcover"].metadata().abstract()
        assert (work / "map" / "landcover.qml").is_file()
    finally:
        QgsProject.instance().clear()


def test_a_scene_of_another_sensor_is_refused_in_one_line(run, work, trained, registry, tmp_path):
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:landcover")
    feedback = Feedback()
    parameters = {**map_parameters(work, tmp_path / "out"), "SCENES": [str(work / "scene" / "after_S1.tif")]}
    results, good = algorithm.run(parameters, QgsProcessingContext(), feedback)
    assert not good and not results and not (tmp_path / "out").exists()
    record = registry.runs()[0]
    assert record.state == FAILED and "Sentinel-2" in record.error and "\n" not in record.error


def test_change_between_two_maps(run, mapped, work, registry, tmp_path):
    later = tmp_path / "later" / "landcover.tif"
    later.parent.mkdir()
    shutil.copy(mapped["LANDCOVER"], later)
    codes = gdal.Open(mapped["LANDCOVER"]).ReadAsArray()
    came = next(int(c) for c in np.unique(codes) if c not in (0, 255) and (codes[40:60, 40:80] != c).any())
    changed = codes.copy()
    changed[40:60, 40:80] = came
    editable = gdal.Open(str(later), gdal.GA_Update)
    editable.GetRasterBand(1).WriteArray(changed)
    editable = None
    zones = f"{work / 'scene' / 'zones.gpkg'}|layername=zones"
    out = tmp_path / "change"
    results = run(
        "landcover_change", {"MAP_A": mapped["LANDCOVER"], "MAP_B": str(later), "ZONES": zones, "OUTPUT": str(out)}
    )
    expected = (changed != codes) & ~np.isin(codes, (0, 255))  # where a class was unknown no change is claimed
    assert results["CHANGED_M2"] == pytest.approx(100 * expected.sum(), rel=2e-3), "10 m pixels, geodesic"
    change = gdal.Open(results["CHANGE"]).ReadAsArray()
    np.testing.assert_array_equal((change > 0) & (change < 255), expected)
    assert Path(results["MATRIX"]).is_file() and Path(results["REPORT"]).is_file()
    assert QgsVectorLayer(results["CHANGE_ZONES"], "z", "ogr").featureCount() > 0
    assert QgsVectorLayer(results["MATRIX_TABLE"], "m", "ogr").featureCount() > 0
    assert registry.runs()[0].command == json.loads((out / "result.json").read_text())["command"]
    try:
        load_results(out)
        layers = run_layers(out)
        assert set(layers) == {"zones", "change", "matrix"}
        drawn = {int(c.value) for c in layers["change"].renderer().classes()}
        assert drawn == set(np.unique(change).tolist()) - {0, 255}
        assert layers["zones"].renderer().type() in ("graduatedSymbol", "singleSymbol")
    finally:
        QgsProject.instance().clear()


def test_classes_are_merged_without_the_model(run, mapped, registry, tmp_path):
    codes = gdal.Open(mapped["LANDCOVER"]).ReadAsArray()
    first, second = [int(c) for c in np.unique(codes) if c not in (0, 255)][:2]
    results = run(
        "landcover_legend",
        {"MAP": mapped["LANDCOVER"], "MERGE": f"{first}+{second}={second}", "OUTPUT": str(tmp_path / "merged")},
    )
    merged = gdal.Open(results["LANDCOVER"]).ReadAsArray()
    np.testing.assert_array_equal(merged, np.where(codes == first, second, codes))
    assert registry.runs()[0].command == json.loads(Path(results["RESULT"]).read_text())["command"]
    try:
        (layer,) = load_results(tmp_path / "merged")
        drawn = layer.renderer().classes()
        assert {int(c.value) for c in drawn} == set(np.unique(merged).tolist()) - {255}
        assert all(c.color.alpha() == 255 and c.label.endswith("%)") for c in drawn)
        assert "#8a949b" not in {c.color.name() for c in drawn}, "as the file says"
    finally:
        QgsProject.instance().clear()


def test_a_sample_labelled_and_assessed(run, mapped, work, registry, tmp_path):
    sample = run(
        "sample_points", {"MAP": mapped["LANDCOVER"], "POINTS": 60, "MIN_POINTS": 4, "OUTPUT": str(tmp_path / "sample")}
    )
    layer = QgsVectorLayer(sample["SAMPLE"], "points", "ogr")
    assert layer.featureCount() == sample["COUNT"] > 0 and Path(sample["DESIGN_FILE"]).is_file()
    assert not {"map_class", "stratum"} & {name.lower() for name in layer.fields().names()}, "blind to the map"
    truth = gdal.Open(str(work / "scene" / "landcover.tif"))
    place, codes = truth.GetGeoTransform(), truth.ReadAsArray()
    classes = {one["code"] for one in json.loads(Path(sample["DESIGN_FILE"]).read_text())["classes"]}
    right = labelled = 0
    predicted = gdal.Open(mapped["LANDCOVER"]).ReadAsArray()
    field = layer.fields().lookupField("label")
    with edit(layer):
        for feature in layer.getFeatures():
            point = feature.geometry().asPoint()
            row, column = int((point.y() - place[3]) / place[5]), int((point.x() - place[0]) / place[1])
            if int(codes[row, column]) not in classes:
                continue  # the map knows no such class: left empty, as what cannot be told
            labelled += 1
            layer.changeAttributeValue(feature.id(), field, int(codes[row, column]))
            right += int(codes[row, column] == predicted[row, column])
    given = {"SAMPLE_LAYER": layer, "OUTPUT": str(tmp_path / "accuracy")}
    report = run("accuracy", given)
    assert report["LABELLED"] == labelled > 0.8 * sample["COUNT"]
    assert 0 <= report["OVERALL_LOW"] <= report["OVERALL_ACCURACY"] <= report["OVERALL_HIGH"] <= 1
    with Path(report["MATRIX"]).open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    counts = {row[0]: row[1:] for row in table[1:]}
    names = table[0][1:]
    diagonal = sum(int(counts[name][names.index(name)]) for name in names if name in counts and name[0].isdigit())
    assert diagonal == right
    assert all(Path(report[name]).is_file() for name in ("REPORT", "ACCURACY", "AREA", "RESULT"))
    result = json.loads(Path(report["RESULT"]).read_text())
    command = f"engine assess report {sample['OUTPUT']} -o {given['OUTPUT']}"
    assert registry.runs()[0].command == result["command"] == command


@pytest.mark.skipif(shutil.which("qgis_process.bin") is None, reason="no qgis_process.bin")
@pytest.mark.skipif(Qgis.QGIS_VERSION_INT >= 33000, reason="slow: once is enough, flood's runs in every QGIS")
def test_qgis_process_gives_the_same_map(mapped, work, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "samescene").symlink_to(ROOT)
    environment = {
        **os.environ,
        "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "profile"),
        "QGIS_PLUGINPATH": str(tmp_path / "plugins"),
    }
    words = []
    for name, value in map_parameters(work, tmp_path / "out").items():
        words += [f"{name}={one}" for one in (value if isinstance(value, list) else [value])]
    for arguments in (["plugins", "enable", "samescene"], ["run", "samescene:landcover", "--", *words]):
        done = subprocess.run(
            [shutil.which("qgis_process.bin"), *arguments],
            env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    same_files(work / "map", tmp_path / "out", "landcover.tif", "confidence.tif")

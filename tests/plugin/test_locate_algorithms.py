"""Locating photos end to end in the real engine: a simulated city from a file, tiles and a map server."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from feedback import Feedback
from locate_city import (
    PYTHON,
    ROOT,
    bytes_of,
    cancelled_when,
    engine,
    left,
    metres,
    picture,
    search,
    truth,
)
from made_layers import polygon_layer
from map_server import MapServer
from osgeo import gdal
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QEventLoop, Qt, QTimer

from plugin.engine_client.locate import CHECKOUT, EngineLocation
from plugin.engine_client.runs import CANCELLED, DONE, FAILED, RunRegistry
from plugin.layers.results import load_results, run_layers
from plugin.processing import reference_picture
from plugin.processing.provider import SameSceneProvider
from plugin.processing.reference_store import imagery_folder

EXTENT = "14.9995,15.0005,53.98310,53.98370 [EPSG:4326]"
WHOLE = "14.9989,15.0011,53.98280,53.98400 [EPSG:4326]"
gdal.UseExceptions()

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason=f"no engine environment: {PYTHON} (scripts/setup_engine)")


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A simulated city: overhead.tif, panoramas with their truth in panoramas.csv, and a photo taken nowhere in it."""
    folder = tmp_path_factory.mktemp("city ü")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMESCENE_ENGINE_PYTHON", str(PYTHON))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        EngineLocation(PYTHON, ROOT, CHECKOUT).process().run_job(
            "simulate-city",
            {"size": 150, "panoramas": 3, "samples": 1, "seed": 3, "same_day": True, "out": str(folder / "city")},
        )
        yield folder / "city"


@pytest.fixture(scope="module")
def server(city):
    made = MapServer(str(city / "overhead.tif"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def up(server):
    yield
    server.down, server.delay = None, 0.0
    server.asked.clear()


@pytest.fixture(scope="module")
def registry(qgis_app):
    return RunRegistry()


@pytest.fixture(scope="module")
def run(qgis_app, city, registry):
    """run(name, parameters) → outputs; the algorithm as a dialog runs it. ``fails``: the last line instead."""
    provider = SameSceneProvider(registry)
    QgsApplication.processingRegistry().addProvider(provider)

    def go(name, parameters, *, fails=False):
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"samescene:{name}")
        go.feedback, context = Feedback(), QgsProcessingContext()
        good, fault = algorithm.checkParameterValues(parameters, context)
        assert good, fault
        results, good = algorithm.run(parameters, context, go.feedback)
        assert good != fails, go.feedback.lines
        return go.feedback.lines[-1] if fails else results

    yield go
    QgsApplication.processingRegistry().removeProvider(provider)
    gc.collect()


@pytest.fixture(scope="module")
def indexed(run, city):
    """An index of the middle of the city, from the file."""
    return run(
        "locate_index",
        {"REFERENCE": str(city / "overhead.tif"), "EXTENT": WHOLE, "METHOD": "geometric", "IMAGERY_DATE": "2024-06",
         "ATTRIBUTION": "© Simulated", "OUTPUT": str(city / "index")},
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(run, city, indexed):
    return run("locate_search", search(city, city / "found"))


# the index


def test_an_index_says_what_it_was_made_of(indexed, city, registry):
    card = json.loads((city / "index" / "card.json").read_text())
    assert indexed["CELLS"] == indexed["ADDED"] == card["cells"] > 30 and indexed["GAPS"] > 0
    assert card["imagery"][0]["attribution"] == "© Simulated" and card["imagery"][0]["imagery_date"] == "2024-06"
    record = next(r for r in registry.runs() if r.out == str(city / "index"))
    assert record.state == DONE and record.title == "Search index – index"
    assert record.command == json.loads(Path(indexed["RESULT"]).read_text())["command"]


def test_the_area_of_an_index_is_an_outline(indexed, city):
    area = QgsVectorLayer(indexed["AREA"], "area", "ogr")
    (feature,) = area.getFeatures()
    assert area.crs().authid() == "EPSG:4326" and feature["cells"] == indexed["CELLS"]
    assert feature["attribution"] == "© Simulated" and feature.geometry().boundingBox().xMinimum() == 14.9989
    try:
        (layer,) = load_results(city / "index")
        assert layer.name() == "Indexed area – index" and layer.metadata().rights() == ["© Simulated"]
        assert layer.renderer().symbol().symbolLayerCount() == 2
        assert QgsVectorLayer(indexed["AREA"], "alone", "ogr").renderer().symbol().symbolLayerCount() == 2, "its style"
        (group,) = QgsProject.instance().layerTreeRoot().findGroups()
        assert group.name() == "SameScene – Index index"
    finally:
        QgsProject.instance().clear()


def test_a_map_server_is_drawn_once_and_kept(run, city, server, indexed):
    layer = QgsRasterLayer(server.wms, "Survey", "wms")
    given = {"REFERENCE": layer, "EXTENT": EXTENT, "METHOD": "geometric", "OUTPUT": str(city / "drawn")}
    made = run("locate_index", given)
    assert made["CELLS"] > 30
    kept = sorted(path.suffix for path in imagery_folder(city / "drawn").iterdir())
    assert kept == [".tif", ".vrt"]
    (vrt,) = imagery_folder(city / "drawn").glob("*.vrt")
    picture = gdal.Open(str(vrt))
    place, (width, height) = picture.GetGeoTransform(), (picture.RasterXSize, picture.RasterYSize)
    box = [place[0], place[3] + height * place[5], place[0] + width * place[1], place[3]]
    same = gdal.Warp("", str(city / "overhead.tif"), format="MEM", outputBounds=box, width=width, height=height,
                     resampleAlg="bilinear", dstAlpha=True).ReadAsArray()  # fmt: skip
    difference = np.abs(picture.ReadAsArray().astype(int) - same)
    assert difference.max() <= 1 and (same[3] == 255).any(), "what the server shows, to the pixel"
    card = json.loads((city / "drawn" / "card.json").read_text())
    assert card["imagery"][0]["path"] == str(vrt) and 0.29 < card["imagery"][0]["gsd_m"] < 0.31
    assert any("terms apply" in line and "127.0.0.1" in line for line in run.feedback.lines)
    maps = sum("GetMap" in path for path in server.asked)
    server.asked.clear()
    east = {**given, "EXTENT": "14.9997,15.0008,53.98310,53.98370 [EPSG:4326]", "UPDATE": True}
    grown = run("locate_index", east)
    assert grown["ADDED"] > 0 and maps == 1 == sum("GetMap" in path for path in server.asked)
    joined = gdal.Open(str(vrt))
    assert joined.RasterXSize > width and joined.GetGeoTransform()[1] == pytest.approx(place[1], rel=1e-9)
    paths = [item["path"] for item in json.loads((city / "drawn" / "card.json").read_text())["imagery"]]
    assert paths == [str(vrt)] * 2, "one reference serves all of it"


def test_tiles_are_asked_for_by_the_engine_itself(run, city, server, indexed):
    layer = QgsRasterLayer(f"type=xyz&url={server.tiles}&zmax=19&zmin=0", "Tiles", "wms")
    given = {"REFERENCE": layer, "EXTENT": EXTENT, "METHOD": "geometric", "PER_SECOND": 200,
             "TILE_CACHE": str(city / "tiles"), "OUTPUT": str(city / "from tiles")}  # fmt: skip
    made = run("locate_index", given)
    card = json.loads((city / "from tiles" / "card.json").read_text())
    assert made["CELLS"] > 30 and card["imagery"][0]["path"] == server.tiles
    assert not imagery_folder(city / "from tiles").exists()


# what goes wrong is one line, and nothing is left


@pytest.mark.parametrize(
    ("status", "said", "west"),
    [
        (503, "failed 3 times: it answers 503 Service Unavailable.", 14.9992),
        (200, "failed 3 times: it answers with a message instead of a picture", 14.9991),
        (403, "refuses: it answers 403 Forbidden. Check the layer's login", 14.9990),
    ],
)
def test_a_map_server_that_fails(run, city, server, registry, monkeypatch, status, said, west):
    monkeypatch.setattr(reference_picture, "PAUSE_S", 0.01)
    layer = QgsRasterLayer(server.wms, "Survey", "wms")
    server.down = status
    elsewhere = f"{west},15.0002,53.98305,53.98365 [EPSG:4326]"  # QGIS keeps pictures that it has seen
    given = {"REFERENCE": layer, "EXTENT": elsewhere, "METHOD": "geometric", "OUTPUT": str(city / "failed")}
    line = run("locate_index", given, fails=True)
    record = registry.runs()[0]
    assert record.state == FAILED and "\n" not in record.error and record.error in line
    assert record.error.startswith(f"Reference: the server of 'Survey' {said}")
    assert sum("GetMap" in path for path in server.asked) == (1 if status == 403 else 3)
    assert left(city, "failed") == []


def test_a_tile_server_that_refuses(run, city, server, registry):
    server.down = 403
    given = {"ADDRESS": server.tiles.replace("/t/", "/u/"), "EXTENT": EXTENT, "METHOD": "geometric",
             "TILE_CACHE": str(city / "tiles"), "OUTPUT": str(city / "refused")}  # fmt: skip
    run("locate_index", given, fails=True)
    assert "127.0.0.1" in registry.runs()[0].error and "403" in registry.runs()[0].error
    assert left(city, "refused") == []


@pytest.mark.parametrize("how", ["file", "server"])
def test_imagery_that_is_too_coarse_is_told_with_what_is_needed(run, city, server, registry, how):
    coarse = str(city / "coarse.tif")
    gdal.Translate(coarse, str(city / "overhead.tif"), xRes=2, yRes=2)
    reference = coarse
    if how == "server":
        reference = QgsRasterLayer(f"type=xyz&url={server.tiles}&zmax=15&http-header:referer=x", "Old tiles", "wms")
    given = {"REFERENCE": reference, "EXTENT": EXTENT, "METHOD": "geometric", "OUTPUT": str(city / "coarse out")}
    run("locate_index", given, fails=True)
    error = registry.runs()[0].error
    assert "pixels of at most 0.92 m" in error and "\n" not in error
    assert left(city, "coarse out") == []


def test_a_region_outside_of_a_server_and_one_too_large(run, city, server, registry):
    layer = QgsRasterLayer(server.wms, "Survey", "wms")
    given = {"REFERENCE": layer, "METHOD": "geometric", "OUTPUT": str(city / "far")}
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:locate_index")
    far = {**given, "EXTENT": "16,16.1,53.9,54 [EPSG:4326]"}
    good, fault = algorithm.checkParameterValues(far, QgsProcessingContext())
    assert not good and "lies outside the reference 'Survey'" in fault
    run("locate_index", {**given, "EXTENT": "14.92,15.08,53.92,54.08 [EPSG:4326]"}, fails=True)
    assert "more than 250 million" in registry.runs()[0].error and not any("GetMap" in path for path in server.asked)
    assert left(city, "far") == []


def test_drawing_is_in_the_background_and_is_cancelled_while_the_server_is_slow(run, city, server, registry):
    server.delay = 20.0
    look, state = cancelled_when(registry, lambda record: record.stage == "draw")
    registry.changed.connect(look, Qt.ConnectionType.DirectConnection)
    given = {"REFERENCE": QgsRasterLayer(server.wms, "Survey", "wms"), "EXTENT": EXTENT, "METHOD": "geometric",
             "OUTPUT": str(city / "slow")}  # fmt: skip
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:locate_index")
    context, feedback, loop, ticks, ended = QgsProcessingContext(), Feedback(), QEventLoop(), [], []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    task = QgsProcessingAlgRunnerTask(algorithm, given, context, feedback)
    task.executed.connect(lambda good, results: (ended.append(good), loop.quit()))
    QTimer.singleShot(120_000, loop.quit)
    try:
        QgsApplication.taskManager().addTask(task)
        loop.exec()
    finally:
        registry.changed.disconnect(look)
        timer.stop()
    assert ended == [False] and time.monotonic() - state["at"] < 2.3, "0.3 s until the cancel, then two at most"
    assert registry.runs()[0].state == CANCELLED and left(city, "slow") == []
    assert np.median(np.diff(ticks)) < 0.05, "the window's thread lives meanwhile"


def test_a_stopped_index_goes_on_with_what_was_drawn(run, city, server, registry):
    layer = QgsRasterLayer(server.wms, "Survey", "wms")
    given = {"REFERENCE": layer, "METHOD": "geometric", "CELL": 5, "OUTPUT": str(city / "stopped"),
             "REGION": polygon_layer([(499_960, 5_981_630, 80, "a")])}  # fmt: skip
    look, _ = cancelled_when(registry, lambda record: record.stage == "describe" and record.fraction > 0.4)
    registry.changed.connect(look)
    try:
        run("locate_index", given, fails=True)
    finally:
        registry.changed.disconnect(look)
    assert registry.runs()[0].state == CANCELLED
    if not (city / ".stopped.building").is_dir():
        pytest.skip("cancelled before the first unit was written")
    assert not (city / "stopped").exists(), "no partial index is visible"
    server.down = 503
    made = run("locate_index", given)
    assert any("Going on with an index" in line for line in run.feedback.lines)
    assert any("was drawn already" in line for line in run.feedback.lines) and made["CELLS"] > 100


# the search


def test_photos_are_found_where_they_were_taken(found, city, registry):
    layer = QgsVectorLayer(found["CANDIDATES"], "c", "ogr")
    assert layer.crs().authid() == "EPSG:32633"
    for name, row in truth(city).items():
        rows = [f for f in layer.getFeatures() if f["photo"] == name]
        if name == "000003":
            assert not rows
            continue
        assert sorted(f["rank"] for f in rows) == list(range(1, len(rows) + 1)) and len(rows) <= 8
        near = [f for f in rows if f["rank"] <= 3 and metres(f["lon"], f["lat"], row) < 25]
        assert near, name
        assert min(abs((f["heading_deg"] - float(row["heading_deg"]) + 180) % 360 - 180) for f in near) < 5
    assert found["MATCH"] is True and found["MATCHED"] >= 1 and found["SKIPPED"] == 0
    assert len(found["HEATMAPS"]) == 2 and all(QgsRasterLayer(path).isValid() for path in found["HEATMAPS"])
    result = json.loads(Path(found["RESULT"]).read_text())
    assert registry.newest_of(str(city / "found")).command == result["command"]
    assert result["figures"]["attribution"] == "© Simulated" and result["figures"]["skipped"] == []


def test_the_same_answers_by_the_command(found, city):
    photos = search(city, city)["PHOTOS"]
    words = ("--verify", "8", "--top", "8", "-o", str(city / "found by command"))
    engine("locate", "search", str(city / "index"), *photos, *words)
    rows = []
    for folder in (city / "found", city / "found by command"):
        layer = QgsVectorLayer(f"{folder / 'candidates.gpkg'}|layername=candidates", "c", "ogr")
        rows.append(sorted((f.geometry().asWkt(3), *f.attributes()[1:]) for f in layer.getFeatures()))
    assert rows[0] == rows[1] and rows[0]


def test_a_broken_photo_is_one_line_and_the_others_go_on(run, city, indexed):
    broken = city / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    photos = [str(broken), search(city, city)["PHOTOS"][0]]
    some = run("locate_search", search(city, city / "some", PHOTOS=photos, VERIFY=0))
    assert some["SKIPPED"] == 1 and len(some["HEATMAPS"]) == 1
    (line,) = [line for line in run.feedback.lines if "broken.jpg" in line and line.endswith("It is left out.")]
    assert "\n" not in line


def test_no_match_is_an_answer(run, city, indexed):
    path = str(city / "indoor.png")
    made = gdal.GetDriverByName("MEM").Create("", 256, 128, 3)
    for band in range(3):
        made.GetRasterBand(band + 1).WriteArray(np.full((128, 256), 90 + 40 * band, np.uint8))
    gdal.GetDriverByName("PNG").CreateCopy(path, made)
    answer = run("locate_search", search(city, city / "indoor", PHOTOS=[path], VERIFY=0))
    assert answer["MATCH"] is False and answer["MATCHED"] == 0
    assert "No match in this region, as far as can be told." in run.feedback.lines
    assert any(line.startswith("indoor: not in this region (best guess") for line in run.feedback.lines)
    try:
        load_results(city / "indoor")
        rules = run_layers(city / "indoor")["candidates"].renderer().rootRule().children()
        assert rules and all(rule.label().startswith("No match") for rule in rules)
    finally:
        QgsProject.instance().clear()


def test_layers_of_a_search(found, city):
    try:
        load_results(city / "found")
        layers = run_layers(city / "found")
        assert set(layers) == {"candidates", "heatmap_000001", "heatmap_000002"}
        candidates = layers["candidates"]
        assert candidates.name() == "Candidates – 000001 and 1 more"
        assert candidates.metadata().rights() == ["© Simulated"]
        root = QgsProject.instance().layerTreeRoot()
        (group,) = root.findGroups()
        assert group.name() == "SameScene – Located 000001 and 1 more"
        assert [node.layerId() for node in group.findLayers()] == [
            layers[role].id() for role in ("candidates", "heatmap_000001", "heatmap_000002")
        ]
        shown = {role: root.findLayer(layer.id()).itemVisibilityChecked() for role, layer in layers.items()}
        assert shown == {"candidates": True, "heatmap_000001": True, "heatmap_000002": False}
        assert layers["heatmap_000002"].name() == "Heat map – 000002"
        labels = [rule.label() for rule in candidates.renderer().rootRule().children()]
        assert labels[0] == "First candidate" and not any("unknown" in label for label in labels)
        drawn = picture([candidates], candidates.extent(), candidates.crs())
        assert len(np.unique(drawn.reshape(-1, 4), axis=0)) > 10
        heat = QgsRasterLayer(found["HEATMAPS"][0], "alone")
        assert heat.renderer().type() == "singlebandpseudocolor", "the style lies beside the file"
        assert QgsVectorLayer(found["CANDIDATES"], "alone", "ogr").renderer().type() == "RuleRenderer"
    finally:
        QgsProject.instance().clear()


# the evaluation


def test_an_evaluation_tells_how_far_off(run, city, indexed, registry):
    photos = [str(city / "panoramas" / f"00000{k}.jpg") for k in (1, 2)]
    told = run(
        "locate_evaluate",
        {"INDEX": str(city / "index"), "PHOTOS": photos, "POSITIONS": str(city / "panoramas.csv"), "VERIFY": 0,
         "OUTPUT": str(city / "evaluated")},
    )  # fmt: skip
    assert told["PHOTOS_SCORED"] == 2 and told["SKIPPED"] == 0 and 0 <= told["RECALL_1_50M"] <= told["RECALL_20_50M"]
    assert told["MEDIAN_ERROR_M"] < 100 and Path(told["REPORT"]).is_file() and Path(told["QUERIES"]).is_file()
    assert registry.runs()[0].command == json.loads(Path(told["RESULT"]).read_text())["command"]
    assert any("at the first guess" in line for line in run.feedback.lines)


@pytest.mark.skipif(shutil.which("qgis_process.bin") is None, reason="no qgis_process.bin")
def test_qgis_process_makes_the_same_index(indexed, city, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "samescene").symlink_to(ROOT)
    environment = {
        **os.environ,
        "QGIS_CUSTOM_CONFIG_PATH": str(tmp_path / "profile"),
        "QGIS_PLUGINPATH": str(tmp_path / "plugins"),
    }
    values = {"REFERENCE": city / "overhead.tif", "EXTENT": WHOLE, "METHOD": "geometric", "OUTPUT": city / "headless"}
    words = [f"{name}={value}" for name, value in values.items()]
    for arguments in (["plugins", "enable", "samescene"], ["run", "samescene:locate_index", "--", *words]):
        done = subprocess.run(["qgis_process.bin", *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert bytes_of(city / "headless") == bytes_of(city / "index")
    assert Qgis.QGIS_VERSION_INT >= 32200

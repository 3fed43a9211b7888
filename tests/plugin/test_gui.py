"""The dock's parts: form, area, runs, slider, banner, options; with real widgets and no window."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from gui_support import spin
from osgeo import gdal, osr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

from plugin.gui.area_picker import CANVAS, DRAWN, LAYER, AreaPicker
from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.flood_form import FloodForm
from plugin.gui.headline import flood_headline, headline
from plugin.gui.layer_picker import RASTER, LayerPicker
from plugin.gui.options_page import SameSceneOptionsPage
from plugin.gui.runs_list import describe, duration
from plugin.gui.runs_panel import RunsPanel
from plugin.gui.suggest import suggest_folder
from plugin.gui.threshold_bar import ThresholdBar
from plugin.layers.results import load_results

gdal.UseExceptions()


pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")


def test_picker_gives_layer_id_or_path_and_keeps_both_apart(iface, scene, tmp_path):
    picker = LayerPicker(RASTER, title="Scene")
    assert picker.value() is None
    picker.set_layer(scene)
    assert picker.value() == scene.id()
    other = tmp_path / "other" / "Ebro_S1.tif"
    other.parent.mkdir()
    other.write_bytes(Path(scene.source()).read_bytes())
    seen = []
    picker.changed.connect(lambda: seen.append(picker.value()))
    picker.set_path(str(other))
    assert picker.value() == str(other) and picker.layer() is None
    assert seen[-1] == str(other)
    picker.set_path(scene.source())
    assert picker.value() == scene.id()
    picker.set_layer(None)
    assert picker.value() is None
    picker.set_path(str(other))
    picker.set_layer(None)
    assert picker.value() is None


def test_two_files_of_one_name_can_be_told_apart(iface, tmp_path):
    picker = LayerPicker(RASTER, title="Scene")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.tif").write_bytes(b"")
        picker.set_path(str(tmp_path / folder / "x.tif"))
        assert picker.path() == str(tmp_path / folder / "x.tif")


def test_form_says_what_is_missing_and_nothing_else(iface, scene, tmp_path):
    form = FloodForm(iface.canvas)
    assert "scene after" in form.fault()[0]
    form.scene.set_layer(scene)
    assert form.fault() == ("", None)
    form.before.set_layer(scene)
    assert "same" in form.fault()[0]
    form.before.set_layer(None)
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x")
    form.out.setFilePath(str(full))
    assert "not empty" in form.fault()[0]
    form.options.overwrite.setChecked(True)
    assert form.fault() == ("", None)
    form.out.setFilePath(str(full / "x"))
    assert "is a file" in form.fault()[0]
    form.out.setFilePath("relative")
    assert "full path" in form.fault()[0]
    form.out.setFilePath("")
    assert "folder" in form.fault()[0]


def test_output_is_suggested_beside_the_scene_and_free(iface, scene, tmp_path):
    form = FloodForm(iface.canvas)
    form.scene.set_layer(scene)
    assert form.out.filePath() == str(tmp_path / "Ebro_flood")
    (tmp_path / "Ebro_flood").mkdir()
    form.run_ended()
    assert form.out.filePath() == str(tmp_path / "Ebro_flood_2")
    form.out.setFilePath(str(tmp_path / "mine"))
    form.scene.set_layer(None)
    form.scene.set_layer(scene)
    assert form.out.filePath() == str(tmp_path / "mine"), "what the user typed stays"


@pytest.mark.skipif(os.name == "nt", reason="root and Windows may write anywhere")
def test_output_is_not_suggested_where_nothing_can_be_written(iface, tmp_path, monkeypatch):
    (tmp_path / "x.tif").write_bytes(b"")
    monkeypatch.setattr("plugin.gui.suggest.os.access", lambda path, mode: Path(path) != tmp_path)
    assert not suggest_folder(str(tmp_path / "x.tif"), "flood").startswith(str(tmp_path))


def test_untouched_form_equals_the_algorithms_defaults(iface, scene, provider):
    form = FloodForm(iface.canvas)
    form.scene.set_layer(scene)
    given = form.parameters()
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:flood")
    known = {definition.name(): definition for definition in algorithm.parameterDefinitions()}
    assert set(given) <= set(known)
    for name, value in given.items():
        if name not in ("POST", "OUTPUT", "LOAD_RESULTS"):
            assert value == known[name].defaultValue(), name


def test_every_parameter_of_the_algorithm_can_be_given_in_the_dock(iface, scene, provider, tmp_path):
    zones = QgsVectorLayer("Polygon?crs=EPSG:32630&field=name:string", "zones", "memory")
    other = QgsRasterLayer(scene.source(), "other")
    QgsProject.instance().addMapLayers([zones, other])
    form = FloodForm(iface.canvas)
    form.scene.set_layer(scene)
    for picker in (form.before, form.s2, form.scl, form.water, form.dem, form.hand):
        picker.set_layer(other)
    form.zones.set_layer(zones)
    form.zone_field.setField("name")
    form.options.bands.setText("VV=1,VH=2")
    form.options.observed_at.setText("2020-01-01")
    form.options.units.setCurrentIndex(2)
    given = form.parameters()
    form.area.kind.setCurrentIndex(LAYER)
    form.area.layer.set_layer(zones)
    given.update(form.parameters())
    form.area.kind.setCurrentIndex(CANVAS)
    given.update(form.parameters())
    assert given["UNITS"] == "power" and given["ZONE_FIELD"] == "name"
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:flood")
    # A model folder can be typed into the dock's method.
    assert {d.name() for d in algorithm.parameterDefinitions()} - set(given) == {"MODEL_FOLDER"}


def test_form_remembers_and_forgets_what_is_gone(iface, scene, tmp_path):
    form = FloodForm(iface.canvas)
    form.scene.set_layer(scene)
    form.options.probability.setValue(63)
    form.options.overwrite.setChecked(True)
    form.method.setCurrentText("threshold")
    form.area.kind.setCurrentIndex(CANVAS)
    form.save()
    again = FloodForm(iface.canvas)
    again.restore()
    assert again.scene.layer() == scene
    assert again.options.probability.value() == 63
    assert again.method.currentText() == "threshold"
    assert again.area.kind.currentIndex() == CANVAS
    assert not again.options.overwrite.isChecked(), "replacing is asked for each time"
    QgsProject.instance().clear()
    Path(tmp_path / "Ebro_S1.tif").unlink()
    third = FloodForm(iface.canvas)
    third.restore()
    assert third.scene.value() is None


def test_canvas_area_carries_its_crs(iface):
    area = AreaPicker(iface.canvas)
    area.kind.setCurrentIndex(CANVAS)
    extent = area.parameters()["AOI_EXTENT"]
    assert extent.crs().authid() == "EPSG:32630"


def test_drawing_a_rectangle_and_a_polygon(iface):
    area = AreaPicker(iface.canvas)
    iface.canvas.setExtent(QgsRectangle(0, 0, 400, 300))
    area.kind.setCurrentIndex(DRAWN)
    assert area.fault()
    area.draw.setChecked(True)
    view = iface.canvas.viewport()
    QTest.mousePress(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(50, 50))
    QTest.mouseMove(view, QPoint(150, 120))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(150, 120))
    assert area.fault() == "" and not area.draw.isChecked()
    extent = area.parameters()["AOI_EXTENT"]
    assert extent.width() / extent.height() == pytest.approx(100 / 70, rel=0.05)
    area.draw.setChecked(True)
    for corner in (QPoint(40, 40), QPoint(200, 60), QPoint(120, 200)):
        QTest.mouseClick(view, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corner)
    QTest.mouseClick(view, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, QPoint(10, 10))
    layer = area.parameters()["AOI_LAYER"]
    assert layer.featureCount() == 1 and layer.crs().authid() == "EPSG:32630"
    assert next(layer.getFeatures()).geometry().constGet().vertexCount() == 4
    area.draw.setChecked(True)
    QTest.keyClick(iface.canvas, Qt.Key.Key_Escape)
    area._tool.keyPressEvent(_Key(Qt.Key.Key_Escape))
    assert area.fault(), "Escape drops the area"
    area.close_tool()
    assert iface.canvas.mapTool() is not area._tool


class _Key:
    def __init__(self, key):
        self._key = key

    def key(self):
        return self._key


def test_the_algorithm_takes_a_drawn_area(iface, scene, provider, tmp_path):
    form = FloodForm(iface.canvas)
    form.scene.set_layer(scene)
    form.area.kind.setCurrentIndex(DRAWN)
    triangle = QgsGeometry.fromPolygonXY([[QgsPointXY(500010, 4399990), QgsPointXY(500150, 4399980),
                                           QgsPointXY(500050, 4399910), QgsPointXY(500010, 4399990)]])  # fmt: skip
    form.area.take_drawn(triangle, QgsCoordinateReferenceSystem("EPSG:32630"))
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:flood")
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    parameters = form.parameters()  # holds the layer
    source = algorithm.parameterAsSource(parameters, "AOI_LAYER", context)
    assert source.featureCount() == 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (185, "3 min 5 s"), (3840, "1 h 4 min"), (-1, "0 s")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("areas", "text"),
    [
        ({"dry": 1e6, "flood": 2.5e6, "water": 0.0, "reference_water": 1e6}, "2.50 km² flooded."),
        ({"dry": 1e6, "flood": 0.0, "water": 2.5e6}, "2.50 km² of water (no reference)."),
        ({"dry": 1e6, "flood": 0.0, "reference_water": 1.0}, "no flood, only reference water."),
        ({"dry": 1e6, "flood": 0.0, "water": 0.0}, "no water found."),
        ({"dry": 0.0, "not_observed": 1e9}, "nothing was observed: the scene has no valid value here."),
    ],
)
def test_the_headline_says_no_more_than_was_seen(areas, text):
    assert flood_headline({"area_m2": areas}) == text


@pytest.mark.parametrize(
    ("job", "figures", "text"),
    [
        (
            "landcover",
            {"classes": [{"code": 10, "name": "Tree cover", "share": 0.2},
                         {"code": 40, "name": "Cropland", "share": 0.7},
                         {"code": 80, "name": "Water", "share": None}, {"code": 0, "name": "unknown", "share": 0.1}]},
            "Cropland 70 %, Tree cover 20 %, unknown 10 %.",
        ),
        ("landcover", {"classes": [{"code": 10, "name": "Tree cover", "share": None}]}, "nothing was observed"),
        ("landcover-change", {"changed_m2": 2.5e6, "changed_percent": 4.26}, "2.50 km² changed (4.3 % of what"),
        ("landcover-change", {}, "nothing could be compared"),
        ("assess-sample", {"points": 50}, "50 points to label."),
        ("assess-report", {"overall_accuracy": {"value": 0.834, "low": 0.79, "high": 0.87}}, "83 % (79–87 %)."),
        ("finetune", {"overall_accuracy": {"value": 0.5, "low": None, "high": None}}, "overall accuracy 50 %."),
        ("finetune", {"overall_accuracy": None}, ""),
        ("pretrain", {}, ""),
        ("locate-index", {"cells": 12_345}, "12,345 cells"),
        ("locate-search", {"photos": [{"match": True}, {"match": False}]}, "1 of 2 photos have a match"),
        ("locate-search", {"photos": [{"match": False}]}, "no match in this region"),
        ("locate-search", {"photos": [{"match": True}]}, "found"),
        ("locate-search", {}, ""),
    ],
)  # fmt: skip
def test_every_job_has_its_headline(job, figures, text):
    assert headline(job, figures).startswith(text) or text in headline(job, figures)
    assert bool(headline(job, figures)) == bool(text)


def test_runs_are_listed_newest_first_with_what_can_be_done(iface, registry, tmp_path):
    panel = RunsPanel(iface, registry)
    assert panel.model.rowCount() == 0 and not panel.empty.isHidden()
    first = registry.add("flood", "Flood – A", {"post": "a.tif", "out": str(tmp_path / "a")})
    registry.start(first)
    registry.progress(first, 0.4, "classify", "Classifying")
    assert panel.record().id == first and panel.cancel.isEnabled() and not panel.report.isEnabled()
    assert describe(panel.record()) == "Classifying"
    panel.cancel.click()
    assert registry.cancel_requested(first)
    registry.was_cancelled(first)
    assert describe(panel.record()).startswith("cancelled in 0 s")
    assert not panel.cancel.isEnabled() and panel.remove.isEnabled()
    second = registry.add("flood", "Flood – B", {"post": "b.tif", "out": str(tmp_path / "b")})
    assert panel.record().id == second
    registry.start(second)
    registry.log(second, "warning", "Only VV is there.")
    assert "WARNING: Only VV is there." in panel.log.toPlainText()
    registry.failed(second, "b.tif: it is damaged.")
    assert describe(panel.record()) == "b.tif: it is damaged."
    assert not panel.load_again.isEnabled()
    panel.copy.click()
    assert QApplication.clipboard().text() == f"engine flood b.tif -o {tmp_path / 'b'}"
    panel.remove.click()
    assert panel.record().id == first and panel.model.rowCount() == 1
    panel.shut_down()


def test_signals_of_another_thread_reach_the_list(iface, registry, tmp_path):
    import threading

    panel = RunsPanel(iface, registry)
    thread = threading.Thread(target=lambda: registry.add("flood", "Flood – A", {"out": str(tmp_path)}))
    thread.start()
    thread.join()
    spin(lambda: panel.model.rowCount() == 1)
    assert panel.model.rowCount() == 1
    panel.shut_down()


def test_a_run_whose_files_are_gone_says_so(iface, registry, tmp_path):
    panel = RunsPanel(iface, registry)
    run = registry.add("flood", "Flood – A", {"out": str(tmp_path / "gone")})
    registry.start(run)
    registry.done(run, {"outputs": {"report": "report.html"}})
    panel.report.click()
    assert "not there any more" in iface.bar.currentItem().text()
    panel.load_again.click()
    spin(lambda: "result.json" in iface.bar.currentItem().text())
    assert "result.json" in iface.bar.currentItem().text()
    panel.shut_down()


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    QgsSettings().setValue("samescene/engine_python", str(tmp_path / "nowhere" / "python"))


def test_without_engine_the_dock_opens_and_says_what_to_do(iface, registry, provider, no_engine, tmp_path):
    dock = SameSceneDock(iface, registry, EngineSetup())
    assert not dock.banner.isHidden() and "does not exist" in dock.banner.text.text()
    assert not dock.flood.run_button.isEnabled()
    dock.banner.button.click()
    assert iface.options_shown == ["samesceneOptions"]
    python = tmp_path / "python"
    python.write_text("")
    QgsSettings().setValue("samescene/engine_python", str(python))
    dock.banner.refresh()
    assert dock.banner.isHidden() and dock.flood.run_button.isEnabled()
    dock.shut_down()


def test_the_dock_opens_with_what_was_remembered(iface, registry, provider, scene):
    dock = SameSceneDock(iface, registry, EngineSetup())
    dock.flood.form.scene.set_layer(scene)
    dock.shut_down()
    again = SameSceneDock(iface, registry, EngineSetup())
    assert again.flood.form.scene.layer() == scene
    assert again.flood.message.text() == ""
    again.shut_down()


def test_run_complains_in_the_dock_only_after_it_was_pressed(iface, registry, provider, tmp_path):
    python = tmp_path / "python"
    python.write_text("")
    QgsSettings().setValue("samescene/engine_python", str(python))
    dock = SameSceneDock(iface, registry, EngineSetup())
    assert dock.flood.message.text() == ""
    dock.flood.run_button.click()
    assert "scene after" in dock.flood.message.text()
    assert dock.tabs.current == "flood"
    dock.shut_down()


def test_options_page_without_engine(iface, no_engine):
    page = SameSceneOptionsPage(EngineSetup())
    assert page.own.isChecked()
    assert "does not exist" in page.state.text()
    page.managed.setChecked(True)
    page.wheels.setFilePath("/some/wheels")
    page.apply()
    assert QgsSettings().value("samescene/engine_python") == ""
    assert QgsSettings().value("samescene/wheels_folder") == "/some/wheels"


def test_options_page_shows_a_setup_that_began_before_it_was_opened(iface, no_engine):
    setup = EngineSetup()
    setup.lines, setup.fraction, setup.message, setup._task = ["Collecting torch"], 0.4, "Installing torch", object()
    page = SameSceneOptionsPage(setup)
    assert not page.cancel.isHidden() and not page.set_up.isEnabled()
    assert page.progress.value() == 400 and page.doing.text() == "Installing torch"
    assert "Collecting torch" in page.log.toPlainText()


def test_the_slider_tells_the_area_once_it_is_known(iface, qgis_app, tmp_path):
    bar = ThresholdBar()
    folder = _result(tmp_path)
    load_results(folder)
    bar.set_folder(str(folder))
    assert bar.bound and "as it was made" in bar.note.text()
    bar.slider.setValue(90)
    spin(lambda: "km²" in bar.note.text())
    assert "0.01 km²" in bar.note.text().replace("\u00a0", " "), bar.note.text()
    bar.set_folder("")
    assert not bar.bound and not bar.slider.isEnabled()
    bar.shut_down()


def _result(tmp_path) -> Path:
    """A result folder with 100 pixels of 100 m² at 95 % and 100 at 60 %."""
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32630)
    percents = np.full((20, 20), 10, np.uint8)
    percents[:5], percents[5:10] = 95, 60
    for name, values in (("flood.tif", np.where(percents > 50, 2, 0)), ("water_probability.tif", percents)):
        made = gdal.GetDriverByName("GTiff").Create(str(tmp_path / name), 20, 20, 1, gdal.GDT_Byte)
        made.SetGeoTransform((500000, 10, 0, 4400000, 0, -10))
        made.SetProjection(reference.ExportToWkt())
        made.GetRasterBand(1).WriteArray(values.astype(np.uint8))
        made = None
    outputs = {"flood": "flood.tif", "probability": "water_probability.tif"}
    (tmp_path / "result.json").write_text(
        json.dumps({"outputs": outputs, "parameters": {"probability": 50}, "figures": {}})
    )
    return tmp_path

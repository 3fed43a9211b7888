"""The Train tab: classes and checks of a label layer, the live curve, results, and the preview around a click."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gui_support import spin
from qgis.core import (
    QgsApplication,
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFillSymbol,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtTest import QTest

from plugin.gui.class_results import ClassResults
from plugin.gui.class_table import CODE, COUNT, NAME
from plugin.gui.curve_data import CurveData, ticks
from plugin.gui.curve_view import CurveView
from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.preview_area import square_around
from plugin.gui.train_form import TrainForm
from plugin.processing.definitions import DIALOG_ONLY

pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")


def labels(classes: dict[str, int], *, crs="EPSG:32630", left=500010.0, styled=True) -> QgsVectorLayer:
    """Squares of 4 m with a class each, on the scene unless ``left`` says otherwise."""
    layer = QgsVectorLayer(f"Polygon?crs={crs}&field=class:string&field=other:integer", "labels", "memory")
    if not crs:
        layer.setCrs(QgsCoordinateReferenceSystem())
    features = []
    for number, name in enumerate(name for name, count in classes.items() for _ in range(count)):
        feature = QgsFeature(layer.fields())
        feature.setAttributes([name or None, 1])
        x = left + 5 * number
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(x, 4399950, x + 4, 4399954)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    layer.updateExtents()
    if styled:
        colors = ("#112233", "#445566", "#778899")
        categories = [
            QgsRendererCategory(name, QgsFillSymbol.createSimple({"color": color}), name.title())
            for name, color in zip(classes, colors, strict=False)
        ]
        layer.setRenderer(QgsCategorizedSymbolRenderer("class", categories))
    QgsProject.instance().addMapLayer(layer)
    return layer


def filled(scene, layer) -> TrainForm:
    form = TrainForm()
    form.scenes.set_layers([scene])
    form.labels.set_layer(layer)
    spin(lambda: form._counts is not None or form._count is None)
    return form


def test_classes_counts_and_colours_come_from_the_layer(iface, scene):
    form = filled(scene, labels({"wood": 6, "field": 5}))
    assert form.field.currentField() == "class", "a field of a usual name is chosen"
    found = {one.value: (one.code, one.name, one.color) for one in form.table.classes()}
    assert found == {"wood": (1, "Wood", "#112233"), "field": (2, "Field", "#445566")}
    assert [form.table.item(row, COUNT).text() for row in range(2)] == ["6", "5"]
    assert form.fault() == ("", None) and "11 labels of 2 classes" in form.checks.text()


def test_code_name_and_colour_can_be_changed(iface, scene):
    form = filled(scene, labels({"wood": 6, "field": 5}))
    form.table.item(0, CODE).setText("10")
    form.table.item(0, NAME).setText("Tree cover")
    form.table.cellWidget(0, 2).setColor(QColor("#006400"))
    given = json.loads(form.parameters()["CLASS_COLORS"])
    assert given["wood"] == {"code": 10, "name": "Tree cover", "color": "#006400"}
    form.table.item(0, CODE).setText("300")
    assert "1 to 254" in form.fault()[0]
    form.table.item(0, CODE).setText("2")
    assert "stands for both" in form.fault()[0]
    form.table.item(0, NAME).setText("Field")
    assert "two classes" in form.fault()[0] or "one class" in form.fault()[0].lower()


@pytest.mark.parametrize(
    ("given", "text", "fatal"),
    [
        ({"classes": {"wood": 6}}, "one class only", True),
        ({"classes": {"wood": 6, "field": 2}}, "Field: 2 label(s) only", False),
        ({"classes": {"wood": 6, "field": 6}, "left": 700000.0}, "outside the scene 'Ebro'", True),
        ({"classes": {"wood": 6, "field": 6}, "crs": ""}, "no CRS", True),
        ({"classes": {"wood": 6, "field": 6, "": 3}}, "3 feature(s) without", False),
    ],
)
def test_what_is_wrong_is_said_live_in_plain_words(iface, scene, given, text, fatal):
    form = filled(scene, labels(**given))
    assert text in form.checks.text(), form.checks.text()
    assert bool(form.fault()[0]) is fatal


def test_a_field_of_many_values_is_no_class_and_costs_no_time(iface, scene):
    form = filled(scene, labels({f"plot {number}": 1 for number in range(80)}, styled=False))
    assert "more than 60 different values" in form.fault()[0] and "more than 60" in form.checks.text()
    assert form.table.rowCount() == 0 and form.table.isHidden()


def test_the_form_says_what_is_missing(iface, scene):
    form = TrainForm()
    assert "scene" in form.fault()[0]
    form.scenes.set_layers([scene])
    assert "labels" in form.fault()[0]
    form.labels.set_layer(labels({"wood": 6, "field": 5}))
    spin(lambda: form._counts is not None)
    assert form.fault() == ("", None)
    form.name.setText("mein Modell")
    assert "Name the model" in form.fault()[0]
    form.name.setText("fields-2024")
    form.field.setField("other")
    assert "one class" in form.fault()[0]


def test_parameters_are_those_of_the_algorithm(iface, scene, provider):
    form = filled(scene, labels({"wood": 6, "field": 5}))
    form.options.time_limit.setValue(3)
    form.options.block.setValue(500)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:train_landcover")
    known = {definition.name(): definition.defaultValue() for definition in algorithm.parameterDefinitions()}
    given = form.parameters()
    assert set(given) == set(known) - set(DIALOG_ONLY)
    for name in ("HEAD", "ENCODER", "SEED", "DEVICE", "REGISTER", "OVERWRITE"):
        assert given[name] == known[name], name


def test_the_form_remembers(iface, scene):
    layer = labels({"wood": 6, "field": 5})
    form = filled(scene, layer)
    form.name.setText("fields")
    form.options.time_limit.setValue(2.5)
    form.save()
    again = TrainForm()
    again.restore()
    assert again.scenes.values() == [scene.id()] and again.name.text() == "fields"
    assert again.options.time_limit.value() == 2.5
    again.shut_down()


def test_the_curve_grows_with_the_log_and_survives_half_lines(tmp_path):
    data = CurveData(tmp_path)
    assert not data.read()
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0, "loss": 1.5, "rate": 0.1}\n{"step": 10, "lo')
    assert data.read() and data.losses() == {"loss": [(0, 1.5)]} and data.shares() == {}
    assert not data.read()
    with path.open("a") as file:
        file.write('ss": 0.5, "validation_accuracy": 0.75, "validation_miou": null}\nno json\n')
    assert data.read() and data.losses() == {"loss": [(0, 1.5), (10, 0.5)]}
    assert data.shares() == {"validation_accuracy": [(10, 0.75)]}
    path.write_text('{"step": 0, "loss": 2}\n')
    assert data.read() and data.losses() == {"loss": [(0, 2.0)]}, "a run that began anew"


@pytest.mark.parametrize(
    ("low", "high", "whole", "found"),
    [
        (0, 1, False, [0, 0.5, 1]),
        (0, 200, True, [0, 50, 100, 150, 200]),
        (3, 3, True, [3]),
        (0, 3, True, [0, 1, 2, 3]),
        (0.013, 0.09, False, [0.02, 0.04, 0.06, 0.08]),
    ],
)
def test_ticks_are_round(low, high, whole, found):
    assert ticks(low, high, whole=whole) == pytest.approx(found)


def test_curves_are_drawn_in_their_colours(iface):
    view = CurveView("Loss", "nothing yet")
    view.resize(300, 170)
    blank = view.grab().toImage()
    view.show_series({"loss": [(0, 1.0), (50, 0.5), (100, 0.1)], "validation_loss": [(100, 0.3)]})
    drawn = view.grab().toImage()
    assert blank != drawn and "validation loss 0.300" in view.accessibleDescription()
    blue = sum(
        drawn.pixelColor(x, y).blue() > drawn.pixelColor(x, y).red() + 60
        for x in range(drawn.width())
        for y in range(drawn.height())
    )
    assert blue > 100
    view.resize(40, 30)
    view.grab()
    view.show_series({"loss": [(5, 0.0)]})
    view.grab()


def test_results_by_class_name_what_could_not_be_judged(iface):
    figure = {"value": 0.91, "low": 0.8, "high": 0.97, "n": 12}
    none = {"value": None, "low": None, "high": None, "n": 1}
    results = ClassResults()
    classes = [
        {"value": 10, "name": "Tree cover", "color": "#006400", "recall": figure, "precision": figure, "iou": figure},
        {
            "value": 80,
            "name": "Water",
            "color": "#0064c8",
            "judged": False,
            "recall": none,
            "precision": none,
            "iou": none,
        },
    ]
    results.show_figures({"overall_accuracy": figure, "miou": none, "classes": classes})
    assert "0.91 (0.80–0.97)" in results.headline.text() and "indicative" in results.headline.text()
    assert [results.table.item(row, 1).text() for row in range(2)] == ["0.91", "–"]
    assert "Too few places" in results.table.item(1, 0).toolTip()
    results.show_figures({})
    assert results.table.isHidden()


def test_the_square_of_a_preview(scene):
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    utm = QgsCoordinateReferenceSystem("EPSG:32630")
    square = square_around(QgsPointXY(500100, 4399950), utm, scene, 4)
    assert (square.width(), square.height()) == (40, 40) and square.crs() == utm
    assert square_around(QgsPointXY(500005, 4399995), utm, scene, 1000).width() == 200, "cut at the scene's edges"
    assert square_around(QgsPointXY(400000, 4399950), utm, scene, 4) is None
    place = QgsCoordinateTransform(utm, degrees, QgsProject.instance()).transform(QgsPointXY(500100, 4399950))
    assert square_around(place, degrees, scene, 4).width() == pytest.approx(40)


@pytest.fixture
def dock(iface, registry, provider, tmp_path):
    from qgis.core import QgsSettings

    python = tmp_path / "python"
    python.write_text("")
    QgsSettings().setValue("samescene/engine_python", str(python))
    dock = SameSceneDock(iface, registry, EngineSetup())
    yield dock
    dock.shut_down()


class Begun:
    """What a page asked the runner to do, without an engine."""

    def __init__(self, dock, monkeypatch):
        self.asked = []
        monkeypatch.setattr(dock.workspace.runner, "begin", self._begin)

    def _begin(self, algorithm, parameters):
        self.asked.append((algorithm, parameters))
        return self, ""

    @property
    def parameters(self):
        return self.asked[-1][1]


def test_a_click_on_the_map_asks_for_a_preview_there(dock, iface, scene, monkeypatch):
    iface.window.show()
    dock.show()
    tab = dock.show_tab("train")
    tab.labels.form.scenes.set_layers([scene])
    tab.turn_to("preview")
    begun = Begun(dock, monkeypatch)
    iface.canvas.setExtent(QgsRectangle(500000, 4399900, 500200, 4400000))
    tab.preview.side.setValue(64)
    tab.preview.click.setChecked(True)
    assert iface.canvas.mapTool() is tab.preview._tool
    middle = iface.canvas.getCoordinateTransform().transform(QgsPointXY(500100, 4399950))
    middle = QPoint(round(middle.x()), round(middle.y()))
    QTest.mouseClick(iface.canvas.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)
    assert begun.asked, tab.preview.state.text()
    algorithm, parameters = begun.asked[0]
    assert algorithm == "samescene:landcover" and parameters["SCENES"] == [scene.id()]
    assert parameters["AOI_EXTENT"].contains(QgsPointXY(500100, 4399950)) and parameters["MODEL"] == "auto"
    QTest.mouseClick(iface.canvas.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)
    assert len(begun.asked) == 1 and "next" in tab.preview.state.text(), "one at a time"
    tab.turn_to("labels")
    assert iface.canvas.mapTool() is not tab.preview._tool


def test_a_run_is_followed_and_its_model_goes_to_the_map(dock, iface, registry, scene, monkeypatch, tmp_path):
    tab = dock.show_tab("train")
    tab.labels.form.scenes.set_layers([scene])
    tab.labels.form.labels.set_layer(labels({"wood": 6, "field": 5}))
    out = tmp_path / "model"
    tab.labels.form.out.setFilePath(str(out))
    begun = Begun(dock, monkeypatch)
    tab.labels.run_button.click()
    assert begun.asked[0][0] == "samescene:train_landcover" and tab.current == "training"
    run_id = registry.add("finetune", "Land-cover model – fields", {"out": str(out)})
    registry.start(run_id)
    registry.progress(run_id, 0.5, "train", "step 5/10")
    out.mkdir()
    (out / "metrics.jsonl").write_text('{"step": 1, "loss": 0.7, "validation_accuracy": 0.8}\n')
    spin(lambda: "loss" in tab.training.loss.accessibleDescription(), 3)
    assert "0.700" in tab.training.loss.accessibleDescription()
    assert "0.800" in tab.training.shares.accessibleDescription()
    assert tab.training.title.text() == "step 5/10" and tab.training.bar.value() == 500
    figure = {"value": 0.8, "low": 0.7, "high": 0.9}
    (out / "result.json").write_text(
        json.dumps({"figures": {"overall_accuracy": figure, "miou": figure, "classes": []}})
    )
    registry.done(run_id, {"outputs": {"report": "report.html"}})
    model = str(Path(out) / "model")
    dock.workspace.runner.ended.emit(begun, True, {"OUTPUT": str(out), "MODEL": model})
    assert "fields" in tab.training.title.text() and "0.80" in tab.training.results.headline.text()
    tab.training.preview.click()
    assert tab.current == "preview" and tab.preview.model.value() == model
    tab.preview.whole.click()
    assert dock.tabs.current == "landcover"
    form = dock.landcover.map.form
    assert form.scenes.values() == [scene.id()] and form.model.value() == model


def test_a_run_that_failed_says_why_where_one_looks(dock, registry, scene, monkeypatch, tmp_path):
    tab = dock.show_tab("train")
    tab.labels.form.scenes.set_layers([scene])
    tab.labels.form.labels.set_layer(labels({"wood": 6, "field": 5}))
    tab.labels.form.out.setFilePath(str(tmp_path / "model"))
    begun = Begun(dock, monkeypatch)
    tab.labels.run_button.click()
    run_id = registry.add("finetune", "Land-cover model – x", {"out": str(tmp_path / "model")})
    registry.start(run_id)
    registry.failed(run_id, "labels.gpkg: one class only.")
    dock.workspace.runner.ended.emit(begun, False, {})
    assert tab.training.title.text() == "labels.gpkg: one class only." and not tab.training.preview.isEnabled()

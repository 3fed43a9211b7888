"""Labelling a sample: order, saving at once, undo, resuming; keys; blindness; the marker."""

from __future__ import annotations

from pathlib import Path

import pytest
from gui_support import make_sample, spin
from osgeo import ogr
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest

from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.label_keys import CLASS_KEYS
from plugin.gui.label_panel import LabelPanel
from plugin.gui.pixel_marker import PixelGrid
from plugin.gui.report_form import ReportForm
from plugin.gui.sample_form import SampleForm
from plugin.layers.legends import LegendClass
from plugin.layers.results import RUN_PROPERTY
from plugin.layers.sample import Sample, SampleError
from plugin.processing.definitions import DIALOG_ONLY

pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")
PLACES = [(500005 + 20 * i, 4399995 - 10 * i) for i in range(5)]


@pytest.fixture
def points(tmp_path, scene) -> str:
    return make_sample(tmp_path / "sample", PLACES, map_path=scene.source())


def table(path: str) -> dict:
    """What is on the disk, read by another program than the panel."""
    source = ogr.Open(path)
    return {f.GetField("point_id"): f.items() for f in source.GetLayerByName("points")}


def test_points_are_walked_in_the_order_of_their_numbers(qgis_app, points):
    sample = Sample(points)
    assert [point.number for point in sample.points] == [1, 2, 3, 4, 5]
    assert [c.code for c in sample.classes()] == [10, 40, 80]
    sample.skip()
    assert sample.point.number == 2
    sample.answer(40, confident=True, note="")
    sample.go_on()
    assert sample.point.number == 3
    sample.back()
    assert sample.point.number == 2 and sample.point.label == 40, "back shows what was said"
    sample.index = 4
    sample.skip()
    assert sample.point.number == 1, "what was skipped comes again"


def test_every_label_is_on_the_disk_at_once_and_can_be_resumed(qgis_app, points):
    sample = Sample(points)
    sample.answer(10, confident=True, note="")
    sample.go_on()
    sample.answer(80, confident=False, note="läke, or a shadow")
    rows = table(points)
    assert (rows[1]["label"], rows[1]["confident"], rows[1]["note"]) == (10, 1, None)
    assert (rows[2]["label"], rows[2]["confident"], rows[2]["note"]) == (80, 0, "läke, or a shadow")
    assert rows[1]["labelled_at"].startswith("20") and rows[1]["labelled_by"]
    assert rows[3]["label"] is None
    again = Sample(points)
    assert again.point.number == 3 and again.labelled == 2 and not again.complete
    assert again.points[1].note == "läke, or a shadow" and not again.points[1].confident


def test_undo_brings_back_what_was_there(qgis_app, points):
    sample = Sample(points)
    assert not sample.can_undo
    sample.answer(10, confident=True, note="first")
    sample.answer(40, confident=False, note="second")
    sample.go_on()
    sample.undo()
    row = table(points)[1]
    assert (row["label"], row["confident"], row["note"]) == (10, 1, "first") and sample.point.number == 1
    sample.undo()
    row = table(points)[1]
    assert [row[name] for name in ("label", "confident", "note", "labelled_by", "labelled_at")] == [None] * 5
    assert not sample.can_undo
    sample.undo()


def test_a_file_that_is_no_sample_is_told_in_one_line(qgis_app, tmp_path, points):
    with pytest.raises(SampleError, match="does not exist"):
        Sample(tmp_path / "gone")
    with pytest.raises(SampleError, match="no layer 'points'"):
        (tmp_path / "x.gpkg").write_text("x")
        Sample(tmp_path / "x.gpkg")
    other = ogr.GetDriverByName("GPKG").CreateDataSource(str(tmp_path / "y.gpkg"))
    other.CreateLayer("points", None, ogr.wkbPoint)
    other = None
    with pytest.raises(SampleError, match="point_id and label"):
        Sample(tmp_path / "y.gpkg")


def test_what_the_map_says_is_not_even_read(qgis_app, points):
    sample = Sample(points)
    kept = dict(sample._design)
    del kept["map"]  # its path is another in every run, and may hold any number
    assert "99" not in str(kept), "neither strata nor map classes of design.json"


def test_a_label_that_cannot_be_written_says_so_and_stays_unsaid(iface, points, monkeypatch):
    panel = LabelPanel(iface.canvas)
    sample = Sample(points)
    panel.begin(sample, sample.classes())
    monkeypatch.setattr(
        Sample, "_write", lambda *a: (_ for _ in ()).throw(SampleError("points.gpkg: the label cannot be written."))
    )
    panel.answer(10)
    assert "cannot be written" in panel.warning.text() and sample.point.number == 1 and not sample.labelled
    panel.end()


@pytest.fixture
def panel(iface, points):
    panel = LabelPanel(iface.canvas)
    iface.window.setCentralWidget(iface.canvas)
    iface.window.show()
    iface.canvas.setExtent(QgsRectangle(500000, 4399900, 500200, 4400000))
    panel.show()
    sample = Sample(points)
    panel.begin(sample, sample.classes())
    yield panel
    panel.end()


def test_keys_do_all_of_it_on_the_panel_and_on_the_map(panel, iface, points):
    QTest.keyClick(panel, Qt.Key.Key_1)
    assert table(points)[1]["label"] == 10 and panel.sample.point.number == 2
    QTest.keyClick(iface.canvas, Qt.Key.Key_3)
    assert table(points)[2]["label"] == 80
    QTest.keyClick(panel, Qt.Key.Key_4)
    assert panel.sample.point.number == 3 and table(points)[3]["label"] is None, "there are three classes"
    QTest.keyClick(panel, Qt.Key.Key_Space)
    assert panel.sample.point.number == 4
    QTest.keyClick(panel, Qt.Key.Key_U)
    assert panel.unsure.isChecked()
    QTest.keyClick(panel, Qt.Key.Key_2)
    assert table(points)[4]["confident"] == 0 and not panel.unsure.isChecked(), "not sure is said anew each time"
    QTest.keyClick(panel, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert table(points)[4]["label"] is None and panel.sample.point.number == 4
    QTest.keyClick(panel, Qt.Key.Key_Backspace)
    QTest.keyClick(panel, Qt.Key.Key_Backspace)
    assert panel.sample.point.number == 2 and panel.buttons.button(80).isChecked()
    ended = []
    panel.ended.connect(lambda: ended.append(1))
    QTest.keyClick(panel, Qt.Key.Key_Escape)
    assert ended and not panel.active


def test_keys_on_the_map_are_no_labels_while_the_panel_cannot_be_seen(panel, iface, points):
    panel.hide()
    QTest.keyClick(iface.canvas, Qt.Key.Key_1)
    assert table(points)[1]["label"] is None
    panel.show()
    QTest.keyClick(iface.canvas, Qt.Key.Key_1)
    assert table(points)[1]["label"] == 10


def test_a_note_is_typed_without_labelling(panel, points):
    panel.activateWindow()
    QTest.keyClick(panel, Qt.Key.Key_N)
    QTest.keyClicks(panel.note, "12 trees")
    QTest.keyClick(panel.note, Qt.Key.Key_Return)
    assert table(points)[1]["label"] is None and panel.note.text() == "12 trees"
    QTest.keyClick(panel, Qt.Key.Key_1)
    assert table(points)[1]["note"] == "12 trees"
    assert panel.note.text() == "", "the next point has no note"
    QTest.keyClick(panel, Qt.Key.Key_Backspace)
    panel.note.setText("13 trees")
    QTest.keyClick(panel.note, Qt.Key.Key_Return)
    assert table(points)[1]["note"] == "13 trees" and table(points)[1]["label"] == 10


def test_more_than_ten_classes_have_letters_and_no_command_is_among_them(iface, points):
    classes = [LegendClass(code, f"class {code}", "#808080") for code in range(1, 21)]
    panel = LabelPanel(iface.canvas)
    panel.show()
    panel.begin(Sample(points), classes)
    QTest.keyClick(panel, Qt.Key.Key_A)
    assert table(points)[1]["label"] == 11
    QTest.keyClick(panel, Qt.Key.Key_0)
    assert table(points)[2]["label"] == 10
    panel.end()
    assert not set(CLASS_KEYS) & set("nu") and len(set(CLASS_KEYS)) == len(CLASS_KEYS)


def test_the_map_goes_to_each_point_at_the_chosen_scale(panel, iface):
    iface.canvas.freeze(False)
    center = iface.canvas.extent().center()
    assert (center.x(), center.y()) == pytest.approx(PLACES[0], abs=0.5)
    assert iface.canvas.scale() == pytest.approx(2500, rel=0.02)
    panel.scale.setScale(1000)
    QTest.keyClick(panel, Qt.Key.Key_1)
    assert iface.canvas.scale() == pytest.approx(1000, rel=0.02)
    assert LabelPanel(iface.canvas).scale.scale() == pytest.approx(1000), "remembered"


def test_the_marker_is_the_maps_pixel(scene):
    crs = QgsCoordinateReferenceSystem("EPSG:32630")
    grid = PixelGrid(scene.source())
    square = grid.square(QgsPointXY(500027, 4399968), crs, crs)
    assert [(p.x(), p.y()) for p in square[:3]] == [(500020, 4399970), (500030, 4399970), (500030, 4399960)]
    without = PixelGrid("").square(QgsPointXY(500027, 4399968), crs, crs)
    assert without[1].x() - without[0].x() == 10


def test_the_map_and_all_results_are_hidden_and_come_back(iface, points, scene, tmp_path):
    project, root = QgsProject.instance(), QgsProject.instance().layerTreeRoot()
    image = QgsRasterLayer(str(Path(scene.source())), "image")
    path = tmp_path / "other.tif"
    path.write_bytes(Path(scene.source()).read_bytes())
    result, off = QgsRasterLayer(str(path), "confidence"), QgsRasterLayer(str(path), "off")
    picture = tmp_path / "picture.tif"
    picture.write_bytes(Path(scene.source()).read_bytes())
    image = QgsRasterLayer(str(picture), "image")
    sample_layer = QgsVectorLayer(f"{points}|layername=points", "points", "ogr")
    for layer in (result, off, sample_layer):
        layer.setCustomProperty(RUN_PROPERTY, "somewhere")
    project.addMapLayers([image, result, off, sample_layer])
    root.findLayer(off.id()).setItemVisibilityChecked(False)

    def shown():
        return {node.name() for node in root.findLayers() if node.isVisible()}

    before = shown()
    panel = LabelPanel(iface.canvas)
    sample = Sample(points)
    panel.begin(sample, sample.classes())
    assert shown() == {"image"}, "the points' own marks would cover the pixel"
    root.findLayer(scene.id()).setItemVisibilityChecked(True)
    panel.show()
    QTest.keyClick(panel, Qt.Key.Key_1)
    assert "Not blind" in panel.warning.text() and "Ebro" in panel.warning.text()
    panel.end()
    assert shown() == before


def test_the_page_says_how_far_it_is_and_hands_over_to_the_report(iface, registry, provider, points):
    dock = SameSceneDock(iface, registry, EngineSetup())
    tab = dock.show_tab("accuracy")
    page = tab.label
    assert not page.start.isEnabled() and "first page" in page.state.text()
    page.use(str(Path(points).parent))
    assert "0 of 5" in page.state.text() and page.start.text() == "Start labelling"
    page.start.click()
    assert page.panel.active
    page.panel.answer(10)
    page.panel.stop.click()
    assert not page.panel.active and page.start.text() == "Go on labelling" and "1 of 5" in page.state.text()
    assert tab.report.form.folder.filePath() == str(Path(points).parent)
    assert "1 of 5" in tab.report.form.state.text()
    page.start.click()
    dock.shut_down()
    assert not page.panel.active, "the map is shown again when the plugin goes"
    spin(lambda: False, 0.05)


def test_without_a_design_a_legend_is_asked_for(iface, registry, provider, points):
    (Path(points).parent / "design.json").unlink()
    dock = SameSceneDock(iface, registry, EngineSetup())
    page = dock.show_tab("accuracy").label
    page.use(points)
    assert "choose a legend" in page.state.text() and not page.start.isEnabled()
    page.legend.set_value("worldcover")
    assert page.start.isEnabled()
    dock.shut_down()


def test_sample_and_report_take_every_parameter_and_start_from_the_algorithms_defaults(iface, provider, scene, points):
    form, report = SampleForm(iface.canvas), ReportForm()
    form.map.set_layer(scene)
    report.use(str(Path(points).parent))
    for name, filled in (("samescene:sample_points", form), ("samescene:accuracy", report)):
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(name)
        known = {definition.name(): definition.defaultValue() for definition in algorithm.parameterDefinitions()}
        for key, value in filled.parameters().items():
            if key not in ("MAP", "OUTPUT", "LOAD_RESULTS", "SAMPLE_FOLDER"):
                assert value == known[key], f"{name} {key}"
    form.allocation.setCurrentText("optimal")
    assert "optimal allocation" in form.fault()[0]
    form.expected.setText("10=.9")
    form.target.setValue(0.01)
    form.min_points.setValue(20)
    form.exclude.setText("0")
    form.legend.set_value("worldcover")
    form.strata.set_layer(scene)
    given = set(form.parameters()) | {"AOI_EXTENT", "AOI_LAYER"}
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:sample_points")
    assert {d.name() for d in algorithm.parameterDefinitions()} - set(DIALOG_ONLY) == given
    report.legend.set_value("worldcover")
    report.map.set_layer(scene)
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:accuracy")
    wanted = {definition.name() for definition in algorithm.parameterDefinitions()}
    assert wanted - set(report.parameters()) - set(DIALOG_ONLY) == {"SAMPLE_LAYER"}

"""Testing the search in the dock: the form, what was measured, worst first, and the curve."""

from __future__ import annotations

import json

import pytest
from gui_support import spin
from locate_support import make_index, photo_set, places_layer
from qgis.core import QgsApplication, QgsProject

from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.locate.error_curve import ErrorCurve
from plugin.gui.locate.evaluate_form import EvaluateForm
from plugin.gui.locate.index_library import IndexLibrary
from plugin.gui.locate.position_source import LAYER
from plugin.processing.definitions import DIALOG_ONLY

pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")


def test_the_form_of_a_test_fills_the_algorithm(iface, provider, tmp_path):
    library = IndexLibrary()
    photos = photo_set(3, located=0)
    form = EvaluateForm(photos, library)
    assert "Choose the index" in form.fault()[0]
    form.index.use(str(make_index(tmp_path / "index")))
    spin(lambda: not library.looking)
    assert form.index.folder() == str(tmp_path / "index") and "geometric, 12 cells" in form.index.note.text()
    assert "None of the ticked photos' files tells a position" in form.fault()[0]
    form.positions.kind.setCurrentIndex(LAYER)
    assert "layer or table" in form.fault()[0]
    layer = places_layer([(f"{k}.jpg", 9.0, 48.7) for k in range(3)])
    form.positions.layer.set_layer(layer)
    form.out.setFilePath(str(tmp_path / "tested"))
    assert form.fault() == ("", None)
    given = form.parameters()
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:locate_evaluate")
    assert set(given) <= {definition.name() for definition in algorithm.parameterDefinitions()} - {*DIALOG_ONLY}
    assert given["POSITIONS"] == layer.id() and given["INDEX"] == str(tmp_path / "index") and "METHOD" not in given
    photos.hide_positions = True
    form.positions.kind.setCurrentIndex(0)
    assert "score only" in form.told.text() and form.fault() == ("", None)
    form.shut_down()
    library.shut_down()
    QgsProject.instance().clear()


RESULT = {
    "job": "locate-evaluate", "outputs": {"queries": "queries.csv", "report": "report.html", "result": "result.json"},
    "figures": {
        "method": "geometric", "cells": 3400, "photos": 5, "inside": 4, "outside": 1, "median_error_m": 31.2,
        "pooled": {
            f"recall@{k}<{r}m": {"value": 0.25 * (1 + (k > 1)), "low": 0.0, "high": 0.75, "n": 4}
            for k in (1, 5, 10, 20, 100) for r in (25, 50, 100)
        },
        "heading_within_10deg_at_rank_1": 0.5, "heading_n": 2, "not_here_auc": 0.5,
        "error_curve": [[10.0, 0.25], [25.0, 0.25], [50.0, 0.5], [100.0, 0.5], [1000.0, 1.0]],
        "told_not_here": {"inside": 0.25, "outside": 1.0},
        "skipped": [{"name": "x.jpg", "why": "its position is not known"}],
    },
}  # fmt: skip


def test_the_results_of_a_test_are_shown_worst_first(iface, registry, provider, tmp_path):
    folder = tmp_path / "tested"
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(RESULT))
    (folder / "queries.csv").write_text(
        "photo,inside,error_m,rank_within_50m\na,True,12.0,1\nb,True,433.4,7\nc,False,90.0,\nd,True,31.0,2\n"
    )
    dock = SameSceneDock(iface, registry, EngineSetup(iface))
    page = dock.tabs.page("locate").test
    view = page.view
    view.show_result(str(folder))
    spin(lambda: not view.reading)
    assert "25 % of 4 photos are within 50 m at the first guess" in view.title.text()
    assert view.table.item(0, 0).text() == "first" and view.table.item(1, 2).text() == "50 %"
    assert "95 % interval, 4 photos" in view.table.item(0, 1).toolTip()
    assert [view.photos.item(row, 0).text() for row in range(4)] == ["b", "c", "d", "a"]
    assert view.photos.item(1, 0).toolTip() == "Taken outside of the region" and view.photos.item(0, 2).text() == "7"
    assert "50 % within 50 m" in view.curve.toolTip() and "median error 31 m" in view.facts.text()
    assert "said rightly: 100 % of 1" in view.facts.text() and "1 photos skipped" in view.facts.text()
    view.show_result(str(tmp_path / "gone"))
    spin(lambda: not view.reading)
    assert "cannot be read" in view.title.text()
    dock.shut_down()


def test_a_curve_without_points_says_so_and_any_curve_can_be_drawn(qgis_app):
    curve = ErrorCurve()
    curve.resize(320, 190)
    empty = curve.grab().toImage()
    for points_ in ([[50.0, 0.5]], [[10.0, 0.0], [1000.0, 1.0]], RESULT["figures"]["error_curve"]):
        curve.show_points(points_)
        assert curve.grab().toImage() != empty
    curve.show_points([])
    assert curve.grab().toImage() == empty

"""Where to search and in what imagery: circles, regions, references, indexes made earlier, and the estimate."""

from __future__ import annotations

import json
import math

import pytest
from gui_support import spin
from hypothesis import given, settings
from hypothesis import strategies as st
from locate_support import make_index, panorama
from made_layers import polygon_layer, write_scene
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDistanceArea,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsTask,
)
from qgis.PyQt.QtCore import Qt

from plugin.gui.locate import estimate as estimate_module
from plugin.gui.locate.circle_picker import ALL
from plugin.gui.locate.circles import CORNERS, circle, circles
from plugin.gui.locate.estimate import Estimate, Question
from plugin.gui.locate.index_facts import (
    BROKEN,
    GONE,
    READY,
    UNFINISHED,
    IndexFacts,
    building_folder,
    delete_index,
    read_index,
)
from plugin.gui.locate.index_form import ADD, ANEW, IndexForm
from plugin.gui.locate.index_library import IndexLibrary
from plugin.gui.locate.library_panel import LibraryPanel
from plugin.gui.locate.plan_text import plan_problem, plan_sentence, size_text
from plugin.gui.locate.reference_picker import ADDRESS, ReferencePicker
from plugin.gui.locate.region_picker import CIRCLE, DRAWN, LAYER, RegionPicker
from plugin.layers.distances import distance_m, distance_text
from plugin.photos.facts import PhotoSet
from plugin.processing.reference_store import imagery_folder

pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")


def ellipsoidal() -> QgsDistanceArea:
    measure = QgsDistanceArea()
    measure.setSourceCrs(QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance().transformContext())
    measure.setEllipsoid("EPSG:7030")
    return measure


@settings(max_examples=15)
@given(lon=st.floats(-178, 178), lat=st.floats(-75, 75), radius=st.floats(20, 20_000))
def test_every_corner_of_a_circle_is_its_radius_away(qgis_app, lon, lat, radius):
    ring = circle(lon, lat, radius).asPolygon()[0]
    assert len(ring) == CORNERS + 1
    measure = ellipsoidal()
    for corner in ring[::9]:
        assert measure.measureLine(QgsPointXY(lon, lat), corner) == pytest.approx(radius, rel=2e-3)


@settings(max_examples=25)
@given(lon=st.floats(-180, 180), lat=st.floats(-80, 80), east=st.floats(-0.2, 0.2), north=st.floats(-0.2, 0.2))
def test_distances_are_those_of_the_ellipsoid_within_a_per_cent(qgis_app, lon, lat, east, north):
    true = ellipsoidal().measureLine(QgsPointXY(lon, lat), QgsPointXY(lon + east, lat + north))
    assert distance_m(lon, lat, lon + east, lat + north) == pytest.approx(true, rel=0.006, abs=0.01)


def test_places_without_a_circle_are_refused(qgis_app):
    for lon, lat in ((179.999, 10), (0, 89.9999), (200, 0), (0, 90)):
        with pytest.raises(ValueError):
            circle(lon, lat, 1000)
    both = circles([(15, 40), (15.001, 40)], 200)
    assert not both.isMultipart() and both.area() > circle(15, 40, 200).area()


def test_distances_in_words():
    assert [distance_text(m) for m in (0.2, 999.4, 999.6, 12_345, 2_345_678)] == [
        "0 m", "999 m", "1.0 km", "12.3 km", "2,346 km",
    ]  # fmt: skip


def test_the_region_by_map_circle_drawing_and_layer(iface):
    photos = PhotoSet()
    region = RegionPicker(iface.canvas, photos)
    assert region.fault(), "an empty map is no region"
    iface.canvas.setExtent(QgsRectangle(500_000, 4_390_000, 500_400, 4_390_300))
    given = region.parameters()["EXTENT"]
    assert region.fault() == "" and given.crs().authid() == "EPSG:32630" and given.width() >= 400

    region.kind.setCurrentIndex(CIRCLE)
    assert region.parameters() == {} and "Click" in region.fault()
    photos.add([panorama("/p/a.jpg", lon=15.0, lat=40.0), panorama("/p/b.jpg"), panorama("/p/c.jpg", lon=15.1, lat=40)])
    assert region.circle.around.currentData() == ALL, "positions that photos tell are the likeliest prior"
    layer = region.parameters()["REGION"]
    assert layer.crs().authid() == "EPSG:4326" and next(layer.getFeatures()).geometry().isMultipart()
    region.circle.around.setCurrentIndex(region.circle.around.findData("/p/a.jpg"))
    assert region.circle.places() == [(15.0, 40.0)]
    photos.hide_positions = True
    assert region.circle.places() == [] and region.fault(), "a hidden position tells nothing"
    region.circle.set_place(15.2, 40.1)
    assert region.fault() == "" and "40.10000, 15.20000" in region.circle.around.currentText()
    photos.hide_positions = False
    assert region.circle.places() == [(15.2, 40.1)], "what was clicked stays chosen"

    region.kind.setCurrentIndex(DRAWN)
    assert "Draw" in region.fault()
    crs = QgsCoordinateReferenceSystem("EPSG:32630")
    region.drawing.take(QgsGeometry.fromRect(QgsRectangle(0, 0, 10, 20)), crs)
    assert region.parameters()["EXTENT"] == QgsReferencedRectangle(QgsRectangle(0, 0, 10, 20), crs)
    region.drawing.take(QgsGeometry.fromWkt("POLYGON((0 0, 10 0, 0 10, 0 0))"), crs)
    assert region.parameters()["REGION"].featureCount() == 1
    region.drawing.take(QgsGeometry.fromRect(QgsRectangle(0, 0, 0, 20)), crs)
    assert "no area" in region.fault()

    region.kind.setCurrentIndex(LAYER)
    assert "polygon layer" in region.fault()
    zones = polygon_layer([(500_000, 5_600_000, 100, "a")])
    QgsProject.instance().addMapLayer(zones)
    region.layer.set_layer(zones)
    assert region.fault() == "" and region.parameters() == {"REGION": zones.id()}
    region.close_tool()


def test_a_place_is_clicked_and_the_map_gets_its_tool_back(iface):
    region = RegionPicker(iface.canvas, None)
    before = iface.canvas.mapTool()
    region.kind.setCurrentIndex(CIRCLE)
    region.circle.pick.setChecked(True)
    tool = iface.canvas.mapTool()
    assert tool is not before
    tool.canvasClicked.emit(QgsPointXY(500_000, 4_390_000), Qt.MouseButton.LeftButton)
    (lon, lat) = region.circle.places()[0]
    assert lon == pytest.approx(-3, abs=1e-6) and lat == pytest.approx(39.66, abs=0.01)
    assert not region.circle.pick.isChecked() and iface.canvas.mapTool() is not tool
    region.close_tool()


def test_whose_terms_apply_is_said_of_servers_and_of_licensed_files(iface, tmp_path):
    picker = ReferencePicker()
    assert picker.note.isHidden()
    tiles = QgsRasterLayer("type=xyz&url=http://127.0.0.1:9/%7Bz%7D/%7Bx%7D/%7By%7D.png&zmax=3", "tiles", "wms")
    file = QgsRasterLayer(write_scene(tmp_path / "ortho.tif", names=("red", "green", "blue")), "Ortho")
    QgsProject.instance().addMapLayers([tiles, file])
    picker.layer.set_layer(tiles)
    assert "127.0.0.1" in picker.note.text() and "terms" in picker.note.text() and not picker.note.isHidden()
    picker.layer.set_layer(file)
    assert picker.note.isHidden() and picker.attribution() == ""
    metadata = file.metadata()
    metadata.setLicenses(["CC BY 4.0"])
    metadata.setRights(["The survey"])
    file.setMetadata(metadata)
    picker.layer.set_layer(tiles)
    picker.layer.set_layer(file)
    assert picker.note.text() == "Licence: CC BY 4.0." and picker.attribution() == "The survey"
    picker.kind.setCurrentIndex(ADDRESS)
    picker.address.setText("/tiles/{z}/{x}/{y}.png")
    assert picker.note.isHidden() and picker.fault() == ""
    picker.use(tiles.source())
    assert picker.chosen_layer() is tiles


def test_an_index_is_called_by_what_described_it():
    """One of network and matcher together was called by the network alone."""
    for method, model, said in (
        ("geometric", "", "geometric"),
        ("fused", "crossview", "fused (crossview)"),
        ("my-town", "my-town", "my-town"),
    ):
        assert IndexFacts("/x", "ready", method=method, model=model).described_by == said


def test_the_card_of_an_index_is_read_and_what_is_wrong_is_told(tmp_path):
    facts = read_index(make_index(tmp_path / "town", model="my-model"))
    assert (facts.state, facts.method, facts.model, facts.cells, facts.cell_m) == (
        READY,
        "my-model",
        "my-model",
        12,
        10,
    )
    assert facts.size == 12 * 13 and facts.imagery_date == "2024-05-01" and facts.reference == "/data/ortho.tif"
    assert facts.taken == "2024-05-01" and read_index(make_index(tmp_path / "undated", date=None)).taken == ""
    assert read_index(tmp_path / "none").state == GONE and "not there" in read_index(tmp_path / "none").fault
    building_folder(tmp_path / "half").mkdir()
    assert read_index(tmp_path / "half").state == UNFINISHED
    (tmp_path / "town" / "cells-00000.bin").unlink()
    assert read_index(tmp_path / "town").state == BROKEN and "cells-00000.bin" in read_index(tmp_path / "town").fault
    for number, text in enumerate(("{", "[]", '{"kind": "other"}', '{"kind": "samescene-cell-index"}', "null")):
        folder = tmp_path / f"bad{number}"
        folder.mkdir()
        (folder / "card.json").write_text(text)
        assert read_index(folder).state == BROKEN and str(folder) in read_index(folder).fault


def test_only_the_files_of_an_index_are_deleted(tmp_path):
    folder = make_index(tmp_path / "town")
    for name in ("geometric.hnsw.faiss", "geometric.hnsw.json"):
        (folder / name).write_text("made by a search")
    (folder / "notes.txt").write_text("mine")
    building_folder(folder).mkdir()
    assert delete_index(folder) == ""
    assert [path.name for path in folder.iterdir()] == ["notes.txt"] and not building_folder(folder).exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "card.json").write_text('{"kind": "a model"}')
    assert delete_index(other) == "" and (other / "card.json").is_file(), "it is no index"
    card = json.loads((make_index(tmp_path / "sly") / "card.json").read_text())
    card["shards"][0]["files"]["cells"]["name"] = "../other/card.json"
    (tmp_path / "sly" / "card.json").write_text(json.dumps(card))
    delete_index(tmp_path / "sly")
    assert (other / "card.json").is_file(), "a card names files of its own folder only"
    whole = make_index(tmp_path / "whole")
    drawn = imagery_folder(whole)
    drawn.mkdir()
    (drawn / "reference_0123456789ab.vrt").touch()
    assert delete_index(whole) == "" and not whole.exists() and not drawn.exists()


def test_the_library_remembers_forgets_and_deletes(iface, tmp_path):
    library = IndexLibrary()
    for name in ("a", "b"):
        library.add(str(make_index(tmp_path / name)))
    spin(lambda: len(library.usable()) == 2)
    assert [facts.name for facts in library.indexes()] == ["b", "a"]
    again = IndexLibrary()
    again.refresh()
    spin(lambda: len(again.indexes()) == 2)
    told = []
    again.deleted.connect(lambda *args: told.append(args))
    again.delete(str(tmp_path / "b"))
    assert [facts.name for facts in again.indexes()] == ["a"], "it is off the list at once"
    spin(lambda: told)
    assert told == [(str(tmp_path / "b"), "")] and not (tmp_path / "b").exists()
    again.forget(str(tmp_path / "a"))
    assert again.indexes() == [] and (tmp_path / "a").exists()
    library.shut_down()
    again.shut_down()


def test_the_panel_tells_what_indexes_are_and_asks_before_it_deletes(iface, tmp_path, monkeypatch):
    library = IndexLibrary()
    busy = {}
    panel = LibraryPanel(library, lambda folder: busy.get(folder, ""))
    assert not panel.use.isEnabled() and "None" in panel.list.item(0).text()
    library.add(str(make_index(tmp_path / "town")))
    building_folder(tmp_path / "half").mkdir()
    library.add(str(tmp_path / "half"))
    spin(lambda: len(library.indexes()) == 2)
    assert "stopped half-way" in panel.list.item(0).text() and not panel.use.isEnabled()
    assert panel.list.item(1).text() == "town · imagery 2024-05-01\ngeometric · 12 cells of 10 m · 156 B"
    panel.select(str(tmp_path / "town"))
    used = []
    panel.used.connect(used.append)
    panel.use.click()
    assert [facts.name for facts in used] == ["town"]
    busy[str(tmp_path / "town")] = "being searched"
    panel.refresh()
    assert not panel.delete.isEnabled() and not panel.use.isEnabled()
    busy.clear()
    panel.refresh()
    asked = []

    def answer(box, *, press):
        asked.append(box.text())
        next(b for b in box.buttons() if b.text().replace("&", "") == press).click()

    from qgis.PyQt.QtWidgets import QMessageBox

    monkeypatch.setattr(QMessageBox, "exec", lambda box: answer(box, press="Cancel"))
    panel.delete.trigger()
    assert "town" in asked[0] and (tmp_path / "town").exists()
    monkeypatch.setattr(QMessageBox, "exec", lambda box: answer(box, press="Delete"))
    panel.delete.trigger()
    spin(lambda: not (tmp_path / "town").exists())
    assert not (tmp_path / "town").exists()
    told = []
    panel.told.connect(told.append)
    panel.take_folder(str(tmp_path))
    assert "no card.json" in told[-1]
    library.shut_down()
    panel.shut_down()


def test_an_index_of_several_files_names_them_all(iface, tmp_path):
    path = make_index(tmp_path / "town") / "card.json"
    card = json.loads(path.read_text())
    first = card["imagery"][0]
    other = first | {"path": "/data/more.tif", "imagery_date": "2021-06-30", "attribution": "The survey"}
    path.write_text(json.dumps(card | {"imagery": [first, other, first, other | {"imagery_date": None}]}))
    facts = read_index(tmp_path / "town")
    assert facts.all_references == ("/data/ortho.tif", "/data/more.tif") and facts.taken == "2021-06-30 – 2024-05-01"
    assert facts.attribution == "The survey", "what the form for more cells begins with"
    library = IndexLibrary()
    panel = LibraryPanel(library, lambda folder: "")
    library.add(str(tmp_path / "town"))
    spin(lambda: library.indexes())
    item = panel.list.item(0)
    assert "imagery 2021-06-30 – 2024-05-01" in item.text()
    assert item.toolTip().split("\n")[1:5] == [
        "Imagery: /data/ortho.tif", "Imagery: /data/more.tif", "Imagery taken 2021-06-30 – 2024-05-01",
        "Attribution: A provider; The survey",
    ]  # fmt: skip
    library.shut_down()
    panel.shut_down()


def test_sizes_and_plans_in_words():
    assert [size_text(n) for n in (0, 999, 45_300, 5_053_644, 123e6, 12.3e9)] == [
        "0 B", "999 B", "45 kB", "5.1 MB", "123 MB", "12.3 GB",
    ]  # fmt: skip
    plan = {"cells": 12_345, "new_cells": 12_345, "counted": True, "cell_m": 10.0, "area_m2": 1_234_567, "bytes": 71e6,
            "seconds": 190, "gsd_m": 0.2505, "finest_m": 0.3, "problems": []}  # fmt: skip
    assert plan_sentence(plan) == (
        "12,345 cells of 10_m, 1.2_km², 71.0_MB on the disk, about 3_min 10_s. Imagery of 0.25_m a pixel: fine enough."
    ).replace("_", "\u00a0"), "a number and its unit stay on one line"
    assert plan_sentence({**plan, "new_cells": 10}).startswith("10 of 12,345 cells are new")
    assert plan_sentence({**plan, "counted": False, "tiles": 1500}).startswith("About 12,345 cells")
    assert "will do" in plan_sentence({**plan, "gsd_m": 0.5})
    coarse = {"message": "ortho.tif: pixels of 2 m are too coarse; needed: 0.9 m.", "remedy": "Give finer imagery."}
    assert plan_problem({**plan, "problems": [coarse]}).endswith("0.9 m. Give finer imagery.")
    assert plan_problem(plan) == "" and plan_sentence({}) == ""


class Asked(QgsTask):
    """In place of the engine: answers at once, or not until it is cancelled."""

    seen: list = []  # noqa: RUF012 - emptied by the test

    def __init__(self, title, job, params, proxy):
        super().__init__("asked")
        self.params, self.result, self.fault = params, None, ""
        self.seen.append(self)

    def run(self):
        import time

        while self.params.get("slow") and not self.isCanceled():
            time.sleep(0.01)
        if self.isCanceled():
            self.params["cancelled"] = True
            return False
        if self.params.get("fault"):
            self.fault = self.params["fault"]
            return False
        self.result = {"cells": self.params["cells"], "cell_m": 10, "problems": []}
        return True


def test_an_estimate_follows_the_form_and_only_the_last_answer_counts(iface, monkeypatch):
    monkeypatch.setattr(estimate_module, "JobTask", Asked)
    monkeypatch.setattr(estimate_module, "PAUSE_MS", 20)
    Asked.seen.clear()
    asked = [{"cells": 5}]

    def question():
        if asked[0] is None:
            return Question(missing="Choose the imagery.")
        return Question(sorted(asked[0].items()), lambda: asked[0])

    shown = Estimate(question)
    shown.ask()
    spin(lambda: False, 0.1)
    assert Asked.seen == [], "nobody sees it: nothing is asked"
    shown.show()
    spin(lambda: "5 cells" in shown.text.text())
    assert shown.text.text() == "5 cells of 10\u00a0m."
    shown.ask()
    spin(lambda: False, 0.1)
    assert len(Asked.seen) == 1, "the same is not asked twice"
    asked[0] = {"cells": 6, "slow": True}
    shown.ask()
    slow = asked[0]
    spin(lambda: len(Asked.seen) == 2)
    asked[0] = {"cells": 7}
    shown.ask()
    spin(lambda: "7 cells" in shown.text.text() and slow.get("cancelled"))
    assert slow["cancelled"] and shown.plan["cells"] == 7
    asked[0] = {"cells": 8, "fault": "The region lies outside of the reference."}
    shown.ask()
    spin(lambda: "outside" in shown.text.text())
    assert shown.plan is None
    asked[0] = None
    shown.ask()
    spin(lambda: "Choose" in shown.text.text())
    shown.shut_down()
    shown.shut_down()
    shown.hide()


@pytest.fixture
def form(iface, tmp_path):
    path = write_scene(tmp_path / "ortho.tif", names=("red", "green", "blue"))
    layer = QgsRasterLayer(path, "Ortho")
    QgsProject.instance().addMapLayer(layer)
    iface.canvas.setLayers([layer])
    iface.canvas.setDestinationCrs(layer.crs())
    iface.canvas.setExtent(layer.extent())
    form = IndexForm(iface.canvas, PhotoSet())
    form.restore()
    yield form
    form.shut_down()


def test_the_form_of_an_index_fills_the_algorithm(form, iface, tmp_path):
    assert form.reference.chosen_layer().name() == "Ortho", "the imagery that the map shows is the likeliest"
    given = form.parameters()
    assert given["REFERENCE"] == form.reference.chosen_layer().id() and given["EXTENT"].crs().authid() == "EPSG:32633"
    assert given["METHOD"] == "auto" and given["OUTPUT"].endswith("ortho_index") and given["LOAD_RESULTS"] is False
    assert not {"CELL", "UPDATE", "OVERWRITE", "IMAGERY_DATE", "ATTRIBUTION"} & set(given)
    assert form.fault() == ("", None)
    form.cell.setValue(15)
    form.date.setText("2023-06")
    form.method.set_value("/models/mine")
    given = form.parameters()
    assert (given["CELL"], given["IMAGERY_DATE"], given["MODEL_FOLDER"]) == (15, "2023-06", "/models/mine")
    form.reference.kind.setCurrentIndex(ADDRESS)
    assert "address" in form.fault()[0]
    form.reference.address.setText("https://tiles.example.org/map.png")
    assert "{z}" in form.fault()[0]
    form.reference.address.setText("https://tiles.example.org/{z}/{x}/{y}.jpg")
    given = form.parameters()
    assert given["ADDRESS"].startswith("https://") and "REFERENCE" not in given and form.fault()[0] == ""
    assert "tiles.example.org" in form.reference.note.text() and given["OUTPUT"].endswith("tiles_example_org_index")


def test_an_index_that_is_there_is_extended_or_made_anew(form, tmp_path):
    folder = make_index(tmp_path / "town")
    assert form.existing.isHidden()
    form.extend(read_index(folder))
    given = form.parameters()
    assert given["OUTPUT"] == str(folder) and given["UPDATE"] is True and "OVERWRITE" not in given
    assert given["CELL"] == 10 and given["METHOD"] == "geometric" and given["ATTRIBUTION"] == "A provider"
    assert form.fault()[0] == "" and not form.existing.isHidden()
    form.existing.setCurrentIndex(ANEW)
    given = form.parameters()
    assert given["OVERWRITE"] is True and "UPDATE" not in given
    form.existing.setCurrentIndex(ADD)
    (folder / "card.json").unlink()
    form.out.fileChanged.emit(str(folder))
    assert "not empty" in form.fault()[0], "a folder of other files is no index"


def test_a_run_that_was_stopped_keeps_its_folder(form, tmp_path):
    out = form.out.folder()
    building_folder(out).mkdir(parents=True)
    form.run_ended()
    assert form.out.folder() == out, "the same settings go on with it"
    building_folder(out).rmdir()
    from pathlib import Path

    make_index(Path(out))
    form.run_ended()
    assert form.out.folder() != out


def test_math_of_a_zoom_around_a_place(iface):
    from plugin.gui.locate.zoom import zoom_to_place

    assert zoom_to_place(iface.canvas, -3.0, 39.66, 75) == ""
    extent = iface.canvas.extent()
    assert min(extent.width(), extent.height()) == pytest.approx(150, rel=0.02)
    assert math.hypot(extent.center().x() - 500_000, extent.center().y() - 4_390_000) < 500
    assert zoom_to_place(iface.canvas, 0, 95, 75)

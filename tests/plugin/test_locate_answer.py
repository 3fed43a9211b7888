"""What a search found: read, told, listed, and linked with the map; and the form that asks for it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path, PureWindowsPath

import pytest
from gui_support import spin
from locate_support import FOUND, make_found, make_index, panorama
from qgis.core import QgsExpression, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QImage

from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.locate.answer_list import ACCEPTED, REJECTED
from plugin.gui.locate.answer_page import AnswerPage
from plugin.gui.locate.answer_task import AnswerTask
from plugin.gui.locate.answer_text import heading_text, percent, summary, told_answer
from plugin.gui.locate.candidate_table import HEADING, PRIOR, PROBABILITY
from plugin.gui.locate.index_choice import IndexChoice
from plugin.gui.locate.index_library import IndexLibrary
from plugin.gui.locate.search_form import SearchForm
from plugin.layers.answers import ROLE, read_answers, read_only
from plugin.layers.locate_styles import PERCENT
from plugin.layers.results import ROLE_PROPERTY, RUN_PROPERTY, ResultsError
from plugin.photos.facts import PhotoSet

pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")


def loaded(folder):
    """The layers of a result in the project, as loading a result leaves them."""
    from qgis.core import QgsRasterLayer, QgsVectorLayer

    layers = [QgsVectorLayer(f"{folder}/candidates.gpkg|layername=candidates", "Candidates", "ogr")]
    layers[0].setCustomProperty(ROLE_PROPERTY, ROLE)
    layers += [QgsRasterLayer(str(path), path.stem, "gdal") for path in sorted(folder.glob("heatmap_*.tif"))]
    for layer in layers:
        layer.setCustomProperty(RUN_PROPERTY, str(folder))
        QgsProject.instance().addMapLayer(layer)
    return layers


def test_answers_are_read_as_the_engine_wrote_them(qgis_app, tmp_path):
    answers = read_answers(make_found(tmp_path / "found"))
    assert answers.crs.authid() == "EPSG:32633" and answers.index == "/data/index" and answers.cells == 876
    one, two = answers.answers
    assert (one.photo, one.path, one.match, len(one.candidates)) == ("one", "/photos/one.jpg", True, 2)
    assert two.match is False and two.problems == ("No GPano metadata.",)
    best = one.best
    assert (best.rank, best.probability, best.heading_deg, best.radius_m) == (1, 0.83, 199.4, 50.0)
    assert (best.point.x(), best.point.y()) == (500_010.0, 4_393_200.0) and best.lon == pytest.approx(15.0, abs=1e-3)
    assert one.candidate(2).heading_deg is None and one.candidate(3) is None
    assert answers.of_photo("/photos/it's two.jpg") is two and answers.of_photo("three") is None
    assert answers.of_feature(two.candidates[1].fid) is two.candidates[1] and answers.of_feature(99) is None


def test_a_folder_that_is_no_search_is_one_line(qgis_app, tmp_path):
    with pytest.raises(ResultsError, match=r"result\.json"):
        read_answers(tmp_path)
    folder = make_found(tmp_path / "found")
    (folder / "candidates.gpkg").unlink()
    with pytest.raises(ResultsError, match="candidates cannot be read"):
        read_answers(folder)
    (folder / "result.json").write_text(json.dumps({"job": "flood"}))
    with pytest.raises(ResultsError, match="not the result of a search"):
        read_answers(folder)


def test_answers_are_read_beside_layers_of_the_same_file(qgis_app, tmp_path):
    """QGIS stands still for ever where tasks make layers of a file while the window makes one of it."""
    folder = str(make_found(tmp_path / "found"))
    read, until = [], time.monotonic() + 60
    for _ in range(60):
        tasks = [AnswerTask(folder) for _ in range(2)]
        threads = [threading.Thread(target=lambda task=task: read.append(task.run()), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            QgsVectorLayer(f"{folder}/candidates.gpkg|layername=candidates", "Candidates", "ogr")
            assert time.monotonic() < until, "the tasks do not end"
    assert read == [True] * 120


def test_candidates_on_a_share_of_windows_have_an_address_that_sqlite_takes(qgis_app, tmp_path):
    assert read_only(PureWindowsPath(r"\\nas\maps\a b\c.gpkg")) == "file:////nas/maps/a%20b/c.gpkg?mode=ro"
    assert read_only(PureWindowsPath(r"C:\maps\c.gpkg")) == "file:///C:/maps/c.gpkg?mode=ro"
    assert len(read_answers(make_found(tmp_path / "what? 5 % #1")).answers) == 2


def test_what_was_found_in_words(qgis_app, tmp_path):
    answers = read_answers(make_found(tmp_path / "found"))
    one, two = answers.answers
    assert "83 % within 50 m of the first place, looking 199° SSW" in told_answer(one, answers)
    told = told_answer(two, answers)
    assert told.startswith("No match in this region") and "876 cells" in told and "< 1 %" in told
    assert summary(answers) == "1 of 2 photos have a match in this region."
    assert [percent(p) for p in (0, 0.004, 0.05, 0.994, 0.996, 1)] == [
        "0 %",
        "< 1 %",
        "5 %",
        "> 99 %",
        "> 99 %",
        "100 %",
    ]
    assert heading_text(None) == "–"


def test_the_map_says_probabilities_as_the_list_does(qgis_app):
    for probability in (0.0, 0.004, 0.0099, 0.05, 0.83, 0.994, 1.0):
        shown = QgsExpression(PERCENT.replace('"probability"', str(probability)))
        assert shown.evaluate() == percent(probability), shown.parserErrorString()


@pytest.fixture
def page(iface, registry, provider, tmp_path):
    dock = SameSceneDock(iface, registry, EngineSetup())
    photos = PhotoSet()
    photos.add([panorama("/photos/one.jpg", lon=15.0, lat=39.6886), panorama("/photos/it's two.jpg")])
    page = AnswerPage(dock.workspace, photos)
    page.show()
    yield page, photos, iface
    page.shut_down()
    dock.shut_down()


def caught_up(page):
    """The map shows what was asked for."""
    spin(lambda: not page.layers.behind)


def test_list_table_and_map_select_the_same_candidate(page, tmp_path):
    page, _, _ = page
    assert page._body.isHidden() and "Nothing was searched" in page.state.text()
    folder = make_found(tmp_path / "found")
    candidates, *heat = loaded(folder)
    page.use(str(folder))
    spin(lambda: page.answers is not None)
    assert page.list.current == "one" and page.table.rank == 1
    caught_up(page)
    assert candidates.selectedFeatureIds() == [1]
    assert candidates.subsetString() == "\"photo\" = 'one'" and candidates.featureCount() == 2

    page.table.setCurrentItem(page.table.topLevelItem(1))
    caught_up(page)
    assert candidates.selectedFeatureIds() == [2] and page.table.rank == 2

    page.list.choose("it's two")
    caught_up(page)
    assert candidates.subsetString() == "\"photo\" = 'it''s two'" and candidates.featureCount() == 2
    assert candidates.selectedFeatureIds() == [3] and "No match" in page.told.text()

    page.only.setChecked(False)
    caught_up(page)
    assert candidates.subsetString() == "" and candidates.featureCount() == 4
    candidates.selectByIds([2])
    assert page.list.current == "one" and page.table.rank == 2, "what is selected on the map is selected in the list"
    caught_up(page)
    assert candidates.selectedFeatureIds() == [2], "and stays selected on the map"

    root = QgsProject.instance().layerTreeRoot()
    shown = lambda: [layer.name() for layer in heat if root.findLayer(layer.id()).itemVisibilityChecked()]  # noqa: E731
    page.heat.setChecked(True)
    assert shown() == ["heatmap_one"]
    page.list.choose("it's two")
    assert shown() == ["heatmap_it's two"]
    page.heat.setChecked(False)
    assert shown() == []


def test_a_filter_of_the_users_own_is_left_alone(page, tmp_path):
    page, _, _ = page
    folder = make_found(tmp_path / "found")
    candidates, *_ = loaded(folder)
    candidates.setSubsetString('"rank" = 1')
    page.use(str(folder))
    spin(lambda: page.answers is not None)
    caught_up(page)
    assert candidates.subsetString() == '"rank" = 1'


def test_a_filter_of_an_earlier_session_is_ours(page, tmp_path):
    page, _, _ = page
    folder = make_found(tmp_path / "found")
    candidates, *_ = loaded(folder)
    candidates.setSubsetString("\"photo\" = 'it''s two'")
    page.use(str(folder))
    spin(lambda: page.answers is not None)
    caught_up(page)
    assert candidates.subsetString() == "\"photo\" = 'one'"
    page.layers.use("")
    assert candidates.subsetString() == ""


def test_who_leafs_through_photos_waits_for_the_last_alone(page, tmp_path):
    page, _, _ = page
    candidates, *_ = loaded(make_found(tmp_path / "found"))
    page.use(str(tmp_path / "found"))
    spin(lambda: page.answers is not None)
    caught_up(page)
    filters = []
    candidates.subsetStringChanged.connect(lambda: filters.append(candidates.subsetString()))
    for photo in ("it's two", "one", "it's two", "one", "it's two"):
        page.list.choose(photo)
    assert filters == [], "the key is answered before the map is filtered"
    caught_up(page)
    assert filters == ["\"photo\" = 'it''s two'"] and candidates.selectedFeatureIds() == [3]


def test_a_folder_that_is_left_is_not_filtered_later(page, tmp_path):
    page, _, _ = page
    candidates, *_ = loaded(make_found(tmp_path / "found"))
    page.use(str(tmp_path / "found"))
    spin(lambda: page.answers is not None)
    caught_up(page)
    page.list.choose("it's two")
    page.layers.use("")
    caught_up(page)
    assert candidates.subsetString() == ""


def test_layers_may_come_later_and_go(page, tmp_path):
    page, _, _ = page
    folder = make_found(tmp_path / "found")
    page.use(str(folder))
    spin(lambda: page.answers is not None)
    page.table.setCurrentItem(page.table.topLevelItem(1))
    candidates, *_ = loaded(folder)
    caught_up(page)
    assert candidates.selectedFeatureIds() == [2], "a layer that is loaded later shows the choice"
    QgsProject.instance().removeMapLayer(candidates.id())
    page.table.setCurrentItem(page.table.topLevelItem(0))
    again, *_ = loaded(folder)
    caught_up(page)
    assert again.selectedFeatureIds() == [1]


def test_the_distance_to_a_prior_is_told_unless_it_is_hidden(page, tmp_path):
    page, photos, _ = page
    page.use(str(make_found(tmp_path / "found")))
    spin(lambda: page.answers is not None)
    row = page.table.topLevelItem(0)
    assert (row.text(PROBABILITY), row.text(HEADING)) == ("83 %", "199° SSW") and row.text(PRIOR).endswith(" m")
    assert not page.table.isColumnHidden(PRIOR)
    photos.hide_positions = True
    assert page.table.isColumnHidden(PRIOR) and page.table.topLevelItem(0).text(PRIOR) == ""
    photos.hide_positions = False
    page.list.choose("it's two")
    assert page.table.isColumnHidden(PRIOR), "its file tells no position"


def test_a_double_click_shows_the_place_and_review_is_asked_for(page, tmp_path):
    page, _, iface = page
    page.use(str(make_found(tmp_path / "found")))
    spin(lambda: page.answers is not None)
    page.table.itemDoubleClicked.emit(page.table.topLevelItem(1), 0)
    center = iface.canvas.extent().center()
    from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform

    turn = QgsCoordinateTransform(iface.canvas.mapSettings().destinationCrs(),
                                  QgsCoordinateReferenceSystem("EPSG:32633"), QgsProject.instance())  # fmt: skip
    place = turn.transform(center)
    assert (place.x(), place.y()) == (pytest.approx(500_100, abs=2), pytest.approx(4_393_260, abs=2))
    asked, photos = [], []
    page.review_asked.connect(lambda *args: asked.append(args))
    page.photo_asked.connect(lambda *args: photos.append(args))
    page.table.setCurrentItem(page.table.topLevelItem(1))
    page.review.click()
    page.photo.click()
    assert asked == [("one", 2)] and photos == [("/photos/one.jpg", page.candidate())]


def test_what_the_review_decided_is_shown(page, tmp_path):
    page, _, _ = page
    page.use(str(make_found(tmp_path / "found")))
    spin(lambda: page.answers is not None)
    page.mark("one", 1, REJECTED)
    assert page.table.topLevelItem(0).font(0).strikeOut() and page.list.topLevelItem(0).text(2) == "1 no"
    page.mark("one", 2, ACCEPTED)
    page.mark("one", 1, ACCEPTED)
    assert page.list.topLevelItem(0).text(2) == "place 1"
    page.mark("one", 0, ACCEPTED)
    assert page.list.topLevelItem(0).text(2) == "by hand"
    page.mark("one", 1, ACCEPTED)
    assert not page.table.topLevelItem(0).font(0).strikeOut() and page.table.topLevelItem(1).icon(0).isNull()


def test_one_that_cannot_be_read_is_said_and_the_last_stays(page, tmp_path):
    page, _, _ = page
    page.use(str(make_found(tmp_path / "found")))
    spin(lambda: page.answers is not None)
    page.use(str(tmp_path / "none"))
    spin(lambda: "none" in page.state.text())
    assert "result.json" in page.state.text() and page.folder == str(tmp_path / "found")
    only_one = make_found(tmp_path / "alone", found={"x": FOUND["it's two"]})
    page.use(str(only_one))
    spin(lambda: page.folder == str(only_one))
    assert page.state.text() == "No match in this region." and page.only.isHidden()


def test_the_form_of_a_search_fills_the_algorithm(iface, tmp_path):
    photos, library = PhotoSet(), IndexLibrary()
    form = SearchForm(photos, library)
    assert "Tick" in form.fault()[0] and not form.photos.empty.isHidden()
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [str(folder / f"{name}.jpg") for name in "abc"]
    for path in paths:
        Path(path).touch()
    photos.add([panorama(paths[0], heading_deg=90.0), panorama(paths[1]), panorama(paths[2], fault="c.jpg: broken.")])
    assert form.photos.paths() == paths[:2] and "1 of 2 photos tell it" in form.of_heading.text()
    assert "heading 90° E" in form.photos.list.item(0).text() and "broken" in form.photos.list.item(2).text()
    assert "Choose the index" in form.fault()[0]
    form.index.use(str(make_index(tmp_path / "town")))
    spin(lambda: form.index.folder() != "")
    assert form.fault() == ("", None)
    given = form.parameters()
    assert given == {"INDEX": str(tmp_path / "town"), "PHOTOS": paths[:2], "TOP": 20,
                     "OUTPUT": str(tmp_path / "photos_located"), "LOAD_RESULTS": False}  # fmt: skip
    form.knows_heading.setChecked(True)
    form.heading.setValue(360)
    form.sequence.setChecked(True)
    form.method.set_value("geometric")
    given = form.parameters()
    assert given["HEADING"] == 0 and given["SEQUENCE"] is True and given["METHOD"] == "geometric"
    form.photos.list.item(0).setCheckState(Qt.CheckState.Unchecked)
    given = form.parameters()
    assert given["PHOTOS"] == paths[1:2] and "SEQUENCE" not in given and given["OUTPUT"].endswith("b_located")
    form.photos.none.click()
    assert form.parameters().get("PHOTOS") is None and "Tick" in form.fault()[0]
    form.photos.all.click()
    form.index.use(str(make_index(tmp_path / "other", model="mine")))
    spin(lambda: form.index.folder().endswith("other"))
    assert form.index.note.text() == "mine, 12 cells of 10 m, imagery of 2024-05-01."
    form.shut_down()
    library.shut_down()


def test_an_index_that_was_used_last_is_chosen_once_it_is_known_and_never_again(iface, tmp_path):
    library = IndexLibrary()
    choice = IndexChoice(library)
    choice.prefer(str(tmp_path / "late"))
    for name in ("a", "b"):
        library.add(str(make_index(tmp_path / name)))
    spin(lambda: choice.combo.count() == 2)
    choice.combo.setCurrentIndex(1)
    assert choice.folder() == str(tmp_path / "a")
    library.add(str(make_index(tmp_path / "c")))
    spin(lambda: choice.combo.count() == 3)
    assert choice.folder() == str(tmp_path / "a"), "the choice stays"
    library.add(str(make_index(tmp_path / "late")))
    spin(lambda: choice.combo.count() == 4)
    assert choice.folder() == str(tmp_path / "late")
    choice.use(str(tmp_path / "b"))
    assert choice.folder() == str(tmp_path / "b") and choice.fault() == ""
    choice.shut_down()
    library.shut_down()


def test_the_tab_hands_over_from_page_to_page(iface, registry, provider, tmp_path):
    dock = SameSceneDock(iface, registry, EngineSetup())
    tab = dock.show_tab("locate")
    index, found = make_index(tmp_path / "town"), make_found(tmp_path / "found")
    tab.region.index_chosen.emit(str(index))
    assert tab.current == "search"
    spin(lambda: tab.search.form.index.folder() != "")
    assert tab.search.form.index.folder() == str(index)
    assert tab.made("test") == [], "a page that nobody looked at"
    spin(lambda: tab.test.form.index.folder() != "")
    assert tab.test.form.index.folder() == str(index), "made later, it takes the index that was chosen"
    tab.search.found.emit(str(found))
    spin(lambda: tab.answer.answers is not None)
    assert tab.current == "answer" and tab.answer.list.topLevelItemCount() == 2
    tab.search.found.emit(str(found))
    assert tab.current == "answer"
    tab.turn_to("photos")
    tab.region.built.emit(str(index))
    tab.search.found.emit(str(found))
    assert tab.current == "photos", "who went on meanwhile is not called back"
    dock.show_tab("locate", {"index": str(index)})
    assert tab.current == "search"
    dock.show_tab("locate", {"result": str(found)})
    assert tab.current == "answer"
    dock.shut_down()


def test_an_index_that_is_done_is_seen_though_its_page_was_never_shown(iface, registry, provider, tmp_path):
    index = tmp_path / "town"
    dock = SameSceneDock(iface, registry, EngineSetup())
    tab = dock.show_tab("locate")
    tab.library.add(str(index))
    spin(lambda: not tab.library.looking)
    assert tab.library.usable() == []
    run = registry.add("locate-index", "Index – town", {"out": str(index)})  # for example of the toolbox
    registry.start(run)
    make_index(index)
    registry.done(run, {"status": "ok", "outputs": {}})
    spin(lambda: tab.library.usable() != [])
    assert [facts.folder for facts in tab.library.usable()] == [str(index)]
    assert len(tab.made()) == 1
    dock.shut_down()


def test_review_and_viewer_are_opened_and_follow_the_answer(iface, registry, provider, tmp_path):
    dock = SameSceneDock(iface, registry, EngineSetup())
    tab = dock.show_tab("locate")
    picture = tmp_path / "one.png"
    image = QImage(64, 32, QImage.Format.Format_RGB32)
    image.fill(QColor("#88aacc"))
    assert image.save(str(picture))
    found = make_found(tmp_path / "found")
    result = json.loads((found / "result.json").read_text())
    result["inputs"]["one"]["path"] = str(picture)
    (found / "result.json").write_text(json.dumps(result))
    tab.photo_set.add([panorama(str(picture), width=64, height=32)])
    tab.answer.use(str(found))
    spin(lambda: tab.answer.answers is not None)

    tab.answer.photo.click()
    viewer = dock.workspace.viewer
    spin(lambda: viewer.viewer.photo is not None)
    assert viewer.viewer.photo.path == str(picture) and viewer.viewer.heading_deg == pytest.approx(199.4)

    tab.answer.review.click()
    panel = tab.review.panel
    spin(lambda: panel.walk is not None)
    assert panel.walk.candidate.rank == 1 and panel.walk.answer.photo == "one"
    panel.turned_to.emit("it's two", 2)
    assert tab.answer.list.current == "it's two" and tab.answer.table.rank == 2
    panel.rejected.emit("it's two", 2)
    assert tab.answer.list.topLevelItem(1).text(2) == "1 no"
    panel.accepted.emit("one", 0)
    assert tab.answer.list.topLevelItem(0).text(2) == "by hand"
    dock.shut_down()

"""The review in a window: keys and buttons, decisions on the disk, places proposed by hand, honest about what is
missing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import review_world as world
from gui_support import spin
from qgis.core import QgsCoordinateReferenceSystem, QgsPointXY, QgsProject, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest

from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.locate import photo_facts, place_score
from plugin.gui.locate.review_dock import ReviewDock
from plugin.gui.locate.review_panel import ReviewPanel
from plugin.layers.located import FILE, LocatedPhotos
from plugin.photos.facts import PhotoSet

pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")
TOLD = {"lon": 0.0, "lat": 0.0, "score": 4.5, "rank": 2, "of": 4, "probability_50m": 0.4, "heading_deg": 77.0,
        "best_lon": 0.0, "best_lat": 0.0, "best_m": 0.5, "turned_score": None, "why": None}  # fmt: skip


@pytest.fixture
def workspace(iface, registry):
    dock = SameSceneDock(iface, registry, EngineSetup())
    yield dock.workspace
    dock.shut_down()


@pytest.fixture
def asked(monkeypatch):
    """What the engine is asked; it answers at once what ``answers`` holds for the job."""

    class Asked(list):
        answers: dict = {}  # noqa: RUF012 - filled by tests

    seen = Asked()

    def run_job(self, job, params, **_):
        seen.append((job, params))
        return seen.answers[job](params)

    monkeypatch.setattr("plugin.engine_client.process.EngineProcess.run_job", run_job)
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", "/usr/bin/python3")
    return seen


@pytest.fixture
def made(qgis_app, tmp_path):
    """Photos, index and results in a folder."""
    photos = [world.write_photo(tmp_path / f"{name}.png") for name in "ab"]
    imagery = world.write_imagery(tmp_path / "ortho.tif")
    index = world.write_index(tmp_path / "index", imagery)
    out = tmp_path / "found"
    return photos, index, out, world.write_result(out, [photo.path for photo in photos], index)


@pytest.fixture
def panel(workspace, made):
    photo_set = PhotoSet()
    photo_set.add(made[0])
    panel = ReviewPanel(workspace, photo_set)
    panel.resize(1100, 420)
    panel.show()
    yield panel
    panel.shut_down()


def begin(panel, made, photo="a", rank=1):
    panel.show_result(made[3], str(made[2]), photo, rank)
    spin(lambda: panel.walk is not None and panel.walk.candidate is not None)
    assert panel.walk is not None, panel.message.text()


def settle(panel):
    """Until every decision is on the disk and told."""
    spin(lambda: not panel.strip.keeper.busy, 15)
    assert not panel.strip.keeper.busy


def front(panel):
    return panel.walk.candidate.photo, panel.walk.candidate.rank


def test_photo_and_map_come_side_by_side(panel, made):
    begin(panel, made, "a", 2)
    assert front(panel) == ("a", 2)
    spin(lambda: panel.panes.crop._ground is not None and panel.panes.crop._photo is not None)
    assert panel.panes.crop._ground is not None and panel.panes.crop._photo is not None
    assert panel.heading == 130.0 == panel.controls.heading.heading_deg == panel.panes.viewer.heading_deg
    facts = panel.controls.facts.text()
    for part in ("Candidate 2 of 3", "30 % within 50 m", "score 4.00", "22 m from the position"):
        assert part in facts, facts
    assert "photo 1 of 2" in panel.controls.title.text()
    panel.panes.show_above(True)
    spin(lambda: False, 0.1)
    assert panel.panes.crop.side == pytest.approx(panel.panes.above.side, abs=2), "a metre is as long on both sides"
    panel.resize(380, 800)
    spin(lambda: False, 0.1)
    assert panel.panes.splitter.orientation() == Qt.Orientation.Vertical


def test_keys_and_buttons_do_the_same(panel, made):
    begin(panel, made)
    shown, decided = [], []
    panel.turned_to.connect(lambda photo, rank: shown.append((photo, rank)))
    panel.accepted.connect(lambda photo, rank: decided.append(("yes", photo, rank)))
    panel.rejected.connect(lambda photo, rank: decided.append(("no", photo, rank)))
    QTest.keyClick(panel, Qt.Key.Key_N)
    QTest.keyClick(panel, Qt.Key.Key_P)
    panel.controls.next.click()
    assert shown == [("a", 2), ("a", 1), ("a", 2)]
    QTest.keyClick(panel.panes.viewer, Qt.Key.Key_R)  # wherever the focus is
    settle(panel)
    assert front(panel) == ("a", 3) and decided == [("no", "a", 2)]
    QTest.keyClick(panel, Qt.Key.Key_A)
    settle(panel)
    assert decided[-1] == ("yes", "a", 3) and front(panel) == ("b", 1), "on to the photo that has no place yet"
    panel.controls.reject.click()
    panel.controls.accept.click()
    settle(panel)
    assert decided[-1] == ("yes", "b", 2) and front(panel) == ("b", 2)
    for button, key in ((panel.controls.next, "N"), (panel.controls.previous, "P"), (panel.controls.accept, "A"),
                        (panel.controls.reject, "R")):  # fmt: skip
        assert f"({key})" in button.text()
    assert "Accepted" in panel.controls.state.text()


def test_keys_on_the_map_count_only_while_the_review_is_seen(panel, made, workspace):
    begin(panel, made)
    QTest.keyClick(workspace.canvas, Qt.Key.Key_N)
    assert front(panel) == ("a", 2)
    panel.hide()
    QTest.keyClick(workspace.canvas, Qt.Key.Key_N)
    assert front(panel) == ("a", 2)


def test_decisions_are_on_the_disk_with_all_that_is_known(panel, made, tmp_path):
    begin(panel, made)
    panel.do("reject")
    panel.turn(222.25)
    panel.do("accept")
    settle(panel)
    located = LocatedPhotos(tmp_path / FILE)
    (place,) = located.places()
    candidate = panel.walk.answers.of_photo("a").candidate(2)
    assert (place.lon, place.lat) == pytest.approx((candidate.lon, candidate.lat))
    assert (place.photo, place.path, place.sha256) == ("a", made[0][0].path, "0" * 64)
    assert (place.rank, place.score, place.probability, place.radius_m) == (2, 4.0, 0.3, 50.0)
    assert place.heading_deg == 222.25 and place.how == "candidate 2, heading by hand"
    assert (place.index, place.method, place.result) == (made[1], "geometric", str(made[2]))
    assert place.reviewer and place.decided_at.startswith("20")
    assert [one.rank for one in located.refused()] == [1]
    names = [layer.name() for layer in QgsProject.instance().mapLayers().values()]
    assert names == ["Located photos"], "the layer comes with the first place"
    assert panel.strip.text.text() == f"1 located in {FILE}"
    begin(panel, made, "a", 2)
    assert "Accepted" in panel.controls.state.text()
    panel.do("reject")
    settle(panel)
    assert located.places() == [] and len(located.refused()) == 2, "a place that is rejected is withdrawn"


def test_a_later_session_goes_on_where_the_earlier_ended(made, workspace):
    first = ReviewPanel(workspace, PhotoSet())
    first.show()
    begin(first, made)
    first.do("reject")
    first.do("accept")
    first.shut_down()  # at once: nothing that was decided is lost
    again = ReviewPanel(workspace, PhotoSet())
    again.show_result(made[3], str(made[2]), "a", 1, first.walk.answers)
    settle(again)
    assert again.walk.accepted == {"a": 2} and again.walk.refused == {("a", 1)}
    assert "Rejected" in again.controls.state.text()
    again.shut_down()


def test_a_click_on_the_map_proposes_a_place_and_its_score_comes(panel, made, workspace, asked, tmp_path):
    asked.answers = {place_score.JOB: lambda params: {"figures": {"photos": [{"photo": "a", "places": [TOLD]}]}}}
    begin(panel, made)
    canvas = workspace.canvas
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem(world.UTM))
    middle = world.in_utm(world.place(12.0, 7.0))
    canvas.setExtent(QgsRectangle(middle.x() - 20, middle.y() - 15, middle.x() + 20, middle.y() + 15))
    earlier = canvas.mapTool()
    panel.controls.propose.click()
    assert canvas.mapTool() is not earlier and panel.controls.propose.isChecked()
    pixel = canvas.getCoordinateTransform().transform(middle)
    QTest.mouseClick(canvas.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(round(pixel.x()), round(pixel.y())))
    spin(lambda: panel.proposal is not None and panel.proposal.told)
    (job, params) = asked[0]
    assert job == "locate-score" and params["results"] == str(made[2]) and "turned" not in params
    lon, lat = (float(part) for part in params["at"][0].split(","))
    wanted = world.place(12.0, 7.0)
    assert (lon, lat) == pytest.approx((wanted.x(), wanted.y()), abs=2e-6)
    assert "4.50" in panel.controls.score.text() and "number 2 of 4" in panel.controls.score.text()
    assert "Proposed place" in panel.controls.facts.text() and "proposed place" in panel.panes.title.text()
    panel._follow("heading")
    assert panel.heading == 77.0
    panel.do("score")
    spin(lambda: len(asked) > 1)
    assert asked[1][1]["turned"] == 77.0
    spin(lambda: not panel._score.running)
    heard = []
    panel.accepted.connect(lambda photo, rank: heard.append((photo, rank)))
    panel.do("accept")
    settle(panel)
    (place,) = LocatedPhotos(tmp_path / FILE).places()
    assert (place.how, place.rank, place.score, place.probability) == ("by hand", 2, 4.5, 0.4)
    assert (place.lon, place.lat) == pytest.approx((wanted.x(), wanted.y()), abs=2e-6)
    assert heard == [("a", 0)] and canvas.mapTool() is earlier and not panel.controls.propose.isChecked()
    begin(panel, made, "a", 1)
    assert "a place by hand" in panel.controls.state.text()


def test_a_click_on_the_crop_proposes_too_and_rejecting_goes_back(panel, made, asked):
    asked.answers = {place_score.JOB: lambda params: {"figures": {"photos": [{"places": [{**TOLD, "score": None,
                     "why": "the reference has no imagery there"}]}]}}}  # fmt: skip
    begin(panel, made)
    panel.do("propose")
    crop = panel.panes.crop
    square = crop.square()
    metre = square.width() / 2 / crop.half_width
    spot = QPoint(round(square.center().x() + 10 * metre), round(square.center().y() - 5 * metre))
    QTest.mouseClick(crop, Qt.MouseButton.LeftButton, pos=spot)
    wanted = world.place(10.0, 5.0)
    assert (panel.place.x(), panel.place.y()) == pytest.approx((wanted.x(), wanted.y()), abs=3e-6)
    spin(lambda: "no imagery" in panel.controls.score.text())
    assert panel.controls.score.text() == "No score: the reference has no imagery there."
    panel.do("reject")
    assert panel.proposal is None and front(panel) == ("a", 1)
    assert panel.walk.refused == set(), "a place that nobody found is not refused"


def test_an_engine_that_fails_is_one_line_and_the_place_can_still_be_accepted(panel, made, asked, tmp_path):
    from plugin.engine_client.failure import EngineFailure

    def fail(_):
        raise EngineFailure("input", "index: damaged index.", "Make it again.")

    asked.answers = {place_score.JOB: fail}
    begin(panel, made)
    panel.propose(world.place(3.0, 3.0))
    spin(lambda: "damaged" in panel.controls.score.text())
    assert panel.controls.score.text() == "index: damaged index. Make it again."
    panel.do("accept")
    settle(panel)
    (place,) = LocatedPhotos(tmp_path / FILE).places()
    assert place.how == "by hand" and place.score is None and place.probability is None and place.radius_m is None


def test_a_photo_of_another_session_is_read_by_the_engine(workspace, made, asked):
    facts = {"path": made[0][0].path, "width": 720, "height": 360, "kind": "panorama", "hfov_deg": 360.0,
             "vfov_deg": 180.0, "heading_deg": None}  # fmt: skip
    asked.answers = {photo_facts.JOB: lambda params: {"photos": [facts]}}
    panel = ReviewPanel(workspace, PhotoSet())
    panel.resize(900, 400)
    panel.show()
    begin(panel, made)
    spin(lambda: panel.panes.viewer.photo is not None)
    assert panel.panes.viewer.photo.width == 720 and asked == [("photo-facts", {"photos": [made[0][0].path]})]
    panel.shut_down()


def test_what_is_missing_is_told_and_nothing_is_lost(panel, made, tmp_path):
    begin(panel, made)
    spin(lambda: panel.panes.crop._ground is not None)
    Path(tmp_path / "ortho.tif").unlink()
    other = world.write_result(tmp_path / "second", [made[0][0].path], world.write_index(tmp_path / "i2", "/gone.tif"))
    panel.show_result(other, str(tmp_path / "second"), "a", 1)
    spin(lambda: "/gone.tif" in panel.panes.crop._text)
    assert "not there any more" in panel.panes.crop._text and panel.panes.crop._ground is None
    (tmp_path / "third").mkdir()
    panel.show_result({"x": 1}, str(tmp_path / "third"), "a", 1)
    spin(lambda: panel.walk is None)
    assert "result.json" in panel.message.text() and not panel.message.isHidden()
    QTest.keyClick(panel, Qt.Key.Key_A)  # nothing is in front: nothing happens
    (tmp_path / FILE).write_text("no database")
    begin(panel, made)
    panel.do("accept")
    settle(panel)
    spin(lambda: panel.strip.told.text())
    assert "no file of located photos" in panel.strip.told.text() and panel.walk.accepted == {}


def test_a_layer_of_the_project_can_be_compared_with(panel, made, tmp_path):
    begin(panel, made)
    other = QgsRasterLayer(world.write_imagery(tmp_path / "other.tif"), "other")
    QgsProject.instance().addMapLayer(other)
    panel.controls.map.setLayer(other)
    assert panel.panes._layers == [other]
    QgsProject.instance().removeMapLayer(other.id())
    spin(lambda: panel.panes._layers and panel.panes._layers[0].name() == "imagery")
    assert panel.panes._layers[0].name() == "imagery", "the imagery of the index again"


def test_the_window_is_never_held_up(panel, made):
    begin(panel, made)
    spin(lambda: panel.panes.crop._ground is not None)
    spent = []
    for command in ["next", "next", "previous", "right", "left", "next"] * 3:
        started = time.process_time()  # of this process: others share the processors
        panel.do(command)
        spent.append(time.process_time() - started)
        spin(lambda: False, 0.02)
    assert sorted(spent)[len(spent) // 2] < 0.05 and max(spent) < 0.1


def test_where_places_go_is_remembered_with_the_project(panel, made, tmp_path):
    begin(panel, made)
    panel.strip.use_file(str(tmp_path / "elsewhere" / "mine"))
    panel.do("accept")
    settle(panel)
    assert len(LocatedPhotos(tmp_path / "elsewhere" / "mine.gpkg").places()) == 1 and not (tmp_path / FILE).exists()
    panel.strip.use_folder(str(made[2]))
    assert panel.strip.located.path == tmp_path / "elsewhere" / "mine.gpkg"


def test_copies_are_written_by_the_algorithm_and_its_end_is_told(panel, made, tmp_path, workspace, monkeypatch):
    begun = []

    class Run:
        def __init__(self, parameters):
            self.parameters = parameters

    def begin_run(algorithm, parameters):
        begun.append((algorithm, parameters))
        return Run(parameters), ""

    monkeypatch.setattr(workspace.runner, "begin", begin_run)
    begin(panel, made)
    assert not panel.strip.copies.isEnabled(), "nothing is located yet"
    panel.do("accept")
    settle(panel)
    assert panel.strip.copies.isEnabled()
    panel.strip.write_copies_to(str(tmp_path / "copies"))
    places = f"{tmp_path / FILE}|layername=located"
    assert begun == [("samescene:photo_place", {"PLACES": places, "OUTPUT": str(tmp_path / "copies")})]
    assert not panel.strip.copies.isEnabled() and "Writing" in panel.strip.told.text()
    run = panel.strip.write_back._run
    workspace.runner.ended.emit(run, True, {"OUTPUT": "/copies", "WRITTEN": 2, "SKIPPED": 1})
    assert panel.strip.told.text() == "2 copies are in /copies. Left out: 1; the Runs tab says why."
    assert panel.strip.copies.isEnabled()


def test_the_dock_opens_with_a_result_and_goes(workspace, made):
    photo_set = PhotoSet()
    photo_set.add(made[0])
    dock = ReviewDock(workspace, photo_set)
    assert not dock.isVisible()
    workspace.iface.mainWindow().show()
    dock.show_result(made[3], str(made[2]), "b", 1)
    spin(lambda: dock.panel.walk is not None)
    assert dock.isVisible() and dock.panel.walk.candidate.photo == "b"
    assert isinstance(dock.panel.place, QgsPointXY)
    dock.shut_down()

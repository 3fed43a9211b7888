"""Parts of the review: the order of candidates, the map crop, the photo laid over it, questions to the engine."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import review_world as world
from gui_support import spin
from qgis.core import QgsCoordinateTransform, QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QColor, QImage, QMouseEvent
from qgis.PyQt.QtTest import QTest

from plugin.gui.locate.crop_renderer import CropRenderer
from plugin.gui.locate.crop_view import CropView
from plugin.gui.locate.near_plane import NearPlane, plane_at
from plugin.gui.locate.photo_above import PhotoAbove
from plugin.gui.locate.review_ground import ReviewGround
from plugin.gui.locate.review_walk import BY_HAND, ReviewWalk
from plugin.gui.locate.score_question import answer_text, question
from plugin.layers.answers import read_answers
from plugin.layers.index_imagery import ImageryError, IndexImagery, is_tiles, open_imagery, read_imagery, tile_source
from plugin.layers.located import LocatedPhoto, now
from plugin.photos.picture import PictureLoader

pytestmark = pytest.mark.usefixtures("faults_in_slots")


@pytest.fixture
def answers(qgis_app, tmp_path):
    folder = tmp_path / "found"
    result = world.write_result(folder, ["/photos/a.jpg", "/photos/b.jpg"], "/index")
    return read_answers(folder, result)


def near(color: QColor, wanted: tuple[int, int, int], tolerance: int = 40) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip((color.red(), color.green(), color.blue()), wanted, strict=True))


# the walk


def test_candidates_are_walked_through_and_over_to_the_next_photo(answers):
    walk = ReviewWalk(answers)
    seen = [(walk.candidate.photo, walk.candidate.rank)]
    while walk.next():
        seen.append((walk.candidate.photo, walk.candidate.rank))
    assert seen == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("b", 3)]
    back = [seen[-1]]
    while walk.previous():
        back.append((walk.candidate.photo, walk.candidate.rank))
    assert back == seen[::-1]
    assert walk.go("/photos/b.jpg", 2) and walk.candidate.rank == 2 and walk.photo_number == (2, 2)
    assert not walk.go("c", 1) and not walk.go("a", 9) and walk.candidate.photo == "b"


def test_accepting_goes_to_a_photo_without_a_place_and_refusing_to_the_next_candidate(answers):
    walk = ReviewWalk(answers)
    walk.refuse()
    assert walk.to_next_candidate() and walk.candidate.rank == 2
    walk.accept()
    assert walk.accepted == {"a": 2} and walk.to_next_photo() and walk.candidate.photo == "b"
    walk.accept(BY_HAND)
    assert not walk.to_next_photo(), "every photo has its place"
    walk.go("a", 2)
    walk.refuse()
    assert "a" not in walk.accepted, "what is refused is not accepted any more"
    assert walk.to_next_candidate() and walk.candidate.rank == 3
    walk.refuse()
    walk.go("b", 1)
    assert walk.to_next_photo() and (walk.candidate.photo, walk.candidate.rank) == ("a", 1), "all were refused"


def test_an_earlier_session_is_recalled(answers):
    one = LocatedPhoto("a", "/photos/a.jpg", "", 1.0, 2.0, None, "candidate 2", 2, 1.0, 0.5, 50.0, "", "", "", "",
                       answers.folder, "ann", now())  # fmt: skip
    walk = ReviewWalk(answers)
    walk.recall([one], [replace(one, rank=1), replace(one, rank=3, result="/another")])
    assert walk.accepted == {"a": 2} and walk.refused == {("a", 1)}
    walk = ReviewWalk(answers)
    walk.recall([replace(one, how="by hand")], [])
    assert walk.accepted == {"a": BY_HAND}
    walk = ReviewWalk(answers)
    walk.recall([replace(one, result="/another"), replace(one, path="/photos/z.jpg")], [])
    assert walk.accepted == {"a": BY_HAND}, "a place from another search is one, but no candidate of this"


# imagery


def test_the_imagery_of_an_index_is_read_from_its_card(qgis_app, tmp_path):
    path = world.write_imagery(tmp_path / "ortho.tif")
    (imagery,) = read_imagery(world.write_index(tmp_path / "index", path, path, stretch=(3, 200)))
    assert imagery == IndexImagery(path, (3.0, 200.0), "2021-06-01", "")
    assert open_imagery(imagery).isValid()
    with pytest.raises(ImageryError, match="cannot be read"):
        read_imagery(tmp_path / "gone")
    (tmp_path / "index" / "card.json").write_text('{"imagery": []}')
    with pytest.raises(ImageryError, match="not the card of an index"):
        read_imagery(tmp_path / "index")
    with pytest.raises(ImageryError, match=r"gone\.tif: the imagery of the index is not there any more"):
        open_imagery(replace(imagery, path=str(tmp_path / "gone.tif")))
    (tmp_path / "text.tif").write_text("x")
    with pytest.raises(ImageryError, match=r"text\.tif: .*cannot be opened"):
        open_imagery(replace(imagery, path=str(tmp_path / "text.tif")))


def test_an_index_of_two_files_is_shown_in_both(qgis_app, tmp_path):
    paths = [world.write_imagery(tmp_path / f"{east}.tif", east=east) for east in (0, 150)]
    index = world.write_index(tmp_path / "index", *paths, str(tmp_path / "gone.tif"))
    ground, told = ReviewGround(), []
    ground.ready.connect(lambda layers, fault: told.append(([layer.source() for layer in layers], fault)))
    ground.use_index(index)
    spin(lambda: told and told[-1][0])
    assert told[-1] == (paths, "")
    east = 200 / 111_320 / math.cos(math.radians(world.LAT))
    assert ground.imagery_at(QgsPointXY(world.LON, world.LAT)).path == paths[0]
    assert ground.imagery_at(QgsPointXY(world.LON + east, world.LAT)).path == paths[1]
    ground.shut_down()


def test_tiles_become_layers_of_tiles(qgis_app, tmp_path):
    assert tile_source("https://t.example/{z}/{x}/{y}.png?k=a&b=c") == (
        "type=xyz&zmin=0&zmax=22&url=https://t.example/{z}/{x}/{y}.png%3Fk%3Da%26b%3Dc"
    )
    assert tile_source("/tiles/{z}/{x}/{-y}.png").endswith("url=file:///tiles/{z}/{x}/{-y}.png")
    own = "type=xyz&url=https://t.example/{z}/{x}/{y}.png&zmax=19"
    assert tile_source(own) == own
    assert is_tiles(own) and is_tiles("/a/{z}/{x}/{y}.png") and not is_tiles("/a/b.tif")
    for path in (
        "https://me:word@t.example/{z}/{x}/{y}.png?token=x",
        "type=xyz&url=https://me:word@t.example/%7Bz%7D/%7Bx%7D/%7By%7D.png%3Ftoken%3Dx&zmax=19",
    ):
        assert IndexImagery(path, (0, 255), "", "").shown == "https://t.example/{z}/{x}/{y}.png"
    layer = open_imagery(IndexImagery("https://t.example/{z}/{x}/{y}.png", (0, 255), "", ""))
    assert layer.isValid() and layer.providerType() == "wms"


@pytest.mark.parametrize(("lon", "lat"), [(15.0049, 39.6951), (-179.9951, -16.5049), (24.004, 84.996)])
def test_the_plane_nearby_is_as_good_as_the_plane_at_the_place(qgis_app, lon, lat):
    place = QgsPointXY(lon, lat)
    plane = NearPlane.near(place)
    turn = QgsCoordinateTransform(plane_at(lon, lat), plane.crs, QgsProject.instance())
    back = QgsCoordinateTransform(plane.crs, plane_at(lon, lat), QgsProject.instance())
    there = plane.of(place)
    for east, north in [(0, 0), (60, 0), (0, 60), (-40, -40)]:
        point = turn.transform(QgsPointXY(east, north))
        assert (point.x() - there.x(), point.y() - there.y()) == pytest.approx((east, north), abs=0.015)
        beside = plane.beside(place, east, north)
        assert plane.offset(place, beside) == pytest.approx((east, north), abs=1e-6)
        beside = back.transform(plane.of(beside))
        assert (beside.x(), beside.y()) == pytest.approx((east, north), abs=0.015)


def test_the_plane_of_a_region_is_made_once(qgis_app):
    assert len({NearPlane.round(QgsPointXY(15.0 + step / 3e3, 39.69)) for step in range(-14, 15)}) == 1
    assert NearPlane.round(QgsPointXY(15.01, 39.69)) != NearPlane.round(QgsPointXY(15.0, 39.69))


def test_a_crop_far_away_waits_for_its_own_plane(qgis_app, tmp_path):
    layer = open_imagery(IndexImagery(world.write_imagery(tmp_path / "ortho.tif"), (0.0, 255.0), "", ""))
    renderer, got = CropRenderer(), []
    renderer.rendered.connect(lambda image, half: got.append(image.pixelColor(120, 40)))
    place = QgsPointXY(world.LON, world.LAT)
    renderer.ask([layer], QgsPointXY(world.LON + 0.5, world.LAT), 40.0, 160)
    assert renderer.busy
    renderer.ask([layer], place, 40.0, 160)
    spin(lambda: got)
    spin(lambda: len(got) > 1, 0.3)
    assert len(got) == 1 and near(got[0], world.COLORS["n"]) and not renderer.busy
    renderer.ask([layer], place, 40.0, 160)
    renderer.stop()
    spin(lambda: len(got) > 1, 0.3)
    assert len(got) == 1 and not renderer.busy
    renderer.shut_down()


@pytest.mark.parametrize("deep", [False, True])
def test_a_crop_is_in_metres_and_north_up(qgis_app, tmp_path, deep):
    path = world.write_imagery(tmp_path / "ortho.tif", deep=deep)
    layer = open_imagery(IndexImagery(path, (0.0, 5100.0 if deep else 255.0), "", ""))
    renderer, got = CropRenderer(), []
    renderer.rendered.connect(lambda image, half: got.append((image, half)))
    renderer.ask([layer], QgsPointXY(world.LON, world.LAT), 10.0, 50)
    renderer.ask([layer], QgsPointXY(world.LON, world.LAT), 40.0, 160)
    spin(lambda: got)
    spin(lambda: len(got) > 1, 0.3)
    ((image, half),) = got
    assert half == 40.0 and image.width() == image.height() == 160 and not renderer.busy
    for (column, row), name in {(120, 40): "n", (120, 120): "e", (40, 120): "s", (40, 40): "w"}.items():
        assert near(image.pixelColor(column, row), world.COLORS[name]), name
    white = [
        (column, row)
        for column in range(160)
        for row in range(160)
        if near(image.pixelColor(column, row), (255, 255, 255), 60)
    ]
    middle = np.mean(white, axis=0) + 0.5
    # 30 m to the east at two pixels a metre; grid north of UTM is true north here.
    assert middle == pytest.approx([80 + 60, 80], abs=1.0)
    renderer.shut_down()


# the photo over the map


def square_image(color: QColor, side: int = 8) -> QImage:
    image = QImage(side, side, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(color)
    return image


@pytest.mark.parametrize("heading", [0.0, 90.0, 200.0])
def test_the_photo_from_above_turns_with_its_heading(qgis_app, tmp_path, heading):
    """Brute force: at every compass direction the colour is that of the photo's column which looks there."""
    photo = world.write_photo(tmp_path / "p.png")
    loader = PictureLoader()
    maker, got = PhotoAbove(loader), []
    maker.made.connect(lambda image, radius: got.append((image, radius)))
    maker.ask(photo, 20.0, 200)
    spin(lambda: got)
    view = CropView()
    view.resize(200, 200)
    view.set_half_width(20.0)
    view.show_photo(*got[-1])
    view.set_heading(heading)
    drawn = view.grab().toImage()
    scale = drawn.width() / 200
    for azimuth in range(10, 360, 20):
        off = (azimuth - heading) % 360
        if abs((off % 90) - 45) < 12:
            continue  # at the border of two colours
        name = "nesw"[int(((off + 45) % 360) // 90)]
        east, south = np.sin(np.radians(azimuth)), -np.cos(np.radians(azimuth))
        color = drawn.pixelColor(int((100 + 60 * east) * scale), int((100 + 60 * south) * scale))
        if abs((azimuth - heading + 180) % 360 - 180) > 8:  # not under the arrow
            assert near(color, world.COLORS[name], 60), (azimuth, name)
    assert got[-1][1] == pytest.approx(20 * 2**0.5), "the disc covers the corners however it is turned"
    maker.ask(photo, 200.0, 300)
    spin(lambda: got[-1][1] == 60.0)
    assert got[-1][1] == 60.0, "nothing is drawn where a pixel spans metres"
    maker.shut_down()
    loader.shut_down()


def test_a_photo_that_cannot_be_read_is_told(qgis_app, tmp_path):
    photo = world.write_photo(tmp_path / "p.png")
    (tmp_path / "p.png").write_text("no picture")
    loader = PictureLoader()
    maker, told = PhotoAbove(loader), []
    maker.failed.connect(told.append)
    maker.ask(photo, 20.0, 100)
    spin(lambda: told)
    assert "p.png" in told[0]
    maker.shut_down()
    loader.shut_down()


def test_dragging_around_the_middle_turns_and_a_click_points(qgis_app):
    view = CropView()
    view.resize(300, 200)
    view.set_half_width(50.0)
    view.show_ground(square_image(QColor("white")), 50.0)
    view.show_photo(square_image(QColor("red")), 50.0)
    view.set_heading(10.0)
    turned, pointed = [], []
    view.turned.connect(turned.append)
    view.pointed.connect(lambda east, north: pointed.append((east, north)))
    button = Qt.MouseButton.LeftButton
    QTest.mousePress(view, button, pos=QPoint(150, 40))  # north of the middle
    held = (button, button, Qt.KeyboardModifier.NoModifier)
    for place in ((151, 40), (190, 60), (210, 100)):
        view.mouseMoveEvent(QMouseEvent(QEvent.Type.MouseMove, QPointF(*place), *held))
    assert len(turned) == 2, "the hand may tremble"
    assert turned[-1] == view.heading == pytest.approx(100.0, abs=0.5), "a quarter clockwise"
    QTest.mouseRelease(view, button, pos=QPoint(210, 100))
    assert not pointed, "a drag is no click"
    QTest.mouseClick(view, button, pos=QPoint(200, 50))
    assert not pointed, "nobody asked for a place"
    view.set_pointing(True)
    QTest.mouseClick(view, button, pos=QPoint(200, 50))
    assert pointed[0] == pytest.approx((25.0, 25.0), abs=0.3), "half of the half width to the east and to the north"


def test_the_overlay_has_the_opacity_that_is_asked_for(qgis_app):
    view = CropView()
    view.resize(200, 200)
    view.show_ground(square_image(QColor(0, 0, 255)), 30.0)
    view.show_photo(square_image(QColor(255, 0, 0)), 60.0)
    seen = []
    for share in (0.0, 0.25, 1.0):
        view.set_opacity(share)
        seen.append(view.grab().toImage().pixelColor(60, 60))
    assert [color.red() for color in seen] == pytest.approx([0, 64, 255], abs=3)
    assert [color.blue() for color in seen] == pytest.approx([255, 191, 0], abs=3)


# the engine


def test_a_place_is_scored_as_the_search_scored_its_candidates():
    asked = {"method": "fused", "verify": 12, "hfov": None, "heading": 30.0, "top": 5, "tms": True, "panorama": ["x"]}
    params = question({"parameters": asked}, "/found", "/index", "/a.jpg", 9.1234567891, 48.5, 361.0)
    assert params == {
        "index": "/index", "panorama": ["/a.jpg"], "at": ["9.12345679,48.50000000"], "turned": 1.0,
        "results": "/found", "method": "fused", "verify": 12, "heading": 30.0, "tms": True,
    }  # fmt: skip
    joint = question({"parameters": {**asked, "sequence": True}}, "/found", "/index", "/a.jpg", 9.0, 48.5, None)
    assert "results" not in joint and "turned" not in joint


def test_answers_in_words():
    place = {"score": 4.2, "rank": 3, "of": 20, "probability_50m": 0.123, "heading_deg": 80.0, "turned_score": 1.5,
             "best_m": 4.4, "why": None}  # fmt: skip
    said = answer_text(place, 200.0)
    for part in ("4.20", "number 3 of 20", "12 % within 50 m", "heading of 200°: 1.50", "80°", "4 m away"):
        assert part in said
    assert 'href="heading"' in said and 'href="place"' in said
    for probability, told in ((0.998, "&gt; 99 %"), (0.006, "&lt; 1 %")):  # as in the list of candidates
        assert f"{told} within 50 m" in answer_text({**place, "probability_50m": probability}, 200.0)
    plain = answer_text({**place, "rank": None, "turned_score": None, "best_m": 0.0}, 79.0)
    assert "href" not in plain and "number" not in plain
    assert (
        answer_text({"score": None, "why": "there is <no> imagery"}, None) == "No score: there is &lt;no&gt; imagery."
    )

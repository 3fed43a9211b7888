"""Where one looks: dragging, zooming, how far one can turn, and how it is said."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from photo_files import flat, panorama

from plugin.gui.locate.compass import degrees_at, marks, offset_of
from plugin.gui.locate.view_text import looking, spoken_kind
from plugin.photos.facts import photo_of
from plugin.photos.sight import Reach, Sight, compass_point, first_sight, spoken_azimuth

sights = st.builds(Sight, st.floats(-180, 180), st.floats(-90, 90), st.floats(10, 110))


def test_what_is_under_the_pointer_follows_it():
    sight = Sight(10, 0, 90)
    pulled = sight.dragged(50, 0, 1000)  # 50 pixels of a focal length of 500
    assert pulled.turn == pytest.approx(10 - math.degrees(0.1), abs=0.01)
    assert sight.dragged(0, 50, 1000).pitch == pytest.approx(math.degrees(0.1), abs=0.01), "pulled down, one looks up"


@given(sight=sights, factor=st.floats(0.5, 2))
def test_zooming_about_the_middle_keeps_the_direction(sight, factor):
    closer = sight.zoomed(factor)
    assert closer.turn == sight.turn and closer.pitch == sight.pitch
    assert math.tan(math.radians(sight.fov) / 2) / math.tan(math.radians(closer.fov) / 2) == pytest.approx(factor)


def test_zooming_about_the_pointer_keeps_what_is_there():
    sight = Sight(0, 0, 60)
    closer = sight.zoomed(2, 30, 0, 1000)
    before = sight.turn + 30 * sight.degrees_per_pixel(1000)
    after = closer.turn + 30 * closer.degrees_per_pixel(1000)
    assert after == pytest.approx(before)


@given(sight=st.builds(Sight, st.floats(-1e4, 1e4), st.floats(-400, 400), st.floats(-10, 400)))
def test_what_is_kept_is_kept(sight):
    for photo in (panorama("p", 100), flat("f", 64, 48, 70.0, pitch_deg=-20.0)):
        reach = Reach.of(photo)
        kept = reach.keep(sight)
        assert reach.keep(kept) == kept
        assert -180 <= kept.turn <= 180 and abs(kept.pitch) <= 90 and 0 < kept.fov <= 150


def test_a_strip_is_not_left():
    strip = photo_of(
        {"path": "s", "kind": "strip", "hfov_deg": 120.0, "vfov_deg": 50.0, "pitch_center_deg": -10.0, "width": 1200,
         "height": 500}
    )  # fmt: skip
    reach = Reach.of(strip)
    assert reach.keep(Sight(100, 80, 90)) == Sight(60, 15, 90) and reach.keep(Sight(-100, -80, 90)) == Sight(
        -60, -35, 90
    )


def test_a_flat_photo_is_seen_whole_at_first():
    photo = flat("f", 640, 480, 60.0, pitch_deg=5.0)
    wide = first_sight(photo, 2.0)  # the window is wider than the photo: its height decides
    assert wide.pitch == 5 and math.tan(math.radians(wide.fov / 2)) == pytest.approx(
        2 * math.tan(math.radians(photo.vfov_deg / 2))
    )
    assert first_sight(photo, 1.0).fov == pytest.approx(60), "here its width does"
    assert first_sight(panorama("p", 100), 1.5) == Sight(0, 0, 90)


@pytest.mark.parametrize(
    ("azimuth", "said"), [(0, "0° N"), (359.6, "0° N"), (123, "123° ESE"), (-90, "270° W"), (348.4, "348° NNW")]
)
def test_azimuths_are_said_with_the_point_of_the_compass(azimuth, said):
    assert spoken_azimuth(azimuth) == said


@given(st.floats(0, 360))
def test_a_point_of_the_compass_is_the_nearest(azimuth):
    points = [k * 22.5 for k in range(17)]
    nearest = min(points, key=lambda point: abs(point - azimuth))
    assert compass_point(azimuth) == compass_point(nearest) or abs(azimuth % 22.5 - 11.25) < 1e-6


@given(sight=sights, degrees=st.floats(-80, 80))
def test_the_compass_is_read_as_it_is_drawn(sight, degrees):
    assert degrees_at(offset_of(degrees, sight, 400), sight, 400) == pytest.approx(degrees, abs=1e-6)


@given(sight=sights, heading=st.one_of(st.none(), st.floats(0, 360)), width=st.sampled_from([220, 380, 1200]))
@example(sight=Sight(157.5, 39.0, 56.0), heading=None, width=220)  # who looks up sees fewer degrees: finer marks
@example(sight=Sight(102.5, 66.0, 10.0), heading=None, width=220)  # and none of every fifth
def test_the_marks_of_the_compass_have_room_and_stand_right(sight, heading, width):
    found = marks(sight, heading, width, 55)
    assert found, "there is always one to read"
    offsets = [offset for offset, _ in found]
    assert all(b - a >= 55 - 1e-6 for a, b in pairwise(offsets)) and all(abs(one) <= width / 2 for one in offsets)


def test_the_marks_are_named():
    texts = [text for _, text in marks(Sight(0, 0, 90), 90.0, 400, 55)]
    assert "E" in texts and all(text[0].isalpha() or text.endswith("°") for text in texts)
    assert [text for _, text in marks(Sight(0, 0, 90), None, 400, 55)] == ["−45°", "0°", "+45°"]


def test_it_is_said_where_one_looks_and_what_the_photo_is():
    assert looking(123.2, known=True) == "Looking at 123° ESE"
    assert looking(-30, known=False) == "Looking 30° left of the middle"
    assert looking(0.2, known=False) == "Looking at the middle"
    assert spoken_kind(panorama("p", 10)) == ""
    assert spoken_kind(flat("f", 4, 3, 65.0)) == "photo of one lens, 65° wide"

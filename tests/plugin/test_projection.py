"""Photos as a lens sees them and from above: laws that hold for any photo. The engine's own figures: tests/contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.photos.facts import photo_of
from plugin.photos.projection import birds_eye, columns_for_lens, columns_from_above, perspective

ROUND = photo_of({"path": "p", "width": 360, "height": 180, "kind": "panorama", "hfov_deg": 360.0, "vfov_deg": 180.0})
FLAT = photo_of(
    {"path": "f", "width": 64, "height": 48, "kind": "photo", "hfov_deg": 70.0, "vfov_deg": 55.41, "heading_deg": 40.0}
)
NOISE = np.random.default_rng(3).integers(0, 256, (60, 120, 4), dtype=np.uint8)
whole = st.integers(0, 119)
angles = st.floats(-180, 540, allow_nan=False)


@given(roll=whole, azimuth=angles, pitch=st.floats(-90, 90), fov=st.floats(20, 120))
def test_rolled_columns_are_a_turn_of_the_heading(roll, azimuth, pitch, fov):
    rolled = np.roll(NOISE, roll, axis=1)  # what stood in the middle stands 3°·roll to the right of it
    still = perspective(NOISE, ROUND, azimuth, pitch, fov, (20, 30), heading_deg=10)
    turned = perspective(rolled, ROUND, azimuth, pitch, fov, (20, 30), heading_deg=10 - 3.0 * roll)
    assert np.abs(still.astype(int) - turned).max() <= 2 and still[..., 3].min() == 255


@given(azimuth=angles, heading=st.floats(0, 360))
def test_the_direction_in_the_middle_is_the_one_that_was_asked_for(azimuth, heading):
    columns = np.arange(720)
    pixels = np.zeros((90, 720, 3), np.uint8)
    pixels[..., 0] = np.abs((columns + 0.5) / 2 - 180)  # degrees from the photo's middle, either way
    view = perspective(pixels, replace(ROUND, heading_deg=heading), azimuth, 0, 40, (11, 11))
    off = abs((azimuth - heading + 180) % 360 - 180)
    assert abs(float(view[5, 5, 0]) - off) <= 1.01


def test_a_flat_photo_seen_through_its_own_lens_is_itself():
    pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    seen = perspective(pixels, FLAT, 40, 0, 70, (48, 64))
    assert np.abs(seen[..., :3].astype(int) - pixels).max() <= 1
    wider = perspective(pixels, FLAT, 40, 0, 110, (48, 96))
    assert wider[24, 48, 3] == 255 and wider[:, 0, 3].max() == 0 and not wider[:, 0].any()
    behind = perspective(pixels, FLAT, 220, 0, 70, (48, 64))
    assert not behind.any(), "nothing is seen behind a lens"


def test_from_above_north_is_up_and_east_is_right():
    pixels = np.zeros((180, 360, 3), np.uint8)
    for color, azimuth in enumerate((0, 90, 180)):  # red to the north, green to the east, blue to the south
        pixels[:, (np.arange(360) - 180 - azimuth + 45) % 360 < 90, color] = 255
    side = 41
    above = birds_eye(pixels, ROUND, 0, 10, side)
    assert above[2, 20].tolist() == [255, 0, 0, 255] and above[20, 38].tolist() == [0, 255, 0, 255]
    assert above[38, 20].tolist() == [0, 0, 255, 255] and above[20, 2].tolist() == [0, 0, 0, 255]
    turned = birds_eye(pixels, ROUND, 90, 10, side)  # the middle looks east now
    assert turned[20, 38].tolist() == [255, 0, 0, 255]
    unknown = birds_eye(pixels, ROUND, None, 10, side)
    assert (unknown == above).all(), "without a heading the middle is up"


@given(height=st.floats(1, 4), distance=st.floats(1, 12))
def test_from_above_a_ring_stands_at_its_distance(height, distance):
    pitch = -np.degrees(np.arctan2(height, distance))
    rows = 90 - (np.arange(720) + 0.5) / 4
    pixels = np.where(rows[:, None, None] > pitch, 255, 0).astype(np.uint8) * np.ones((1, 64, 3), np.uint8)
    above = birds_eye(pixels, ROUND, 0, 16, 321, height)
    reach = np.hypot(*np.mgrid[-160:161, -160:161]) * (32 / 321)
    assert above[..., 0][reach > distance * 1.06 + 0.1].min() == 255
    assert above[..., 0][reach < distance * 0.94 - 0.1].max(initial=0) == 0


def test_what_a_strip_does_not_show_is_a_hole():
    strip = replace(ROUND, kind="strip", hfov_deg=120.0, vfov_deg=60.0)
    above = birds_eye(np.full((60, 120, 3), 9, np.uint8), strip, 0, 10, 21)
    assert above[10, 10, 3] == 0, "30° down is the lowest it sees"
    assert above[0, 10, 3] == 255 and above[20, 10, 3] == 0 and above[10, 20, 3] == 0


@pytest.mark.parametrize("fault", [{"fov": 0.0}, {"fov": 180.0}, {"pixels": NOISE[..., 0]}, {"pixels": NOISE / 1.0}])
def test_what_makes_no_sense_is_refused(fault):
    asked = {"pixels": NOISE, "photo": ROUND, "azimuth": 0, "pitch": 0, "fov": 90, "size": (4, 4), **fault}
    with pytest.raises(ValueError):
        perspective(**asked)
    with pytest.raises(ValueError):
        birds_eye(NOISE, ROUND, 0, half_width_m=-1, side=8)


def test_how_wide_a_photo_must_be_read():
    assert columns_for_lens(ROUND, 90, 1000) == pytest.approx(3142, abs=1)
    assert columns_for_lens(FLAT, 70, 640) == pytest.approx(640, abs=1)
    assert columns_from_above(ROUND, 0.05, 2.5) == pytest.approx(628, abs=4)

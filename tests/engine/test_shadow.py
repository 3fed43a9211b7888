"""Radar shadow: the closed form of a wall, and the look direction of both passes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.sar.shadow import look_azimuth, radar_shadow, shadow_reach


@pytest.mark.parametrize(("incidence", "height"), [(30.0, 50.0), (40.0, 120.0), (45.0, 33.0)])
def test_a_wall_casts_a_shadow_of_height_times_tangent(incidence, height):
    ground = np.zeros((3, 200), np.float32)
    ground[:, 20] = height  # radar to the left (west) of the wall
    hidden = radar_shadow(ground, step=(0, -1), distance_m=1.0, reach=190, incidence_deg=incidence)
    length = height * math.tan(math.radians(incidence))
    expected = [col > 20 and col - 20 < length for col in range(200)]
    assert hidden[1].tolist() == expected


def test_unknown_ground_neither_casts_nor_gets_a_shadow():
    ground = np.zeros((1, 50), np.float32)
    ground[0, 10] = np.nan
    assert not radar_shadow(ground, step=(0, -1), distance_m=1.0, reach=40).any()
    ground[0, 10], ground[0, 12] = 100.0, np.nan
    hidden = radar_shadow(ground, step=(0, -1), distance_m=1.0, reach=40)
    assert hidden[0, 11]
    assert not hidden[0, 12]


@pytest.mark.parametrize("step", [(1, 0), (-1, 0), (0, 1), (0, -1), (0.3, 1.0), (-1.0, 0.6)])
def test_flat_ground_has_no_shadow_in_any_direction(step):
    assert not radar_shadow(np.full((20, 20), 7, np.float32), step=step, distance_m=10.0, reach=15).any()


def test_sentinel1_looks_to_the_right_of_its_track():
    assert look_azimuth("ASCENDING", 0) == pytest.approx(81.8, abs=0.1)
    assert look_azimuth("descending", 0) == pytest.approx(278.2, abs=0.1)
    assert 70 < look_azimuth("Ascending", 50) < 80
    assert look_azimuth("", 50) is None


def test_reach_grows_with_relief_and_stops_at_the_limit():
    assert shadow_reach(100, 10, incidence_deg=45) == 10
    assert shadow_reach(1e6, 10) == 256
    assert shadow_reach(0, 10) == 1

"""Probability of water and what a scene before adds, on small arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sar.water import USUAL_LEVELS, ClassLevels, WaterModel, drop_db, lasting_water, water_probability

MODEL = WaterModel()
WEIGHTS = {"VV": 0.1, "VH": 0.9}


def probability(vv, vh, *, model=MODEL, levels=USUAL_LEVELS, weights=WEIGHTS) -> np.ndarray:
    by_pol = {pol: np.asarray(v, np.float32) for pol, v in (("VV", vv), ("VH", vh)) if v is not None}
    return water_probability(by_pol, levels=levels, weights=weights, model=model)


def flat(value: float, shape=(40, 40)) -> np.ndarray:
    return np.full(shape, value, np.float32)


def test_calm_water_land_and_the_dark_dry_between():
    assert probability(flat(-20), flat(-28)).min() > 0.99
    assert probability(flat(-10), flat(-16.5)).max() < 0.01
    # Dark enough for water, but nothing near is as dark as water: no more than the share of such pixels that are.
    assert probability(flat(-16), flat(-21.5)).max() <= MODEL.isolated + 1e-6


def test_the_edge_level_is_where_half_of_the_land_remains():
    levels = USUAL_LEVELS["VH"]
    half = levels.land_db + 10 * np.log10(0.5)
    assert MODEL.edge_db(levels) == pytest.approx(half, abs=0.02)
    assert levels.water_db < MODEL.seed_db(levels) < MODEL.edge_db(levels)
    assert MODEL.narrow_seed_db(levels) < MODEL.seed_db(levels)


def test_a_straight_shore_is_put_where_it_is():
    vh = flat(-16.5, (60, 60))
    vh[:, 30:] = -28
    found = probability(None, vh, weights={"VH": 1.0}) >= 0.5
    columns = np.argmax(found, axis=1)[5:-5]
    assert (np.abs(columns - 30) <= 1).all()


def test_a_river_of_six_pixels_is_found_although_the_wide_window_never_fits():
    assert MODEL.coarse > 6
    vh = flat(-16.5, (60, 60))
    vh[:, 27:33] = -28
    found = probability(None, vh, weights={"VH": 1.0}) >= 0.5
    assert found[10:50, 28:32].mean() > 0.9
    assert not found[:, :25].any()


def test_bright_vv_over_dark_vh_is_rough_water_and_bright_vh_is_not():
    assert probability(flat(-9), flat(-26.5)).min() > 0.9
    assert probability(flat(-20), flat(-15)).max() < 0.2


def test_darker_is_never_less_water():
    values = [float(probability(flat(-16), flat(vh))[20, 20]) for vh in np.arange(-12, -32, -0.5)]
    assert (np.diff(values) >= -1e-6).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.95, 1.0]), st.integers(1, 20), st.integers(1, 20))
def test_nan_exactly_where_nothing_is_finite_and_a_probability_elsewhere(seed, holes, height, width):
    rng = np.random.default_rng(seed)
    values = rng.uniform(-45, 10, (2, height, width)).astype(np.float32)
    values[rng.random(values.shape) < holes] = np.nan
    found = probability(values[0], values[1])
    assert (np.isnan(found) == ~np.isfinite(values).any(axis=0)).all()
    inside = found[np.isfinite(found)]
    assert ((inside >= 0) & (inside <= 1)).all()


def test_a_pixel_depends_on_its_halo_only():
    rng = np.random.default_rng(0)
    values = rng.uniform(-30, -8, (2, 61, 61)).astype(np.float32)
    changed = values.copy()
    h = MODEL.halo
    outside = np.ones((61, 61), bool)
    outside[30 - h : 31 + h, 30 - h : 31 + h] = False
    changed[:, outside] = rng.uniform(-30, -8, (2, int(outside.sum())))
    assert probability(*changed)[30, 30] == pytest.approx(float(probability(*values)[30, 30]), abs=1e-5)


def test_an_echo_too_weak_for_decibels_is_water_and_not_missing():
    vh = flat(-16.5)
    vh[10:30, 10:30] = -120
    found = probability(None, vh, weights={"VH": 1.0})
    assert np.isfinite(found).all()
    assert found[20, 20] > 0.99


def test_no_polarisation_is_refused():
    with pytest.raises(ValueError, match="polarisation"):
        water_probability({}, levels={}, weights={}, model=MODEL)


def test_levels_move_the_answer():
    bright = {"VH": ClassLevels(land_db=-12.0, water_db=-21.0)}
    vh = flat(-20.5)
    assert probability(None, vh, weights={"VH": 1.0}, levels=bright).min() > 0.9
    assert probability(None, vh, weights={"VH": 1.0}).max() < 0.5


def test_the_fall_is_the_weighted_log_ratio_of_what_both_have():
    now = {"VV": flat(-20), "VH": flat(-27)}
    before = {"VV": flat(-10), "VH": flat(-17)}
    np.testing.assert_allclose(drop_db(now, before, weights=WEIGHTS, model=MODEL), 10, atol=1e-3)
    before["VH"][:] = np.nan
    before["VV"][:5] = np.nan
    fall = drop_db(now, before, weights=WEIGHTS, model=MODEL)
    assert np.isnan(fall[:5]).all()
    np.testing.assert_allclose(fall[5:], 10, atol=1e-3)


def test_water_before_is_what_did_not_change():
    def lasting(p_before: float, p_now: float, drop: float) -> float:
        arrays = (np.array([[v]], np.float32) for v in (p_before, p_now, drop))
        return float(lasting_water(*arrays, model=MODEL)[0, 0])

    assert lasting(0.95, 0.95, 0.0) > 0.9  # water both times
    assert lasting(0.05, 0.95, 0.3) > 0.9  # as dark before: rough water, tarmac
    assert lasting(0.05, 0.95, 9.0) < 0.05  # land before: flood
    assert lasting(0.60, 0.95, 9.0) < 0.10  # dark field before, but much brighter than now
    assert lasting(0.90, 0.05, -9.0) > 0.9  # water before, dry now
    assert lasting(0.30, 0.95, 4.0) < 0.10  # a weak trace of water before hides no flood
    assert lasting(0.90, 0.95, float("nan")) > 0.9  # no log-ratio: P(before) alone
    assert np.isnan(lasting(float("nan"), 0.95, 0.0))

"""Pure optics: scene classes, water indices, bands of products."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.mapping.flood.baselines import optical_baseline_maps
from engine.optics.classification import is_classification, shows_ground
from engine.optics.indices import normalised_difference, water_indices
from engine.optics.products import LEVEL_1C, LEVEL_2A, bands_by_number

values = st.one_of(st.floats(-0.25, 1.5, width=32), st.just(float("nan")))


@given(st.lists(st.tuples(values, values), min_size=1, max_size=30))
def test_normalised_differences_beside_the_formula(pairs):
    a, b = np.array(pairs, np.float32).T
    found = normalised_difference(a, b)
    for x, y, index in zip(a.tolist(), b.tolist(), found.tolist(), strict=True):
        x, y = max(x, 0.0) if x == x else x, max(y, 0.0) if y == y else y
        if math.isnan(x) or math.isnan(y) or x + y <= 0:
            assert math.isnan(index)
        else:
            assert abs(index - (x - y) / (x + y)) < 1e-5
            assert -1 <= index <= 1


def test_indices_need_their_bands_and_water_is_high():
    water = {"B03": np.full((4, 4), 0.06, np.float32), "B08": np.full((4, 4), 0.02, np.float32)}
    land = {"B03": np.full((4, 4), 0.08, np.float32), "B08": np.full((4, 4), 0.3, np.float32)}
    assert set(water_indices(water)) == {"ndwi"}
    both = {name: np.concatenate([water[name], land[name]]) for name in water}
    maps = optical_baseline_maps(both)
    assert set(maps) == {"ndwi_0", "ndwi_otsu"}
    for mapped, _ in maps.values():
        assert mapped[:4].all()
        assert not mapped[4:].any()
    assert maps["ndwi_0"][1] == 0
    nothing = optical_baseline_maps({name: np.full((2, 2), np.nan, np.float32) for name in water})
    assert not any(mapped.any() for mapped, _ in nothing.values())


def test_scene_classes():
    codes = np.array([float("nan"), *range(12)], np.float32)
    assert shows_ground(codes).tolist() == [False, False, False, True, False, True, True, True, True] + [False] * 3 + [
        True
    ]
    assert is_classification(codes)
    assert not is_classification(np.array([12.0], np.float32))
    assert not is_classification(np.array([0.5], np.float32))
    assert not is_classification(np.array([-1.0], np.float32))


def test_products_tell_their_bands_by_number():
    assert (len(LEVEL_1C), len(LEVEL_2A)) == (13, 12)
    assert bands_by_number(13) == LEVEL_1C
    assert bands_by_number(12) == LEVEL_2A
    assert bands_by_number(3) is None
    assert set(LEVEL_1C) - set(LEVEL_2A) == {"B10"}

"""Thresholds and a model together: the rule, strips that are cut differently, and the ends of both."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ModelError
from engine.events import Reporter
from engine.mapping.flood.fused import FusedDetector, fuse
from engine.raster.grid import Window

WIDTH = 3


class Fixed:
    """A detector of given probabilities, cut at given rows."""

    sensors, optical_bands, grow_percent = ("s1",), (), 10

    def __init__(self, values: np.ndarray, cuts: list[int], name: str = "fixed") -> None:
        self.values, self.cuts, self.name = values, [0, *sorted(set(cuts)), len(values)], name
        self.ended = False

    def check(self, scene) -> None:
        pass

    def probabilities(self, scene, reporter):
        try:
            for start, stop in zip(self.cuts, self.cuts[1:], strict=False):
                if stop > start:
                    yield Window(start, 0, stop - start, WIDTH), self.values[start:stop]
        finally:
            self.ended = True

    probabilities_before = probabilities

    def diagnostics(self):
        return {self.name: True}


def by_hand(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return b if math.isnan(a) else a
    return max(a, (a + b) / 2) if (a + b) / 2 >= 0.5 else a


probability = st.one_of(st.just(float("nan")), st.floats(0, 1, width=32))


@given(st.lists(st.tuples(probability, probability), min_size=1, max_size=40))
def test_the_rule_is_that_of_every_pixel_by_itself(pairs):
    a, b = (np.array(column, np.float32)[None] for column in zip(*pairs, strict=True))
    found = fuse(a, b)
    expected = np.array([by_hand(x, y) for x, y in zip(a[0].tolist(), b[0].tolist(), strict=True)], np.float32)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    known = ~np.isnan(a[0])
    assert (found[0][known] >= a[0][known]).all(), "what thresholds find is never taken away"
    assert found.dtype == np.float32 and (np.isnan(found) == (np.isnan(a) & np.isnan(b))).all()


@given(
    st.integers(1, 30),
    st.lists(st.integers(1, 29), max_size=6),
    st.lists(st.integers(1, 29), max_size=6),
    st.integers(0, 99),
)
def test_the_map_does_not_depend_on_how_either_cuts_its_strips(rows, first, second, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, rows, WIDTH)).astype(np.float32)
    one = Fixed(a, [c for c in first if c < rows])
    two = Fixed(b, [c for c in second if c < rows], "model")
    parts = list(FusedDetector(one, two).probabilities(None, Reporter()))
    row = 0
    for window, values in parts:
        assert (window.row, window.col, window.width) == (row, 0, WIDTH) and values.shape == window.shape
        row = window.row_stop
    assert row == rows
    np.testing.assert_array_equal(np.concatenate([values for _, values in parts]), fuse(a, b))
    assert one.ended and two.ended


def test_names_and_facts_are_those_of_both():
    values = np.zeros((4, WIDTH), np.float32)
    fused = FusedDetector(Fixed(values, [], "threshold"), Fixed(values, [], "lake"))
    assert fused.name == "threshold+lake" and fused.diagnostics() == {"threshold": True, "lake": True}
    assert fused.sensors == ("s1",) and fused.grow_percent == 10


def test_a_model_for_another_sensor_has_no_part_beside_thresholds():
    values = np.zeros((4, WIDTH), np.float32)
    optical = Fixed(values, [], "green")
    optical.sensors = ("s2",)
    with pytest.raises(ModelError, match="green maps from s2"):
        FusedDetector(Fixed(values, []), optical)


def test_a_map_that_is_not_read_to_its_end_ends_both():
    values = np.zeros((8, WIDTH), np.float32)
    one, two = Fixed(values, [2, 4]), Fixed(values, [3, 6])
    strips = FusedDetector(one, two).probabilities(None, Reporter())
    next(strips)
    strips.close()
    assert one.ended and two.ended


@pytest.mark.parametrize("rows", [3, 9])
def test_detectors_that_disagree_about_the_scene_are_an_error(rows):
    fused = FusedDetector(Fixed(np.zeros((6, WIDTH), np.float32), []), Fixed(np.zeros((rows, WIDTH), np.float32), [2]))
    with pytest.raises(ValueError, match="rows"):
        list(fused.probabilities(None, Reporter()))

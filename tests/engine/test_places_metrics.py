"""Figures of a search for places: by hand, by loops, and by their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ModelError
from engine.metrics.places import (
    bootstrap_estimate,
    chunked_ranks,
    heading_error,
    hit_rate,
    ranks_with_others,
    recall_within,
    roc,
    searched_area,
)
from engine.metrics.retrieval import ranks_of_scores


def test_headings_are_compared_the_short_way_round():
    found = heading_error([359, 1, 90, 270, 0, np.nan], [1, 359, 270, 90, 0, 5])
    np.testing.assert_allclose(found, [2, 2, 180, 180, 0, np.nan])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.integers(1, 7))
def test_ranks_are_those_of_a_loop_and_of_any_chunk(seed, gallery, chunk):
    draw = np.random.default_rng(seed)
    scores = draw.integers(0, 4, (9, gallery)).astype(float)  # many ties
    right = draw.integers(0, gallery, 9)
    loop = [1 + sum(scores[i, j] >= scores[i, right[i]] for j in range(gallery) if j != right[i]) for i in range(9)]
    np.testing.assert_array_equal(ranks_of_scores(scores, right), loop)
    np.testing.assert_array_equal(chunked_ranks(lambda rows: scores[rows], right, chunk=chunk), loop)
    one = np.zeros(scores.shape, bool)
    one[np.arange(9), right] = True
    np.testing.assert_array_equal(ranks_with_others(scores, one), loop)


def test_semi_positives_are_passed_over_and_hits_count_them():
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.5, 0.5, 0.2, 0.1]])
    right = np.array([[False, True, False, False], [True, False, False, False]])
    semi = np.array([[True, False, False, False], [False, False, True, False]])
    assert ranks_with_others(scores, right).tolist() == [2, 2]
    assert ranks_with_others(scores, right, semi).tolist() == [1, 2]
    assert hit_rate(scores, right | semi) == 0.5  # the tie of the second row counts against
    assert hit_rate(np.zeros((0, 4)), np.zeros((0, 4), bool)) is None
    with pytest.raises(ValueError, match="needs a right item"):
        ranks_with_others(scores, np.zeros_like(right))


def test_a_constant_finds_nothing_and_nan_is_an_error():
    assert ranks_with_others(np.zeros((3, 5)), np.eye(3, 5, dtype=bool)).tolist() == [5, 5, 5]
    with pytest.raises(ModelError):
        ranks_with_others(np.full((1, 2), np.nan), np.array([[True, False]]))
    with pytest.raises(ModelError):
        chunked_ranks(lambda rows: np.full((2, 3), np.inf), [0, 1])


def test_recall_within_metres_and_the_area_that_was_searched():
    distances = np.array([[200.0, 20, 5], [60, 40, np.nan], [500, 400, 300]])
    assert recall_within(distances, 1, 50) == 0
    assert recall_within(distances, 2, 50) == pytest.approx(2 / 3)
    assert recall_within(distances, 3, 10) == pytest.approx(1 / 3)
    assert recall_within(np.zeros((0, 3)), 1, 50) is None
    rows = searched_area([1, 1, 3, 50], 900.0, levels=(0.5, 0.75, 1.0))
    assert [row["candidates"] for row in rows] == [1, 3, 50]
    assert rows[-1]["area_m2"] == 45_000
    assert searched_area([], 900.0) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_the_area_under_the_curve_is_the_chance_of_the_larger_number(present, absent):
    found = roc(present, absent)
    pairs = [(a > b) + (a == b) / 2 for a in present for b in absent]
    assert found.auc == pytest.approx(np.mean(pairs))
    x, y = np.array(found.curve).T
    assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
    assert found.curve[0] == (0, 0) and found.curve[-1] == (1, 1)
    assert np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) == pytest.approx(found.auc)


def test_an_interval_of_a_median_holds_it_and_repeats():
    values = np.random.default_rng(0).exponential(10, 60)
    one, two = (bootstrap_estimate(values, lambda drawn: float(np.median(drawn)), draws=300) for _ in range(2))
    assert one == two and one.low <= one.value <= one.high and one.n == 60
    assert bootstrap_estimate([], lambda drawn: 1.0).value is None

"""Segmentation figures, bootstrap and calibration against closed forms and slow references."""

from __future__ import annotations

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.metrics.bootstrap import mean_estimate, pooled_estimate
from engine.metrics.calibration import PercentCalibration
from engine.metrics.segmentation import FIGURES, Confusion, figures_of_counts


def mask(shape=(7, 9)):
    return arrays(bool, shape)


@settings(max_examples=60, deadline=None)
@given(mask(), mask(), mask())
def test_counts_equal_a_loop_over_pixels(mapped, truth, scored):
    slow = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    for m, t, s in zip(mapped.flat, truth.flat, scored.flat, strict=True):
        if s:
            slow[("t" if m == t else "f") + ("p" if m else "n")] += 1
    found = Confusion.of(mapped=mapped, truth=truth, scored=scored)
    assert found == Confusion(**slow)
    assert found.n == scored.sum()


def test_figures_of_a_worked_example():
    c = Confusion(tp=30, fp=10, fn=20, tn=40)
    assert c.figures() == {"iou": 0.5, "f1": pytest.approx(2 / 3), "precision": 0.75, "recall": 0.6}
    assert c.positive_share == 0.5


def test_f1_and_iou_are_one_function_of_each_other():
    for tp, fp, fn in product((1, 5, 100), (0, 3), (0, 7)):
        c = Confusion(tp, fp, fn, 1)
        assert c.f1 == pytest.approx(2 * c.iou / (1 + c.iou))


def test_what_is_not_defined_is_none_and_goes_into_json():
    assert Confusion().figures() == dict.fromkeys(FIGURES)
    assert Confusion(tn=9).figures() == dict.fromkeys(FIGURES)
    missed = Confusion(fn=3)
    assert (missed.iou, missed.f1, missed.precision, missed.recall) == (0, 0, None, 0)
    false = Confusion(fp=3)
    assert (false.iou, false.f1, false.precision, false.recall) == (0, 0, 0, None)
    json.dumps(Confusion().figures(), allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4), min_size=1, max_size=6))
def test_many_at_once_equal_one_by_one(rows):
    table = np.array(rows, float)
    for name in FIGURES:
        for row, value in zip(rows, figures_of_counts(name, table), strict=True):
            one = getattr(Confusion(*row), name)
            assert (math.isnan(value) and one is None) or value == pytest.approx(one)


def iou(counts):
    return figures_of_counts("iou", counts)


def test_the_interval_equals_a_slow_bootstrap():
    items = np.random.default_rng(5).integers(0, 100, (8, 4))
    generator = np.random.default_rng(0)
    drawn = []
    for chosen in generator.integers(0, 8, size=(2000, 8)):
        total = Confusion()
        for i in chosen:
            total += Confusion(*map(int, items[i]))
        drawn.append(total.iou)
    found = pooled_estimate(items, iou)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))
    assert found.value == pytest.approx(Confusion(*map(int, items.sum(0))).iou)
    assert found.n == 8


def test_a_single_item_has_an_interval_of_no_width():
    found = pooled_estimate([[3, 1, 0, 5]], iou)
    assert (found.value, found.low, found.high, found.n) == (0.75, 0.75, 0.75, 1)


@pytest.mark.parametrize("values", [[True, False, True, True], [0.25, -1.5, 3.0], [], [np.nan, 1.0]])
def test_the_mean_is_the_pooled_figure_of_values_and_ones(values):
    found = mean_estimate(values)
    table = np.array([[value, 1.0] for value in values], np.float64).reshape(-1, 2)
    assert found == pooled_estimate(table, lambda sums: sums[..., 0] / sums[..., 1])
    if values and np.isfinite(values).all():
        assert found.value == pytest.approx(np.mean(values)) and found.n == len(values)


def test_draws_without_a_positive_do_not_make_nan():
    found = pooled_estimate([[0, 0, 0, 5], [4, 1, 0, 5]], iou)
    assert (found.value, found.low, found.high) == (0.8, 0.8, 0.8)
    assert pooled_estimate([[0, 0, 0, 5]], iou).plain() == {"value": None, "low": None, "high": None, "n": 1}
    assert pooled_estimate(np.empty((0, 4)), iou).plain() == {"value": None, "low": None, "high": None, "n": 0}


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """The mean of 40 items of a known distribution: 95 % intervals of 300 samples hold it 89 to 99 % of the time."""
    generator = np.random.default_rng(1)
    held = 0
    for seed in range(300):
        sample = generator.exponential(2.0, 40)
        table = np.stack([sample, np.ones(40)], axis=1)
        found = pooled_estimate(table, lambda s: s[..., 0] / s[..., 1], seed=seed, draws=400)
        held += found.low <= 2.0 <= found.high
    assert 0.89 <= held / 300 <= 0.99


percents = arrays(np.uint8, (40,), elements=st.integers(0, 100))


@settings(max_examples=60, deadline=None)
@given(percents, arrays(bool, (40,)), st.sampled_from([1, 4, 10]))
def test_calibration_equals_a_loop(percent, truth, number):
    found = PercentCalibration()
    found.add(percent[:13], truth[:13])
    found.add(percent[13:], truth[13:])
    bins = [[] for _ in range(number)]
    for p, t in zip(percent.tolist(), truth.tolist(), strict=True):
        bins[min(number - 1, p * number // 100)].append((p / 100, t))
    gaps = [len(b) * abs(np.mean([p for p, _ in b]) - np.mean([t for _, t in b])) for b in bins if b]
    assert found.ece(number) == pytest.approx(sum(gaps) / 40, abs=1e-12)
    assert found.brier() == pytest.approx(np.mean((percent / 100 - truth) ** 2))
    assert [b.n for b in found.bins(number)] == [len(b) for b in bins]


def test_perfect_and_worst_calibration():
    sure, contrary = PercentCalibration(), PercentCalibration()
    truth = np.array([True, False, True])
    sure.add(np.where(truth, 100, 0).astype(np.uint8), truth)
    contrary.add(np.where(truth, 0, 100).astype(np.uint8), truth)
    assert (sure.ece(), sure.brier()) == (0, 0)
    assert (contrary.ece(), contrary.brier()) == (1, 1)
    half = PercentCalibration()
    half.add(np.full(10, 50, np.uint8), np.arange(10) < 5)
    assert (half.ece(), half.brier()) == (0, 0.25)


def test_calibration_of_nothing_is_none():
    empty = PercentCalibration()
    assert (empty.ece(), empty.brier(), empty.n) == (None, None, 0)
    json.dumps([b.plain() for b in empty.bins()], allow_nan=False)


def test_a_code_among_probabilities_is_refused():
    with pytest.raises(ValueError, match="255"):
        PercentCalibration().add(np.array([255], np.uint8), np.array([True]))

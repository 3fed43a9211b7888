"""Means over repeats and paired differences, calibration of many tables at once: beside loops."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.calibration import PercentCalibration, ece_of_tables
from engine.metrics.paired import mean_estimate, paired_difference
from engine.metrics.segmentation import figures_of_counts

IOU = partial(figures_of_counts, "iou")


def counts(repeats=3, n=7, seed=0, most=50):
    return np.random.default_rng(seed).integers(0, most, (repeats, n, 4)).astype(float)


def iou_of(rows) -> float:
    tp, fp, fn = (sum(row[k] for row in rows) for k in range(3))
    return tp / (tp + fp + fn) if tp + fp + fn else math.nan


def by_loops(first, second, draws, seed):
    """Item by item, repeat by repeat: value and the sorted finite differences of the draws."""
    repeats, n = len(first), len(first[0])
    chosen = np.random.default_rng(seed).integers(0, n, size=(draws, n))

    def difference(items):
        total = 0.0
        for r in range(repeats):
            one = iou_of([first[r][i] for i in items])
            total += one - (iou_of([second[r][i] for i in items]) if second is not None else 0.0)
        return total / repeats

    drawn = [difference(list(items)) for items in chosen]
    return difference(range(n)), sorted(d for d in drawn if math.isfinite(d))


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("repeats", "n", "most"), [(3, 7, 50), (1, 4, 2), (2, 1, 9)])
def test_estimates_equal_loops(paired, repeats, n, most):
    first, second = counts(repeats, n, 1, most), counts(repeats, n, 2, most)
    found = (
        paired_difference(first, second, IOU, draws=300, seed=5)
        if paired
        else mean_estimate(first, IOU, draws=300, seed=5)
    )
    value, drawn = by_loops(first.tolist(), second.tolist() if paired else None, 300, 5)
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high), abs=1e-12)
    assert found.n == n


def test_one_repeat_is_the_pooled_estimate():
    table = counts(1)
    assert mean_estimate(table, IOU).plain() == pytest.approx(pooled_estimate(table[0], IOU).plain())


def test_a_method_does_not_differ_from_itself_and_pairing_narrows_the_interval():
    first = counts(2, 40, 3)
    first[:, :, 0] += 50 * np.arange(40) % 90  # items differ much more than methods do
    second = first + np.array([0, 3, 0, 0])
    same = paired_difference(first, first, IOU)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    apart, alone = paired_difference(first, second, IOU), mean_estimate(first, IOU)
    assert apart.low > 0
    assert apart.high - apart.low < (alone.high - alone.low) / 3
    back = paired_difference(second, first, IOU)
    assert (back.value, back.low, back.high) == pytest.approx((-apart.value, -apart.high, -apart.low))


def test_what_is_not_defined_is_none_and_wrong_shapes_are_refused():
    nothing = np.zeros((2, 3, 4))
    assert mean_estimate(nothing, IOU).plain() == {"value": None, "low": None, "high": None, "n": 3}
    half = np.stack([nothing[0], counts(1, 3)[0]])
    assert paired_difference(half, counts(2, 3), IOU).value is None, "one seed without a score"
    assert mean_estimate(np.zeros((0, 3, 4)), IOU).value is None
    assert mean_estimate(np.zeros((2, 0, 4)), IOU).n == 0
    with pytest.raises(ValueError, match="one shape"):
        paired_difference(counts(2), counts(3), IOU)
    with pytest.raises(ValueError, match="r, n, k"):
        mean_estimate(np.zeros((3, 4)), IOU)


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, 40, elements=st.integers(0, 100)), arrays(bool, 40), st.integers(1, 12))
def test_calibration_errors_of_tables_equal_those_of_pixels(percent, truth, bins):
    whole = PercentCalibration.of(percent, truth)
    tables = np.stack(
        [PercentCalibration.of(percent[part], truth[part]).table() for part in (slice(0, 13), slice(13, 40))]
    )
    found = ece_of_tables(np.concatenate([tables, tables.sum(axis=0, keepdims=True)]).astype(float), bins)
    assert found[2] == pytest.approx(whole.ece(bins))
    assert found[0] == pytest.approx(PercentCalibration.of(percent[:13], truth[:13]).ece(bins))
    again = PercentCalibration()
    for table in tables.tolist():
        again.add_table(table)
    assert again.bins() == whole.bins()
    assert again.brier() == whole.brier()


def test_no_pixel_has_no_calibration_error_and_a_strange_table_is_refused():
    assert math.isnan(ece_of_tables(np.zeros((2, 101))))
    with pytest.raises(ValueError, match="2 x 101"):
        PercentCalibration().add_table(np.zeros((2, 100)))

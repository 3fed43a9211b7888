"""Thresholds against closed forms and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.sar.thresholds import Bimodality, kittler_illingworth, otsu, shrink

EDGES = np.arange(-40, 5.01, 0.25)
CENTRES = 0.5 * (EDGES[:-1] + EDGES[1:])


def normal(mean: float, sd: float) -> np.ndarray:
    z = (EDGES - mean) / (sd * math.sqrt(2))
    return np.diff([0.5 * (1 + math.erf(v)) for v in z])


def mixture(low=(-26.0, 1.5), high=(-16.0, 1.5), share=0.5, n=1e6) -> np.ndarray:
    return n * (share * normal(*low) + (1 - share) * normal(*high))


def bayes_threshold(low, high, share) -> float:
    x = np.linspace(low[0], high[0], 100001)

    def log_density(mean_sd, weight):
        return np.log(weight / mean_sd[1]) - 0.5 * ((x - mean_sd[0]) / mean_sd[1]) ** 2

    return float(x[np.argmin(np.abs(log_density(low, share) - log_density(high, 1 - share)))])


def test_two_equal_normals_are_cut_halfway_with_known_separation():
    for method in (otsu, kittler_illingworth):
        split = method(mixture(), EDGES)
        assert split.threshold == pytest.approx(-21, abs=0.25)
        assert split.low_mean == pytest.approx(-26, abs=0.05)
        assert split.high_mean == pytest.approx(-16, abs=0.05)
        assert split.low_sd == pytest.approx(1.5, abs=0.05)
        assert split.ashman_d == pytest.approx(math.sqrt(2) * 10 / math.sqrt(2 * 1.5**2), rel=0.02)
        assert split.between == pytest.approx(25 / (25 + 1.5**2), rel=0.02)  # (d/2)² / ((d/2)² + σ²)
        assert split.valley < 0.1


@pytest.mark.parametrize(
    ("low", "high", "share"),
    [((-26, 1.0), (-16, 2.0), 0.5), ((-27, 1.5), (-16, 1.5), 0.05), ((-24, 2.0), (-15, 1.0), 0.8)],
)
def test_kittler_illingworth_is_the_bayes_threshold_of_unequal_normals(low, high, share):
    split = kittler_illingworth(mixture(low, high, share), EDGES)
    assert split.threshold == pytest.approx(bayes_threshold(low, high, share), abs=0.4)
    assert split.low_share == pytest.approx(share, abs=0.01)


def test_otsu_splits_a_single_normal_in_half_and_the_test_refuses_it():
    split = otsu(1e6 * normal(-16, 2), EDGES)
    assert split.threshold == pytest.approx(-16, abs=0.25)
    assert split.between == pytest.approx(2 / math.pi, rel=0.02)
    for method in (otsu, kittler_illingworth):
        for sd in (1.0, 2.0, 4.0):
            assert not Bimodality().passes(method(1e6 * normal(-16, sd), EDGES))


def test_what_passes_is_two_modes():
    passes = Bimodality().passes
    assert passes(kittler_illingworth(mixture(), EDGES))
    assert passes(kittler_illingworth(mixture(share=0.15), EDGES))
    assert not passes(kittler_illingworth(mixture(share=0.01), EDGES))  # too little water to learn from
    assert not passes(kittler_illingworth(mixture(low=(-18, 1.5)), EDGES))  # one hump


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.int64, st.integers(2, 12), elements=st.integers(0, 50)))
def test_the_cost_is_the_least_of_all_cuts(counts):
    edges = np.arange(counts.size + 1) * 0.5 - 3
    x = 0.5 * (edges[:-1] + edges[1:])
    best = {"otsu": -math.inf, "ki": math.inf}
    for k in range(1, counts.size):
        a, b = counts[:k], counts[k:]
        if a.sum() and b.sum():
            stats = []
            for c, v in ((a, x[:k]), (b, x[k:])):
                mean = (c * v).sum() / c.sum()
                stats.append((c.sum() / counts.sum(), mean, (c * (v - mean) ** 2).sum() / c.sum() + 0.25 / 12))
            (p0, m0, v0), (p1, m1, v1) = stats
            best["otsu"] = max(best["otsu"], p0 * p1 * (m1 - m0) ** 2)
            best["ki"] = min(
                best["ki"], 1 + p0 * math.log(v0) + p1 * math.log(v1) - 2 * (p0 * math.log(p0) + p1 * math.log(p1))
            )
    first, second = otsu(counts, edges), kittler_illingworth(counts, edges)
    if best["ki"] == math.inf:
        assert np.isnan(first.threshold)
        assert np.isnan(second.threshold)
        assert not Bimodality().passes(first)
        return
    p0 = first.low_share
    assert p0 * (1 - p0) * (first.high_mean - first.low_mean) ** 2 == pytest.approx(best["otsu"], abs=1e-9)
    p0, v0, v1 = second.low_share, second.low_sd**2, second.high_sd**2
    cost = 1 + p0 * math.log(v0) + (1 - p0) * math.log(v1) - 2 * (p0 * math.log(p0) + (1 - p0) * math.log(1 - p0))
    assert cost == pytest.approx(best["ki"], abs=1e-6)


def test_many_histograms_at_once_equal_one_by_one():
    counts = np.stack([mixture(), mixture(share=0.2), 1e6 * normal(-16, 2), np.zeros(CENTRES.size)])
    together = kittler_illingworth(counts, EDGES)
    for i, row in enumerate(counts):
        one = kittler_illingworth(row, EDGES)
        for field in ("threshold", "low_mean", "ashman_d", "between", "valley"):
            np.testing.assert_allclose(getattr(together, field)[i], getattr(one, field))
    np.testing.assert_array_equal(Bimodality().passes(together), [True, True, False, False])


def test_an_empty_gap_is_cut_in_its_middle():
    counts = np.zeros(CENTRES.size)
    counts[20], counts[100] = 500, 500
    assert otsu(counts, EDGES).threshold == pytest.approx((EDGES[21] + EDGES[100]) / 2, abs=0.25)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="edge"):
        otsu(np.ones(5), np.arange(5))


def test_shrinking_goes_from_the_prior_to_the_median():
    assert shrink([], prior=-26, prior_weight=4) == -26
    assert shrink([np.nan], prior=-26, prior_weight=4) == -26
    assert shrink([-30, -30, -30, -30], prior=-26, prior_weight=4) == pytest.approx(-28)
    assert shrink([-30] * 5, prior=-26, prior_weight=0) == pytest.approx(-30)
    assert shrink([-30] * 5, prior=-26, prior_weight=math.inf) == -26
    assert shrink([-30, -30, 500], prior=-30, prior_weight=1) == pytest.approx(-30)

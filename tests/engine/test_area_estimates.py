"""Accuracy and areas from samples: published examples with their intervals, laws, and coverage in simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.allocation import allocate, points_for_standard_error
from engine.metrics.area_estimates import Z95, estimate_accuracy
from engine.metrics.stratified_sample import StratifiedSample, post_stratified

# Olofsson et al. 2014, table 8: rows are map classes (deforestation, forest gain, stable forest, stable non-forest).
OLOFSSON = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
OLOFSSON_PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
HECTARES = 10_000_000 * 0.09


def from_matrix(counts, area, *, pixels=None):
    """A sample with the map's classes as strata."""
    rows, cols = np.nonzero(counts)
    times = counts[rows, cols]
    mapped, reference = np.repeat(rows, times), np.repeat(cols, times)
    return StratifiedSample(
        area=np.asarray(area, float),
        stratum=mapped,
        mapped=mapped,
        reference=reference,
        classes=len(counts),
        names=tuple("ABCDEFGH"[: len(counts)]),
        pixels=pixels,
        stratum_class=np.arange(len(counts)),
    )


def half(estimate):
    return Z95 * estimate.se


def test_the_example_of_olofsson_2014():
    """Section 5.2 as printed: areas in hectares to the hectare, accuracies to two digits.

    Two printed intervals of producer's accuracy (0.23 and 0.01) do not follow from the paper's equation 7, which
    gives 0.254 and 0.018; readers of the paper who ran other programs on it found the same. Its standard error of
    34,097 pixels is a slip as well: the interval of 68,418 that is printed beside it belongs to 34,907.
    """
    found = estimate_accuracy(from_matrix(OLOFSSON, OLOFSSON_PIXELS))
    assert [round(e.value, 2) for e in found.users] == [0.88, 0.73, 0.93, 0.96]
    assert [round(half(e), 2) for e in found.users] == [0.07, 0.10, 0.04, 0.02]
    assert [round(e.value, 2) for e in found.producers] == [0.75, 0.85, 0.93, 0.96]
    assert [round(half(e), 2) for e in found.producers] == [0.21, 0.25, 0.03, 0.02]
    assert round(found.overall.value, 2) == 0.95 and round(half(found.overall), 2) == 0.02
    assert [round(e.value * HECTARES) for e in found.area] == [21_158, 11_686, 285_770, 581_386]
    assert [round(half(e) * HECTARES) for e in found.area] == [6_158, 3_756, 15_510, 16_282]
    assert round(found.area[0].value * 1e7) == 235_086 and round(half(found.area[0]) * 1e7) == 68_418
    assert round(found.area[0].se * 1e7) == 34_907
    # Table 9: estimated proportions of area.
    assert found.proportions[0].round(4).tolist() == [0.0176, 0.0, 0.0013, 0.0011]
    assert found.proportions[3].round(4).tolist() == [0.004, 0.002, 0.0179, 0.6212]
    # The interval is the 95 % one, in shares and in areas.
    in_hectares = found.area[0].scaled(HECTARES)
    assert in_hectares.low == pytest.approx(21_158 - 6_158, abs=1)
    assert in_hectares.high == pytest.approx(21_158 + 6_158, abs=1)


STEHMAN_MAP = "AAAAAAABBBABBBBBBBBBBBCCCCCCBBDDDDDDDDDD"
STEHMAN_TRUTH = "AAAAACBABCABBBBBAABBCCCCCDDBBADDDDDDDCCB"


def stehman(pixels=None):
    index = {c: k for k, c in enumerate("ABCD")}
    return StratifiedSample(
        area=np.array([40_000.0, 30_000, 20_000, 10_000]),
        stratum=np.repeat(np.arange(4), 10),
        mapped=np.array([index[c] for c in STEHMAN_MAP]),
        reference=np.array([index[c] for c in STEHMAN_TRUTH]),
        classes=4,
        names=("1", "2", "3", "4"),
        pixels=pixels,
    )


def test_the_example_of_stehman_2014():
    """Forty points in four strata that are not the map's classes; values and standard errors of pages 4932 to 4936.

    For the producer's accuracy of B equation 28 gives 0.117, as the R package mapac prints (0.11657); one public
    transcription of the page has 0.114.
    """
    found = estimate_accuracy(stehman(np.array([40_000, 30_000, 20_000, 10_000])))
    assert found.area[0].value == pytest.approx(0.35) and round(found.area[0].se, 3) == 0.082
    assert found.area[2].value == pytest.approx(0.20) and round(found.area[2].se, 3) == 0.064
    assert found.overall.value == pytest.approx(0.63) and round(found.overall.se, 3) == 0.085
    assert round(found.users[1].value, 3) == 0.574 and round(found.users[1].se, 3) == 0.125
    assert round(found.producers[1].value, 3) == 0.794 and round(found.producers[1].se, 3) == 0.117
    assert found.proportions[1, 2] == pytest.approx(0.08)
    assert [round(e.value, 4) for e in found.f1] == [0.697, 0.6667, 0.375, 0.6667]


@st.composite
def matrices(draw):
    classes = draw(st.integers(2, 5))
    counts = np.array(
        draw(
            st.lists(
                st.lists(st.integers(0, 30), min_size=classes, max_size=classes), min_size=classes, max_size=classes
            )
        )
    )
    counts[np.arange(classes), np.arange(classes)] += 2
    area = np.array(draw(st.lists(st.floats(1, 1e6), min_size=classes, max_size=classes)))
    return counts, area


@settings(max_examples=60, deadline=None)
@given(matrices())
def test_the_general_estimator_is_olofssons_where_strata_are_classes(case):
    counts, area = case
    found = estimate_accuracy(from_matrix(counts, area))
    w, n = area / area.sum(), counts.sum(axis=1)
    rows = counts / n[:, None]
    users = np.diag(rows)
    p = w[:, None] * rows
    assert found.proportions == pytest.approx(p)
    assert sum(e.value for e in found.area) == pytest.approx(1)
    assert found.overall.value == pytest.approx(np.trace(p))
    assert found.overall.se == pytest.approx(np.sqrt((w**2 * users * (1 - users) / (n - 1)).sum()), abs=1e-12)
    by_class = np.sqrt((w[:, None] ** 2 * rows * (1 - rows) / (n[:, None] - 1)).sum(axis=0))
    for k, (user, producer, share) in enumerate(zip(found.users, found.producers, found.area, strict=True)):
        assert user.value == pytest.approx(users[k])
        assert user.se == pytest.approx(np.sqrt(users[k] * (1 - users[k]) / (n[k] - 1)), abs=1e-12)
        assert share.value == pytest.approx(p[:, k].sum()) and share.se == pytest.approx(by_class[k], abs=1e-12)
        total = (area[:, None] * rows)[:, k].sum()
        made = area[k] * users[k] / total
        other = sum(area[i] ** 2 * rows[i, k] * (1 - rows[i, k]) / (n[i] - 1) for i in range(len(n)) if i != k)
        own = area[k] ** 2 * (1 - made) ** 2 * users[k] * (1 - users[k]) / (n[k] - 1)
        assert producer.value == pytest.approx(made)
        assert producer.se == pytest.approx(np.sqrt(own + made**2 * other) / total, abs=1e-9)
        for one in (user, producer, share, found.f1[k]):
            assert one.low is None or 0 <= one.low <= one.value <= one.high <= 1
            assert one.low is not None or (one.se == 0 and one.why)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 40), st.floats(1, 1e5)), min_size=1, max_size=6))
def test_a_perfect_map(strata):
    counts = np.diag([n for n, _ in strata])
    area = np.array([a for _, a in strata])
    found = estimate_accuracy(from_matrix(counts, area))
    assert found.overall.value == pytest.approx(1)
    assert [e.value for e in found.area] == pytest.approx(list(area / area.sum()))
    assert all(e.value == pytest.approx(1) for e in (*found.users, *found.producers, *found.f1))
    # No error by the formula is no certainty: an exact interval where there is one, else none.
    for k, (n, _) in enumerate(strata):
        assert found.users[k].low == pytest.approx(0.025 ** (1 / n)) and found.users[k].high == 1
        if len(strata) > 1:
            assert found.area[k].se == 0 and found.area[k].low is None and "no certainty" in found.area[k].why


def test_what_cannot_be_estimated_is_none_with_a_reason():
    counts = np.array([[5, 1, 0], [0, 1, 0], [0, 0, 0]])
    sample = from_matrix(counts, [10.0, 5.0, 1.0])
    found = estimate_accuracy(sample)
    assert found.users[2].value is None and "no point lies" in found.users[2].why
    assert found.producers[2].value is None and found.f1[2].value is None
    assert found.overall.value is not None and found.overall.se is None and "B has one point" in found.overall.why
    # A stratum of another class does not matter to user's accuracy; the one with one point does to its own.
    assert found.users[0].se is not None and found.users[1].se is None
    assert sample.covered == pytest.approx(15 / 16) and found.total_area == 15
    for one in (found.overall, *found.users, *found.area):
        assert not any(isinstance(v, float) and np.isnan(v) for v in one.plain().values())
    # A census has no sampling error, not even of a single pixel.
    census = estimate_accuracy(from_matrix(counts, [10.0, 5.0, 1.0], pixels=np.array([6, 1, 3])))
    assert census.overall.se == 0 and census.overall.low == census.overall.value == census.overall.high


def test_post_stratification_joins_rare_classes():
    mapped = np.array([0] * 10 + [1] * 5 + [2])
    sample = post_stratified(
        area=np.array([100.0, 50, 2, 1]), pixels=None, mapped=mapped, reference=mapped, names=("a", "b", "c", "d")
    )
    assert sample.points.min() >= 2 and sample.area.sum() == 153
    assert sample.names == ("a", "b + c + d") and sample.stratum_class.tolist() == [0, -1]
    assert estimate_accuracy(sample).overall.se is not None


@pytest.mark.parametrize("design", ["classes", "other strata", "simple"])
def test_intervals_hold_the_truth_about_95_times_in_100(design):
    """A thousand samples from a known population: each figure's interval covers its truth in 92 to 97.5 per cent."""
    rng = np.random.default_rng(5)
    truth = rng.choice(3, 20_000, p=[0.6, 0.3, 0.1])
    wrong = rng.random(20_000) < 0.2
    mapped = np.where(wrong, rng.choice(3, 20_000), truth)
    strata = (
        mapped
        if design == "classes"
        else rng.choice(4, 20_000)
        if design == "simple"
        else (truth + rng.choice(2, 20_000)) % 3
    )
    members = [np.flatnonzero(strata == h) for h in range(strata.max() + 1)]
    expected = {
        "overall": (truth == mapped).mean(),
        "users": ((truth == 1) & (mapped == 1)).sum() / (mapped == 1).sum(),
        "producers": ((truth == 1) & (mapped == 1)).sum() / (truth == 1).sum(),
        "f1": 2 * ((truth == 1) & (mapped == 1)).sum() / ((truth == 1).sum() + (mapped == 1).sum()),
        "area": (truth == 1).mean(),
    }
    held, draws = dict.fromkeys(expected, 0), 1000
    for _ in range(draws):
        if design == "simple":
            at = rng.choice(20_000, 750, replace=False)
            sample = post_stratified(
                area=np.bincount(mapped).astype(float),
                pixels=np.bincount(mapped),
                mapped=mapped[at],
                reference=truth[at],
                names=("a", "b", "c"),
            )
        else:
            at = np.concatenate([rng.choice(m, 250, replace=False) for m in members])
            sample = StratifiedSample(
                area=np.array([len(m) for m in members], float),
                stratum=strata[at],
                mapped=mapped[at],
                reference=truth[at],
                classes=3,
                names=("a", "b", "c"),
                pixels=np.array([len(m) for m in members]),
            )
        found = estimate_accuracy(sample)
        for name, value in expected.items():
            one = getattr(found, name)
            one = one if name == "overall" else one[1]
            held[name] += one.low <= value <= one.high
    for name, times in held.items():
        assert 0.92 <= times / draws <= 0.975, f"{design}: {name} {times / draws}"


def test_sample_size_of_olofsson_2014():
    """Section 5.1: standard error 0.01 with expected accuracies 0.70, 0.60, 0.90, 0.95 needs 641 points."""
    weights, accuracies = (0.020, 0.015, 0.320, 0.645), (0.70, 0.60, 0.90, 0.95)
    assert points_for_standard_error(0.01, weights=weights, accuracies=accuracies) == 641
    assert points_for_standard_error(0.01, weights=weights, accuracies=accuracies, pixels=10_000_000) == 641
    assert points_for_standard_error(0.01, weights=weights, accuracies=accuracies, pixels=600) < 400
    with pytest.raises(ValueError, match="above 0"):
        points_for_standard_error(0, weights=weights, accuracies=accuracies)


def test_allocations_of_olofsson_2014():
    """Table 5 has 160 each for equal and 13, 10, 205, 413 for proportional allocation."""
    areas = [200_000.0, 150_000, 3_200_000, 6_450_000]
    pixels = [int(a) for a in areas]
    assert sorted(allocate(641, rule="equal", areas=areas, pixels=pixels)) == [160, 160, 160, 161]
    assert allocate(641, rule="proportional", areas=areas, pixels=pixels) == [13, 10, 205, 413]
    assert allocate(641, rule="proportional", areas=areas, pixels=pixels, least=75) == [75, 75, 163, 328]
    optimal = allocate(641, rule="optimal", areas=areas, pixels=pixels, accuracies=[0.7, 0.6, 0.9, 0.95])
    assert optimal == [23, 19, 243, 356]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.integers(1, 3000)), min_size=1, max_size=12),
    st.integers(2, 2000),
    st.integers(0, 100),
    st.sampled_from(["proportional", "equal", "optimal"]),
)
def test_every_allocation_adds_up_and_stays_within_its_bounds(strata, points, least, rule):
    areas, pixels = [a for a, _ in strata], [n for _, n in strata]
    try:
        found = allocate(points, rule=rule, areas=areas, pixels=pixels, least=least)
    except ValueError:
        assert points > sum(pixels) or points < sum(min(least, n) for n in pixels)
        return
    assert sum(found) == points
    for n, room in zip(found, pixels, strict=True):
        assert (0 if rule == "equal" else min(least, room)) <= n <= room

"""Statistics in one pass: as those of all valid values at once, however the values are cut, missing ones never in."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DamagedFileError
from engine.training.data.statistics import BandStatistics, RunningStatistics, merged

NAMES = ("VV", "VH")


def values(seed, count, holes, offset):
    generator = np.random.default_rng(seed)
    array = generator.normal([[offset], [-offset]], [[1.0], [3.0]], (2, count))
    array[generator.random((2, count)) < holes] = np.nan
    return array


@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    holes=st.sampled_from([0.0, 0.3, 0.95]),
    offset=st.sampled_from([0.0, -12.0, 1e6]),
)
@settings(max_examples=60, deadline=None)
def test_parts_in_any_cut_and_any_tree_give_the_whole(seed, cuts, holes, offset):
    array = values(seed, 200, holes, offset)
    edges = [0, *sorted(cuts), 200]
    parts = []
    one = RunningStatistics(NAMES)
    for a, b in pairwise(edges):
        one.add(array[:, a:b])
        part = RunningStatistics(NAMES)
        part.add(array[:, a:b].reshape(2, 1, -1))
        parts.append(part)
    tree = RunningStatistics(NAMES)
    for part in reversed(parts):
        tree.merge(RunningStatistics.from_state(json.loads(json.dumps(part.state()))))
    for found in (one.result(), tree.result(), merged([p.result() for p in parts])):
        for band in range(2):
            valid = array[band][np.isfinite(array[band])]
            assert found.count[band] == valid.size
            if valid.size:
                assert found.mean[band] == pytest.approx(valid.mean(), rel=1e-9, abs=1e-9)
                assert found.std[band] == pytest.approx(valid.std(), rel=1e-6, abs=1e-6)
            else:
                assert (found.mean[band], found.std[band]) == (0.0, 1.0)


def test_infinite_values_never_enter():
    one = RunningStatistics(("VV",))
    one.add(np.array([[1.0, np.inf, 3.0, -np.inf, np.nan]], np.float32))
    assert one.result() == BandStatistics(("VV",), (2.0,), (1.0,), (2,))


def test_single_precision_sums_do_not_lose_a_small_spread():
    one = RunningStatistics(("B02",))
    generator = np.random.default_rng(0)
    array = (10_000 + generator.normal(0, 0.5, (1, 100_000))).astype(np.float32)
    for part in np.array_split(array, 50, axis=1):
        one.add(part)
    assert one.result().std[0] == pytest.approx(array.astype(np.float64).std(), rel=1e-9)


def test_they_come_back_from_json_and_into_a_card():
    found = BandStatistics(NAMES, (-11.5, -18.25), (4.0, 0.0), (10, 10))
    assert BandStatistics.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    inputs = found.inputs("s1")
    assert [(b.name, b.unit, b.mean) for b in inputs] == [("VV", "db", -11.5), ("VH", "db", -18.25)]
    assert inputs[1].std > 0  # a constant band must not divide by zero


@pytest.mark.parametrize("found", [{}, {"names": ["VV"], "mean": [1], "std": ["x"], "count": [1]},
                                   {"names": ["VV"], "mean": [1, 2], "std": [1], "count": [1]}])  # fmt: skip
def test_damaged_statistics_are_refused(found):
    with pytest.raises(DamagedFileError):
        BandStatistics.from_dict(found)

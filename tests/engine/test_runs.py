"""Runs written out, and what hangs together, beside plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.raster.runs import connected, counted

RUNS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=12)


@given(RUNS)
def test_runs_are_written_out_one_after_another(runs):
    start, length = (np.array([run[k] for run in runs], np.int64) for k in (0, 1))
    assert counted(start, length).tolist() == [first + k for first, count in runs for k in range(count)]


@given(st.integers(0, 12), st.data(), st.sampled_from([1, 2, 256, 300]))
def test_what_hangs_together_is_one_however_often_a_pair_comes(count, data, times):
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, max(0, count - 1))] * 2), max_size=12 if count else 0))
    of = list(range(count))
    for a, b in pairs:
        of = [of[a] if one == of[b] else one for one in of]
    table = np.array(pairs * times, np.int64).reshape(-1, 2).T
    number, found = connected(table, count)
    assert number == len(set(of)) and found.shape == (count,)
    assert all((found[a] == found[b]) == (of[a] == of[b]) for a in range(count) for b in range(count))

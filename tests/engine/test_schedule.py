"""The learning rate over a run."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.training.schedule import Schedule


def test_warm_up_climbs_evenly_and_the_cosine_falls_to_the_floor():
    schedule = Schedule(steps=14, warmup=4, floor=0.1)
    assert [schedule.factor(i) for i in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert schedule.factor(4) == 1.0
    assert schedule.factor(13) == pytest.approx(0.1)
    expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 3 / 9))
    assert schedule.factor(7) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.data())
def test_it_never_leaves_its_range_and_never_climbs_after_the_warm_up(steps, data):
    warmup = data.draw(st.integers(0, steps))
    floor = data.draw(st.floats(0, 1))
    schedule = Schedule(steps=steps, warmup=warmup, floor=floor)
    factors = [schedule.factor(i) for i in range(steps)]
    assert all(0 <= f <= 1 for f in factors)
    after = factors[max(warmup - 1, 0) :]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(after))
    assert max(factors) == 1.0


@pytest.mark.parametrize("values", [{"steps": 0}, {"steps": 5, "warmup": 6}, {"steps": 5, "floor": 1.5}])
def test_what_cannot_be_is_refused(values):
    with pytest.raises(ParameterError, match="schedule"):
        Schedule(**values)

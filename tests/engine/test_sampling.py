"""The order of samples: all once an epoch over all processes, the same again after a restart, another each epoch."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DamagedFileError
from engine.training.data.crops import Sample
from engine.training.data.sampling import EpochSampler, TimePartners, group_weights

CASES = {
    "count": st.integers(0, 60),
    "batch": st.integers(1, 7),
    "world": st.integers(1, 4),
    "drop": st.booleans(),
    "seed": st.integers(0, 100),
}


def samplers(count, batch, world, drop, seed, **more):
    return [
        EpochSampler(count, batch=batch, seed=seed, rank=r, world=world, drop_last=drop, **more) for r in range(world)
    ]


@given(**CASES)
@settings(max_examples=80, deadline=None)
def test_no_sample_twice_in_an_epoch_and_all_processes_step_alike(count, batch, world, drop, seed):
    every = samplers(count, batch, world, drop, seed)
    seen = []
    for epoch in range(2):
        batches = [list(one) for one in every]
        assert len({len(b) for b in batches}) == 1 and len(batches[0]) == every[0].steps
        drawn = np.concatenate([np.concatenate([*b, []]) for b in batches]).astype(int)
        assert len(set(drawn.tolist())) == drawn.size
        if drop:
            assert drawn.size == count // (batch * world) * batch * world
            assert all(len(x) == batch for b in batches for x in b)
        else:
            assert sorted(drawn.tolist()) == list(range(count))
            if count:  # the last batch is shared out as evenly as it can be
                last = [len(b[-1]) for b in batches]
                assert max(last) - min(last) <= 1
        assert all(one.epoch == epoch + 1 and one.step == 0 for one in every)
        seen.append([b.tolist() for b in batches[0]])
    if count > 20 and every[0].steps > 2:
        assert seen[0] != seen[1]


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), balance=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_balanced_epochs_draw_each_sample_as_often_as_its_group_allows(sizes, balance, seed):
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    count = len(groups)
    weights = group_weights(groups, balance)
    together = [weights[[g == f"g{n}" for g in groups]].sum() for n in range(len(sizes))]
    np.testing.assert_allclose(together, [size ** (1 - balance) for size in sizes])
    pool = list(range(100, 100 + count))
    one = EpochSampler(1000, batch=1, seed=seed, indices=pool, weights=weights)
    order = one.order(3)
    assert len(order) == count and (order == one.order(3)).all() and set(order) <= set(pool)
    drawn = np.bincount(order - 100, minlength=count)
    assert (np.abs(drawn - count * weights / weights.sum()) < 1).all()
    if balance == 0:
        assert (drawn == 1).all()


def test_weights_that_make_no_sense_are_refused():
    for weights in ([1.0], [0.0, 0.0], [1.0, -1.0]):
        with pytest.raises(ValueError, match="weights"):
            EpochSampler(2, batch=1, seed=0, weights=np.asarray(weights))


@given(stop=st.integers(0, 25), **CASES)
@settings(max_examples=60, deadline=None)
def test_a_run_that_is_stopped_anywhere_goes_on_as_if_it_was_not(stop, count, batch, world, drop, seed):
    rank = world - 1

    def drawn(one, number):
        found = []
        while len(found) < number and one.steps:
            for batch_ in one:
                found.append(batch_.tolist())
                if len(found) == number:
                    break
        return found

    whole = drawn(samplers(count, batch, world, drop, seed)[rank], stop + 10)
    first = samplers(count, batch, world, drop, seed)[rank]
    begun = drawn(first, stop)
    state = json.loads(json.dumps(first.state()))
    again = samplers(count, batch, world, drop, seed)[rank]
    again.load_state(state)
    assert begun + drawn(again, 10) == whole


def test_two_processes_draw_what_one_with_twice_the_batch_draws():
    (one,) = samplers(50, 8, 1, True, 3)
    two = samplers(50, 4, 2, True, 3)
    for whole, a, b in zip(one, *two, strict=True):
        assert sorted(whole.tolist()) == sorted([*a.tolist(), *b.tolist()])


def test_a_state_of_one_process_goes_on_in_two():
    (one,) = samplers(50, 8, 1, True, 3)
    batches = iter(one)
    next(batches)
    state = one.state()
    expected = next(batches).tolist()
    two = samplers(50, 4, 2, True, 3)
    for each in two:
        each.load_state(state)
    assert sorted(x for each in two for x in next(iter(each)).tolist()) == sorted(expected)


@pytest.mark.parametrize(
    "change", [{"seed": 9}, {"count": 51}, {"global_batch": 4}, {"step": 99}, {"epoch": None}, {"step": -1}]
)
def test_a_state_of_something_else_is_refused(change):
    (one,) = samplers(50, 8, 1, True, 3)
    with pytest.raises(DamagedFileError):
        one.load_state({**one.state(), **change})


def test_a_subset_is_drawn_from_alone():
    (one,) = samplers(100, 2, 1, False, 0, indices=[5, 17, 40, 41, 99])
    assert sorted(x for b in one for x in b.tolist()) == [5, 17, 40, 41, 99]


@pytest.mark.parametrize(("batch", "rank", "world"), [(0, 0, 1), (1, 1, 1), (1, -1, 2), (1, 0, 0)])
def test_impossible_settings_are_refused(batch, rank, world):
    with pytest.raises(ValueError, match="cannot be"):
        EpochSampler(10, batch=batch, seed=0, rank=rank, world=world)


def sample(spot, day, name="x"):
    date = None if day is None else f"2020-01-{day:02d}T00:00:00+00:00"
    return Sample(name=name, group="g", spot=spot, s1_date=date, s2_date=date)


def test_partners_in_time_show_the_same_spot_within_the_days():
    samples = [sample("a", 1), sample("a", 5), sample("a", 25), sample("b", 1), sample("c", None), sample("c", None)]
    partners = TimePartners(samples, max_days=10)
    assert [partners.of(i).tolist() for i in range(6)] == [[0, 1], [0, 1], [2], [3], [4], [5]]
    wide = TimePartners(samples, max_days=24)
    assert wide.of(0).tolist() == [0, 1, 2]
    generator = np.random.default_rng(0)
    draws = np.array([wide.draw(np.array([0, 3]), generator) for _ in range(300)])
    assert set(draws[:, 0].tolist()) == {0, 1, 2} and set(draws[:, 1].tolist()) == {3}
    assert np.bincount(draws[:, 0]).min() > 70

"""Objectives beside brute force (loops that follow the formulas), closed-form values, and laws."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.errors import ParameterError
from engine.models.losses.collapse import health
from engine.models.losses.dense import dense_info_nce, valid_at
from engine.models.losses.gather import Gather
from engine.models.losses.infonce import info_nce
from engine.models.losses.moco import KeyQueue, moco_loss, momentum_copy, momentum_update
from engine.models.losses.ntxent import nt_xent, simclr
from engine.models.losses.scale import LogitScale

SIZES = settings(max_examples=25, deadline=None)


def pair(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n, d, generator=generator, dtype=torch.float64) * 3 for _ in range(2))  # type: ignore


def cosine(u: Tensor, v: Tensor) -> float:
    return float(u @ v / (u.norm() * v.norm()))


def one_of_many(positive: float, negatives: list[float], t: float) -> float:
    return -math.log(math.exp(positive / t) / (math.exp(positive / t) + sum(math.exp(s / t) for s in negatives)))


def slow_info_nce(a: Tensor, b: Tensor, t: float) -> float:
    n, total = len(a), 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        total += one_of_many(cosine(a[i], b[i]), [cosine(a[i], b[j]) for j in others], t)
        total += one_of_many(cosine(b[i], a[i]), [cosine(b[i], a[j]) for j in others], t)
    return total / (2 * n)


def slow_nt_xent(a: Tensor, b: Tensor, t: float) -> float:
    z, n, total = [*a, *b], len(a), 0.0
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        others = [j for j in range(2 * n) if j not in (i, partner)]
        total += one_of_many(cosine(z[i], z[partner]), [cosine(z[i], z[j]) for j in others], t)
    return total / (2 * n)


def slow_moco(q: Tensor, k: Tensor, queue: Tensor, t: float) -> float:
    return sum(one_of_many(cosine(q[i], k[i]), [cosine(q[i], w) for w in queue], t) for i in range(len(q))) / len(q)


@SIZES
@given(n=st.integers(1, 7), d=st.integers(2, 9), seed=st.integers(0, 99), t=st.floats(0.05, 2))
def test_all_equal_the_loops(n: int, d: int, seed: int, t: float) -> None:
    a, b = pair(n, d, seed)
    assert float(info_nce(a, b, temperature=t)) == pytest.approx(slow_info_nce(a, b, t), rel=1e-9, abs=1e-12)
    assert float(nt_xent(a, b, temperature=t)) == pytest.approx(slow_nt_xent(a, b, t), rel=1e-9, abs=1e-12)
    assert float(simclr(a, b, temperature=t)) == float(nt_xent(a, b, temperature=t))
    queue = pair(5, d, seed + 1)[0]
    assert float(moco_loss(a, b, queue, temperature=t)) == pytest.approx(slow_moco(a, b, queue, t), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 64])
def test_values_in_closed_form(n: int) -> None:
    same = torch.ones(n, 8)
    assert float(info_nce(same, same, temperature=0.07)) == pytest.approx(math.log(n), abs=1e-5)
    assert float(nt_xent(same, same, temperature=0.07)) == pytest.approx(math.log(2 * n - 1), abs=1e-5)
    assert float(moco_loss(same, same, torch.ones(n, 8), temperature=0.2)) == pytest.approx(math.log(n + 1), abs=1e-5)
    # Partners alike, all others orthogonal: every row has exp(1/t) against n − 1 (or 2n − 2) times exp(0).
    apart, e, t = torch.eye(n), math.exp(1 / 0.5), 0.5
    assert float(info_nce(apart, apart, temperature=t)) == pytest.approx(-math.log(e / (e + n - 1)), rel=1e-5, abs=1e-6)
    expected = -math.log(e / (e + 2 * n - 2))
    assert float(nt_xent(apart, apart, temperature=t)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_gradients_are_those_of_differences() -> None:
    a, b = (x.requires_grad_() for x in pair(4, 3))
    t = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    for loss in (info_nce, nt_xent):
        assert torch.autograd.gradcheck(lambda a, b, t, loss=loss: loss(a, b, temperature=t), (a, b, t))
    queue = pair(6, 3, 5)[0]
    assert torch.autograd.gradcheck(lambda a, t: moco_loss(a, b, queue, temperature=t), (a, t))


@SIZES
@given(n=st.integers(2, 7), seed=st.integers(0, 99))
def test_laws(n: int, seed: int) -> None:
    a, b = pair(n, 6, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    for loss in (info_nce, nt_xent):
        value = float(loss(a, b, temperature=0.2))
        assert float(loss(b, a, temperature=0.2)) == pytest.approx(value), "not symmetric"
        assert float(loss(a[order], b[order], temperature=0.2)) == pytest.approx(value), "the order of pairs counts"
        assert float(loss(a @ turn, b @ turn, temperature=0.2)) == pytest.approx(value), "the axes count"
        assert float(loss(a * 7, b, temperature=0.2)) == pytest.approx(value), "length counts"


def test_negatives_of_one_sensor_are_in_ntxent_alone() -> None:
    """Two rows of ``a`` move together: only the loss with negatives inside a sensor sees it."""
    a, b = torch.eye(4)[:2], torch.eye(4)[2:]
    near = torch.stack([a[0], (a[0] + 0.01 * a[1])])
    assert float(info_nce(a, b, temperature=0.1)) == pytest.approx(float(info_nce(near, b, temperature=0.1)), abs=1e-5)
    assert float(nt_xent(near, b, temperature=0.1)) > float(nt_xent(a, b, temperature=0.1)) + 1


def test_half_precision_and_autocast_are_computed_in_float32() -> None:
    a, b = (x.float() for x in pair(16, 32))
    for loss in (info_nce, nt_xent):
        exact = loss(a, b, temperature=0.05)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(loss(a, b, temperature=0.05), exact)
        low = loss(a.bfloat16(), b.bfloat16(), temperature=0.05)
        assert low.dtype == torch.float32
        assert torch.equal(low, loss(a.bfloat16().float(), b.bfloat16().float(), temperature=0.05))


def test_wrong_arguments_are_refused() -> None:
    a, b = pair(4, 3)
    for loss in (info_nce, nt_xent):
        with pytest.raises(ParameterError, match=r"\(4, 3\) and \(3, 3\)"):
            loss(a, b[:3], temperature=0.1)
        for t in (0, -1, math.nan, math.inf):
            with pytest.raises(ParameterError, match="above 0"):
                loss(a, b, temperature=t)
    with pytest.raises(ParameterError, match="no process 2 among 2"):
        Gather(2, 2)
    with pytest.raises(ParameterError):
        KeyQueue(0, 3)
    with pytest.raises(ParameterError, match="different parameters"):
        momentum_update(torch.nn.Linear(2, 2), torch.nn.Conv2d(2, 2, 1, bias=False), 0.9)


def test_an_empty_batch_costs_nothing() -> None:
    a = torch.zeros(0, 3, requires_grad=True)
    for loss in (info_nce, nt_xent):
        value = loss(a, a, temperature=0.1)
        value.backward()
        assert float(value.detach()) == 0


# ------------------------------------------------------------------------------------------------- temperature


def test_the_logit_scale_learns_and_stops_at_100() -> None:
    scale = LogitScale(0.07)
    assert scale().item() == pytest.approx(0.07)
    assert LogitScale(0.001)().item() == pytest.approx(0.01)
    a, _ = pair(8, 4)
    optimiser = torch.optim.SGD(scale.parameters(), lr=50.0)
    for _ in range(5):  # perfect partners want it ever larger
        optimiser.zero_grad()
        info_nce(a, a, temperature=scale()).backward()
        optimiser.step()
    assert scale().item() == pytest.approx(0.01)
    with torch.no_grad():
        scale.log_scale.fill_(10.0)
    assert scale().item() == pytest.approx(0.01)
    info_nce(a, a.flip(0), temperature=scale()).backward()  # wrong partners want it smaller: the gradient passes
    assert float(scale.log_scale.grad) > 0
    scale.clamp_()
    assert scale.log_scale.item() == pytest.approx(math.log(100))


# -------------------------------------------------------------------------------------------------------- queue


@SIZES
@given(size=st.integers(1, 7), batches=st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_the_queue_holds_the_last_keys(size: int, batches: list[int]) -> None:
    queue, pushed = KeyQueue(size, 3, seed=1), []
    first = queue.keys.clone()
    for number, n in enumerate(batches):
        keys = torch.randn(n, 3, generator=torch.Generator().manual_seed(number))
        queue.push(keys)
        pushed += list(torch.nn.functional.normalize(keys, dim=1))
    wanted = [*first[len(pushed) :], *pushed[-size:]] if len(pushed) < size else pushed[-size:]
    assert sorted(tuple(k.tolist()) for k in wanted) == sorted(tuple(k.tolist()) for k in queue.keys)
    again = KeyQueue(size, 3, seed=2)
    again.load_state_dict(queue.state_dict())
    assert torch.equal(again.keys, queue.keys) and int(again.position) == len(pushed) % size


def test_momentum_follows_slowly_and_keeps_running_statistics() -> None:
    torch.manual_seed(0)
    fast = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    slow = momentum_copy(fast)
    assert not any(p.requires_grad for p in slow.parameters())
    start = slow[0].weight.clone()
    with torch.no_grad():
        fast[0].weight.add_(1)
    fast[1].running_mean.fill_(9)
    momentum_update(slow, fast, 0.99)
    torch.testing.assert_close(slow[0].weight, start + 0.01)
    assert float(slow[1].running_mean.abs().max()) == 0
    momentum_update(slow, fast, 0)
    assert torch.equal(slow[0].weight, fast[0].weight)


def test_no_gradient_reaches_the_keys() -> None:
    q, k = (x.requires_grad_() for x in pair(3, 4))
    queue = KeyQueue(8, 4)
    moco_loss(q, k, queue.keys, temperature=0.2).backward()
    assert q.grad is not None and k.grad is None


# -------------------------------------------------------------------------------------------------------- dense


def test_dense_equals_the_loop_over_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 5, 3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    valid = torch.rand(2, 3, 4, generator=generator) > 0.4
    places = [(n, y, x) for n in range(2) for y in range(3) for x in range(4)]
    for mask in (torch.ones_like(valid), valid):
        kept = [p for p in places if mask[p]]
        rows = [torch.stack([m[n, :, y, x] for n, y, x in kept]) for m in (a, b)]
        assert float(dense_info_nce(a, b, temperature=0.3, valid=mask)) == pytest.approx(slow_info_nce(*rows, 0.3))
    assert float(dense_info_nce(a, b, temperature=0.3, valid=valid[:, None])) == float(
        dense_info_nce(a, b, temperature=0.3, valid=valid)
    )


def test_dense_draws_points_and_never_from_invalid_pixels() -> None:
    a, b = (torch.randn(2, 4, 8, 8, requires_grad=True) for _ in range(2))
    valid = torch.zeros(2, 8, 8, dtype=torch.bool)
    valid[:, :4] = True
    values = []
    for seed in (0, 0, 1):
        a.grad = None
        value = dense_info_nce(
            a, b, temperature=0.3, valid=valid, points=20, generator=torch.Generator().manual_seed(seed)
        )
        value.backward()
        touched = a.grad.abs().sum(1) > 0
        assert int(touched.sum()) == 20 and not bool((touched & ~valid).any())
        values.append(value.item())
    assert values[0] == values[1] != values[2]
    nothing = dense_info_nce(a, b, temperature=0.3, valid=torch.zeros_like(valid))
    nothing.backward()
    assert float(nothing) == 0
    with pytest.raises(ParameterError, match="mask"):
        dense_info_nce(a, b, temperature=0.3, valid=valid[:, :4])
    with pytest.raises(ParameterError, match="At least one point"):
        dense_info_nce(a, b, temperature=0.3, points=0)
    with pytest.raises(ParameterError, match="one shape"):
        dense_info_nce(a, b[:1], temperature=0.3)


def test_validity_on_the_grid_of_features() -> None:
    valid = torch.ones(1, 1, 64, 64, dtype=torch.bool)
    valid[..., :40] = False
    assert valid_at(valid, (2, 2)).tolist() == [[[[False, True], [False, True]]]]
    assert valid_at(valid, (1, 1)).tolist() == [[[[False]]]] and valid_at(valid, (1, 1), share=0.3).all()


# ----------------------------------------------------------------------------------------------------- collapse


def test_health_of_known_embeddings() -> None:
    generator = torch.Generator().manual_seed(0)
    even = health(torch.randn(512, 16, generator=generator) * 5)
    assert even.alarm is None and even.spread == pytest.approx(1, abs=0.02) and 15 < even.rank <= 16
    point = health(torch.ones(64, 16) + 1e-3 * torch.randn(64, 16, generator=generator))
    assert "one point" in (point.alarm or "") and point.spread < 0.01
    assert health(torch.ones(64, 16)).rank == 0
    sign = torch.sign(torch.randn(64, 1, generator=generator))
    line = health(sign * torch.ones(64, 16))
    assert "line" in (line.alarm or "") and line.rank == pytest.approx(1, abs=1e-3)
    # Three orthogonal directions, equally often: two dimensions remain once centred.
    assert health(torch.eye(16)[:3].repeat(20, 1)).rank == pytest.approx(2, abs=1e-5)
    bad = torch.randn(64, 16, generator=generator)
    bad[3, 4] = math.nan
    assert "not finite" in (health(bad).alarm or "")
    assert health(torch.ones(4, 16)).alarm is None and health(torch.zeros(0, 16)).alarm is None

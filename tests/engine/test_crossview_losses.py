"""InfoNCE with duplicates, semi-positives and rows without a partner, against a loop written from its sentence."""

from __future__ import annotations

import math

import pytest
import torch

from engine.errors import ParameterError
from engine.models.losses.assigned import Assignment, assigned_info_nce
from engine.models.losses.infonce import info_nce

T = 0.2


def rows(n: int = 6, d: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64), torch.randn(n, d, dtype=torch.float64)


def by_hand(a, b, who: Assignment, *, smoothing: float = 0.0, dustbin: bool = False, loose=None) -> float:
    a = a if a.ndim == 3 else a[:, None]
    a, b = a / a.norm(dim=2, keepdim=True), b / b.norm(dim=1, keepdim=True)
    n, turns = a.shape[:2]

    def partner(i: int, j: int) -> bool:
        return i == j and bool(who.labelled[i])

    def negative(i: int, j: int) -> bool:
        for k in range(n):  # any labelled pair of the batch that says the two belong together
            if who.labelled[k] and who.a[k] == who.a[i] and who.b[k] == who.b[j]:
                return False
        return int(who.b[j]) not in who.also[i].tolist()

    total, count = 0.0, 0
    for first in (True, False):
        for i in range(n):
            if not (who.labelled[i] or dustbin):
                continue
            logits, right = [], []
            for j in range(n):
                pair = (i, j) if first else (j, i)
                if not partner(*pair) and not negative(*pair):
                    continue
                for turn in range(turns):
                    if partner(*pair) and (turn == 0 or (loose is not None and loose[i])):
                        right.append(len(logits))
                    logits.append(float(a[pair[0], turn] @ b[pair[1]]) / T)
            if dustbin:
                right = right or [len(logits)]
                logits.append(0.0)
            log_sum = math.log(sum(map(math.exp, logits)))
            hit = log_sum - math.log(sum(math.exp(logits[k]) for k in right))
            total += (1 - smoothing) * hit + smoothing * sum(log_sum - x for x in logits) / len(logits)
            count += 1
    return total / max(count, 1)


def who_of(a, b, labelled, also=None) -> Assignment:
    n = len(a)
    also = [[-1, -1]] * n if also is None else also
    return Assignment(torch.tensor(a), torch.tensor(b), torch.tensor(labelled), torch.tensor(also))


CASES = {
    "plain": who_of([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [True] * 6),
    "duplicates": who_of([0, 1, 2, 0, 4, 5], [7, 1, 7, 7, 4, 1], [True] * 6),
    "semi": who_of([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [True] * 6, [[1, 2]] + [[-1, -1]] * 4 + [[0, -1]]),
    "some": who_of([0, 1, 2, 3, 4, 5], [0, 1, 2, 8, 9, 7], [True, True, True, False, False, False]),
    "candidates": who_of(
        [0, 1, 2, 3, 1, 5], [0, 1, 2, 8, 9, 0], [True, True, True, False, False, False],
        [[-1, -1]] * 3 + [[2, 9], [1, -1], [-1, -1]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("dustbin", [False, True])
def test_it_is_what_its_sentence_says(case, smoothing, dustbin):
    a, b = rows()
    who = CASES[case]
    found = assigned_info_nce(a, b, who, temperature=T, smoothing=smoothing, dustbin=dustbin)
    assert float(found) == pytest.approx(by_hand(a, b, who, smoothing=smoothing, dustbin=dustbin), rel=1e-9)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("dustbin", [False, True])
@pytest.mark.parametrize("loose", [None, [False, True, False, True, True, False]])
def test_a_wrong_turn_is_a_negative_like_another_row(case, smoothing, dustbin, loose):
    b = rows()[1]
    a = torch.randn(6, 3, 5, dtype=torch.float64)
    who, unknown = CASES[case], None if loose is None else torch.tensor(loose)
    found = assigned_info_nce(a, b, who, temperature=T, smoothing=smoothing, dustbin=dustbin, loose=unknown)
    wanted = by_hand(a, b, who, smoothing=smoothing, dustbin=dustbin, loose=loose)
    assert float(found) == pytest.approx(wanted, rel=1e-9)
    one = assigned_info_nce(a[:, :1], b, who, temperature=T, smoothing=smoothing, dustbin=dustbin, loose=unknown)
    assert float(one) == float(assigned_info_nce(a[:, 0], b, who, temperature=T, smoothing=smoothing, dustbin=dustbin))


def test_with_plain_pairs_it_is_info_nce():
    a, b = rows(8, 4, 2)
    ids = torch.arange(8)
    found = assigned_info_nce(a, b, Assignment.of_pairs(ids, ids), temperature=T)
    torch.testing.assert_close(found, info_nce(a, b, temperature=T))


def test_a_duplicated_pair_is_not_its_own_negative():
    """Two rows of one panorama and tile: the loss must not push them apart (weak point 4 of the published method)."""
    a, b = rows(4)
    a[1], b[1] = a[0], b[0]
    who = who_of([3, 3, 5, 6], [9, 9, 2, 4], [True] * 4)
    plain = float(info_nce(a, b, temperature=T))
    assert float(assigned_info_nce(a, b, who, temperature=T)) < plain
    a = a.requires_grad_()
    score = assigned_info_nce(a, b, who, temperature=T)
    (grad,) = torch.autograd.grad(score, a)
    # Towards its own tile the pull is that of one row alone: the copy does not push.
    other = assigned_info_nce(a[[0, 2, 3]], b[[0, 2, 3]], who_of([3, 5, 6], [9, 2, 4], [True] * 3), temperature=T)
    (alone,) = torch.autograd.grad(other, a)
    assert torch.nn.functional.cosine_similarity(grad[0], alone[0], dim=0) > 0.95


def test_rows_without_a_label_go_to_the_dustbin_and_nothing_counts_without_labels():
    a, b = rows(3)
    nobody = who_of([0, 1, 2], [3, 4, 5], [False] * 3)
    assert float(assigned_info_nce(a, b, nobody, temperature=T)) == 0
    away = -a  # as unlike as can be: the dustbin is right
    apart = assigned_info_nce(a[:1], away[:1], who_of([0], [3], [False]), temperature=T, dustbin=True)
    near = assigned_info_nce(a[:1], a[:1], who_of([0], [3], [False]), temperature=T, dustbin=True)
    assert float(apart) < 0.01 < 1 < float(near)


def test_faults_are_one_line():
    a, b = rows(3)
    with pytest.raises(ParameterError, match="do not fit"):
        assigned_info_nce(a[:, :4], b, Assignment.of_pairs(torch.arange(3), torch.arange(3)), temperature=T)
    with pytest.raises(ParameterError, match="for 2 rows, the batch has 3"):
        assigned_info_nce(a, b, Assignment.of_pairs(torch.arange(2), torch.arange(2)), temperature=T)
    with pytest.raises(ParameterError, match="smoothing"):
        ids = torch.arange(3)
        assigned_info_nce(a, b, Assignment.of_pairs(ids, ids), temperature=T, smoothing=1.0)

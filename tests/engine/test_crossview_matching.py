"""Pseudo-labels, hard negatives, splits and the choice of weights, by brute force and by their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from engine.crossview.data.items import CrossViewSet, GroundImage, Match, OverheadImage
from engine.errors import ModelError, ParameterError
from engine.training.crossview.choice import Chooser, agreement
from engine.training.crossview.matching import Choices, nearest, neighbours, threshold_at
from engine.training.crossview.mining import mined_batches
from engine.training.crossview.pseudo import pseudo_labels
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.split import split
from engine.training.crossview.stages import plan_stages


def unit(n: int, d: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 12), m=st.integers(1, 12), chunk=st.integers(1, 13), seed=st.integers(0, 99))
def test_nearest_is_that_of_a_loop_whatever_the_chunk(n, m, chunk, seed):
    a, b = unit(n, 4, seed), unit(m, 4, seed + 1000)
    found = nearest(a, b, chunk=chunk)
    scores = (a @ b.T).tolist()
    for i in range(n):
        order = sorted(scores[i], reverse=True)
        assert scores[i][int(found.tile[i])] == order[0]
        assert float(found.gap[i]) == pytest.approx(order[0] - order[1] if m > 1 else math.inf, abs=1e-6)
    for j in range(m):
        column = [scores[i][j] for i in range(n)]
        order = sorted(column, reverse=True)
        assert column[int(found.panorama[j])] == pytest.approx(order[0], abs=1e-6)
        assert float(found.back_gap[j]) == pytest.approx(order[0] - order[1] if n > 1 else math.inf, abs=1e-6)
    tiles = neighbours(a, b, 3, chunk=chunk)
    assert tiles.shape == (n, min(3, m)) and torch.equal(tiles[:, 0], found.tile)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 9), m=st.integers(1, 9), at=st.integers(0, 9), levels=st.integers(1, 4), seed=st.integers(0, 99)
)
def test_choices_of_two_processes_joined_are_those_of_one(n, m, at, levels, seed):
    """Similarities of few levels, so that many tie."""
    draw = torch.Generator().manual_seed(seed)
    scores, at = torch.randint(levels, (n, m), generator=draw) / levels, min(at, n)
    whole, joined = Choices(m), Choices(m)
    whole.see(scores)
    for part in (scores[:at], scores[at:]):
        one = Choices(m)
        if len(part):
            one.see(part)
        joined.join(*one.parts())
    a, b = whole.nearest(), joined.nearest()
    for name in ("gap", "back_gap"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name))
    assert torch.equal(a.mutual(), b.mutual())
    assert torch.equal(a.tile[a.mutual()], b.tile[b.mutual()])


def test_a_label_must_be_unique_seen_from_the_tile_too():
    """Weak point 3: two panoramas like one tile almost equally; the row gap alone would take the first."""
    tiles = F.normalize(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), dim=1)
    panoramas = F.normalize(torch.tensor([[1.0, 0.0, 0.02], [1.0, 0.0, 0.05], [0.0, 1.0, 0.3]]), dim=1)
    found = nearest(panoramas, tiles)
    assert found.labels(0.05, gap="row").tolist() == [0, -1, 1]
    assert found.labels(0.05, gap="both").tolist() == [-1, -1, 1]
    assert found.labels(0.05, gap="none", mutual=False).tolist() == [0, 0, 1]


def test_a_constant_embedding_chooses_nothing():
    same = torch.ones(5, 4) / 2
    found = nearest(same, same)
    assert not found.mutual().any()
    assert (found.labels(0.0) == -1).all()
    said = agreement(same, same, None)
    assert said.score == said.mutual == said.agreed == 0
    with pytest.raises(ModelError, match="tile 2 is not finite"):
        nearest(same, same.index_fill(0, torch.tensor([2]), math.nan))


def test_the_gap_falls_along_a_cosine():
    values = [threshold_at(e, 10, 0.05) for e in range(11)]
    assert values[0] == 0.05 and values[5] == pytest.approx(0.025) and values[10] == pytest.approx(0)
    assert values == sorted(values, reverse=True)


def test_true_pairs_stand_and_candidates_are_nobodys_negatives():
    tiles = torch.eye(6, 8)
    panoramas = tiles[[0, 1, 2, 3]].clone()
    panoramas[3] = F.normalize(tiles[3] + 0.98 * tiles[5], dim=0)  # chooses 3, but hardly clear of 5
    found = nearest(panoramas, tiles)
    labels = pseudo_labels(found, threshold=0.3, known={0: 4}, semi={0: (5,)}, least=1)
    assert labels.tile[0] == 4, "a true label stands whatever the network thinks"
    assert labels.tile[1:].tolist() == [1, 2, -1]
    assert labels.candidate.tolist() == [-1, -1, -1, 3]
    assert labels.free.tolist() == [0], "3 is a candidate, 5 a semi-positive, 1, 2 and 4 are labels"
    assert labels.pairs.tolist() == [[0, 4], [1, 1], [2, 2]]
    taken = pseudo_labels(found, threshold=0.3, known={0: 1}, semi={}, least=1)
    assert taken.tile.tolist() == [1, -1, 2, -1], "a true pair's tile is not another's"


def test_where_too_few_pass_the_gap_is_lowered_as_far_as_needed():
    found = nearest(unit(40, 6, 3), unit(40, 6, 4))
    mutual = int(found.mutual().sum())
    assert mutual >= 5
    few = pseudo_labels(found, threshold=2.0, known={}, semi={}, least=4)
    assert int((few.tile >= 0).sum()) >= 4 and few.threshold < 2
    sure = torch.minimum(found.gap, found.back_gap[found.tile])
    kept = few.tile >= 0
    assert float(sure[kept].min()) >= float(sure[found.mutual() & ~kept].max()), "the clearest ones"
    with pytest.raises(ModelError, match="nothing to learn from"):
        pseudo_labels(nearest(torch.ones(3, 2), torch.ones(3, 2)), threshold=0.1, known={}, semi={}, least=2)


def test_mined_batches_bring_the_nearest_and_nothing_twice():
    grounds, tiles = list(range(60)), [i // 2 for i in range(60)]  # two panoramas of each tile, as in VIGOR
    near = np.stack([np.argsort(np.abs(np.arange(30) - t), kind="stable")[:12] for t in tiles])
    found = mined_batches(grounds, tiles, near, batch=10, count=12, neighbours=8, generator=np.random.default_rng(1))
    for row in found:
        of = [tiles[p] for p in row]
        assert len(set(of)) == 10, "no tile twice"
    # Without what is near, a batch of 10 from 30 tiles has neighbours about 3 apart.
    spread = np.mean([np.diff(sorted(tiles[p] for p in row)).mean() for row in found[:3]])
    assert spread < 2.2
    again = mined_batches(grounds, tiles, near, batch=10, count=12, neighbours=8, generator=np.random.default_rng(1))
    assert (found == again).all()


def test_all_pairs_come_before_one_comes_again_and_small_sets_fill_a_batch():
    found = mined_batches(
        range(23), range(23), None, batch=5, count=9, neighbours=0, generator=np.random.default_rng(0)
    )
    flat = found.reshape(-1).tolist()
    assert sorted(flat[:20]) == sorted(set(flat[:20]))
    for row in found:
        assert len(set(row)) == 5
    assert set(flat[:25]) >= set(range(23)), "the round is finished first"
    small = mined_batches([0, 1], [0, 1], None, batch=4, count=2, neighbours=0, generator=np.random.default_rng(0))
    assert small.shape == (2, 4) and set(small.reshape(-1)) == {0, 1}


def a_set(count: int) -> CrossViewSet:
    from pathlib import Path

    from engine.panorama.view import PanoramaView

    return CrossViewSet(
        "x", "pairs-csv",
        tuple(GroundImage(str(i), Path("x"), PanoramaView()) for i in range(count)),
        tuple(OverheadImage(str(i), Path("x")) for i in range(count)),
        tuple(Match(i) for i in range(count)),
    )  # fmt: skip


def test_shares_of_labels_are_nested_and_nothing_held_out_is_trained_on():
    data = a_set(200)
    few, many = (split(data, labels=f, validation=0.1, seed=3) for f in (0.05, 0.5))
    assert set(few.labelled) < set(many.labelled) <= set(many.train)
    assert few.train == many.train and not set(few.train) & set(few.held_out)
    assert len(few.held_out) == 20 and len(few.labelled) == 9
    assert split(data, labels=0, validation=0.1, seed=3).labelled == ()
    assert split(data, labels=1, validation=0.0, seed=3).labelled == tuple(range(200))
    assert split(a_set(20), labels=0, validation=0.1, seed=0).held_out == (), "too few say nothing"


def request(**changes) -> CrossViewTrainRequest:
    return CrossViewTrainRequest(**{"out": "x", "data": ("y",), "batch": 10, **changes})


def test_stages_share_the_steps_and_each_has_its_own_rates():
    counts = {"intra": 100, "cross": 100, "geometric": 100, "curriculum": 100, "supervised": 50}
    stages = plan_stages(request(), counts, world=1)
    assert [(s.name, s.steps) for s in stages.all] == [("intra", 120), ("cross", 160), ("curriculum", 400)]
    shared = plan_stages(request(steps=100), counts, world=2)
    assert shared.steps == 100 and [s.epoch_steps for s in shared.all] == [5, 5, 5]
    assert stages.factor(119) == pytest.approx(0, abs=1e-9) and stages.factor(136) == 1.0
    assert stages.at(119).name == "intra" and stages.at(120).name == "cross"
    assert stages.end(0) == 10 and stages.end(119) == 120 and stages.end(125) == 130
    first = plan_stages(request(stages="geometric,curriculum", geometric_epochs=8), counts, world=1)
    assert [(s.name, s.steps) for s in first.all] == [("geometric", 80), ("curriculum", 400)]
    supervised = plan_stages(request(labels=1), counts, world=1)
    assert [(s.name, s.steps, s.epochs) for s in supervised.all] == [("supervised", 200, 40)]
    with pytest.raises(ParameterError, match="cannot be shared"):
        plan_stages(request(steps=2), counts, world=1)
    with pytest.raises(ParameterError, match="0 items"):
        plan_stages(request(labels=0.1, stages="supervised"), {**counts, "supervised": 0}, world=1)
    for wrong in ({"stages": "intra,nothing"}, {"stages": "supervised"}, {"ground_size": "64"}):
        with pytest.raises(ValueError, match=r"expected some|needs labels|ROWSxCOLUMNS"):
            request(**wrong)


def test_what_is_rehearsed_is_a_cold_start_that_was():
    assert request().rehearsed and request(stages="intra,cross,geometric,curriculum").rehearsed
    assert request(stages="curriculum").rehearsed, "of a model that is gone on with"
    assert not request(stages="geometric,curriculum").rehearsed
    assert not request(rehearse=0).rehearsed and not request(labels=1).rehearsed


def learning_curve(seed: int) -> list[tuple[float, float, float]]:
    """Score without labels, and the truth (R@1), of embeddings that learn, then wander off, then collapse."""
    signal = [0.0, 0.3, 0.6, 1.0, 1.6, 2.2, 1.2, 0.5]
    place, out, before = unit(60, 16, seed), [], None
    for epoch, strength in enumerate(signal):
        noise = [unit(60, 16, 1000 * seed + 10 * epoch + k) for k in range(2)]
        a, b = (F.normalize(strength * place + n, dim=1) for n in noise)
        found = agreement(a, b, before)
        before = found.matches
        r1 = float(((a @ b.T).argmax(1) == torch.arange(60)).float().mean())
        out.append((found.score, found.agreed, r1))
    return out


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_choice_without_labels_finds_the_best_epoch(seed):
    """Weak point 1: the published checkpoint is chosen on labelled pairs; this choice never sees one."""
    curve = learning_curve(seed)
    scores, truth = ([one[k] for one in curve] for k in (0, 2))
    assert truth[scores.index(max(scores))] >= max(truth) - 0.05
    assert scores[-1] < max(scores) / 4 and scores[0] == 0, "neither the collapse nor the start"


def test_the_chooser_keeps_the_best_weights_and_forgets_what_a_kill_undid(tmp_path):
    from engine.models.crossview import CrossViewNetwork

    network = CrossViewNetwork("resnet18", ground_size=(32, 32), overhead_size=(32, 32), width=0.0625)
    tables = [
        (unit(12, 8, 1), unit(12, 8, 2)),
        (unit(12, 8, 3),) * 2,
        (unit(12, 8, 3),) * 2,
        (unit(12, 8, 9), unit(12, 8, 3)),
    ]
    chooser = Chooser(tmp_path, resumed_at=None)
    for step, (a, b) in enumerate(tables, start=1):
        with torch.no_grad():
            network.scale.log_scale.fill_(step)
        chooser.see(10 * step, agreement(a, b, chooser.before), network, write=True)
    assert chooser.best["step"] == 30, "settled: the matches of before stand"
    other = CrossViewNetwork("resnet18", ground_size=(32, 32), overhead_size=(32, 32), width=0.0625)
    Chooser(tmp_path, resumed_at=40).load(other)
    assert float(other.scale.log_scale.detach()) == 3
    assert [one["step"] for one in Chooser(tmp_path, resumed_at=25).records] == [10, 20]
    assert Chooser(tmp_path, resumed_at=None).records == []


def test_what_another_matcher_gave_stands_unless_the_network_surely_says_otherwise():
    tiles = torch.eye(6, 8)
    panoramas = tiles[[1, 0, 2, 3, 4]].clone()
    panoramas[1] = F.normalize(tiles[0] + 0.9 * tiles[5], dim=0)  # chooses 0 by little
    found = nearest(panoramas, tiles)
    options = {"threshold": 0.0, "known": {}, "semi": {}, "least": 1}
    assert pseudo_labels(found, **options).tile.tolist() == [1, 0, 2, 3, 4]
    first = torch.tensor([0, 5, -1, 2, -1])
    told = pseudo_labels(found, **options, first=first, overrule=0.5)
    assert told.tile.tolist() == [1, 5, 2, 3, 4], "0, 3: surely otherwise; 1: hardly; 2, 4: nothing was given"
    weak = pseudo_labels(found, **options, first=first, overrule=2.0)
    assert weak.tile.tolist() == [0, 5, -1, 2, 4], "2 is another's tile, so the panorama that chose it gets none"
    assert weak.candidate.tolist() == [-1, -1, 2, -1, -1] and weak.free.tolist() == [1, 3]
    known = pseudo_labels(found, **{**options, "known": {4: 5}}, first=first, overrule=2.0)
    assert known.tile.tolist() == [0, -1, -1, 2, 5], "a true pair's tile is not another's"
    few = pseudo_labels(found, **{**options, "threshold": 2.0, "least": 3}, first=first, overrule=2.0)
    assert few.threshold == 2.0 and few.tile.tolist() == [0, 5, -1, 2, -1], "given ones are enough"

"""Headings that are found together with the pairs: by turned features, by the matcher, and in a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from engine.crossview.data.find import find_set
from engine.crossview.data.items import CrossViewSet
from engine.crossview.geometric.matcher import GeometricMatcher
from engine.errors import Cancelled
from engine.events import CancelToken, Reporter
from engine.models.crossview_bundle import load_crossview
from engine.models.crossview_inputs import GroundFrame, OverheadFrame
from engine.models.losses.assigned import Assignment
from engine.training.crossview import comparing, turns
from engine.training.crossview import train as job
from engine.training.crossview.augment import Variation, rolled, spun
from engine.training.crossview.choice import agreement
from engine.training.crossview.comparing import compared, tile_codes
from engine.training.crossview.embed import embed_grounds, embed_overheads, embed_rounds
from engine.training.crossview.figures import retrieval_figures
from engine.training.crossview.images import FrameStore, Framing
from engine.training.crossview.matching import nearest
from engine.training.crossview.objective import CrossViewObjective, Settings, found_first
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.true_turns import true_turns
from engine.training.crossview.turns import columns_of, look_round, round_about, turn_of
from engine.training.distributed import World
from tests.engine.crossview_worlds import write_world
from tests.engine.test_crossview_geometric_stage import SMALL, found_of
from tests.engine.test_crossview_network import tiny
from tests.engine.test_crossview_train import TINY, rows, train

SIZE = {"ground_size": (16, 64), "overhead_size": (32, 32), "stages": 2}
FAST = {"batch": 8, "workers": 0}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return write_world(tmp_path_factory.mktemp("worlds") / "train", 24, extra=6, headings=True)


@pytest.fixture(scope="module")
def data(world) -> CrossViewSet:
    return find_set(str(world))


def store_of(data: CrossViewSet, **options) -> FrameStore:
    frames = Framing(GroundFrame((16, 64)), OverheadFrame((32, 32), 32.0), 16.0, 2.5, **options)
    return FrameStore(data, frames, most_bytes=2**24)


def without_headings(data: CrossViewSet, seed: int) -> CrossViewSet:
    """The same photos with headings that mean nothing."""
    drawn = np.random.default_rng(seed).uniform(0, 360, len(data.grounds))
    grounds = (
        replace(item, heading_known=False, view=replace(item.view, heading_deg=float(heading)))
        for item, heading in zip(data.grounds, drawn, strict=True)
    )
    return replace(data, grounds=tuple(grounds))


def apart(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return ((a - b + 180) % 360 - 180).abs()


class Patches(torch.nn.Module):
    """An encoder that sees each place by itself, so that rolling an image by whole places rolls its features."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.look = torch.nn.Conv2d(3, channels, stride, stride)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [self.look(images)]


@pytest.mark.parametrize("size", [(16, 64), (16, 72), (32, 96)])
def test_rolled_features_are_those_of_the_rolled_image(size):
    network, images = tiny(**{**SIZE, "ground_size": size}), torch.randn(3, 3, *size)

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        every = [network.ground(images.roll(columns_of(k, 16, size[1]), dims=3)) for k in range(16)]
        return round_about(network)(images), torch.stack(every, dim=1)

    with torch.inference_mode():
        found, exact = both()
        assert found.shape == (3, 16, network.dim)
        assert float((found * exact).sum(2).min()) > 0.5, "but for the edges, where an encoder sees where it was cut"
        network.ground_encoder = Patches(network.ground_encoder.channels[-1], network.stride)
        found, exact = both()
        torch.testing.assert_close(found, exact, atol=1e-5, rtol=0)


def batch_of(data: CrossViewSet, n: int = 8) -> dict[str, torch.Tensor]:
    store = store_of(data)
    return {
        "ground": store.ground(range(n)),
        "overhead": store.overhead(range(n)),
        "unknown": torch.arange(n) == 3,
        "labelled": torch.ones(n, dtype=torch.bool),
        "ground_id": torch.arange(n),
        "overhead_id": torch.arange(n),
        "also": torch.full((n, 1), -1),
    }


def test_in_a_batch_the_right_turn_comes_first_and_the_others_in_order(data):
    """Compared at four turns a panorama is cut anywhere; turned back it is what it would be at one turn."""
    batch, plain = batch_of(data), Variation(0, 0, 0, 0, 0)
    network = tiny(**SIZE)
    network.ground_encoder = Patches(network.ground_encoder.channels[-1], network.stride)

    def views_of(turns: int) -> tuple[CrossViewObjective, dict[str, torch.Tensor]]:
        settings = Settings(variation=plain, columns=64, heading_error=15.0, turns=turns)
        objective = CrossViewObjective(network, torch.nn.Identity(), settings)
        return objective, objective.views(batch, torch.Generator().manual_seed(5))

    one, (four, views) = views_of(1)[1], views_of(4)
    assert "turned" not in one and len(set(views["turned"].tolist())) > 1
    assert torch.equal(rolled(views["ground.a"], -16 * views["turned"]), one["ground.a"])
    assert views["loose"].tolist() == batch["unknown"].tolist()
    with torch.inference_mode():
        found = four._seen_round(views)
        for turn in range(4):
            exact = network.ground(rolled(one["ground.a"], torch.full((8,), 16 * turn)))
            torch.testing.assert_close(found[:, turn], exact, atol=1e-5, rtol=0)


def test_first_of_several_turns_is_the_right_turn_of_the_partner_alone():
    b = torch.eye(3)
    a = torch.stack([b, torch.zeros(3, 3)], dim=1)
    who = Assignment.of_pairs(torch.arange(3), torch.arange(3))
    assert float(found_first(a, b, who)) == 1.0 == float(found_first(b, b, who))
    assert float(found_first(a.flip(1), b, who)) == 0.0, "its own tile in another turn is no hit"
    a[0, 1] = torch.tensor([0.0, 2.0, 0.0])
    assert float(found_first(a, b, who)) == pytest.approx(2 / 3), "another tile in any turn is a rival"


def test_a_panorama_is_as_like_a_tile_as_at_its_best_turn(data, monkeypatch):
    network, store = tiny(**SIZE), store_of(data, use_heading=False, assumed=3)
    tiles = embed_overheads(network, store, range(30), World(), **FAST)
    given = torch.full((24,), -1)
    given[[2, 7, 8]] = torch.tensor([0, 5, 63])
    whole = look_round(network, store, range(24), tiles, World(), given=given, **FAST)
    monkeypatch.setattr(turns, "BLOCK", 5)
    monkeypatch.setattr(turns, "_MOST", 700)
    looked = look_round(network, store, range(24), tiles, World(), given=given, **FAST)
    assert torch.equal(whole.turn, looked.turn) and torch.equal(whole.near.tile, looked.near.tile)
    torch.testing.assert_close(whole.near.back_gap, looked.near.back_gap)

    def at(turn: int) -> torch.Tensor:
        return embed_grounds(network, store, range(24), World(), rolls=[turn] * 24, **FAST) @ tiles.T

    rolled_scores = embed_rounds(network, store, range(24), World(), round_about(network), **FAST) @ tiles.T
    exact = torch.stack([at(4 * k) for k in range(16)], dim=1)
    for i in range(24):
        tried = [int(given[i])] if given[i] >= 0 else [4 * int(k) for k in rolled_scores[i].amax(1).topk(4).indices]
        scores = torch.stack([exact[i, t // 4] if t % 4 == 0 else at(t)[i] for t in tried])
        tile = int(scores.amax(0).argmax())
        best = tried[int(scores[:, tile].argmax())]
        assert int(looked.near.tile[i]) == tile
        assert abs((int(looked.turn[i]) - best + 32) % 64 - 32) <= (2 if given[i] < 0 else 0), "drawn between headings"
        torch.testing.assert_close(looked.table[i] @ tiles[tile], scores.amax(), atol=1e-5, rtol=0)


def test_embeddings_at_several_turns_count_as_the_best_of_them():
    draw = torch.Generator().manual_seed(0)
    a = F.normalize(torch.randn(9, 4, 6, generator=draw), dim=2)
    b = F.normalize(torch.randn(7, 6, generator=draw), dim=1)
    slow = (a @ b.T).amax(1)
    for chunk in (1, 10, 2048):
        found = nearest(a, b, chunk=chunk)
        assert torch.equal(found.tile, slow.argmax(1)) and torch.equal(found.panorama, slow.argmax(0))
    told = agreement(a, b, None)
    full = nearest(a, b).mutual()
    assert bool(((told.matches >= 0) <= full).all()) and told.mutual == pytest.approx(float(full.float().mean()))


def test_what_is_taken_for_a_heading_depends_on_none_and_turns_image_and_ground_alike(data):
    true = torch.tensor([item.view.heading_deg for item in data.grounds])
    store, known = store_of(data, use_heading=False, assumed=5), store_of(data)
    assumed = torch.tensor([store.view(i).heading_deg for i in range(24)])
    scrambled = store_of(without_headings(data, 1), use_heading=False, assumed=5)
    assert torch.equal(store.ground(range(24)), scrambled.ground(range(24)))
    assert len(set(assumed.tolist())) == 24 and bool((assumed < 360).all())
    turn = turn_of(true, assumed, 64)
    north = rolled(store.ground(range(24)), turn)[:, :3].float()
    off = (north - known.ground(range(24))[:, :3].float()).abs().mean((1, 2, 3))
    wrong = (store.ground(range(24))[:, :3].float() - known.ground(range(24))[:, :3].float()).abs().mean((1, 2, 3))
    assert float(off.mean()) < 0.35 * float(wrong.mean())
    # The bird's-eye view was made of the same frame: turned like it, it lies north up.
    above = spun(store.birds_eye(range(24))[:, :3].float(), -turn * 360.0 / 64)[..., 8:24, 8:24]
    exact = known.birds_eye(range(24))[:, :3].float()[..., 8:24, 8:24]
    plain = store.birds_eye(range(24))[:, :3].float()[..., 8:24, 8:24]
    assert float((above - exact).abs().mean()) < 0.5 * float((plain - exact).abs().mean())


def test_a_shortlist_by_sketches_pairs_and_turns_as_the_whole_search_does(data, tmp_path, monkeypatch):
    store = store_of(data, use_heading=False, assumed=1)
    for name in ("whole", "short"):
        (tmp_path / name).mkdir()
    whole = found_of(store, range(24), tmp_path / "whole")
    asked = []
    full = GeometricMatcher.score
    monkeypatch.setattr(
        GeometricMatcher, "score", lambda self, photo, codes: asked.append(len(codes)) or full(self, photo, codes)
    )
    monkeypatch.setattr(comparing, "SHORTLIST", 8)
    short = found_of(store, range(24), tmp_path / "short")
    assert set(asked) == {8}
    labels, again = whole.near.labels(0.02), short.near.labels(0.02)
    assert int((labels >= 0).sum()) >= 12 and float((labels == again).float().mean()) >= 0.9
    true = torch.tensor([item.view.heading_deg for item in data.grounds])
    right = again == torch.arange(24)
    assert float(apart(short.heading, true)[right].max()) <= 6.0, "sectors of 6 degrees"
    kept = found_of(store, range(24), tmp_path / "short", matcher=None)
    assert torch.equal(kept.heading, short.heading), "read from the file"


def test_sketches_order_tiles_as_the_matcher_does(data):
    store = store_of(data, use_heading=False)
    codes = tile_codes(store, SMALL, World(), 0, Reporter())
    block = next(compared(store, range(24), codes, SMALL, World(), 0, Reporter()))
    photos = [comparing.photo_of(store, i, comparing.read_image(data.grounds[i].file), SMALL) for i in range(24)]
    found = SMALL.sketch_scores(photos, SMALL.sketches(codes))
    assert found.shape == (24, 30)
    together = torch.corrcoef(torch.stack([found.flatten(), block.scores.flatten()]))[0, 1]
    assert float(together) > 0.8
    best = block.scores.argmax(1)
    rank = (found > found.gather(1, best[:, None])).sum(1)
    assert int(rank.max()) <= 7


def test_labels_are_turned_by_the_matcher_and_no_heading_is_read(data):
    store = store_of(without_headings(data, 2), use_heading=False, assumed=4)
    found = true_turns(store, [1, 4, 9, 16], World(), workers=0, matcher=SMALL)
    assert found.shape == (24,) and int((found >= 0).sum()) == 4
    rows_ = torch.tensor([1, 4, 9, 16])
    assumed = torch.tensor([store.view(int(i)).heading_deg for i in rows_])
    true = torch.tensor([data.grounds[int(i)].view.heading_deg for i in rows_])
    assert float(apart(assumed + found[rows_] * 360 / 64, true).max()) <= 6.0 + 180 / 64


def test_figures_of_turned_panoramas_are_of_the_best_heading(data):
    network, store = tiny(**SIZE), store_of(data)
    given = {**FAST, "seed": 3}
    found, ranks = retrieval_figures(network, store, World(), turned=True, headings=4, **given)
    tiles = embed_overheads(network, store, range(30), World(), **FAST)
    from engine.training.rng import derive_seed

    rolls = [derive_seed(3, "turned", item.name) % 64 for item in data.grounds]
    every = [
        embed_grounds(network, store, range(24), World(), rolls=[r + 16 * k for r in rolls], **FAST) @ tiles.T
        for k in range(4)
    ]
    slow = torch.stack(every).amax(0)
    want = (slow >= slow.diagonal()[:, None] - 1e-6).sum(1)
    assert list(ranks.values()) == want.tolist() and (found["turned"], found["headings"]) == (True, 4)
    plain, _ = retrieval_figures(network, store, World(), turned=False, headings=4, **given)
    assert (plain["turned"], plain["headings"]) == (False, 1)


FOUND = {"heading": "found", "stages": "geometric,curriculum", "steps": 10, "validation_share": 0.34, "gap": 0.01}


def test_headings_are_found_with_the_pairs_and_none_is_read(world, tmp_path):
    from safetensors.torch import load_file

    train(world.parent, tmp_path / "a", **FOUND, test=(str(world),))
    logged = rows(tmp_path / "a")
    first = next(row for row in logged if "labels_share" in row)
    assert first["labels_right"] >= 0.9 and first["headings_right"] >= 0.9 and first["labels_doubt"] <= 0.1
    assert {"match_score", "held_out_r1"} <= {name for row in logged for name in row}
    assert load_crossview(tmp_path / "a" / "model").inputs.ground.heading == "north", "a search tries headings"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "find_set", lambda place: without_headings(find_set(place), 7))
        again = train(world.parent, tmp_path / "b", **FOUND, test=(str(world),))
    a, b = (load_file(tmp_path / run / "model" / "model.safetensors") for run in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)
    timed = ("seconds", "samples_per_s", "headings_right")  # the last tells of the data's headings
    plain = [[{k: v for k, v in row.items() if k not in timed} for row in rows(tmp_path / run)] for run in "ab"]
    assert plain[0] == plain[1]
    figures = again["figures"]["test"][str(world)]
    assert (figures["turned"], figures["headings"]) == (True, 16)


def test_stopped_in_the_midst_of_epochs_it_goes_on_to_the_same_weights(world, tmp_path):
    from safetensors.torch import load_file

    options = {
        **FOUND, "stages": "intra,cross,geometric,curriculum,supervised", "labels": 0.2, "choose": "label-free",
        "steps": 15, "neighbours": 3, "mine_after": 0, "cross_epochs": 12.0, "turns": 4,
    }  # fmt: skip
    train(world.parent, tmp_path / "whole", **options)
    given = {**options, **TINY, "data": (str(world),), "out": str(tmp_path / "broken")}
    for number, steps in enumerate((5, 9, 12, 14)):
        token = CancelToken()

        def stop(event, token=token, steps=steps) -> None:
            if (tmp_path / "broken" / "metrics.jsonl").exists() and len(rows(tmp_path / "broken")) >= steps:
                token.cancel()

        ticks = iter(range(10**9))
        reporter = Reporter(stop, token=token, clock=lambda ticks=ticks: float(next(ticks)))
        more = {"out": given["out"], "resume": True, "device": "cpu", "workers": 0}
        with pytest.raises(Cancelled):
            job.run(CrossViewTrainRequest(**(more if number else given)), reporter, brief=True)
    job.run(CrossViewTrainRequest(**more), Reporter(), brief=True)
    for name in ("checkpoint.safetensors", "model/model.safetensors"):
        whole, broken = (load_file(tmp_path / run / name) for run in ("whole", "broken"))
        assert [key for key in whole if not whole[key].equal(broken[key])] == []


def test_what_a_request_says_of_headings():
    def asked(**options) -> CrossViewTrainRequest:
        return CrossViewTrainRequest(out="x", **options)

    assert asked(heading="found").wrong_by_deg == 15 and asked(heading="found", heading_error=0).wrong_by_deg == 0
    assert asked().wrong_by_deg == 0 and asked(heading_error=7).wrong_by_deg == 7
    assert asked(heading="found").tested_turned and asked(heading="unknown").tested_turned
    assert not asked().tested_turned and asked(test_heading="unknown").tested_turned
    assert (asked().compared_turns, asked(heading="found").compared_turns, asked(turns=4).compared_turns) == (1, 8, 4)
    assert asked(heading="found", turns=1).compared_turns == 1
    assert asked(heading="found", ground_size="64x160", encoder_stages=3).compared_turns == 2, "of ten columns"
    assert asked(turns=8).wrong_by_deg == 15 and asked(turns=8, heading_error=0).wrong_by_deg == 0
    for wrong in ({"turns": 3}, {"turns": 32}, {"turns": 16, "ground_size": "128x768"}):
        with pytest.raises(ValidationError, match="turns must divide"):
            asked(**wrong)
    for wrong in ({"hfov": 90}, {"heading": "unknown"}):
        with pytest.raises(ValidationError, match="whole panoramas that have a heading"):
            asked(turns=4, **wrong)
    with pytest.raises(ValidationError, match="headings are found for whole panoramas"):
        asked(heading="found", hfov=90)

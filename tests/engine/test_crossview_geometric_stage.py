"""The first pseudo-labels by the matcher without weights: what it pairs, what is kept, and training on it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.crossview.data.find import find_set
from engine.crossview.data.items import CrossViewSet, Match
from engine.crossview.geometric.layout import RingLayout
from engine.crossview.geometric.matcher import GeometricMatcher, GeometricSettings
from engine.errors import Cancelled, DamagedFileError, ModelError
from engine.events import CancelToken, Reporter
from engine.models.crossview_inputs import GroundFrame, OverheadFrame
from engine.training.crossview import comparing
from engine.training.crossview import train as job
from engine.training.crossview.geometric import FILE, Matched, match_geometrically
from engine.training.crossview.images import FrameStore, Framing, read_image
from engine.training.crossview.matching import Nearest
from engine.training.crossview.plan import FOLDER
from engine.training.distributed import World
from tests.engine.crossview_worlds import write_world
from tests.engine.test_crossview_train import rows, train

SMALL = GeometricMatcher(GeometricSettings(layout=RingLayout(far_m=15.0, rings=8, sectors=60), guesses=((2.5, 0, 0),)))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return write_world(tmp_path_factory.mktemp("worlds") / "train", 24, extra=6, headings=True)


def store_of(data: CrossViewSet, *, use_heading: bool = True) -> FrameStore:
    frames = Framing(GroundFrame((16, 64)), OverheadFrame((32, 32), 32.0), 16.0, 2.5, use_heading=use_heading)
    return FrameStore(data, frames, most_bytes=0)


def found_of(store: FrameStore, grounds, folder: Path, **more) -> Matched:
    given = {"folder": folder, "workers": 0, "reporter": Reporter(), "matcher": SMALL, **more}
    return match_geometrically(store, grounds, World(), **given)


@pytest.mark.parametrize("use_heading", [True, False])
def test_most_pairs_are_found_without_a_label_with_headings_and_without(world, tmp_path, use_heading):
    data = find_set(str(world))
    grounds = [0, 3, *range(5, 24)]
    matched = found_of(store_of(data, use_heading=use_heading), grounds, tmp_path)
    found = matched.near
    assert found.tile.shape == (21,) and found.panorama.shape == (30,)
    labels = found.labels(0.02)
    has = labels >= 0
    assert int(has.sum()) >= 12
    assert float((labels[has] == torch.tensor(grounds)[has]).float().mean()) >= 0.9
    assert matched.doubt(0.02) < 0.5, "decoys pair less"


def test_it_is_that_of_a_loop_whatever_the_chunks_and_is_kept_in_a_file(world, tmp_path, monkeypatch):
    data = find_set(str(world))
    grounds = list(range(2, 20))
    codes = torch.cat([SMALL.codes(read_image(tile.file)[None], tile.gsd_m) for tile in data.overheads])
    photos = [SMALL.standing(read_image(data.grounds[i].file), data.grounds[i].view) for i in grounds]
    scores = torch.cat([SMALL.standing_scores([photo], codes) for photo in photos])
    monkeypatch.setattr(comparing, "PHOTOS", 5)
    monkeypatch.setattr(comparing, "TILES", 7)
    found = found_of(store_of(data), grounds, tmp_path, workers=2).near
    assert torch.equal(found.tile, scores.argmax(1)) and torch.equal(found.panorama, scores.argmax(0))
    top = scores.topk(2, dim=1).values
    torch.testing.assert_close(found.gap, top[:, 0] - top[:, 1], atol=1e-5, rtol=0)
    down = scores.topk(2, dim=0).values
    torch.testing.assert_close(found.back_gap, down[0] - down[1], atol=1e-5, rtol=0)
    monkeypatch.delattr(comparing, "read_image")  # it is not needed again
    again = found_of(store_of(data), grounds, tmp_path).near
    assert torch.equal(again.tile, found.tile) and torch.equal(again.back_gap, found.back_gap)
    (tmp_path / FOLDER / FILE).write_bytes(b"cut off")
    with pytest.raises(DamagedFileError, match="pairs of the geometric matcher cannot be read"):
        found_of(store_of(data), grounds, tmp_path)


def near_of(gaps: list[float], count: int) -> Nearest:
    """The first panoramas and tiles choose each other with these gaps; the rest choose nothing."""
    values = torch.tensor([*gaps, *[0.0] * (count - len(gaps))])
    return Nearest(torch.arange(count), values, torch.arange(count), values)


def test_the_gap_is_raised_until_decoys_pair_little():
    matched = Matched(
        near_of([0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.04, 0.03, 0.02, 0.01], 12), near_of([0.05, 0.03], 12), torch.zeros(12)
    )
    assert matched.doubt(0.0) == pytest.approx(0.2) and matched.doubt(0.04) == pytest.approx(1 / 7)
    assert matched.doubt(0.9) == 1.0, "no pair, nothing known"
    assert matched.sure_gap(0.0, 0.2) == 0.0, "none need be raised"
    assert 0.03 < matched.sure_gap(0.0, 0.15) <= 0.04
    assert 0.05 < matched.sure_gap(0.0, 0.1) <= 0.1 and 0.05 < matched.sure_gap(0.02, 0.0) <= 0.1
    assert matched.sure_gap(0.3, 0.1) == pytest.approx(0.3)
    assert Matched(matched.decoys, matched.near, torch.zeros(12)).sure_gap(0.02, 0.1) == math.inf
    assert Matched(matched.near, near_of([], 12), torch.zeros(12)).sure_gap(0.02, 0.0) == pytest.approx(0.02)


def test_a_panorama_without_ground_and_a_tile_of_unknown_scale(world, tmp_path):
    data = find_set(str(world))
    sky = replace(data.grounds[4], view=replace(data.grounds[4].view, vfov_deg=20.0, pitch_center_deg=60.0))
    tiles = tuple(replace(tile, gsd_m=None) for tile in data.overheads)
    data = replace(data, grounds=(*data.grounds[:4], sky, *data.grounds[5:]), overheads=tiles)
    found = found_of(store_of(data), range(24), tmp_path).near
    assert not bool(found.mutual()[4]), "what shows no ground chooses nothing"
    labels = found.labels(0.02)
    has = labels >= 0
    assert int(has.sum()) >= 12 and float((labels == torch.arange(24))[has].float().mean()) >= 0.9


def test_it_stops_when_asked_and_leaves_no_file(world, tmp_path):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        found_of(store_of(find_set(str(world))), range(24), tmp_path, reporter=Reporter(token=token))
    assert not (tmp_path / FOLDER / FILE).exists()


def test_the_stage_trains_on_what_is_paired_and_no_true_pair_is_used(world, tmp_path):
    from safetensors.torch import load_file

    options = {"steps": 12, "stages": "geometric,curriculum", "batch": 8, "geometric_epochs": 20}
    told = train(world.parent, tmp_path / "a", **options)
    assert [one["name"] for one in told["figures"]["stages"]] == ["geometric", "curriculum"]
    logged = rows(tmp_path / "a")
    first = next(row for row in logged if "labels_share" in row)
    assert first["labels_share"] > 0.4 and first["labels_right"] >= 0.9 and first["labels_gap"] >= 0.02
    assert 0 <= first["labels_doubt"] <= 0.1
    assert not (tmp_path / "a" / FOLDER).exists(), "a finished run keeps no plans"
    assert "loss_labels" not in {name for row in logged for name in row}, "no cold start, so nothing to rehearse"

    def false(place: str) -> CrossViewSet:
        found = find_set(place)
        count = len(found.grounds)
        return replace(found, matches=tuple(Match((i * 11 + 5) % count) for i in range(count)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "find_set", false)
        train(world.parent, tmp_path / "b", **options)
    a, b = (load_file(tmp_path / run / "model" / "model.safetensors") for run in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_after_a_cold_start_it_is_rehearsed_and_what_pairs_nothing_is_told(world, tmp_path):
    train(world.parent, tmp_path / "run", steps=8, stages="intra,cross,geometric,curriculum", heading="unknown")
    names = {name for row in rows(tmp_path / "run")[4:] for name in row}
    assert {"loss_labels", "labels_share"} <= names

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "photo_of", lambda *_: None)  # nothing shows any ground
        with pytest.raises(ModelError, match="the stage geometric has nothing to learn from"):
            train(world.parent, tmp_path / "none", steps=4, stages="geometric")
    assert json.loads((tmp_path / "run" / "result.json").read_text())["figures"]["steps"] == 8

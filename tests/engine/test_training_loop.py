"""The loop: what a step does, when it stops, what it says."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from threading import Event

import pytest
import torch
from torch import nn

from engine.errors import Cancelled, MissingExtraError, ModelError
from engine.events import CancelToken, Progress, Reporter
from engine.training import loop as loop_module
from engine.training.checkpoint import load_checkpoint
from engine.training.distributed import World
from engine.training.feed import read_ahead
from engine.training.loop import LoopSettings, TrainingLoop
from engine.training.metrics_log import MetricsLog, read_metrics
from engine.training.optimiser import freeze, make_optimiser, parameter_groups, set_rate
from engine.training.progress import duration
from engine.training.rng import derive_seed, rng_state, set_rng_state
from engine.training.symmetry import symmetry_tables, turned, windows


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Line(nn.Module):
    """Fits a line; ``at`` runs before a step's loss; ``collapsed`` embeddings are all alike."""

    def __init__(self, at=None, collapsed=False):
        super().__init__()
        torch.manual_seed(4)
        self.net = nn.Linear(3, 1)
        self.at, self.collapsed, self.step = at or (lambda step: 1.0), collapsed, 0

    def views(self, batch, generator):
        return batch

    def forward(self, views):
        error = (self.net(views["x"])[:, 0] - views["x"].sum(1)).square()
        z = torch.randn(16, 8) * (0 if self.collapsed else 1) + 1.0
        return {"loss": error.mean() * self.at(self.step), "embedding/z": z}

    def after_step(self, step, total):
        self.step = step + 1


def samples(step: int, count: int = 12) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(step))


def train(folder: Path, objective: nn.Module, *, reporter: Reporter | None = None, resume=False, **options):
    given = {"steps": 20, "precision": "fp32", "log_every": 5, "checkpoint_every": 6, **options}
    settings = LoopSettings(**given)
    parts = settings.accumulate

    def batches(step: int, part: int) -> dict[str, torch.Tensor]:
        return {"x": samples(step).chunk(parts)[part]}

    loop = TrainingLoop(
        objective,
        batches,
        settings=settings,
        world=World(),
        folder=folder,
        reporter=reporter or Reporter(),
        samples=12,
        facts={"seed": 0},
    )
    loop.run(resume=resume)
    return loop


def test_it_learns(tmp_path):
    train(tmp_path, Line(), steps=150, rate=0.05)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert rows[-1]["loss"] < 1e-3 * rows[0]["loss"]
    assert {"step", "loss", "rate", "gradient_norm", "samples_per_s", "seconds"} <= set(rows[-1])


def test_parts_of_a_batch_add_up_to_the_whole(tmp_path):
    one, three = Line(), Line()
    (tmp_path / "1").mkdir(), (tmp_path / "3").mkdir()
    train(tmp_path / "1", one, rate=0.05)
    train(tmp_path / "3", three, rate=0.05, accumulate=3)
    torch.testing.assert_close(one.net.weight, three.net.weight, rtol=1e-4, atol=1e-5)
    losses = [[row["loss"] for row in read_metrics(tmp_path / n / "metrics.jsonl")] for n in "13"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_numbers_that_are_not_finite_end_it_and_name_step_and_checkpoint(tmp_path):
    bad = Line(at=lambda step: float("nan") if step == 14 else 1.0)
    with pytest.raises(ModelError, match=r"step 14; the last good checkpoint is .*checkpoint\.safetensors, step 12"):
        train(tmp_path, bad)
    found, _ = load_checkpoint(tmp_path)
    assert found.step == 12
    assert all(torch.isfinite(v.float()).all() for v in found.tensors.values())


def test_a_gradient_that_is_not_finite_is_found_in_its_own_step(tmp_path):
    class Steep(Line):
        def forward(self, views):
            out = super().forward(views)
            if self.step == 3:  # the square root of 0: a finite loss with an infinite gradient
                out["loss"] = out["loss"] + (self.net.weight * 0).abs().sum().sqrt()
            return out

    with pytest.raises(ModelError, match="step 3; no checkpoint yet"):
        train(tmp_path, Steep())


def test_collapsed_embeddings_are_said_once(tmp_path):
    reporter = Reporter()
    train(tmp_path, Line(collapsed=True), reporter=reporter, health_every=5)
    assert len(reporter.warnings) == 1
    assert "collapsed" in reporter.warnings[0]
    assert "rank_z" in read_metrics(tmp_path / "metrics.jsonl")[-1]
    healthy = Reporter()
    (tmp_path / "fine").mkdir()
    train(tmp_path / "fine", Line(), reporter=healthy, health_every=5)
    assert healthy.warnings == []


def test_a_cancel_leaves_a_checkpoint_that_goes_on_to_the_same_weights(tmp_path):
    whole = Line()
    (tmp_path / "whole").mkdir()
    train(tmp_path / "whole", whole, rate=0.05)
    token = CancelToken()

    def stop_at(step: int) -> float:
        if step == 9:
            token.cancel()
        return 1.0

    with pytest.raises(Cancelled):
        train(tmp_path, Line(at=stop_at), rate=0.05, reporter=Reporter(token=token))
    assert load_checkpoint(tmp_path)[0].step == 10
    second = Line()
    train(tmp_path, second, rate=0.05, resume=True)
    assert second.net.weight.equal(whole.net.weight)


def test_progress_tells_step_loss_rate_pace_and_time_left(tmp_path):
    events: list = []
    train(tmp_path, Line(), reporter=Reporter(events.append), log_every=1)
    lines = [e.message for e in events if isinstance(e, Progress)]
    assert lines[0].startswith("step 1/20  loss ")
    assert "samples/s" in lines[0]
    assert lines[0].endswith("left")
    assert [e.fraction for e in events] == sorted(e.fraction for e in events)
    assert events[-1].fraction == 1.0


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    train(tmp_path, Line())
    wider = Line()
    wider.net = nn.Linear(4, 1)
    with pytest.raises(ModelError, match="does not fit this run"):
        train(tmp_path, wider, resume=True)


def test_a_finished_run_that_is_resumed_does_nothing(tmp_path):
    first, again = Line(), Line()
    train(tmp_path, first)
    before = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    train(tmp_path, again, resume=True)
    assert again.net.weight.equal(first.net.weight)
    assert (tmp_path / "metrics.jsonl").read_text(encoding="utf-8") == before


def test_the_log_is_cut_back_to_the_checkpoint_and_survives_a_torn_line(tmp_path):
    with MetricsLog(tmp_path) as log:
        for step in range(6):
            log.write({"step": step, "loss": float("nan") if step == 2 else 1.0})
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"step": 6, "lo')
    with MetricsLog(tmp_path, resumed_at=4) as log:
        log.write({"step": 4, "loss": 0.5})
    text = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[2]["loss"] is None
    assert "NaN" not in text


def test_event_files_hold_what_the_log_holds(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, Line(), tensorboard=True)
    train(tmp_path, Line(), tensorboard=True, steps=30, resume=True)
    rows = read_metrics(tmp_path / "metrics.jsonl")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"loss", "rate", "gradient_norm", "samples_per_s"} <= set(events.Tags()["scalars"])
    for name in ("loss", "rate", "gradient_norm"):
        found = {one.step: one.value for one in events.Scalars(name)}
        assert found == pytest.approx({row["step"]: row[name] for row in rows}, rel=1e-5)


def test_without_tensorboard_the_option_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"--tensorboard needs it") as caught:
        train(tmp_path, Line(), tensorboard=True)
    assert "samescene[tensorboard]" in caught.value.remedy
    assert not (tmp_path / "metrics.jsonl").exists()


def test_views_are_the_same_made_ahead_or_not(tmp_path):
    class Noisy(Line):
        def views(self, batch, generator):
            return {"x": batch["x"] + torch.randn(batch["x"].shape, generator=generator)}

    class Ahead(Noisy):
        views_ahead = True

    found = []
    for number, (kind, workers) in enumerate(((Noisy, 0), (Ahead, 0), (Ahead, 3))):
        (tmp_path / str(number)).mkdir()
        objective = kind()
        train(tmp_path / str(number), objective, rate=0.05, workers=workers, accumulate=2)
        found.append(objective.net.weight)
    assert found[1].equal(found[0]) and found[2].equal(found[0])


@pytest.mark.parametrize("workers", [1, 2])
def test_the_next_item_is_made_while_one_is_used(workers):
    """With one thread and one item ahead, making and using once took turns."""
    made = [Event() for _ in range(4)]

    def make(number: int) -> int:
        made[number].set()
        return number

    feed = read_ahead(make, 0, 4, workers=workers, ahead=1)
    for number in range(3):
        assert next(feed) == number
        assert made[number + 1].wait(5), "nothing is made while this item is used"
    assert list(feed) == [3]


def test_threads_that_read_ahead_use_one_core_each_and_leave_others_theirs():
    torch.set_num_threads(2)
    seen = list(read_ahead(lambda i: torch.get_num_threads(), 0, 6, workers=3, one_core=True))
    assert seen == [1] * 6
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order_whatever_the_number_of_threads(workers):
    assert list(read_ahead(lambda i: i * i, 3, 40, workers=workers)) == [i * i for i in range(3, 40)]


def test_an_error_comes_where_its_batch_would_have():
    def make(i: int) -> int:
        if i == 5:
            raise ModelError("broken")
        return i

    seen = []
    with pytest.raises(ModelError):
        seen.extend(read_ahead(make, 0, 20, workers=2))
    assert seen == [0, 1, 2, 3, 4]


def resnet():
    from engine.models.segmenter import Segmenter

    return Segmenter(bands=2, classes=2, width=0.0625)


def test_rates_fall_by_stage_and_vectors_have_no_decay():
    network = resnet()
    groups = parameter_groups(network, rate=1.0, decay=0.1, layer_decay=0.5)
    where = {id(p): group for group in groups for p in group["params"]}
    assert len(where) == len(list(network.parameters()))
    own = {name: where[id(p)] for name, p in network.named_parameters()}
    assert own["encoder.conv1.weight"]["lr"] == 0.5**5
    assert own["encoder.layer1.0.conv1.weight"]["lr"] == 0.5**4
    assert own["encoder.layer4.1.conv2.weight"]["lr"] == 0.5
    assert own["decoder.blocks.0.conv1.weight"]["lr"] == 1.0
    assert own["head.bias"]["weight_decay"] == 0
    assert own["encoder.layer2.0.bn1.weight"]["weight_decay"] == 0
    assert own["encoder.layer2.0.conv1.weight"]["weight_decay"] == 0.1
    optimiser = make_optimiser("sgd", network, rate=1.0, decay=0.1, layer_decay=0.5)
    assert set_rate(optimiser, 0.25) == 0.25
    assert min(group["lr"] for group in optimiser.param_groups) == 0.25 * 0.5**5


def test_frozen_stages_stand_still_statistics_too():
    network = resnet()
    hold = freeze(network.encoder, "layer1")
    network.train()
    hold()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    optimiser = make_optimiser("sgd", network, rate=0.1, decay=0)
    network(torch.randn(2, 2, 64, 64)).square().mean().backward()
    optimiser.step()
    after = network.state_dict()
    still = ("encoder.conv1", "encoder.bn1", "encoder.layer1")
    assert all(after[k].equal(before[k]) for k in before if k.startswith(still))
    moved = {k.split(".")[1] for k in before if k.startswith("encoder") and not after[k].equal(before[k])}
    assert moved == {"layer2", "layer3", "layer4"}


def test_generators_go_on_where_they_were():
    import numpy as np

    state = rng_state(torch.device("cpu"))
    first = torch.randn(3), np.random.standard_normal(3)  # noqa: NPY002
    set_rng_state(state, torch.device("cpu"))
    again = torch.randn(3), np.random.standard_normal(3)  # noqa: NPY002
    assert first[0].equal(again[0])
    assert (first[1] == again[1]).all()
    assert derive_seed(1, "a") != derive_seed(1, "b") != derive_seed(11, "b")


def test_every_layer_of_a_sample_is_turned_alike_and_all_eight_occur():
    count, side = 200, 5
    plane = torch.arange(side * side).view(1, 1, side, side).expand(count, 1, -1, -1)
    batch = {"s1": plane.float(), "s1_valid": plane % 2 == 0, "label": plane[:, 0], "index": torch.arange(count)}
    seen = turned(batch, ("s1", "s1_valid", "label"), torch.Generator().manual_seed(1))
    assert seen["s1"].long().equal(seen["label"][:, None])
    assert (seen["label"] % 2 == 0)[:, None].equal(seen["s1_valid"])
    assert seen["index"].equal(batch["index"])
    one = plane[0, 0]
    all_eight = [x.rot90(k) for x in (one, one.flip(-1)) for k in range(4)]
    found = {next(i for i, x in enumerate(all_eight) if x.equal(y)) for y in seen["label"]}
    assert found == set(range(8))
    assert len({tuple(row.tolist()) for row in symmetry_tables(side, torch.device("cpu"))}) == 8


def test_windows_cut_every_layer_alike_and_reach_all_edges():
    count, side, size = 300, 7, 4
    plane = torch.arange(side * side).view(1, 1, side, side).expand(count, 1, -1, -1)
    batch = {"s1": plane.float(), "s1_valid": plane % 2 == 0, "label": plane[:, 0], "index": torch.arange(count)}
    seen = windows(batch, size, torch.Generator().manual_seed(1))
    assert seen["s1"].shape == (count, 1, size, size)
    assert seen["s1"].long().equal(seen["label"][:, None])
    assert (seen["label"] % 2 == 0)[:, None].equal(seen["s1_valid"])
    corners = {(int(x[0, 0]) // side, int(x[0, 0]) % side) for x in seen["label"]}
    assert corners == {(r, c) for r in range(4) for c in range(4)}
    assert (seen["label"][:, 1, 1] - seen["label"][:, 0, 0] == side + 1).all()
    assert windows(batch, 9, torch.Generator())["s1"].equal(batch["s1"])


@pytest.mark.parametrize(("seconds", "text"), [(4.2, "4 s"), (89.4, "89 s"), (200, "3 min"), (7500, "2 h 05 min")])
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


def test_what_its_steps_free_is_kept_for_the_next(tmp_path, monkeypatch):
    seen = []

    @contextlib.contextmanager
    def kept():
        seen.append("kept")
        yield
        seen.append("given back")

    monkeypatch.setattr(loop_module, "freed_memory_kept", kept)
    train(tmp_path, Line(at=lambda step: seen.append("step") or 1.0), steps=2)
    assert seen == ["kept", "step", "step", "given back"]

"""Training end to end on flat worlds: supervised, without labels, killed and resumed, and over two processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.crossview.data.find import find_set
from engine.crossview.data.items import CrossViewSet, Match
from engine.errors import ModelError, OutputError, ParameterError
from engine.events import Reporter
from engine.models.crossview_bundle import load_crossview
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.train import run
from tests.engine.crossview_worlds import write_world

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "encoder": "resnet18", "width": 0.0625, "encoder_stages": 2, "maps": 4, "ground_size": "16x64",
    "overhead_size": 32, "vfov": 120.0, "batch": 8, "workers": 0, "device": "cpu", "log_every": 1,
    "colour": 0.1, "lr": 3e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("worlds")
    write_world(home / "train", 48, extra=8, headings=True)
    write_world(home / "test", 24, first=1000, headings=True)
    return home


def train(world: Path, out: Path, *, brief: bool = True, **changes) -> dict:
    request = CrossViewTrainRequest(out=str(out), data=(str(world / "train"),), **{**TINY, **changes})
    return run(request, Reporter(), brief=brief)


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_supervised_training_learns_and_leaves_what_the_contract_says(world, tmp_path):
    out = tmp_path / "run"
    result = train(
        world, out, labels=1, steps=100, batch=16, neighbours=0, width=0.125, maps=8, lr=5e-3,
        test=(str(world / "test"),), brief=False,
    )  # fmt: skip
    found = result["figures"]["test"][str(world / "test")]
    assert found["r@1"]["value"] >= 5 / 24, "chance is 1/24"
    assert found["r@5"]["value"] >= 12 / 24
    assert found["gallery"] == 24 and found["r@1"]["low"] <= found["r@1"]["value"] <= found["r@1"]["high"]
    told = rows(out)
    assert [row["step"] for row in told] == list(range(100))
    assert told[-1]["loss"] < told[0]["loss"]
    model = load_crossview(out / "model")
    inputs = model.inputs
    assert inputs.overhead.extent_m == 32 and inputs.ground.vfov_deg == 120 and inputs.ground.heading == "north"
    assert model.card.figures[0].metric == "r@1" and model.card.trained_on[0].name == "train"
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "metrics.jsonl", "report.html", "result.json", "model", "checkpoint.safetensors"} <= names
    assert "plans" not in names
    assert "Cross-view training" in (out / "report.html").read_text()
    with pytest.raises(OutputError, match="not empty"):
        train(world, out, labels=1, steps=4)
    again = train(world, tmp_path / "more", labels=1, steps=2, start=str(out / "model"), width=0.125, maps=8)
    assert again["figures"]["steps"] == 2
    with pytest.raises(ModelError, match="this run's is"):
        train(world, tmp_path / "other", labels=1, steps=2, start=str(out / "model"))


def test_without_labels_all_stages_run_and_no_true_pair_is_used(world, tmp_path):
    """The same images with false pairs: not one number of the training may differ, and neither may the weights."""
    from safetensors.torch import load_file

    options = {"steps": 24, "validation_share": 0.25, "gap": 0.01}
    honest = train(world, tmp_path / "a", **options)
    assert [one["name"] for one in honest["figures"]["stages"]] == ["intra", "cross", "curriculum"]
    assert honest["figures"]["labelled"] == 0
    told = rows(tmp_path / "a")
    assert {"loss_ground", "top1_overhead"} <= told[0].keys()
    names = {name for row in told for name in row}
    assert {"labels_share", "loss_labels"} <= names, "pseudo-labels, and the cold start rehearsed beside them"
    assert 0 < [row["labelled"] for row in told if "labelled" in row][-1] <= 1

    from engine.training.crossview import train as job

    def false(place: str) -> CrossViewSet:
        found = find_set(place)
        count = len(found.grounds)
        return replace(found, matches=tuple(Match((i * 29 + 5) % count) for i in range(count)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "find_set", false)
        train(world, tmp_path / "b", **options)
    a, b = (load_file(tmp_path / run / "model" / "model.safetensors") for run in "ab")
    assert all(torch.equal(a[name], b[name]) for name in a)
    timed = ("seconds", "samples_per_s", "held_out_r1", "labels_right")  # the last two tell of the truth
    plain = [[{k: v for k, v in row.items() if k not in timed} for row in rows(tmp_path / run)] for run in "ab"]
    assert plain[0] == plain[1]


def test_semi_supervised_options_and_unknown_heading(world, tmp_path):
    result = train(
        world, tmp_path / "run", labels=0.25, steps=9, heading="unknown", hfov=90, ground_size="32x32",
        restyle="colour", gap_of="row", mutual=False, curriculum=False,
    )  # fmt: skip
    assert result["figures"]["labelled"] == 12
    inputs = load_crossview(tmp_path / "run" / "model").inputs
    assert (inputs.ground.hfov_deg, inputs.ground.heading) == (90, "any")
    with pytest.raises(ParameterError, match="does not fit the network"):
        train(world, tmp_path / "bad", ground_size="30x64")


def test_the_cyclegan_is_trained_first_and_used(world, tmp_path):
    result = train(
        world, tmp_path / "run", steps=4, stages="cross", restyle="cyclegan", gan_epochs=0.1, gan_blocks=1,
        gan_width=0.0625,
    )  # fmt: skip
    assert (tmp_path / "run" / "restyle" / "metrics.jsonl").is_file()
    assert result["figures"]["steps"] == 4


KILLER = """
import json, os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from engine.events import Reporter
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.train import run

home, options = Path(sys.argv[1]), json.loads(sys.argv[2])

def forked(out, resume, lines):
    pid = os.fork()
    if pid == 0:
        try:
            extra = {"resume": True, "device": "cpu", "workers": 0} if resume else options
            run(CrossViewTrainRequest(out=str(out), **extra), Reporter(), brief=True)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    log = out / "metrics.jsonl"
    while lines is not None and (not log.exists() or log.read_bytes().count(b"\\n") < lines):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.002)
    if lines is not None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert lines is not None or status == 0, "the child failed"
    return lines is None

forked(home / "whole", False, None)
ended = [forked(home / "broken", n > 0, lines) for n, lines in enumerate((4, 8, 12, 17))]
forked(home / "broken", True, None)
print(json.dumps(ended))
"""


def test_killed_and_resumed_in_every_stage_the_weights_are_equal_to_the_bit(world, tmp_path):
    from safetensors.torch import load_file

    options = {
        **TINY, "data": [str(world / "train")], "labels": 0.1, "steps": 20,
        "stages": "intra,cross,geometric,curriculum,supervised",
        "batch": 6, "checkpoint_every": 3, "validation_share": 0.25, "choose": "label-free", "neighbours": 3,
        "mine_after": 0,
    }  # fmt: skip
    script = tmp_path / "killer.py"
    script.write_text(KILLER, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), json.dumps(options)],
        capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]).count(False) >= 2, "it was killed"
    for name in ("checkpoint.safetensors", "model/model.safetensors"):
        whole, broken = (load_file(tmp_path / run / name) for run in ("whole", "broken"))
        assert whole.keys() == broken.keys()
        assert [key for key in whole if not whole[key].equal(broken[key])] == []
    timed = ("seconds", "samples_per_s")
    first, second = (
        [{k: v for k, v in row.items() if k not in timed} for row in rows(tmp_path / run)]
        for run in ("whole", "broken")
    )
    assert first == second


def test_two_processes_end_with_the_weights_of_one(world, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    # Colours, erasing and cuts are drawn by each process for its own rows, so they are off; the norms of a ConvNeXt do
    # not depend on the batch.
    options = {
        **TINY, "encoder": "convnext_tiny", "depth": 0.1, "encoder_stages": 2, "data": [str(world / "train")],
        "stages": "geometric,curriculum,supervised", "heading": "found", "labels": 0.5, "steps": 9, "lr": 1e-3,
        "validation_share": 0.2, "neighbours": 2, "mine_after": 0,
    }  # fmt: skip
    script = tmp_path / "train.py"
    script.write_text(
        "import json, os, sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from engine.events import Reporter\n"
        "from engine.training.crossview import train, objective\n"
        "from engine.training.crossview.augment import Variation\n"
        "from engine.training.crossview.request import CrossViewTrainRequest\n"
        "objective.flipped = lambda x, _: x\n"
        "objective.turned = lambda x, _: x\n"
        "objective.rolled = lambda x, _: x\n"
        "objective.cuts = lambda count, *_: torch.zeros(count, dtype=torch.int64)\n"
        "train.Variation = lambda **_: Variation(0, 0, 0, 0, 0)\n"
        "train.run(CrossViewTrainRequest(**json.loads(sys.argv[1])), Reporter(), brief=True)\n"
        "sys.stdout.flush()\n"
        "os._exit(0)\n",
        encoding="utf-8",
    )
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    done = subprocess.run(
        [*start, str(script), json.dumps({**options, "batch": 4, "out": str(tmp_path / "2")})],
        capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    from engine.training.crossview import objective
    from engine.training.crossview import train as job
    from engine.training.crossview.augment import Variation

    for name in ("flipped", "turned", "rolled"):
        monkeypatch.setattr(objective, name, lambda x, _: x)
    monkeypatch.setattr(objective, "cuts", lambda count, *_: torch.zeros(count, dtype=torch.int64))
    monkeypatch.setattr(job, "Variation", lambda **_: Variation(0, 0, 0, 0, 0))
    run(CrossViewTrainRequest(**{**options, "batch": 8, "out": str(tmp_path / "1")}), Reporter(), brief=True)
    one, two = (load_file(tmp_path / n / "model" / "model.safetensors") for n in ("1", "2"))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=2e-5, msg=name)

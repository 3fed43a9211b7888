"""A run that is killed and resumed ends at the same bits as one that was not, and sees no sample twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STEPS, BATCH, ITEMS = 144, 4, 96

# One process imports torch and forks: each child trains until it is killed.
KILLER = """
import json, os, signal, sys, time
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
from torch import nn
from engine.events import Reporter
from engine.models.losses.moco import KeyQueue, moco_loss
from engine.training.distributed import World
from engine.training.loop import LoopSettings, TrainingLoop
from engine.training.rng import seed_everything, step_generator
from engine.training.data.sampling import EpochSampler
from engine.training.order import Order

STEPS, BATCH, ITEMS = map(int, sys.argv[2:5])
home = Path(sys.argv[1])

class Objective(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 5))
        self.queue = KeyQueue(16, 5)
        self.keys = None

    def views(self, batch, generator):
        noise = torch.randn(batch["x"].shape, generator=generator)
        return {**batch, "y": batch["x"] + 0.1 * noise + 0.01 * float(np.random.standard_normal())}

    def forward(self, views):
        a, b = self.net(views["x"]), self.net(views["y"])
        self.keys = b.detach()
        found = {f"metric/index_{i}": value.double() for i, value in enumerate(views["index"])}
        return {"loss": moco_loss(a, b, self.queue.keys, temperature=0.2), "embedding/a": a, **found}

    def after_step(self, step, total):
        self.queue.push(self.keys)

ORDER = Order(EpochSampler(ITEMS, batch=BATCH, seed=3), samples=ITEMS)

def batches(step, part):
    index = torch.from_numpy(ORDER.batch(step))
    x = torch.stack([torch.randn(6, generator=step_generator("cpu", 7, int(i))) for i in index])
    return {"x": x, "index": index}

def train(folder, resume):
    seed_everything(11)
    settings = LoopSettings(steps=STEPS, warmup=5, ema=0.95, log_every=1, health_every=20, checkpoint_every=13,
                            workers=2, precision="fp32")
    TrainingLoop(Objective(), batches, settings=settings, world=World(), folder=folder, reporter=Reporter(),
                 samples=BATCH, facts={"seed": 11}).run(resume=resume)

def forked(folder, resume, lines):
    pid = os.fork()
    if pid == 0:
        try:
            train(folder, resume)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    log = folder / "metrics.jsonl"
    while lines is not None and (not log.exists() or log.read_bytes().count(b"\\n") < lines):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
    if lines is not None:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert lines is not None or status == 0, "the child failed"
    return lines is None

whole, broken = home / "whole", home / "broken"
whole.mkdir(), broken.mkdir()
forked(whole, False, None)
rng = np.random.default_rng()
kills = sorted(int(n) for n in rng.choice(np.arange(4, STEPS - 20), 3, replace=False))
killed = 0
for number, lines in enumerate(kills):
    finished = forked(broken, number > 0, lines)
    killed += not finished
forked(broken, True, None)
print(json.dumps({"kills": kills, "killed": killed}))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("resume")
    script = home / "killer.py"
    script.write_text(KILLER, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(home), str(STEPS), str(BATCH), str(ITEMS)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return home, json.loads(done.stdout.splitlines()[-1])


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_killed_at_random_steps_and_resumed_the_weights_are_equal_to_the_bit(runs):
    from safetensors.torch import load_file

    home, report = runs
    assert report["killed"] >= 2, report
    whole, broken = (load_file(home / name / "checkpoint.safetensors") for name in ("whole", "broken"))
    assert whole.keys() == broken.keys()
    assert any(name.startswith("optimiser.") for name in whole)
    assert any(name.startswith("rng.") for name in whole)
    assert any("queue" in name for name in whole)
    assert any(name.startswith("average.") for name in whole)
    different = [name for name in whole if not whole[name].equal(broken[name])]
    assert different == [], report


def test_the_log_of_the_broken_run_is_that_of_the_whole_one(runs):
    home, _ = runs
    whole, broken = rows(home / "whole"), rows(home / "broken")
    assert [row["step"] for row in broken] == list(range(STEPS))
    timed = ("seconds", "samples_per_s")
    for a, b in zip(whole, broken, strict=True):
        assert {k: v for k, v in a.items() if k not in timed} == {k: v for k, v in b.items() if k not in timed}


def test_no_sample_comes_twice_in_an_epoch(runs):
    home, _ = runs
    seen = [row[f"index_{i}"] for row in rows(home / "broken") for i in range(BATCH)]
    for start in range(0, len(seen) - ITEMS + 1, ITEMS):
        assert sorted(seen[start : start + ITEMS]) == list(range(ITEMS))


def test_nothing_half_written_lies_about(runs):
    home, _ = runs
    names = {p.name for p in (home / "broken").iterdir() if ".partial-" not in p.name}
    assert names == {"checkpoint.safetensors", "checkpoint-previous.safetensors", "state.json", "metrics.jsonl"}

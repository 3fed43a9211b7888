"""Several processes train what one would: the same batches together, the same weights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from engine.errors import DeviceError, ParameterError
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.training.distributed import World, joined_world, with_shared_statistics
from engine.training.processes import is_main_process, number_of

ROOT = Path(__file__).resolve().parents[2]

TRAIN = """
import os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from torch import nn
from engine.events import CancelToken, Reporter
from engine.errors import Cancelled
from engine.models.losses.infonce import info_nce
from engine.models.losses.moco import KeyQueue
from engine.training.data.sampling import EpochSampler
from engine.training.distributed import joined_world
from engine.training.loop import LoopSettings, TrainingLoop
from engine.training.order import Order
from engine.training.rng import step_generator

class Pairs(nn.Module):
    def __init__(self, world):
        super().__init__()
        torch.manual_seed(1)
        self.a, self.b = nn.Linear(5, 4).double(), nn.Linear(5, 4).double()
        self.queue = KeyQueue(6, 4)
        self.gather, self.keys = world.gather, []

    def views(self, batch, generator):
        return batch

    def forward(self, views):
        a, b = self.a(views["x"]), self.b(views["x"] ** 2)
        self.keys.append(b.detach())
        return {"loss": info_nce(a, b, temperature=0.3, group=self.gather)}

    def after_step(self, step, total):
        for keys in self.keys:
            self.queue.push(keys, group=self.gather)
        self.keys.clear()

def item(i):
    return torch.randn(5, generator=step_generator("cpu", 9, int(i)), dtype=torch.float64)

def main(folder, total, cancel_at):
    with joined_world("cpu") as world:
        token = CancelToken()
        each = total // world.size
        order = Order(EpochSampler(25, batch=each, seed=2, rank=world.rank, world=world.size), samples=25)

        def batches(step, part):
            if step == cancel_at and world.rank == world.size - 1:  # asked for in one process only
                token.cancel()
            index = order.batch(step)
            return {"x": torch.stack([item(i) for i in index])}

        settings = LoopSettings(steps=12, rate=0.2, optimiser="sgd", precision="fp32", clip=1.0, ema=0.9,
                                checkpoint_every=5, log_every=1, workers=0)
        loop = TrainingLoop(Pairs(world), batches, settings=settings, world=world, folder=folder,
                            reporter=Reporter(token=token), samples=total)
        try:
            loop.run(resume=(folder / "checkpoint.safetensors").exists())
        except Cancelled:
            print("cancelled", world.rank, flush=True)

main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
sys.stdout.flush()
os._exit(0)  # as the command line does: threads of gloo may abort the end of the interpreter
"""


WAIT = """
import os, sys, time
from datetime import timedelta
from engine.training import distributed

distributed._TIMEOUT = timedelta(seconds=3)
with distributed.joined_world("cpu") as world:
    if world.main:
        time.sleep(6)  # restyling, say
    world.wait()
    if world.main:
        time.sleep(6)  # the last evaluation: the others have left the block and wait at its end
        print("evaluated", flush=True)
sys.stdout.flush()
os._exit(0)
"""


def run(folder: Path, processes: int, *, cancel_at: int = -1, program: str = TRAIN) -> str:
    folder.mkdir(exist_ok=True)
    script = folder / "train.py"
    script.write_text(program, encoding="utf-8")
    start = [sys.executable]
    if processes > 1:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        start += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*start, str(script), str(folder), "6", str(cancel_at)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_two_processes_end_with_the_weights_of_one_after_a_cancel_in_one_of_them_too(tmp_path):
    import torch
    from safetensors.torch import load_file

    run(tmp_path / "one", 1)
    said = run(tmp_path / "two", 2, cancel_at=7)
    assert said.count("cancelled") == 2, "both stop where one was asked to"
    run(tmp_path / "two", 2)
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    compared = [name for name in one if name.startswith(("model.", "average.", "optimiser."))]
    compared.remove("average.queue.keys")  # of keys in another order
    assert len(compared) > 10
    for name in compared:
        if "queue.keys" in name:  # the same keys, in the order of the processes
            a, b = (x[name][torch.argsort(x[name][:, 0])] for x in (one, two))
        else:
            a, b = one[name], two[name]
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9, msg=name)
    assert len((tmp_path / "two" / "metrics.jsonl").read_text().splitlines()) == 12


def test_a_process_that_works_alone_is_waited_for_longer_than_one_that_does_not_answer(tmp_path):
    assert "evaluated" in run(tmp_path / "wait", 2, program=WAIT)


def test_without_torchrun_there_is_one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert is_main_process()
    with joined_world("cpu") as world:
        assert (world.rank, world.size, world.main) == (0, 1, True)
        assert world.any(True) and not world.any(False)
        world.wait()


def test_variables_that_make_no_sense_are_one_line(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not is_main_process()
    with pytest.raises(ParameterError, match="RANK is 3"), joined_world("cpu"):
        pass
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ParameterError, match="'first'"):
        number_of("RANK", 0)


def test_a_process_of_several_cannot_be_given_one_device(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises((ParameterError, DeviceError), match="--device"), joined_world("cuda:0"):
        pass
    assert World().stacked(__import__("torch").ones(2)).shape == (1, 2)


def test_statistics_are_shared_unless_a_process_may_leave_an_encoder_out():
    """A process that skips an encoder would leave the others waiting for its statistics."""
    one = with_shared_statistics(nn.Sequential(Segmenter(bands=2, classes=2, width=0.125)))
    both = with_shared_statistics(nn.Sequential(TwoSensorSegmenter(s1_bands=2, s2_bands=3, classes=2, width=0.125)))
    assert any(isinstance(part, nn.SyncBatchNorm) for part in one.modules())
    assert not any(isinstance(part, nn.SyncBatchNorm) for part in both.modules())

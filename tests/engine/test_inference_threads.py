"""Cancel, failures and clean ends of the streaming inference, and its memory."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from affine import Affine
from numpy.typing import NDArray
from torch import nn

from engine.device import Device
from engine.errors import Cancelled, DamagedFileError
from engine.events import CancelToken, Reporter
from engine.mapping.background import Background
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.raster.grid import Grid, Window

ROOT = Path(__file__).resolve().parents[2]
CPU = Device("cpu")


class Zeros:
    """A large scene of zeros; ``slow_s`` per read, ``fail_row`` raises."""

    block = (64, 64)

    def __init__(self, height: int, width: int, *, slow_s: float = 0.0, fail_row: int | None = None) -> None:
        self.grid = Grid(height, width, Affine.identity(), None)
        self.slow_s, self.fail_row = slow_s, fail_row
        self.reads = 0

    def read(self, window: Window) -> NDArray[np.float32]:
        self.reads += 1
        if self.fail_row is not None and window.row <= self.fail_row < window.row_stop:
            raise DamagedFileError(f"scene.tif: rows {window.row} to {window.row_stop - 1} cannot be read.")
        time.sleep(self.slow_s)
        return np.zeros((1, *window.shape), np.float32)


class Slow(nn.Module):
    """Many layers of 0.1 s: one forward pass takes far longer than a cancel may."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[SlowLayer() for _ in range(50)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(x)
        return out


class SlowLayer(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.1)
        return x


def ours() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("samescene-")]


def wait_for_threads(limit_s: float = 2.0) -> None:
    end = time.monotonic() + limit_s
    while ours() and time.monotonic() < end:
        time.sleep(0.01)
    assert not ours()


@pytest.mark.parametrize("stage", ["reading", "computing", "consuming"])
def test_cancel_answers_within_a_second(stage: str) -> None:
    token = CancelToken()
    source = Zeros(100_000, 64, slow_s=0.3 if stage == "reading" else 0.0)
    network = Slow() if stage == "computing" else nn.Identity()
    engine = StreamingInference(network, InferenceSettings(tile=64, overlap=8), device=CPU)
    asked: list[float] = []

    def ask() -> None:
        asked.append(time.monotonic())
        token.cancel()

    timer = threading.Timer(0.5, ask)
    timer.start()
    with pytest.raises(Cancelled):
        for _ in engine.stream(source, Reporter(token=token)):
            if stage == "consuming":
                time.sleep(0.05)
    assert time.monotonic() - asked[0] < 1.0
    wait_for_threads()


def test_a_failure_of_the_source_arrives_as_it_is_after_the_rows_before_it() -> None:
    source = Zeros(1000, 64, fail_row=700)
    engine = StreamingInference(nn.Identity(), InferenceSettings(tile=64, overlap=8), device=CPU)
    last = 0
    with pytest.raises(DamagedFileError, match=r"scene\.tif: rows 512 to 767"):
        for window, _ in engine.stream(source):
            last = window.row_stop
    assert 0 < last <= 512
    wait_for_threads()


def test_a_failure_of_the_consumer_ends_the_threads() -> None:
    engine = StreamingInference(nn.Identity(), InferenceSettings(tile=64, overlap=8), device=CPU)
    with pytest.raises(ZeroDivisionError):
        for _ in engine.stream(Zeros(10_000, 64)):
            raise ZeroDivisionError
    wait_for_threads()


def test_closing_early_stops_the_reading() -> None:
    source = Zeros(100_000, 64)
    engine = StreamingInference(nn.Identity(), InferenceSettings(tile=64, overlap=8), device=CPU)
    stream = engine.stream(source)
    next(stream)
    stream.close()
    wait_for_threads()
    assert source.reads < 20, "reading ran far ahead of the consumer"


def test_reading_and_computing_overlap() -> None:
    class Wait(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(0.05)
            return x

    engine = StreamingInference(Wait(), InferenceSettings(tile=256, overlap=0), device=CPU)

    def seconds() -> float:
        start = time.monotonic()
        for _ in engine.stream(Zeros(20 * 256, 64, slow_s=0.05)):
            time.sleep(0.05)
        return time.monotonic() - start

    # One after another this would take 3.0 s, every time; a machine with other work may hold it up once.
    assert any(seconds() < 2.2 for _ in range(3))


def test_a_strip_that_the_caller_drops_is_freed() -> None:
    engine = StreamingInference(nn.Identity(), InferenceSettings(tile=64, overlap=8), device=CPU)
    alive: list[weakref.ref[object]] = []
    for _window, values in engine.stream(Zeros(4000, 64)):
        alive.append(weakref.ref(values))
        del values
        gc.collect(0)
        assert sum(ref() is not None for ref in alive) <= 2


def test_background_hands_items_over_in_order_and_stays_bounded() -> None:
    made: list[int] = []

    def produce(stop: threading.Event):  # type: ignore[no-untyped-def]
        for i in range(100):
            made.append(i)
            yield i

    background: Background[int] = Background(produce, depth=3, name="samescene-test")
    time.sleep(0.1)
    assert len(made) <= 4
    got = []
    while (item := background.get()) is not None:
        got.append(item)
    assert got == list(range(100))
    assert background.get() is None
    assert background.close(wait_s=1)


MEMORY = """
import json, resource, sys, threading, time
import numpy as np, torch
from affine import Affine
from torch import nn
from engine.device import Device
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.raster.grid import Grid

class Rows:
    block = (256, 256)
    def __init__(self, height, width):
        self.grid = Grid(height, width, Affine.identity(), None)
    def read(self, window):
        out = np.empty((2, *window.shape), np.float32)
        out[...] = np.arange(window.width, dtype=np.float32)
        return out

torch.set_num_threads(1)
height, width = int(sys.argv[1]), int(sys.argv[2])
budget = int(sys.argv[3]) or None
engine = StreamingInference(
    nn.Identity(), InferenceSettings(mean=(0.0, 0.0), std=(1.0, 1.0), budget_bytes=budget), device=Device("cpu")
)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for window, values in engine.stream(Rows(height, width)):
    pass
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"base": base / 1024, "peak": peak / 1024, "groups": engine.facts()["column_groups"]}))
"""


def memory_of(height: int, width: int, *, budget: int = 0) -> dict[str, float]:
    """Peak resident MB of a run in a process of its own.

    Large arrays are mapped, so that what is freed leaves the process: held memory is measured, not what the allocator
    keeps for later, which depends on how the threads happen to be timed.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(height), str(width), str(budget)],
        capture_output=True, text=True, cwd=ROOT, check=True, env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"},
    )  # fmt: skip
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is Linux's")
def test_memory_does_not_grow_with_rows_and_is_bounded_in_width() -> None:
    low, high = memory_of(2000, 2000), memory_of(16_000, 2000)
    assert high["peak"] < 1.1 * low["peak"], f"{low} {high}"
    # One row of tiles of all columns with its strips would need about 330 MB.
    budget = 256 << 20
    wide = memory_of(2000, 12_000, budget=budget)
    assert wide["groups"] > 1
    assert wide["peak"] - wide["base"] < 1.25 * budget / (1 << 20), f"{wide}"

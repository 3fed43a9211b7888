"""Streaming inference on a CUDA device: the processor's answer, in every precision, with cancel."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from affine import Affine
from numpy.typing import NDArray
from torch import nn

from engine.device import Device, choose_device, describe_device, has_bfloat16
from engine.errors import Cancelled, DeviceError
from engine.events import CancelToken, Reporter
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.models.segmenter import Segmenter
from engine.raster.grid import Grid, Window

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
FloatArray = NDArray[np.float32]
TF32 = 1e-2
"""Most that probabilities may differ in float32: there convolutions multiply in TF32, as PyTorch does by itself."""


class Scene:
    """Noise with holes: a half-empty strip, a hole, a value missing in one band."""

    block = (128, 128)

    def __init__(self, height: int = 700, width: int = 900) -> None:
        self.values = np.random.default_rng(0).normal(-15, 4, (2, height, width)).astype(np.float32)
        self.values[:, 200:420, 300:] = np.nan
        self.values[:, 600:610, 20:30] = np.nan
        self.values[0, height - 50, 100] = np.nan
        self.grid = Grid(height, width, Affine.identity(), None)

    def read(self, window: Window) -> FloatArray:
        out = np.full((2, *window.shape), np.nan, np.float32)
        inside = window.intersect(self.grid.window)
        if not inside.empty:
            rows, cols = inside.within(window)
            out[:, rows, cols] = self.values[:, inside.row : inside.row_stop, inside.col : inside.col_stop]
        return out


def run(network: nn.Module, device: Device, precision: str, **options: object) -> tuple[FloatArray, str]:
    chosen = InferenceSettings(
        **{  # type: ignore[arg-type]
            "tile": 128, "overlap": 32, "mean": (-15.0, -15.0), "std": (4.0, 4.0), "activation": "softmax",
            "precision": precision, **options,
        }
    )  # fmt: skip
    engine = StreamingInference(network, chosen, device=device)
    scene = Scene()
    out = np.zeros((2, *scene.grid.shape), np.float32)
    for window, values in engine.stream(scene):
        rows, cols = window.within(scene.grid.window)
        out[:, rows, cols] = values
    return out, engine.network.precision


def network() -> Segmenter:
    torch.manual_seed(0)
    made = Segmenter(bands=2, classes=2, width=0.25).eval()
    made.head.weight.data *= 0.2
    return made


def test_device_is_found_and_described() -> None:
    device = choose_device("auto")
    assert device.kind == "cuda" and torch.cuda.get_device_name(0) in describe_device()
    with pytest.raises(DeviceError, match="numbered 0 to"):
        choose_device("cuda:99")


@pytest.mark.parametrize(("precision", "limit"), [("float32", TF32), ("bfloat16", 0.06), ("float16", 0.02)])
def test_same_answer_as_the_processor(precision: str, limit: float) -> None:
    wanted, _ = run(network(), Device("cpu"), "float32")
    out, _ = run(network(), choose_device("cuda"), precision)
    assert (np.isnan(out) == np.isnan(wanted)).all()
    assert np.nanmax(np.abs(out - wanted)) < limit


def test_identity_and_groups_of_columns() -> None:
    for budget in (None, 1):
        out, _ = run(nn.Identity(), choose_device("cuda"), "float32", budget_bytes=budget, activation="none", batch=3)
        wanted = (Scene().values + 15) / 4
        missing = np.isnan(wanted).all(axis=0)
        assert (np.isnan(out).all(axis=0) == missing).all()
        assert np.abs(out - np.nan_to_num(wanted))[:, ~missing].max() < 5e-6


def test_auto_precision_is_proven() -> None:
    device = choose_device("cuda")
    out, precision = run(network(), device, "auto")
    if has_bfloat16(device):
        assert precision == "bfloat16"
    wanted, _ = run(network(), Device("cpu"), "float32")
    assert np.nanmean(np.abs(out - wanted)) < 0.005


def test_the_same_twice_and_whatever_the_batch() -> None:
    first, _ = run(network(), choose_device("cuda"), "float32", batch=1)
    for batch in (1, 4, 16):
        out, _ = run(network(), choose_device("cuda"), "float32", batch=batch)
        assert np.nanmax(np.abs(out - first)) < TF32


def test_cancel_answers_within_a_second() -> None:
    token = CancelToken()
    engine = StreamingInference(network(), InferenceSettings(tile=128, overlap=32), device=choose_device("cuda"))

    class Endless(Scene):
        def __init__(self) -> None:
            super().__init__(128, 900)
            self.grid = Grid(10_000_000, 900, Affine.identity(), None)

        def read(self, window: Window) -> FloatArray:
            return np.zeros((2, *window.shape), np.float32)

    asked = 0.0
    with pytest.raises(Cancelled):
        for number, _ in enumerate(engine.stream(Endless(), Reporter(token=token))):
            if number == 5:
                asked = time.monotonic()
                token.cancel()
    assert time.monotonic() - asked < 1.0


def test_too_little_memory_is_told() -> None:
    class Greedy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.empty(1 << 42, device=x.device).sum()

    engine = StreamingInference(Greedy(), InferenceSettings(tile=64, overlap=0), device=choose_device("cuda"))
    with pytest.raises(DeviceError, match="too little memory"):
        next(engine.stream(Scene()))

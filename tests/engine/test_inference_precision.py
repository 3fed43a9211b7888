"""Reduced precision is used only where it was proven equal enough to float32, and what was taken is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from affine import Affine
from numpy.typing import NDArray
from torch import nn

from engine.device import Device
from engine.errors import DeviceError
from engine.events import Event, Log, Reporter
from engine.mapping import network as networks
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.mapping.network import PreparedNetwork, compare_logits
from engine.models.segmenter import Segmenter
from engine.raster.grid import Grid, Window

CPU = Device("cpu")
FloatArray = NDArray[np.float32]


class Noise:
    """A scene of noise, the same on every read."""

    block = (64, 64)

    def __init__(self) -> None:
        self.values = np.random.default_rng(0).normal(size=(2, 256, 192)).astype(np.float32)
        self.grid = Grid(256, 192, Affine.identity(), None)

    def read(self, window: Window) -> FloatArray:
        return self.values[:, window.row : window.row_stop, window.col : window.col_stop].copy()


class Chaotic(nn.Module):
    """Differences far below the resolution of bfloat16 decide the class."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 8, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(self.first(x) * 1000)
        return torch.sin(y) * 20


@pytest.fixture
def in_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 counts as there, whatever this processor has (without it torch computes the same, slowly)."""
    monkeypatch.setattr(networks, "has_bfloat16", lambda device: True)


def stream(network: nn.Module, precision: str) -> tuple[FloatArray, StreamingInference, list[str]]:
    events: list[Event] = []
    options = InferenceSettings(tile=64, overlap=16, activation="softmax", precision=precision)  # type: ignore[arg-type]
    engine = StreamingInference(network, options, device=CPU)
    out = np.concatenate([values for _, values in engine.stream(Noise(), Reporter(events.append))], axis=1)
    return out, engine, [event.message for event in events if isinstance(event, Log)]


def tame() -> Segmenter:
    torch.manual_seed(0)
    network = Segmenter(bands=2, classes=2, width=0.25).eval()
    network.head.bias.data += torch.tensor([0.0, 1.0])
    network.head.weight.data *= 0.2
    return network


@pytest.mark.usefixtures("in_hardware")
def test_bfloat16_where_it_is_equal_enough() -> None:
    exact, engine, _ = stream(tame(), "float32")
    assert engine.network.precision == "float32"
    out, engine, log = stream(tame(), "auto")
    assert engine.network.precision == "bfloat16" and "equal enough" in engine.network.reason
    assert any("bfloat16" in line and "keep their class" in line for line in log)
    assert np.abs(out - exact).max() > 0, "the reduced precision was not used"
    assert np.abs(out - exact).mean() < networks.MEAN_SHIFT
    assert (out.argmax(0) == exact.argmax(0)).mean() > networks.AGREEMENT


@pytest.mark.usefixtures("in_hardware")
def test_float32_where_it_is_not_and_the_log_says_so() -> None:
    torch.manual_seed(0)
    network = Chaotic()
    exact, _, _ = stream(network, "float32")
    out, engine, log = stream(network, "auto")
    assert engine.network.precision == "float32" and "not equal enough" in engine.network.reason
    assert any("float32" in line and "not equal enough" in line for line in log)
    assert np.array_equal(out, exact), "every tile, those of the proof too, is in float32"


def test_without_hardware_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "has_bfloat16", lambda device: False)
    out, engine, _ = stream(tame(), "auto")
    assert engine.facts()["precision"] == "float32" and engine.facts()["precision_reason"] == "no bfloat16 in hardware"
    assert np.array_equal(out, stream(tame(), "float32")[0])


@pytest.mark.usefixtures("in_hardware")
def test_one_layer_stays_in_float32() -> None:
    assert PreparedNetwork(nn.Conv2d(2, 2, 1), device=CPU).precision == "float32"


def test_asked_for_is_taken_without_a_proof() -> None:
    out, engine, _ = stream(tame(), "bfloat16")
    assert engine.network.precision == "bfloat16" and engine.network.reason == "as asked"
    assert np.isfinite(out).all()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_comparison_against_brute_force(activation: str) -> None:
    rng = np.random.default_rng(1)
    exact = rng.normal(0, 3, (2, 3, 17, 19)).astype(np.float32)
    reduced = exact + rng.normal(0, 0.5, exact.shape).astype(np.float32)
    same, shifts = [], []
    for item in range(2):
        for row in range(17):
            for col in range(19):
                a, b = exact[item, :, row, col].astype(float), reduced[item, :, row, col].astype(float)
                if activation == "softmax":
                    same.append(a.argmax() == b.argmax())
                    shifts.append(np.abs(np.exp(a) / np.exp(a).sum() - np.exp(b) / np.exp(b).sum()).max())
                else:
                    same.append(bool(((a > 0) == (b > 0)).all()))
                    shifts.append(np.abs(1 / (1 + np.exp(-a)) - 1 / (1 + np.exp(-b))).max())
    agreement, mean, tail = compare_logits(
        torch.from_numpy(exact), torch.from_numpy(reduced), activation=activation  # type: ignore[arg-type]
    )  # fmt: skip
    assert agreement == pytest.approx(np.mean(same))
    assert mean == pytest.approx(np.mean(shifts), rel=1e-5)
    assert tail == pytest.approx(sorted(shifts)[round(len(shifts) * 0.999) - 1], rel=1e-5)


def test_what_overflows_is_never_equal() -> None:
    exact = torch.zeros(1, 2, 10, 10)
    exact[:, 0] = 1
    reduced = exact.clone()
    reduced[0, 1, :5] = float("nan")
    agreement, mean, tail = compare_logits(exact, reduced, activation="softmax")
    assert (agreement, mean, tail) == (0.5, 0.5, 1.0)


def test_too_little_memory_is_told() -> None:
    class Greedy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    with pytest.raises(DeviceError, match=r"cpu has too little memory for .* tiles of 64 x 64") as caught:
        stream(Greedy(), "float32")
    assert "smaller area" in caught.value.remedy

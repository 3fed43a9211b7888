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
from engine.mapping.network import PreparedNetwork
from engine.mapping.precision import AGREEMENT, MEAN_SHIFT, ClassProof, compare_logits, proof_of
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
    assert np.abs(out - exact).mean() < MEAN_SHIFT
    assert (out.argmax(0) == exact.argmax(0)).mean() > AGREEMENT


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


def logits(probability: FloatArray) -> torch.Tensor:
    """(1, 3, rows, columns) of the probability of the first two of three classes; the third has nearly nothing."""
    rest = np.full_like(probability[0], 1e-6)
    return torch.from_numpy(np.log(np.stack([probability[0], probability[1], rest]))[None].astype(np.float32))


def of_two(first: FloatArray) -> torch.Tensor:
    return logits(np.stack([first, 1 - first]))


def test_near_ties_may_change_their_class() -> None:
    # 0.5 % of the pixels flip between 50.2 and 49.8 per cent: too many for a probability map, nothing to a class map.
    first = np.full((100, 200), 0.9, np.float32)
    first[:1] = 0.502
    changed = first.copy()
    changed[0, :100] = 0.499
    exact, reduced = of_two(first), of_two(changed)
    proof = ClassProof()
    proof.add(exact, reduced)
    assert proof.holds, proof.measured
    assert "0.50% of pixels change their class" in proof.measured and "lead by over 5% 0.000%" in proof.measured
    old = proof_of("probabilities", activation="softmax", temperature=1)
    old.add(exact, torch.where(torch.arange(100)[:, None] < 2, reduced.flip(1), reduced))
    assert not old.holds


@pytest.mark.parametrize("fault", ["one clear class", "many ties", "confidence", "tail", "not a number", "accuracy"])
def test_what_a_class_map_does_not_forgive(fault: str) -> None:
    first = np.full((100, 200), 0.9, np.float32)
    first[:10] = 0.505
    changed = first.copy()
    if fault == "one clear class":
        first[50, :3], changed[50, :3] = 0.53, 0.49  # leads by 6 per cent: three pixels in 20,000
    elif fault == "many ties":
        changed[0], changed[1, :50] = 0.499, 0.499  # 1.25 %
    elif fault == "confidence":
        changed[10:] = 0.907
    elif fault == "tail":
        changed[50, :30] = 0.94
    elif fault == "accuracy":
        first[0], changed[0, :100] = 0.515, 0.485  # 0.5 % change, each gives 3 per cent away: 0.015 % in all
    reduced = of_two(changed)
    if fault == "not a number":
        reduced[0, 0, 99, :3] = float("nan")
    proof = ClassProof()
    proof.add(of_two(first), reduced)
    assert not proof.holds, proof.measured
    same = ClassProof()
    same.add(of_two(first), of_two(first))
    assert same.holds and same.pixels == first.size


def test_bounds_hold_over_all_batches_and_pixels_that_count() -> None:
    first = np.full((20, 100), 0.9, np.float32)
    wrong = np.full((20, 100), 0.1, np.float32)
    counts = torch.ones(1, 20, 100, dtype=torch.bool)
    counts[0, :, 50:] = False
    only_outside = first.copy()
    only_outside[:, 50:] = 0.1
    for proof in (ClassProof(), proof_of("probabilities", activation="softmax", temperature=1)):
        proof.add(of_two(first), of_two(only_outside), counts)
        assert proof.holds and proof.pixels == 1000
        proof.add(of_two(first), of_two(wrong), torch.zeros_like(counts))
        assert proof.holds and proof.pixels == 1000
        proof.add(of_two(first), of_two(wrong), counts)
        assert not proof.holds


@pytest.mark.parametrize("sigmoid", [False, True])
def test_class_proof_against_brute_force(sigmoid: bool) -> None:
    rng = np.random.default_rng(2)
    exact = rng.normal(0, 2, (2, 1 if sigmoid else 3, 9, 11)).astype(np.float32)
    reduced = exact + rng.normal(0, 0.3, exact.shape).astype(np.float32)
    leads, changes, shifts = [], [], []
    for item, row, col in np.ndindex(2, 9, 11):
        p, q = (
            np.exp(v) / np.exp(v).sum()
            for v in (np.append(0, one[item, :, row, col].astype(float) / 1.7) if sigmoid
                      else one[item, :, row, col].astype(float) / 1.7 for one in (exact, reduced))
        )  # fmt: skip
        leads.append(p.max() - p[q.argmax()])
        changes.append(p.argmax() != q.argmax())
        shifts.append(abs(p.max() - q.max()))
    proof = ClassProof(sigmoid=sigmoid, temperature=1.7)
    proof.add(torch.from_numpy(exact), torch.from_numpy(reduced))
    wanted = (
        f"{np.mean(changes):.2%} of pixels change their class, of classes that lead by over 5% "
        f"{np.mean(np.array(leads) > 0.05):.3%}; expected loss of accuracy {np.mean(leads):.4%}; confidence moves by "
        f"{np.mean(shifts):.2%} on average, by over 3% in {np.mean(np.array(shifts) > 0.03):.2%} of pixels"
    )
    assert proof.measured == wanted


class LateFault(nn.Module):
    """Like float32 while the input is calm, far from it where it is not: sea first, then land."""

    def __init__(self) -> None:
        super().__init__()
        self.chaos, self.calm = Chaotic(), nn.Conv2d(2, 2, 1)
        nn.init.zeros_(self.calm.weight)
        self.calm.bias.data = torch.tensor([3.0, 0.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, :1].abs() > 0, self.chaos(x), self.calm(x))


@pytest.mark.usefixtures("in_hardware")
@pytest.mark.parametrize("judged", ["probabilities", "classes"])
def test_the_proof_goes_on_down_the_scene(judged: str) -> None:
    torch.manual_seed(0)
    prepared = PreparedNetwork(LateFault(), device=CPU, activation="softmax", judged=judged)  # type: ignore[arg-type]
    sea, land = torch.zeros(1, 2, 256, 256), torch.randn(1, 2, 256, 256)
    with torch.inference_mode():
        for _ in range(3):
            prepared.forward(sea)
            assert prepared.precision == "bfloat16"
        prepared.forward(land)  # the 4th
        assert prepared.precision == "float32" and "not equal enough" in prepared.reason
        assert torch.equal(prepared.forward(land), prepared.forward(land))


@pytest.mark.usefixtures("in_hardware")
def test_a_proof_wants_pixels_that_count() -> None:
    torch.manual_seed(0)
    prepared = PreparedNetwork(LateFault(), device=CPU, activation="softmax", judged="classes")
    sea, land = torch.zeros(1, 2, 128, 128), torch.randn(1, 2, 128, 128)
    edge = torch.zeros(1, 128, 128, dtype=torch.bool)
    edge[0, 0, :10] = True
    with torch.inference_mode():
        for _ in range(3):  # 30 pixels of a scene's slanted edge prove nothing
            prepared.forward(sea, counts=edge)
        assert prepared.proving
        prepared.forward(land)
    assert prepared.precision == "float32"


def test_too_little_memory_is_told() -> None:
    class Greedy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    with pytest.raises(DeviceError, match=r"cpu has too little memory for .* tiles of 64 x 64") as caught:
        stream(Greedy(), "float32")
    assert "smaller area" in caught.value.remedy

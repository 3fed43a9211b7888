"""Laws of the streaming inference: identity, invariance, nodata, order of the windows, settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from engine.device import Device
from engine.errors import ModelError, ParameterError
from engine.events import Event, Log, Progress, Reporter
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.mapping.source import Blocks
from engine.mapping.tiles import Lattice, window_function
from engine.raster.grid import Grid, Window

CPU = Device("cpu")
FloatArray = NDArray[np.float32]


class ArraySource:
    """An array as a source; keeps the windows that were read."""

    def __init__(self, values: FloatArray, *, block: tuple[int, int] = (16, 16), origin: tuple[int, int] = (0, 0)):
        self.values, self.block, self.block_origin = values, block, origin
        self.grid = Grid(values.shape[1], values.shape[2], Affine.identity(), None)
        self.windows: list[Window] = []

    def read(self, window: Window) -> FloatArray:
        self.windows.append(window)
        out = np.full((self.values.shape[0], *window.shape), np.nan, np.float32)
        inside = window.intersect(self.grid.window)
        if not inside.empty:
            rows, cols = inside.within(window)
            out[:, rows, cols] = self.values[:, inside.row : inside.row_stop, inside.col : inside.col_stop]
        return out


class Patch(nn.Module):
    """A small network whose answer depends on where a pixel lies in its tile: a bad seam would show."""

    def __init__(self, bands: int = 2, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.classes = classes
        self.conv1 = nn.Conv2d(bands, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.head = nn.Conv2d(4, classes, 3, padding=1)
        self.bn1.running_mean.normal_()
        self.bn1.running_var.uniform_(0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(torch.relu(self.bn1(self.conv1(x))))
        return out


def run(network: nn.Module, source: ArraySource, **options: Any) -> FloatArray:
    """The streamed result as one array; checks that windows cover the grid exactly once, each group from the top."""
    engine = StreamingInference(network, InferenceSettings(**{"precision": "float32", **options}), device=CPU)
    out: FloatArray | None = None
    seen = np.zeros(source.grid.shape, int)
    last: Window | None = None
    for window, values in engine.stream(source):
        assert values.dtype == np.float32 and values.shape[1:] == window.shape
        if out is None:
            out = np.full((values.shape[0], *source.grid.shape), -99, np.float32)
        rows, cols = window.within(source.grid.window)
        out[:, rows, cols] = values
        seen[rows, cols] += 1
        if last is not None and last.col == window.col:
            assert window.row == last.row_stop
        else:
            assert window.row == 0 and window.col == (last.col_stop if last else 0)
        last = window
    assert (seen == 1).all()
    assert out is not None
    return out


def reference(network: nn.Module, values: FloatArray, *, tile: int, overlap: int) -> FloatArray:
    """Brute force: every tile of the whole array, weighted sums and sums of weights in float64."""
    bands, height, width = values.shape
    big = np.zeros((bands, max(height, tile), max(width, tile)), np.float32)
    big[:, :height, :width] = np.nan_to_num(values)
    ramp = window_function(tile, overlap)
    weight = ramp[:, None] * ramp
    total: NDArray[np.float64] | None = None
    weights = np.zeros(big.shape[1:])
    rows, cols = Lattice(height, tile, tile - overlap), Lattice(width, tile, tile - overlap)
    with torch.inference_mode():
        for i in range(len(rows)):
            for j in range(len(cols)):
                place = (slice(rows.start(i), rows.stop(i)), slice(cols.start(j), cols.stop(j)))
                logits = network.eval()(torch.from_numpy(big[:, place[0], place[1]][None].copy()))[0].double().numpy()
                total = np.zeros((logits.shape[0], *weights.shape)) if total is None else total
                total[:, place[0], place[1]] += logits * weight
                weights[place] += weight
    assert total is not None
    out = (total / weights)[:, :height, :width].astype(np.float32)
    out[:, np.isnan(values).all(axis=0)] = np.nan
    return out


@st.composite
def scenes(draw: st.DrawFn) -> tuple[FloatArray, dict[str, Any], dict[str, Any]]:
    """A scene with holes, settings, and how its source is blocked."""
    tile = draw(st.integers(1, 40))
    height, width = draw(st.integers(1, 110)), draw(st.integers(1, 110))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.normal(0, 1, (2, height, width)).astype(np.float32)
    holes = draw(st.sampled_from(("none", "scattered", "half", "all", "first rows")))
    if holes == "scattered":
        values[rng.random(values.shape) < 0.2] = np.nan
    elif holes == "half":
        values[:, :, width // 2 :] = np.nan
    elif holes == "first rows":
        values[:, : height * 2 // 3] = np.nan
    elif holes == "all":
        values[...] = np.nan
    options = {
        "tile": tile,
        "overlap": draw(st.integers(0, tile - 1)),
        "batch": draw(st.integers(1, 5)),
        "budget_bytes": draw(st.sampled_from((None, 1, 20_000, 100_000))),
    }
    blocks = {
        "block": (draw(st.integers(1, 300)), draw(st.integers(1, 60))),
        "origin": (-draw(st.integers(0, 20)), -draw(st.integers(0, 20))),
    }
    return values, options, blocks


@given(scenes())
@settings(max_examples=80, deadline=None)
def test_identity_gives_the_input_back(scene: tuple[FloatArray, dict[str, Any], dict[str, Any]]) -> None:
    values, options, blocks = scene
    out = run(nn.Identity(), ArraySource(values, **blocks), **options)
    missing = np.isnan(values).all(axis=0)
    assert (np.isnan(out).all(axis=0) == missing).all() and (np.isnan(out).any(axis=0) == missing).all()
    wanted = np.nan_to_num(values)  # a band that is missing beside a valid one becomes the mean, here 0
    assert np.abs(out - wanted)[:, ~missing].max(initial=0) <= 1e-6


@given(scenes(), st.floats(-50, 50, width=32))
@settings(max_examples=25, deadline=None)
def test_a_constant_stays_constant(scene: tuple[FloatArray, dict[str, Any], dict[str, Any]], value: float) -> None:
    values, options, blocks = scene
    out = run(nn.Identity(), ArraySource(np.full_like(values, value), **blocks), **options)
    # Below 1e-38 a number has fewer digits than others.
    assert np.abs(out - np.float32(value)).max() <= 4e-7 * abs(value) + 1e-38


@given(scenes())
@settings(max_examples=25, deadline=None)
def test_streamed_equals_the_whole_array(scene: tuple[FloatArray, dict[str, Any], dict[str, Any]]) -> None:
    values, options, blocks = scene
    network = Patch()
    out = run(network, ArraySource(values, **blocks), **options)
    wanted = reference(network, values, tile=options["tile"], overlap=options["overlap"])
    assert (np.isnan(out) == np.isnan(wanted)).all()
    assert np.nanmax(np.abs(out - wanted), initial=0) < 1e-5


def test_corners_edges_and_strides_of_one() -> None:
    rng = np.random.default_rng(0)
    for height, width, tile, overlap in ((1, 1, 8, 7), (1, 50, 8, 3), (50, 1, 8, 3), (9, 9, 8, 7), (20, 23, 1, 0)):
        values = rng.normal(size=(2, height, width)).astype(np.float32)
        out = run(nn.Identity(), ArraySource(values), tile=tile, overlap=overlap)
        assert np.abs(out - values).max() <= 1e-6


def test_batch_blocks_groups_and_threads_do_not_change_the_result() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 150, 170)).astype(np.float32)
    values[:, 40:90, 30:160] = np.nan
    network = Patch()
    base = {"tile": 32, "overlap": 9}
    first = run(network, ArraySource(values), **base)
    assert (run(network, ArraySource(values), **base).tobytes()) == first.tobytes(), "not the same twice"
    threads = torch.get_num_threads()
    try:
        for count, more, block in (
            (1, {"batch": 4}, (16, 16)),
            (2, {"batch": 7}, (1, 170)),
            (1, {}, (64, 48)),
            (2, {"budget_bytes": 1}, (16, 16)),
            (2, {"budget_bytes": 90_000}, (512, 512)),
        ):
            torch.set_num_threads(count)
            out = run(network, ArraySource(values, block=block), **base, **more)
            assert np.nanmax(np.abs(out - first)) < 1e-5
            assert (np.isnan(out) == np.isnan(first)).all()
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("rule", ["all", "any"])
def test_missing_values_stay_out_of_the_network_and_follow_the_rule(rule: str) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(5, 2, (2, 70, 60)).astype(np.float32)
    values[0, 10:20, 10:50] = np.nan
    values[:, 30:35, 5:9] = np.nan
    values[1, 60, 3] = np.inf
    bad = ~np.isfinite(values)
    out = run(nn.Identity(), ArraySource(values), tile=32, overlap=8, nodata=rule, mean=(5.0, 4.0), std=(2.0, 0.5))
    missing = bad.all(axis=0) if rule == "all" else bad.any(axis=0)
    assert (np.isnan(out) == missing).all()
    wanted = (values - np.array([5, 4], np.float32)[:, None, None]) / np.array([2, 0.5], np.float32)[:, None, None]
    wanted[bad] = 0
    assert np.abs(out - wanted)[:, ~missing].max() < 5e-6


def test_validity_is_the_last_input_band() -> None:
    values = np.ones((1, 40, 40), np.float32)
    values[:, 5:12, 20:33] = np.nan

    class Last(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.shape[1] == 2
            # Where missing, both bands are 0; their difference shows a mix-up anywhere else.
            return torch.stack([x[:, 1], (x[:, 0] - x[:, 1]).abs()], dim=1)

    out = run(Last(), ArraySource(values), tile=16, overlap=4, validity=True)
    missing = np.isnan(values[0])
    assert (np.isnan(out) == missing).all()
    assert (out[0][~missing] == 1).all() and (out[1][~missing] == 0).all()


def test_tiles_without_a_value_are_skipped() -> None:
    class Counting(nn.Module):
        seen = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            type(self).seen += x.shape[0]
            return x

    values = np.full((1, 64, 64), np.nan, np.float32)
    values[0, 40, 40] = 1
    engine = StreamingInference(Counting(), InferenceSettings(tile=16, overlap=0), device=CPU)
    list(engine.stream(ArraySource(values)))
    facts = engine.facts()
    assert (facts["tiles"], facts["tiles_skipped"]) == (1, 15)
    assert Counting.seen == 2, "one tile, and one of zeros to learn the number of classes"


def test_activation_and_temperature_act_on_the_blended_logits() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0, 3, (3, 30, 30)).astype(np.float32)
    out = run(nn.Identity(), ArraySource(values), tile=16, overlap=6, activation="softmax", temperature=2.5)
    scaled = np.exp(values / 2.5)
    assert np.abs(out - scaled / scaled.sum(axis=0)).max() < 1e-6
    out = run(nn.Identity(), ArraySource(values), tile=16, overlap=6, activation="sigmoid", temperature=0.5)
    assert np.abs(out - 1 / (1 + np.exp(-values / 0.5))).max() < 1e-6
    out = run(nn.Identity(), ArraySource(values), tile=16, overlap=6, temperature=2.0)
    assert np.abs(out - values / 2).max() < 1e-6


@given(
    st.integers(1, 400), st.integers(1, 200), st.integers(-90, 0), st.integers(0, 50), st.integers(1, 900),
    st.integers(1, 900), st.integers(1, 12)
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_reads_are_whole_blocks(
    block_rows: int, block_cols: int, origin: int, left: int, height: int, width: int, bands: int
) -> None:
    blocks = Blocks(block_rows, block_cols, origin, origin)
    seen = np.zeros((height, width), int)
    for window in blocks.pieces(0, height, left, left + width, bands=bands):
        seen[window.row : window.row_stop, window.col - left : window.col_stop - left] += 1
        for start, stop, size, first, last in (
            (window.row, window.row_stop, block_rows, 0, height),
            (window.col, window.col_stop, block_cols, left, left + width),
        ):
            assert start == first or (start - origin) % size == 0
            assert stop == last or (stop - origin) % size == 0
    assert (seen == 1).all(), "every block is read once"


def test_every_pixel_is_read_once_for_the_full_width() -> None:
    source = ArraySource(np.zeros((2, 700, 300), np.float32), block=(64, 64))
    run(nn.Identity(), source, tile=96, overlap=40)
    assert sum(w.height * w.width for w in source.windows) == 700 * 300
    assert all(w.width == 300 and w.row % 64 == 0 for w in source.windows)


def test_progress_and_log() -> None:
    events: list[Event] = []
    source = ArraySource(np.zeros((1, 300, 64), np.float32))
    engine = StreamingInference(nn.Identity(), InferenceSettings(tile=32, overlap=8), device=CPU)
    for _ in engine.stream(source, Reporter(events.append, clock=iter(range(10**6)).__next__)):
        pass
    fractions = [e.fraction for e in events if isinstance(e, Progress)]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(fractions) > 5
    assert any("float32" in e.message for e in events if isinstance(e, Log))


def test_arrays_belong_to_the_caller() -> None:
    values = np.random.default_rng(5).normal(size=(1, 90, 40)).astype(np.float32)
    kept = []
    engine = StreamingInference(nn.Identity(), InferenceSettings(tile=16, overlap=5), device=CPU)
    for _, strip in engine.stream(ArraySource(values)):
        kept.append(strip)
        strip += 0  # writable
    assert np.abs(np.concatenate(kept, axis=1) - values).max() <= 1e-6


def test_an_empty_scene_gives_nothing() -> None:
    engine = StreamingInference(nn.Identity(), device=CPU)
    assert list(engine.stream(ArraySource(np.zeros((1, 0, 5), np.float32)))) == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"tile": 0}, "tile"),
        ({"tile": 8, "overlap": 8}, "overlap"),
        ({"overlap": -1}, "overlap"),
        ({"batch": 0}, "batch"),
        ({"mean": (0.0,)}, "std"),
        ({"mean": (0.0,), "std": (0.0,)}, "positive"),
        ({"mean": (float("nan"),), "std": (1.0,)}, "finite"),
        ({"temperature": 0.0}, "temperature"),
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        InferenceSettings(**options)


def test_networks_that_do_not_fit_are_told() -> None:
    source = ArraySource(np.zeros((2, 40, 40), np.float32))

    def stream(network: nn.Module, **options: Any) -> None:
        list(StreamingInference(network, InferenceSettings(tile=16, overlap=4, **options), device=CPU).stream(source))

    with pytest.raises(ModelError, match="takes 3 bands, the scene gives 2"):
        stream(nn.Identity(), mean=(0.0,) * 3, std=(1.0,) * 3)
    with pytest.raises(ModelError, match="failed on an input"):
        stream(nn.Conv2d(5, 1, 1))
    with pytest.raises(ModelError, match="one value per class and pixel"):
        stream(nn.MaxPool2d(2))

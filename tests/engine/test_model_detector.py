"""Water by a model: units, bands, polarisations, nodata and probabilities as the pipeline expects them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from engine.device import Device
from engine.errors import BandError, ModelError
from engine.events import Reporter
from engine.mapping.flood.detector import WaterDetector
from engine.mapping.flood.model import ModelDetector
from engine.models.bundle import Bundle, save_bundle
from engine.models.segmenter import Segmenter
from engine.raster.grid import Grid, Window

FloatArray = NDArray[np.float32]
CPU = Device("cpu")


class Scene:
    """Arrays in dB as a scene, cropped out of a larger file."""

    def __init__(self, values: FloatArray, *, polarisations: tuple[str, ...] = ("VV", "VH"), gsd: float = 10.0) -> None:
        self.values, self.polarisations = values, polarisations
        self.grid = Grid(values.shape[1], values.shape[2], Affine(gsd, 0, 5e5, 0, -gsd, 5e6), CRS.from_epsg(32633))
        self.context = self.grid.window
        self.block, self.crop = (32, 32), Window(5, 9, *self.grid.shape)
        self.has_before = True
        self.windows: list[Window] = []

    def read(self, window: Window) -> FloatArray:
        self.windows.append(window)
        out = np.full((2, *window.shape), np.nan, np.float32)
        inside = window.intersect(self.grid.window)
        if not inside.empty:
            rows, cols = inside.within(window)
            out[:, rows, cols] = self.values[:, inside.row : inside.row_stop, inside.col : inside.col_stop]
        return out

    def read_before(self, window: Window) -> FloatArray:
        return self.read(window) + 3


def make(folder: Path, **changes: Any) -> Bundle:
    """A tiny bundle with random weights."""
    torch.manual_seed(7)
    card: dict[str, Any] = {
        "name": "tiny-s1",
        "title": "Random weights",
        "licence": "GPL-2.0-or-later",
        "task": "flood",
        "bands": [
            {"sensor": "s1", "name": "VV", "unit": "db", "mean": -12.0, "std": 4.0},
            {"sensor": "s1", "name": "VH", "unit": "db", "mean": -19.0, "std": 4.5},
        ],
        "gsd_m": [8, 25],
        "classes": [{"value": 0, "name": "dry"}, {"value": 1, "name": "water"}],
        "activation": "sigmoid",
        "temperature": 1.5,
        "tile": 64,
        "overlap": 16,
        "trained_on": [],
        **changes,
    }
    bands = len(card["bands"]) + bool(card.get("network", {}).get("validity"))
    classes = 1 if card["activation"] == "sigmoid" else len(card["classes"])
    return save_bundle(folder, Segmenter(bands=bands, classes=classes, width=0.0625).eval(), card)


def scene(height: int = 64, width: int = 64, **options: Any) -> Scene:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 3, (2, height, width)).astype(np.float32) + np.array([-12, -19], np.float32)[:, None, None]
    return Scene(values, **options)


def full(strips: Any, grid: Grid) -> FloatArray:
    """The strips as one array; they have the full width and follow one another from row 0."""
    parts, row = [], 0
    with contextlib.closing(strips):
        for window, values in strips:
            assert (window.row, window.col, window.width) == (row, 0, grid.width) and values.shape == window.shape
            parts.append(values)
            row = window.row_stop
    assert row == grid.height
    return np.concatenate(parts)


def test_probability_is_that_of_the_network_with_the_card_applied(tmp_path: Path) -> None:
    bundle, image = make(tmp_path / "m"), scene()
    detector: WaterDetector = ModelDetector(bundle, device=CPU)
    got = full(detector.probabilities(image, Reporter()), image.grid)
    mean, std = np.array([-12, -19], np.float32)[:, None, None], np.array([4, 4.5], np.float32)[:, None, None]
    with torch.inference_mode():
        logits = bundle.network()(torch.from_numpy((image.values - mean) / std)[None])[0, 0].numpy()
    wanted = 1 / (1 + np.exp(-logits / 1.5))
    limit = 1e-4 if detector.diagnostics()["precision"] == "float32" else 0.05
    assert np.abs(got - wanted).max() < limit
    assert detector.grow_percent == 100 and detector.name == "tiny-s1"


def test_softmax_gives_the_water_class_wherever_it_stands(tmp_path: Path) -> None:
    image = scene()
    classes = [{"value": 1, "name": "water"}, {"value": 0, "name": "dry"}]
    first = ModelDetector(make(tmp_path / "a", activation="softmax", classes=classes), device=CPU)
    last = ModelDetector(make(tmp_path / "b", activation="softmax", classes=classes[::-1]), device=CPU)
    a = full(first.probabilities(image, Reporter()), image.grid)
    b = full(last.probabilities(image, Reporter()), image.grid)
    assert np.abs(a + b - 1).max() < 1e-5, "the same weights, the other class"


def test_nan_exactly_where_no_polarisation_is_finite(tmp_path: Path) -> None:
    image = scene(150, 130)
    image.values[0, 10:50] = np.nan
    image.values[1, 30:90] = np.nan
    detector = ModelDetector(make(tmp_path / "m"), device=CPU)
    got = full(detector.probabilities(image, Reporter()), image.grid)
    assert (np.isnan(got) == np.isnan(image.values).all(axis=0)).all()
    seen = got[~np.isnan(got)]
    assert ((seen >= 0) & (seen <= 1)).all()


def test_a_scene_without_any_value_is_all_nan(tmp_path: Path) -> None:
    image = scene(70, 80)
    image.values[...] = np.nan
    detector = ModelDetector(make(tmp_path / "m"), device=CPU)
    assert np.isnan(full(detector.probabilities(image, Reporter()), image.grid)).all()
    assert detector.diagnostics()["tiles"] == 0


def test_the_scene_before_is_read_on_demand(tmp_path: Path) -> None:
    image = scene()
    detector = ModelDetector(make(tmp_path / "m"), device=CPU)
    before = full(detector.probabilities_before(image, Reporter()), image.grid)
    shifted = Scene(image.values + 3)
    assert np.array_equal(before, full(detector.probabilities(shifted, Reporter()), image.grid))


def test_reads_follow_the_blocks_of_the_file(tmp_path: Path) -> None:
    image = scene(600, 40)
    full(ModelDetector(make(tmp_path / "m"), device=CPU).probabilities(image, Reporter()), image.grid)
    for window in image.windows:
        assert window.row == 0 or (window.row + image.crop.row) % 32 == 0


def test_one_band_models_take_their_own_band(tmp_path: Path) -> None:
    bands = [{"sensor": "s1", "name": "VH", "unit": "db", "mean": -19.0, "std": 4.5}]
    detector = ModelDetector(make(tmp_path / "m", bands=bands), device=CPU)
    image = scene()
    first = full(detector.probabilities(image, Reporter()), image.grid)
    image.values[0] += 10
    assert np.array_equal(first, full(detector.probabilities(image, Reporter()), image.grid)), "VV must not matter"


def test_validity_band(tmp_path: Path) -> None:
    detector = ModelDetector(make(tmp_path / "m", network={"validity": True}), device=CPU)
    image = scene(100, 100)
    image.values[:, 40:60, 40:60] = np.nan
    got = full(detector.probabilities(image, Reporter()), image.grid)
    assert np.isnan(got[40:60, 40:60]).all() and np.isfinite(got).sum() == 100 * 100 - 400


def test_a_missing_polarisation_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    detector = ModelDetector(make(tmp_path / "m"), device=CPU)
    with pytest.raises(BandError, match="needs VV, VH; the scene has VV") as caught:
        next(iter(detector.probabilities(scene(polarisations=("VV",)), Reporter())))
    assert "--method threshold" in caught.value.remedy


def test_a_resolution_that_it_was_not_trained_on_is_a_warning(tmp_path: Path) -> None:
    detector, reporter = ModelDetector(make(tmp_path / "m"), device=CPU), Reporter()
    image = scene(gsd=60.0)
    full(detector.probabilities(image, reporter), image.grid)
    assert any("60.0 x 60.0 m" in line and "8 to 25 m" in line for line in reporter.warnings)


def test_models_for_something_else_are_refused(tmp_path: Path) -> None:
    optical = [{"sensor": "s2", "name": "B03", "unit": "reflectance", "mean": 0.1, "std": 0.1}]
    mixed = [{"sensor": "s1", "name": "VV", "unit": "db", "mean": -12, "std": 4}, *optical]
    with pytest.raises(ModelError, match="expected flood from one sensor, or from two by a two-sensor-unet"):
        ModelDetector(make(tmp_path / "a", bands=mixed), device=CPU)
    horizontal = [{"sensor": "s1", "name": "HH", "unit": "db", "mean": -12, "std": 4}]
    with pytest.raises(ModelError, match="takes HH in db; expected VV and VH in dB of Sentinel-1"):
        ModelDetector(make(tmp_path / "b", bands=horizontal), device=CPU)


def test_diagnostics_are_json_able_and_name_the_model(tmp_path: Path) -> None:
    import json

    bundle, image = make(tmp_path / "m"), scene()
    detector = ModelDetector(bundle, device=CPU)
    full(detector.probabilities(image, Reporter()), image.grid)
    facts = json.loads(json.dumps(detector.diagnostics()))
    assert facts["model"] == "tiny-s1" and facts["sha256"] == bundle.sha256
    assert {"tile", "overlap", "precision", "device"} <= set(facts)


def test_the_flood_job_takes_a_bundle(tmp_path: Path) -> None:
    """``--method FOLDER``: the same command with a model, on a real file."""
    import json

    rasterio = pytest.importorskip("rasterio")
    job = pytest.importorskip("engine.mapping.flood.job")
    from engine.mapping.flood.request import FloodRequest

    bundle, image = make(tmp_path / "m"), scene(200, 180)
    path = tmp_path / "scene.tif"
    image.values[:, :30, :30] = np.nan
    with rasterio.open(
        path, "w", driver="GTiff", height=200, width=180, count=2, dtype="float32", nodata=float("nan"),
        crs=image.grid.crs, transform=image.grid.transform,
    ) as target:  # fmt: skip
        target.write(image.values)
        target.descriptions = ("VV", "VH")
    request = FloodRequest(post=str(path), out=str(tmp_path / "out"), method=str(bundle.folder), device="cpu")
    result = job.run(request, Reporter())
    assert result["model"] == {"name": "tiny-s1", "sha256": bundle.sha256}
    with rasterio.open(tmp_path / "out" / "flood.tif") as flood:
        codes = flood.read(1)
    assert ((codes == 255) == np.isnan(image.values).all(axis=0)).all()
    assert json.loads((tmp_path / "out" / "result.json").read_text())["figures"]["detector"]["model"] == "tiny-s1"

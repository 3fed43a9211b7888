"""The method ``auto``: which detector is taken for which scene, and that it says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affine import Affine
from rasterio.crs import CRS

from engine.errors import ModelError
from engine.events import Log, Reporter
from engine.mapping.flood.automatic import MEASURED_BEST, STARTER, AutomaticDetector, choose
from engine.mapping.flood.fused import FusedDetector
from engine.mapping.flood.methods import choose_detector, describe_model
from engine.mapping.flood.model import ModelDetector
from engine.models.bundle import FOLDERS_VARIABLE, KnownModel, save_bundle
from engine.models.segmenter import Segmenter
from engine.raster.grid import Grid, Window

NAME = STARTER


class Scene:
    """Random dB on a grid."""

    def __init__(self, *, polarisations=("VV", "VH"), gsd=10.0, crs: Any = 32633) -> None:
        self.polarisations, self.optical_bands, self.has_before = polarisations, (), False
        transform = Affine(gsd, 0, 5e5, 0, -gsd, 5e6)
        self.grid = Grid(64, 96, transform, CRS.from_epsg(crs) if crs else None)
        self.context = self.grid.window
        self.values = np.random.default_rng(0).normal(-15, 4, (2, 64, 96)).astype(np.float32)

    def read(self, window: Window):
        out = np.full((2, *window.shape), np.nan, np.float32)
        inside = window.intersect(self.grid.window)
        if not inside.empty:
            rows, cols = inside.within(window)
            out[:, rows, cols] = self.values[:, inside.row : inside.row_stop, inside.col : inside.col_stop]
        return out


@pytest.fixture
def models(tmp_path) -> Path:
    """A folder of models with a starter of random weights."""
    torch.manual_seed(3)
    card = {
        "name": NAME,
        "title": "Random",
        "licence": "GPL-2.0-or-later",
        "task": "flood",
        "bands": [{"sensor": "s1", "name": n, "unit": "db", "mean": -15.0, "std": 5.0} for n in ("VV", "VH")],
        "gsd_m": [8.0, 12.5],
        "classes": [{"value": 0, "name": "dry"}, {"value": 1, "name": "water"}],
        "activation": "softmax",
        "tile": 64,
        "overlap": 16,
        "trained_on": [],
    }
    save_bundle(tmp_path / "models" / NAME, Segmenter(bands=2, classes=2, width=0.0625).eval(), card)
    return tmp_path / "models"


def known(models: Path) -> list[KnownModel]:
    return [KnownModel(NAME, models / NAME)]


def test_the_starter_is_taken_for_scenes_that_it_was_measured_for(models):
    for scene in (Scene(), Scene(crs=None), Scene(gsd=12.5), Scene(gsd=8)):
        assert choose(scene, known(models)).method == MEASURED_BEST


@pytest.mark.parametrize(
    ("scene", "why"),
    [
        (Scene(polarisations=("VV",)), "lacks VH"),
        (Scene(polarisations=("VH",)), "lacks VV"),
        (Scene(gsd=20), "20 x 20 m"),
        (Scene(gsd=3), "3 x 3 m"),
    ],
)
def test_thresholds_are_taken_for_other_scenes_and_the_reason_is_told(models, scene, why):
    choice = choose(scene, known(models))
    assert choice.method == "threshold" and why in choice.why and NAME in choice.why


def test_thresholds_are_taken_where_the_starter_is_not_installed():
    choice = choose(Scene(), [])
    assert choice.method == "threshold" and "not installed" in choice.why


def test_a_damaged_starter_is_an_error_and_no_silent_fall_back(models):
    (models / NAME / "card.json").write_text("{")
    with pytest.raises(ModelError, match=r"card\.json"):
        choose(Scene(), known(models))


def test_each_scene_gets_its_own_detector_and_the_result_is_that_of_the_one_chosen(models, monkeypatch):
    monkeypatch.setenv(FOLDERS_VARIABLE, str(models))
    lines: list[str] = []
    reporter = Reporter(lambda event: lines.append(event.message) if isinstance(event, Log) else None)
    detector = choose_detector("auto", device="cpu", reporter=reporter)
    assert isinstance(detector, AutomaticDetector) and detector.name == "threshold"
    for scene, name in (
        (Scene(), MEASURED_BEST),
        (Scene(gsd=30), "threshold"),
        (Scene(polarisations=("VV",)), "threshold"),
    ):
        detector.check(scene)
        assert detector.name == name and detector.diagnostics()["auto"] in lines[-1]
        assert lines[-1].startswith(f"Method auto: {name}")
        alone = choose_detector(name, device="cpu", reporter=Reporter())
        assert detector.grow_percent == alone.grow_percent and detector.sensors == ("s1",)
        mapped, same = (
            np.concatenate([p for _, p in one.probabilities(scene, Reporter())]) for one in (detector, alone)
        )
        np.testing.assert_array_equal(mapped, same)
    assert isinstance(choose_detector(NAME, device="cpu", reporter=Reporter()), ModelDetector)
    assert isinstance(choose_detector(MEASURED_BEST, device="cpu", reporter=Reporter()), FusedDetector)
    detector.check(Scene())
    assert describe_model(detector)["name"] == NAME, "the weights are the model's, whatever stands beside it"

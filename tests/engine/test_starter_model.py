"""The model that ships: whole, small, honest about its origin, and better than thresholds where it was measured."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from engine.events import Reporter
from engine.jobs import find_job
from engine.mapping.flood.automatic import MEASURED_BEST, STARTER
from engine.models.bundle import WEIGHTS, find_model, list_models, model_folders

ROOT = Path(__file__).resolve().parents[2]
CHIPS = ROOT.parent / "shared" / "data" / "flood"
needs_chips = pytest.mark.skipif(not CHIPS.is_dir(), reason="the labelled chips are not here (../shared/data/flood)")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_bundle_is_whole_small_and_tells_what_it_was_trained_on():
    bundle = find_model(STARTER, task="flood")
    assert bundle.folder == ROOT / "resources" / "models" / STARTER and bundle.name == STARTER
    bundle.verify()
    assert sum(file.stat().st_size for file in bundle.folder.iterdir()) < 3_000_000
    header = (bundle.folder / WEIGHTS).read_bytes()
    kinds = {part["dtype"] for name, part in json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")]).items()
             if name != "__metadata__"}  # fmt: skip
    assert kinds == {"F16", "I64"}
    card = bundle.card
    assert [band.name for band in card.bands] == ["VV", "VH"] and card.temperature != 1.0
    assert {data.licence for data in card.trained_on} >= {"CC-BY-SA-4.0", "CC-BY-4.0"}
    assert "CC-BY-SA" in card.licence, "share-alike is told where the licence is"
    assert not any("Sen1Floods11" in data.name for data in card.trained_on), "no chip that measures it trained it"
    assert {figure.metric for figure in card.figures} >= {"iou", "mean_iou"}
    assert all(figure.low <= figure.value <= figure.high for figure in card.figures)


def evaluate(path: Path, method: str) -> dict:
    job = find_job("evaluate-flood")
    return job.run(job.parse({"path": str(path), "method": method, "sensors": "s1", "device": "cpu"}), Reporter())


@pytest.mark.parametrize("seed", [9100, 9101])
def test_it_is_calibrated_and_better_than_thresholds_on_simulated_scenes_that_nothing_saw(seed, tmp_path):
    """Seeds from 9000 are kept out of training and calibration (scripts/train_starter_models)."""
    job = find_job("simulate-scene")
    settings = {"seed": seed, "width": 384, "height": 384, "flood": 1.0, "wet_fields": 0.1, "products": "s1,labels"}
    job.run(job.parse({**settings, "out": str(tmp_path / "scene")}), Reporter())
    model, plain = evaluate(tmp_path / "scene", STARTER), evaluate(tmp_path / "scene", "threshold")
    assert model["calibration"]["ece"] < 0.05
    assert model["pooled"]["iou"]["value"] > plain["pooled"]["iou"]["value"]


@needs_chips
def test_auto_is_better_than_thresholds_on_real_chips_and_on_none_much_worse():
    auto, plain = evaluate(CHIPS, "auto"), evaluate(CHIPS, "threshold")
    assert (auto["method"], plain["method"]) == (MEASURED_BEST, "threshold")
    for figure in ("iou", "mean_iou"):
        assert auto["pooled"][figure]["value"] > plain["pooled"][figure]["value"]
    for one, other in zip(auto["items"], plain["items"], strict=True):
        if (one["water_share"] or 0) >= 0.01:
            assert one["iou"] > other["iou"] - 0.05, one["name"]
        else:
            assert one["false_alarm_share"] < 0.01, one["name"]
    assert auto["calibration"]["ece"] < 0.05


def test_every_shipped_model_is_installed_with_the_package_and_found_there(tmp_path, monkeypatch):
    """``pip install .`` without the checkout has no resources folder beside the engine."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads pyproject.toml by itself")
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["data-files"]
    shipped = {folder.name for folder in (ROOT / "resources" / "models").iterdir()}
    models = {f"share/samescene/models/{name}": [f"resources/models/{name}/*"] for name in shipped}
    others = {"share/samescene/legends": ["resources/legends/*.json"], "share/samescene/sun": ["resources/sun/*"]}
    assert listed == {**models, **others}
    assert {path.name for path in (ROOT / "resources").iterdir() if path.is_dir()} >= {"legends", "models", "sun"}
    shutil.copytree(ROOT / "resources" / "models", tmp_path / "share" / "samescene" / "models")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    installed = [folder for folder in model_folders() if tmp_path in folder.parents]
    assert {model.name for model in list_models(installed)} == shipped

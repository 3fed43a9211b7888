"""How the land-cover starter is trained: folds by place, no chip mapped by a network that saw its ground."""

from __future__ import annotations

import csv
import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from engine.models.bundle import load_bundle

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
NAMES = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2")


@pytest.fixture
def starter(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in [name for name in sys.modules if name == "starters" or name.startswith("starters.")]:
        monkeypatch.delitem(sys.modules, name)
    import starters.landcover as module

    monkeypatch.setattr(module, "SIDE", 32)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield module
    torch.set_num_threads(before)


PLACES = ("2", "2", "2", "5", "6", "7", "8", "9")


def data_of(home: Path) -> Path:
    """Seven training chips of five places and a validation chip of another."""
    draw = np.random.default_rng(3)
    for split in ("train", "val"):
        (home / "landcover" / split).mkdir(parents=True)
    with (home / "landcover" / "groups.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["chip", "split", "place"])
        for number, place in enumerate(PLACES):
            name, split = f"{number:03d}", "val" if place == PLACES[-1] else "train"
            folder = home / "landcover" / split
            writer.writerow([name, split, place])
            label = np.repeat(np.repeat(draw.choice([10, 80], (2, 2)), 16, 0), 16, 1).astype(np.uint8)
            values = (np.where(label == 80, 300, 2500) + draw.normal(0, 40, (7, 32, 32))).astype(np.int16)
            for stem, array in ((name, values), (f"{name}_worldcover", label[None])):
                shape = {"count": len(array), "height": 32, "width": 32, "dtype": array.dtype}
                with rasterio.open(folder / f"{stem}.tif", "w", driver="GTiff", **shape) as out:
                    out.write(array)
                    if len(array) == 7:
                        out.descriptions = NAMES
    return home


def test_folds_hold_whole_places_out_and_cover_every_chip_once(starter, tmp_path):
    chips = starter.chips_of(data_of(tmp_path), "train")
    folds = starter.folds_of(chips)
    held = [chip.name for fold in folds for chip in chips if chip.place in fold.places]
    assert sorted(held) == [chip.name for chip in chips]
    assert folds[0].places == {"2"}


def test_from_chips_to_a_bundle_with_figures_of_the_folds(starter, tmp_path, capsys):
    given = [str(data_of(tmp_path / "data")), "-o", str(tmp_path / "runs"), "--install", str(tmp_path / "models")]
    small = {"steps": 6, "width": 0.0625, "crop": 32, "batch": 4, "lr": 8e-3, "precision": '"fp32"', "scale": 1.5}
    for name, value in small.items():
        given += ["--set", f"{name}={value}"]
    assert starter.main(given) == 0
    card = load_bundle(tmp_path / "models" / "landcover").card
    study = json.loads((tmp_path / "runs" / "study.json").read_text())
    assert card.temperature == study["temperature"] and card.unknown_below == study["unknown_below"]
    figures = {figure.metric: figure for figure in card.figures}
    assert figures["overall_accuracy"].value == study["others"]["overall_accuracy"]["value"]
    assert figures["overall_accuracy"].n == 4, "the places that were left out one part at a time"
    assert card.gsd_m == (20.0, 39.0)
    assert {band.name for band in card.bands if not band.optional} == {"B03", "B04", "B08"}
    result = json.loads((tmp_path / "runs" / "fold-others-1" / "result.json").read_text())
    learned = result["figures"]["squares"]
    assert learned == 5, "3 of the large place and 2 of others"
    said = capsys.readouterr().out
    assert starter.main(given) == 0, "a second run goes on with what is there"
    assert "others together" in said and "steps in" not in capsys.readouterr().out


def test_every_fold_learns_from_simulated_scenes_too_and_is_scored_on_chips_alone(starter, tmp_path):
    given = [str(data_of(tmp_path / "data")), "-o", str(tmp_path / "runs"), "--folds-only", "--simulated", "2"]
    small = {"steps": 2, "width": 0.0625, "crop": 32, "batch": 4, "precision": '"fp32"', "scale": 1.0, "shrink": 1.0}
    for name, value in small.items():
        given += ["--set", f"{name}={value}"]
    assert starter.main(given) == 0
    result = json.loads((tmp_path / "runs" / "fold-others-1" / "result.json").read_text())
    assert result["figures"]["squares"] == 5 + 8, "two scenes of twice the side of a chip"
    study = json.loads((tmp_path / "runs" / "study.json").read_text())
    assert study["simulated"] == 2 and study["others"]["overall_accuracy"]["n"] == 4


def test_the_forest_stands_beside_the_network_on_the_same_chips(starter, tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn", reason="the forest of the study needs scikit-learn, which the engine does not")
    small = {"steps": 2, "width": 0.0625, "crop": 32, "batch": 4, "precision": "fp32"}
    monkeypatch.setattr(starter, "RECIPE", starter.RECIPE | small)
    loader = importlib.machinery.SourceFileLoader("study_landcover", str(SCRIPTS / "study_landcover"))
    study = importlib.util.module_from_spec(importlib.util.spec_from_loader("study_landcover", loader))
    loader.exec_module(study)
    data = data_of(tmp_path / "data")
    assert starter.main([str(data), "-o", str(tmp_path / "runs"), "--steps", "2"]) == 0
    given = [data, "-o", tmp_path / "runs", "--val", "--model", tmp_path / "runs" / "half" / "landcover"]
    monkeypatch.setattr(sys, "argv", ["study_landcover", *map(str, given), "--json", str(tmp_path / "study.json")])
    assert study.main() == 0
    found = json.loads((tmp_path / "study.json").read_text())
    for name in ("large", "others together"):
        one = found["folds"][name]
        gap = one["network"]["overall_accuracy"]["value"] - one["forest"]["overall_accuracy"]["value"]
        assert one["difference"]["overall_accuracy"]["value"] == pytest.approx(gap)
    assert found["folds"]["large"]["forest"]["overall_accuracy"]["value"] > 0.95, "two classes far apart"
    assert found["validation"]["forest"]["miou"]["n"] == 1
    assert "| validation chips |" in capsys.readouterr().out

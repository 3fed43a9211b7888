"""The scripts of the studies run on tiny data, and what they say is what they measured."""

from __future__ import annotations

import csv
import importlib.machinery
import importlib.util
import io
import json
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio
import torch

from engine.events import Reporter
from engine.simulate.job import run as simulate
from engine.simulate.request import SceneRequest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def script(name: str) -> ModuleType:
    """A script as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(SCRIPTS / name))
    spec = importlib.util.spec_from_loader(name, loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


def run(name: str, monkeypatch, *arguments: object) -> ModuleType:
    module = script(name)
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    assert module.main() == 0
    return module


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def archive(path: Path, each: int, seed: int) -> None:
    """Pictures of three classes that differ in colour."""
    draw = np.random.default_rng(seed)
    with tarfile.open(path, "w") as made:
        for number, name in enumerate(("Forest", "River", "Town")):
            for i in range(each):
                pixels = draw.integers(0, 60, (3, 64, 64)).astype(np.uint8)
                pixels[number] += 150
                with rasterio.MemoryFile() as memory:
                    with memory.open(driver="JPEG", width=64, height=64, count=3, dtype="uint8") as file:
                        file.write(pixels)
                    content = memory.read()
                entry = tarfile.TarInfo(f"{name}/{name}_{i}.jpg")
                entry.size = len(content)
                made.addfile(entry, io.BytesIO(content))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_eurosat_probe(tmp_path, monkeypatch, capsys):
    archive(tmp_path / "train.tar", 8, 1)
    archive(tmp_path / "val.tar", 5, 2)
    figures, table = tmp_path / "f.json", tmp_path / "t.md"
    arguments = (tmp_path, "-o", tmp_path / "out", "--small", "--json", figures, "--markdown", table)
    run("study_eurosat_probe", monkeypatch, *arguments)
    result = json.loads(figures.read_text())
    assert result["mean"]["simclr"]["n"] == 15
    assert result["mean"]["random"]["value"] > 0.7, "colours are told apart by random features"
    assert result["mean"]["gain"]["value"] == pytest.approx(
        result["mean"]["simclr"]["value"] - result["mean"]["random"]["value"]
    )
    assert "| **mean of seeds** |" in table.read_text()
    assert result["mean"]["colour"]["value"] == 1.0, "these classes differ in nothing else"
    assert result["mean"]["initial"]["n"] == 15
    log = (tmp_path / "out" / "simclr-0" / "metrics.jsonl").stat().st_mtime_ns
    run("study_eurosat_probe", monkeypatch, *arguments)
    assert json.loads(figures.read_text())["seeds"] == result["seeds"]
    assert (tmp_path / "out" / "simclr-0" / "metrics.jsonl").stat().st_mtime_ns == log, "a finished run is kept"


def test_settled_statistics_change_no_weight():
    module = script("study_eurosat_probe")
    values = torch.randint(0, 256, (24, 3, 64, 64), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    torch.manual_seed(0)
    encoder = module.ResNet("resnet18", bands=3, width=0.0625)
    before = {name: value.clone() for name, value in encoder.named_parameters()}
    normalised = module.Normalised(values)
    module.settled(encoder, values, normalised)
    assert not encoder.training and all(torch.equal(before[n], p) for n, p in encoder.named_parameters())
    with torch.no_grad():
        first = encoder.conv1(normalised(values))
    torch.testing.assert_close(encoder.bn1.running_mean, first.mean((0, 2, 3)))
    torch.testing.assert_close(encoder.bn1.running_var, first.var((0, 2, 3)))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """Simulated pairs at three places, one of them twice, in the form of the shared folder."""
    home = tmp_path_factory.mktemp("data")
    rows = []
    for number, crs in enumerate(("EPSG:32633", "EPSG:32632", "EPSG:32633", "EPSG:32610")):
        size = 120 if number == 3 else 144
        folder = home / "s1s2_pairs" / str(number)
        simulate(
            SceneRequest(seed=number, width=size, height=size, products="s1,s2", crs=crs, out=str(folder)), Reporter()
        )
        files = [f"s1s2_pairs/{number}/after_{sensor}.tif" for sensor in ("S1", "S2")]
        rows.append([f"place{number}", "2021-06-17", "2021-06-17", "", files[0], files[1], ""])
    rows.append(["cloudy", "", "", "", rows[0][4], "", ""])
    with (home / "s1s2_pairs" / "pairs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [["name", "s1_date", "s2_l2a_date", "s2_l1c_date", "s1", "s2_l2a", "s2_l1c"], *rows]
        )
    return home


def test_pair_retrieval_leaves_whole_sites_out(pairs, tmp_path, monkeypatch):
    figures, table = tmp_path / "f.json", tmp_path / "t.md"
    arguments = (pairs, "-o", tmp_path / "out", "--small", "--json", figures, "--markdown", table)
    module = run("study_pair_retrieval", monkeypatch, *arguments)
    result = json.loads(figures.read_text())
    assert result["patches"] == {"place0": "4 + 4", "place1": "4"}, "one place has two dates"
    assert result["training_only"] == ["place3"], "one patch is no gallery"
    for found in result["methods"].values():
        assert found["sites"]["place0"]["chance"] == 0.25
        assert 0 <= found["pooled_r@1"]["value"] <= 1 and found["mean_ratio"]["n"] == 2
    assert "| **trained** |" in table.read_text() and "| place1 | 4 | 0.250 |" in table.read_text()
    folders = sorted(p.name for p in (tmp_path / "out").iterdir() if (p / "checkpoint.safetensors").is_file())
    assert len(folders) == 3, "simulated scenes once, then one for each site"

    listed = module.read_pairs(pairs)
    real = module.real_squares([p for p in listed if p.site != "place0"])
    assert {s.group for s in real.samples} == {"place1", "place3"}


def test_pair_retrieval_by_dense_embeddings(pairs, tmp_path, monkeypatch, capsys):
    figures, table = tmp_path / "f.json", tmp_path / "t.md"
    options = ("--objective", "dense", "--level", "2", "--radiometry", "jitter", "--score", "places+pooled")
    arguments = (pairs, "-o", tmp_path / "out", "--small", "--json", figures, "--markdown", table, *options)
    run("study_pair_retrieval", monkeypatch, *arguments)
    methods = json.loads(figures.read_text())["methods"]
    assert {"trained", "trained (pooled score)", "random, settled", "layout"} <= methods.keys()
    assert all(found["pooled_chance"] == 0.25 for found in methods.values())
    assert "| trained (pooled score) |" in table.read_text()
    ratios = {name: found["mean_ratio"]["value"] for name, found in methods.items()}
    for name, gap in json.loads(figures.read_text())["gaps"].items():
        assert gap["value"] == pytest.approx(ratios["trained"] - ratios[name], abs=1e-3)
    module = script("study_pair_retrieval")
    monkeypatch.setattr(module, "DENSE_GRID", {"level": (2,), "radiometry": ("patch",)})
    monkeypatch.setattr(sys, "argv", ["study_pair_retrieval", *map(str, arguments), "--choose", "2"])
    capsys.readouterr()
    assert module.main() == 0
    said = capsys.readouterr().out
    assert "level2-patch places+pooled plain: R@1" in said and "centred shifted" in said


def test_own_contrast_forgets_gains_and_offsets():
    module = script("study_pair_retrieval")
    generator = torch.Generator().manual_seed(0)
    values, valid = torch.randn(3, 2, 16, 16, generator=generator), torch.rand(3, 1, 16, 16, generator=generator) > 0.3
    plain = values * valid
    other = (values * torch.tensor([0.5, 2.0]).view(1, 2, 1, 1) + 3) * valid
    made = [
        module.by_own_contrast({"s1": x, "s1_valid": valid, "s2": x, "s2_valid": valid})["s1"] for x in (plain, other)
    ]
    torch.testing.assert_close(made[0], made[1])
    assert (made[0][~valid.expand_as(made[0])] == 0).all()
    kept = made[0][0, 0][valid[0, 0]]
    assert kept.mean().abs() < 1e-6 and kept.std(correction=0) == pytest.approx(1.0, abs=1e-5)


def test_retrieval_tallies_against_chance():
    module = script("study_pair_retrieval")
    tally = module.Tally()
    tally.add({"s1→s2": np.array([1, 1, 2, 4]), "s2→s1": np.array([1, 3, 3, 3])})
    assert tally.plain() == {
        "r@1": 3 / 8, "r@5": 1.0, "chance": 0.25, "ratio": 1.5, "s1→s2": 0.5, "s2→s1": 0.25
    }  # fmt: skip
    constant = module.score_ranks(np.zeros((4, 4)))
    assert all((ranks == 4).all() for ranks in constant.values())


def test_a_square_with_two_products_is_drawn_once(pairs):
    module = script("study_pair_retrieval")
    from dataclasses import replace

    listed = [replace(p, products=(*p.products, *p.products), s2_dates=(*p.s2_dates, *p.s2_dates))
              for p in module.read_pairs(pairs)]  # fmt: skip
    data = module.real_squares(listed)
    draw = module.sampler(data, 0, "word")
    seen = set()
    for step in range(20):
        rows = draw(step, 100).tolist()
        assert len({data.samples[row].name for row in rows}) == len(rows) == len(data) // 2
        assert draw(step, 100).tolist() == rows
        seen |= set(rows)
    assert len(seen) == len(data), "either product comes up"


def test_the_claim_is_tested_end_to_end_and_finished_parts_are_kept(pairs, tmp_path, monkeypatch, capsys):
    figures, table = tmp_path / "f.json", tmp_path / "t.md"
    out = tmp_path / "out"
    arguments = ("-o", out, "--small", "--methods", "random,multimodal", "--modes", "frozen")
    arguments += ("--json", figures, "--markdown", table)
    run("study_sensor_pairs", monkeypatch, *arguments, "--data", pairs)
    result = json.loads(figures.read_text())
    lines = result["figures"]["simulated scenes"]
    assert [(x["mode"], x["method"]) for x in lines] == [("frozen", "random"), ("frozen", "multimodal")]
    assert [run["method"] for run in result["pretraining"]] == ["multimodal"]
    assert "multimodal − random" in table.read_text()
    config = json.loads((out / "encoders" / "random-0" / "config.json").read_text())
    assert config["data"] == json.loads((out / "encoders" / "multimodal-0" / "config.json").read_text())["data"]
    assert "4 real pairs" in capsys.readouterr().out, "the cloudy one has no partner"
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("score.json")}
    stamps |= {path: path.stat().st_mtime_ns for path in (out / "encoders").rglob("result.json")}
    run("study_sensor_pairs", monkeypatch, *arguments, "--data", pairs)
    assert json.loads(figures.read_text())["figures"] == result["figures"]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


@pytest.fixture
def cover(pairs, tmp_path) -> Path:
    """The same pairs, one of them with land cover, and chips without georeference at three places."""
    home = tmp_path / "data"
    (home / "landcover").mkdir(parents=True)
    (home / "s1s2_pairs").mkdir()
    with (pairs / "s1s2_pairs" / "pairs.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row |= {name: str(pairs / row[name]) for name in ("s1", "s2_l2a") if row[name]} | {"lulc": ""}
    with rasterio.open(rows[1]["s1"]) as image:
        profile = {"crs": image.crs, "transform": image.transform, "width": image.width, "height": image.height}
    draw = np.random.default_rng(0)
    with rasterio.open(home / "lulc.tif", "w", driver="GTiff", count=1, dtype="uint8", **profile) as file:
        file.write(draw.choice([1, 2, 4, 9], (1, profile["height"], profile["width"])).astype(np.uint8))
    rows[1]["lulc"] = str(home / "lulc.tif")
    with (home / "s1s2_pairs" / "pairs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    names = ("coastal", "blue", "green", "red", "nir", "swir1", "swir2")
    listed = [["chip", "split", "place"]]
    for number, (split, place) in enumerate((("train", 1), ("train", 1), ("train", 2), ("val", 3))):
        listed.append([f"{number:03}", split, place])
        folder = home / "landcover" / split
        folder.mkdir(exist_ok=True)
        codes = draw.choice([10, 40, 80], (1, 64, 64)).astype(np.uint8)
        values = (draw.integers(200, 900, (7, 64, 64)) + 20 * codes).astype(np.int16)
        for file, array in ((f"{number:03}.tif", values), (f"{number:03}_worldcover.tif", codes)):
            with rasterio.open(
                folder / file, "w", driver="GTiff", count=len(array), height=64, width=64, dtype=array.dtype
            ) as out:
                out.write(array)
                if len(array) == 7:
                    out.descriptions = names
    with (home / "landcover" / "groups.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(listed)
    return home


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_claim_on_land_cover_end_to_end(cover, tmp_path, monkeypatch, capsys):
    figures, out = tmp_path / "f.json", tmp_path / "out"
    arguments = ("-o", out, "--small", "--methods", "random,multimodal", "--modes", "frozen", "--task", "landcover")
    arguments += ("--json", figures, "--markdown", tmp_path / "t.md", "--data", cover, "--sensor", "s2")
    run("study_sensor_pairs", monkeypatch, *arguments)
    result = json.loads(figures.read_text())
    assert {title: lines[0]["miou"]["n"] for title, lines in result["figures"].items()} == {
        "simulated scenes, labels simulated": 2,
        "real chips, labels simulated": 1,
        "real pairs, labels simulated": 1,
        "real chips, labels of other real chips": 1,
        "real pairs, labels of other real chips": 1,
    }
    text = (tmp_path / "t.md").read_text()
    assert "encoder frozen: overall accuracy, all pixels together" in text and "mean IoU of the classes" in text
    assert "3 real pairs" in capsys.readouterr().out, "neither the cloudy one nor the one that is scored on"
    card = json.loads((out / "encoders-landcover" / "multimodal-0" / "encoder-s2" / "card.json").read_text())
    assert [band["name"] for band in card["bands"]] == ["B01", "B02", "B03", "B04", "B08", "B11", "B12"]
    learned = [
        json.loads(path.read_text())["squares"] for path in sorted(out.glob("labels-landcover-s2-chips/**/score.json"))
    ]
    assert learned == [2, 2], "half of three chips"
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("score.json")}
    run("study_sensor_pairs", monkeypatch, *arguments)
    assert json.loads(figures.read_text())["figures"] == result["figures"]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_places_near_a_chip_are_not_learned_from(pairs, tmp_path):
    import shutil

    shutil.copytree(pairs, tmp_path / "data")
    (tmp_path / "data" / "flood").mkdir()
    shutil.copy(pairs / "s1s2_pairs" / "1" / "after_S1.tif", tmp_path / "data" / "flood" / "Event_1_S1.tif")
    listed = script("study_sensor_pairs").real_pairs(tmp_path / "data", tmp_path / "out")
    with listed.open(newline="") as stream:
        assert [row["name"] for row in csv.DictReader(stream)] == ["place0", "place2", "place3"]


def test_the_gap_is_the_difference_of_pooled_scores_seed_by_seed():
    module = script("study_sensor_pairs")
    draw = np.random.default_rng(0)
    names = ["1:a", "1:b", "1:c", "2:Spain", "2:no label"]
    cells = []
    for method in ("simclr", "multimodal"):
        for seed in (1, 0):
            counts = draw.integers(10, 90, (5, 4))
            counts[4] = 0
            cells.append({"mode": "frozen", "method": method, "fraction": 1.0, "seed": seed, "counts": counts.tolist()})
    found = module.figures_of({"test": {"items": names}, "cells": cells}, ["simulated scenes", "real chips"])
    assert {title: lines[0]["iou"]["n"] for title, lines in found.items()} == {"simulated scenes": 3, "real chips": 1}

    def iou(cell):
        tp, fp, fn, _ = np.asarray(cell["counts"])[:3].sum(axis=0)
        return tp / (tp + fp + fn)

    by_seed = {(c["method"], c["seed"]): iou(c) for c in cells}
    gaps = [by_seed["multimodal", s] - by_seed["simclr", s] for s in (0, 1)]
    line = next(x for x in found["simulated scenes"] if x["method"] == "simclr")
    assert line["iou_gap"]["value"] == pytest.approx(np.mean(gaps))
    assert line["iou_gap"]["seeds"] == pytest.approx(gaps, abs=1e-4)

"""Bad weights and bad data through the command line: one line that names the file; a list of what was left out."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.optics.products import LEVEL_2A
from tests.engine.optical_scenes import WEST, backscatter, digital, make_model, reflectance, write
from tests.engine.zygote import Zygote, check_refused

SIDE = 64
GOOD = 6


IMPORTS = """
import torch
torch.set_num_threads(1)
import engine.mapping.flood.job, engine.mapping.flood.evaluate, engine.mapping.flood.model
import engine.training.finetune, engine.training.pretrain, matplotlib.figure, jinja2
import engine.cli.flood, engine.cli.evaluate, engine.cli.finetune, engine.cli.pretrain
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("streams")
    zygote = Zygote(home, IMPORTS)
    yield lambda *arguments: zygote.run(*arguments, cwd=home)
    zygote.close()


# weights


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write(folder / "a_S1.tif", backscatter(SIDE, SIDE), ("VV", "VH"))
    write(folder / "a_label.tif", np.ones((SIDE, SIDE), np.int16), ())
    return folder


def damaged(folder: Path, fault: str) -> tuple[Path, list[str]]:
    """A bundle with one fault, and what an error must name."""
    bundle = make_model(folder / "model", ("s1",))
    weights, card = bundle.folder / "model.safetensors", bundle.folder / "card.json"
    content = json.loads(card.read_text(encoding="utf-8"))
    if fault == "pickled file":
        path = folder / "model.pth"
        path.write_bytes(pickle.dumps({"a": 1}))
        return path, ["model.pth", "pickled", "models import"]
    if fault == "pickled in a folder":
        weights.rename(bundle.folder / "model.pt")
        return bundle.folder, ["model.pt", "pickled"]
    if fault == "cut off":
        weights.write_bytes(weights.read_bytes()[:-100])
        return bundle.folder, ["model.safetensors", "do not belong to the card"]
    if fault == "no safetensors":
        weights.write_bytes(b"\x80\x04nonsense")
        content["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        card.write_text(json.dumps(content), encoding="utf-8")
        return bundle.folder, ["model.safetensors", "cannot be read"]
    if fault == "card of another network":
        content["network"]["width"] = 0.125
        card.write_text(json.dumps(content), encoding="utf-8")
        return bundle.folder, ["model.safetensors", "card.json describes"]
    if fault == "card with other bands":
        content["bands"] = content["bands"][:1]
        card.write_text(json.dumps(content), encoding="utf-8")
        return bundle.folder, ["model.safetensors", "card.json describes"]
    if fault == "card that is no card":
        card.write_text('{"format": 1, "name": "x"}', encoding="utf-8")
        return bundle.folder, ["card.json", "not a valid card"]
    raise ValueError(fault)


FAULTS = (
    "pickled file",
    "pickled in a folder",
    "cut off",
    "no safetensors",
    "card of another network",
    "card with other bands",
    "card that is no card",
)


EVERYWHERE = ("pickled in a folder", "cut off", "card of another network", "card that is no card")
"""Faults that every command meets; the others are of the same reading."""


@pytest.mark.parametrize("fault", FAULTS)
def test_weights_that_cannot_be_used_are_refused_by_every_command(fault, scene, tmp_path, run):
    model, named = damaged(tmp_path, fault)
    out = tmp_path / "new" / "out"
    check_refused(run("flood", scene / "a_S1.tif", "--method", model, "-o", out, "--device", "cpu"), *named)
    if fault not in EVERYWHERE:
        return
    data = ("--data", f"folder:{scene}", "--crop", SIDE, "--steps", 1, "--device", "cpu")
    check_refused(run("evaluate", "flood", scene, "--method", model, "--json", out, "--device", "cpu"), *named)
    check_refused(run("finetune", *data, "--encoder", model, "-o", out), *named)
    assert not (tmp_path / "new").exists()


# data

BAD = {
    "missing": ["bad_missing_S1.tif", "does not exist"],
    "unreadable": ["bad_unreadable_S1.tif"],
    "mismatched": ["bad_mismatched_S1.tif", "does not overlap"],
    "bands": ["bad_bands_S1.tif", "VH"],
    "nan": ["bad_nan_S1.tif", "NaN"],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Good items with both sensors and a label, and one bad item of each kind; the lists name which are meant."""
    folder = tmp_path_factory.mktemp("data")
    truth = (np.arange(SIDE) < SIDE // 2).astype(np.int16)[None].repeat(SIDE, 0)
    light = np.repeat(digital(reflectance(SIDE, SIDE))[:1], 12, axis=0)
    rows = {}
    for name in [*(f"good{i}_1" for i in range(GOOD)), *(f"bad_{kind}" for kind in BAD)]:
        write(folder / f"{name}_S1.tif", backscatter(SIDE, SIDE, seed=len(rows)), ("VV", "VH"))
        write(folder / f"{name}_S2.tif", light, LEVEL_2A, nodata=0)
        write(folder / f"{name}_label.tif", truth, ())
        rows[name] = f"{name},{name}_S1.tif,{name}_S2.tif,{name}_label.tif"
    (folder / "bad_missing_S1.tif").unlink()
    (folder / "bad_unreadable_S1.tif").write_bytes((folder / "good0_1_S1.tif").read_bytes()[:300])
    write(folder / "bad_mismatched_S1.tif", backscatter(SIDE, SIDE), ("VV", "VH"), west=WEST + 50_000)
    write(folder / "bad_bands_S1.tif", backscatter(SIDE, SIDE)[:1], ("VV",))
    write(folder / "bad_nan_S1.tif", np.full((2, SIDE, SIDE), np.nan, np.float32), ("VV", "VH"))
    good = [row for name, row in rows.items() if name.startswith("good")]
    for kind in BAD:
        (folder / f"{kind}.csv").write_text("\n".join(["name,s1,s2,label", *good, rows[f"bad_{kind}"]]) + "\n")
    (folder / "all.csv").write_text("\n".join(["name,s1,s2,label", *rows.values()]) + "\n")
    return folder


TINY = ("--crop", SIDE, "--steps", 1, "--batch", 2, "--width", 0.0625, "--workers", 0, "--device", "cpu")


@pytest.mark.parametrize("kind", BAD)
def test_one_bad_item_is_refused_where_none_is_allowed(kind, whole, tmp_path, run):
    command = "pretrain" if kind in ("missing", "mismatched") else "finetune"  # they read alike
    answer = run(command, "--data", f"folder:{whole / kind}.csv", *TINY, "--broken", 0, "-o", tmp_path / "new" / "run")
    check_refused(answer, *BAD[kind], f"1 of {GOOD + 1} items", "more than 0%")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
def test_what_is_left_out_is_listed_and_told(command, whole, tmp_path, run):
    data = ("--data", f"folder:{whole / 'all.csv'}", *TINY)
    check_refused(run(command, *data, "-o", tmp_path / "new" / "run"), f"{len(BAD)} of {GOOD + len(BAD)} items", "10%")
    done = run(command, *data, "--broken", 0.5, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert f"{len(BAD)} items were left out" in done.stdout + done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    listed = result["figures"]["left_out"]
    for words in BAD.values():
        assert any(all(word in line for word in words) for line in listed), words
    assert any("left out" in line for line in result["warnings"])
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "left out" in html


def test_evaluation_skips_bad_chips_names_them_and_scores_the_rest(whole, tmp_path, run):
    folder = tmp_path / "chips"
    shutil.copytree(whole, folder)
    out = tmp_path / "scores.json"
    done = run("evaluate", "flood", folder, "--json", out)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    found = json.loads(out.read_text(encoding="utf-8"))
    # Without its image a label is no item; a chip of NaN is one without an observed pixel.
    assert {one["name"] for one in found["skipped"]} == {"bad_unreadable", "bad_mismatched"}
    assert all(f"{one['name']}_" in one["why"] for one in found["skipped"])
    items = {item["name"]: item for item in found["items"]}
    assert items["bad_nan"]["n"] == 0
    assert items["bad_nan"]["iou"] is None
    assert set(items) == {*(f"good{i}_1" for i in range(GOOD)), "bad_bands", "bad_nan"}


def test_a_scene_of_nothing_but_nan_is_a_map_of_nothing(whole, tmp_path, run):
    done = run("flood", whole / "bad_nan_S1.tif", "-o", tmp_path / "map", "--units", "db")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "map" / "result.json").read_text(encoding="utf-8"))
    assert result["figures"]["observed_percent"] == 0
    assert any("Nothing was observed" in line for line in result["warnings"])

"""Models through the command line and the worker: list, show, verify, evaluate, and a cancel while torch is loading."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from engine.models.bundle import save_bundle
from engine.models.segmenter import Segmenter

ROOT = Path(__file__).resolve().parents[2]
CARD = {
    "name": "tiny",
    "title": "A network of random weights",
    "licence": "CC0-1.0",
    "task": "flood",
    "bands": [{"sensor": "s1", "name": n, "unit": "db", "mean": -15.0, "std": 5.0} for n in ("VV", "VH")],
    "gsd_m": [5.0, 20.0],
    "classes": [{"value": 0, "name": "dry"}, {"value": 1, "name": "water"}],
    "activation": "sigmoid",
    "tile": 64,
    "overlap": 16,
    "trained_on": [{"name": "nothing", "licence": "CC0-1.0"}],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models")
    save_bundle(folder / "tiny", Segmenter(bands=2, classes=1, encoder="resnet18", width=0.0625).eval(), CARD)
    return folder


@pytest.fixture(scope="module")
def chips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("chips")
    generator = np.random.default_rng(3)
    for name, array, bands in (
        ("A_S1.tif", generator.normal(-14, 3, (2, 128, 128)).astype("float32"), ("VV", "VH")),
        ("A_label.tif", generator.integers(0, 2, (1, 128, 128)).astype("int16"), ()),
    ):
        place = {"crs": "EPSG:32633", "transform": from_origin(500_000, 4_500_000, 10, 10)}
        profile = {"driver": "GTiff", "dtype": array.dtype, "count": len(array), "height": 128, "width": 128}
        with rasterio.open(folder / name, "w", **profile, **place) as file:
            file.write(array)
            for number, band in enumerate(bands, 1):
                file.set_band_description(number, band)
    return folder


def engine(models: Path, *arguments) -> subprocess.CompletedProcess:
    environ = {**os.environ, "SAMESCENE_MODELS": str(models), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "engine", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=180)


def test_list_and_show(models):
    listed = engine(models, "models", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "tiny" in listed.stdout
    assert "flood from s1" in listed.stdout
    entry = next(one for one in json.loads(engine(models, "models", "list", "--json").stdout) if one["name"] == "tiny")
    assert (entry["task"], entry["sensors"], entry["error"]) == ("flood", ["s1"], None)
    card = json.loads(engine(models, "models", "show", "tiny").stdout)
    assert card["title"] == CARD["title"]
    assert json.loads(engine(models, "models", "show", models / "tiny").stdout) == card


def test_verify(models, tmp_path):
    good = engine(models, "models", "verify", "tiny")
    assert (good.returncode, good.stderr) == (0, "")
    broken = tmp_path / "tiny"
    broken.mkdir()
    for file in (models / "tiny").iterdir():
        content = bytearray(file.read_bytes())
        if file.suffix == ".safetensors":
            content[-1] ^= 1
        (broken / file.name).write_bytes(content)
    bad = engine(tmp_path, "models", "verify", "tiny")
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (1, "", 1)
    assert "model.safetensors" in bad.stderr
    doctor = engine(tmp_path, "doctor")
    assert doctor.returncode == 1
    assert "model.safetensors" in doctor.stderr


def test_a_damaged_card_is_listed_with_its_fault(tmp_path):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "card.json").write_text("{")
    (tmp_path / "odd" / "model.safetensors").touch()
    listed = engine(tmp_path, "models", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "card.json" in listed.stdout


def test_evaluate_names_the_model(models, chips, tmp_path):
    done = engine(models, "evaluate", "flood", chips, "--method", "tiny", "--json", tmp_path / "scores.json")
    assert (done.returncode, done.stderr) == (0, "")
    scores = json.loads((tmp_path / "scores.json").read_text())
    card = json.loads((models / "tiny" / "card.json").read_text())
    assert scores["model"] == {"name": "tiny", "sha256": card["weights_sha256"]}
    assert (scores["method"], scores["items"][0]["n"]) == ("tiny", 128 * 128)


@pytest.mark.parametrize("delay", [0.0, 0.4, 0.9, 1.5])
def test_cancel_while_torch_is_loading(models, chips, tmp_path, delay):
    worker = subprocess.Popen(
        [sys.executable, "-I", str(ROOT / "engine" / "worker_main.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SAMESCENE_MODELS": str(models), "OMP_NUM_THREADS": "1"},
    )
    assert json.loads(worker.stdout.readline())["event"] == "hello"
    params = {"post": str(chips / "A_S1.tif"), "method": "tiny", "out": str(tmp_path / "out")}
    worker.stdin.write(json.dumps({"id": 1, "job": "flood", "params": params}) + "\n")
    worker.stdin.flush()
    time.sleep(delay)
    asked = time.monotonic()
    worker.stdin.write('{"cmd": "cancel"}\n')
    worker.stdin.flush()
    while (event := json.loads(worker.stdout.readline()))["event"] not in ("result", "error", "cancelled"):
        pass
    took = time.monotonic() - asked
    worker.stdin.close()
    worker.wait(10)
    worker.stdout.close()
    limit = 2.0 if os.getloadavg()[0] <= (os.cpu_count() or 1) else 4.0
    assert event["event"] in ("cancelled", "result")
    assert took < limit
    assert [p.name for p in tmp_path.iterdir()] == (["out"] if event["event"] == "result" else [])

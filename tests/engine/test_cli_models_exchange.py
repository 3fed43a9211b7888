"""``engine models import`` and ``export-onnx`` as a user runs them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.models.bundle import load_bundle
from engine.models.resnet import ResNet

STATISTICS = ("--mean", "-12.6,-20.3", "--std", "5.3,5.9", "--licence", "CC-BY-4.0", "--trained-on", "SSL4EO-S12")


def engine(*arguments: object) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "SAMESCENE_MODELS": ""}
    command = [sys.executable, "-m", "engine", "models", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environ, timeout=180)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "checkpoint.pth"
    torch.manual_seed(0)
    state = {f"module.encoder_q.{k}": v for k, v in ResNet("resnet18", bands=2, width=0.0625).state_dict().items()}
    torch.save({"state_dict": {**state, "module.encoder_q.fc.0.weight": torch.zeros(2, 2)}, "epoch": 99}, path)
    return path


def test_import_show_verify_and_export(weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "s1-moco"
    done = engine("import", weights, "--sensor", "s1", *STATISTICS, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "resnet18 of width 0.0625 for VV, VH" in done.stdout and "module.encoder_q; left out: fc" in done.stdout
    assert sorted(p.name for p in out.iterdir()) == ["card.json", "mlm.json", "model.safetensors"]
    assert load_bundle(out).card.trained_on[0].name == "SSL4EO-S12"
    assert engine("verify", out).returncode == 0
    assert json.loads(engine("show", out).stdout)["task"] == "encoder"
    again = engine("import", weights, "--sensor", "s1", *STATISTICS, "-o", out)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1) and "not empty" in again.stderr
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("the extra export is not installed")
    written = engine("export-onnx", out, "-o", tmp_path / "encoder.onnx")
    assert (written.returncode, written.stderr) == (0, "")
    assert "values -> stride2, stride4, stride8, stride16, stride32" in written.stdout
    assert (tmp_path / "encoder.onnx").stat().st_size > 100_000


def test_what_cannot_be_imported_is_one_line(weights: Path, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save(Attack(), tmp_path / "attack.pth")
    (tmp_path / "cut.pth").write_bytes(weights.read_bytes()[:5000])
    for path, word in (("attack.pth", "would run code"), ("cut.pth", "cannot be read"), ("none.pth", "no such file")):
        done = engine("import", tmp_path / path, "--sensor", "s1", *STATISTICS, "-o", tmp_path / "out")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert str(tmp_path / path) in done.stderr and word in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["attack.pth", "cut.pth"]
    assert engine("import", weights, "--sensor", "s1", "--mean", "a", *STATISTICS[2:], "-o", "x").returncode == 2
    assert engine("import", weights, "--sensor", "s1", *STATISTICS, "--gsd", "10", "-o", "x").returncode == 2

"""ONNX files give what the bundle gives, for any number of images, rows and columns, with missing values."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine.errors import MissingExtraError, ModelError, OutputError
from engine.models import exporting
from engine.models.bundle import Bundle, load_bundle, save_bundle
from engine.models.exporting import OPSET, export_onnx
from engine.models.resnet import ResNet
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")),
    reason="the extra export is not installed",
)
S1 = [{"sensor": "s1", "name": n, "unit": "db", "mean": m, "std": 5.0} for n, m in (("VV", -12.0), ("VH", -19.0))]
S2 = [{"sensor": "s2", "name": n, "unit": "reflectance", "mean": 0.1, "std": 0.2} for n in ("B03", "B04", "B08")]
COVER = [{"value": v, "name": n} for v, n in ((10, "tree cover"), (40, "cropland"), (80, "permanent water"))]


def bundle(folder: Path, network: nn.Module, /, **changes: Any) -> Bundle:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2), module.running_var.uniform_(0.5, 2)
    card = {
        **{"name": "tiny", "title": "A tiny network", "licence": "CC0-1.0", "task": "flood", "bands": S1},
        **{"gsd_m": [8, 25], "classes": [{"value": 0, "name": "dry"}, {"value": 1, "name": "water"}]},
        **{"activation": "sigmoid", "temperature": 1.7, "trained_on": [{"name": "nothing", "licence": "none"}]},
        **changes,
    }
    return save_bundle(folder, network.eval(), card)


def run(path: Path, *scenes: torch.Tensor) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: x.numpy() for i, x in zip(session.get_inputs(), scenes, strict=True)})


def scene(n: int, rows: int, cols: int, bands: list[dict[str, Any]], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.tensor([b["mean"] for b in bands])[None, :, None, None]
    x = mean + torch.randn(n, len(bands), rows, cols, generator=generator) * bands[0]["std"]
    x[torch.rand(x.shape, generator=generator) < 0.05] = torch.nan  # one band alone
    x[:, :, rows // 4 : rows // 2, :7] = torch.nan  # all bands
    return x


SIZES = [(1, 32, 32), (3, 64, 160), (2, 128, 96)]


@needs_onnx
@pytest.mark.parametrize("validity", [False, True])
def test_flood_network(tmp_path: Path, validity: bool) -> None:
    """Beside the engine's own normalisation and activation, which stand elsewhere in the code."""
    from engine.device import choose_device
    from engine.mapping.inputrows import Normaliser
    from engine.mapping.network import activate
    from engine.mapping.settings import InferenceSettings

    network = Segmenter(bands=2 + validity, classes=1, width=0.0625)
    made = bundle(tmp_path / "x", network, network={"validity": validity})
    done = export_onnx(made, tmp_path / "x.onnx")
    assert (done.inputs, done.outputs) == (("values",), ("probabilities",)) and done.difference < 1e-4
    settings = InferenceSettings(mean=(-12.0, -19.0), std=(5.0, 5.0), validity=validity)
    for size in SIZES:
        x = scene(*size, S1)
        rows = torch.empty(len(x), 2 + validity, *x.shape[2:])
        normaliser = Normaliser(settings, device=choose_device("cpu").torch)
        for one, out in zip(x, rows, strict=True):
            normaliser.write(one, out, complete=False)
        with torch.inference_mode():
            logits = made.network()(rows)
            wanted = torch.stack([activate(one, activation="sigmoid", temperature=1.7) for one in logits])
        np.testing.assert_allclose(run(tmp_path / "x.onnx", x)[0], wanted.numpy(), atol=1e-4)


@needs_onnx
def test_land_cover_network(tmp_path: Path) -> None:
    network = Segmenter(bands=3, classes=3, encoder="resnet50", width=0.0625)
    changes = {"task": "landcover", "bands": S2, "classes": COVER, "activation": "softmax"}
    made = bundle(tmp_path / "x", network, **changes)
    export_onnx(made, tmp_path / "x.onnx")
    for size in SIZES[:2]:
        x = scene(*size, S2)
        got = run(tmp_path / "x.onnx", x)[0]
        with torch.inference_mode():
            wanted = torch.softmax(made.network()(torch.nan_to_num((x - 0.1) / 0.2)) / 1.7, 1)
        np.testing.assert_allclose(got, wanted.numpy(), atol=1e-4)
        np.testing.assert_allclose(got.sum(1), 1, atol=1e-5)


@needs_onnx
def test_two_sensors_of_which_one_may_be_missing(tmp_path: Path) -> None:
    network = TwoSensorSegmenter(s1_bands=2, s2_bands=3, classes=1, width=0.0625)
    made = bundle(tmp_path / "x", network, bands=[*S1, *S2])
    assert export_onnx(made, tmp_path / "x.onnx").inputs == ("s1", "s2")
    network = made.two_sensor()
    for size in SIZES[:2]:
        s1, s2 = scene(*size, S1), scene(*size, S2, seed=1)
        s2[0] = torch.nan
        a, b = (
            (x - torch.tensor([e["mean"] for e in bands])[None, :, None, None]) / bands[0]["std"]
            for x, bands in ((s1, S1), (s2, S2))
        )
        seen = [torch.isfinite(x).any(1, keepdim=True) for x in (a, b)]
        with torch.inference_mode():
            wanted = torch.sigmoid(network(torch.nan_to_num(a), torch.nan_to_num(b), *seen) / 1.7)
        np.testing.assert_allclose(run(tmp_path / "x.onnx", s1, s2)[0], wanted.numpy(), atol=1e-4)
        alone = run(tmp_path / "x.onnx", s1[:1], torch.full_like(s2[:1], torch.nan))[0]
        np.testing.assert_allclose(alone, wanted.numpy()[:1], atol=1e-4)


@needs_onnx
def test_encoder(tmp_path: Path) -> None:
    encoder = ResNet("resnet18", bands=2, width=0.0625)
    changes = {"task": "encoder", "classes": [], "activation": "none", "temperature": 1}
    made = bundle(tmp_path / "x", encoder, **changes)
    done = export_onnx(made, tmp_path / "x.onnx")
    assert done.outputs == ("stride2", "stride4", "stride8", "stride16", "stride32")
    x = torch.full((2, 2, 64, 96), -12.0)
    with torch.inference_mode():
        wanted = made.encoder()((x - torch.tensor([-12.0, -19.0])[:, None, None]) / 5)
    for got, want in zip(run(tmp_path / "x.onnx", x), wanted, strict=True):
        np.testing.assert_allclose(got, want.numpy(), atol=1e-4, rtol=1e-4)


@needs_onnx
def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    import onnx

    made = bundle(tmp_path / "x", Segmenter(bands=2, classes=1, width=0.0625))
    export_onnx(made, tmp_path / "deep" / "x.onnx")
    model = onnx.load(tmp_path / "deep" / "x.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [OPSET]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["card"]) == json.loads((tmp_path / "x" / "card.json").read_text())
    assert metadata["weights_sha256"] == made.sha256
    names = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert names == ["images", 2, "rows", "columns"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x.onnx"]


@needs_onnx
def test_a_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bundle(tmp_path / "x", Segmenter(bands=2, classes=1, width=0.0625))
    monkeypatch.setattr(exporting, "LARGEST_DIFFERENCE", -1.0)
    with pytest.raises(ModelError, match="differs from the bundle"):
        export_onnx(made, tmp_path / "x.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    monkeypatch.undo()
    with pytest.raises(OutputError, match="is a folder"):
        export_onnx(made, tmp_path / "x")
    (tmp_path / "x" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="do not belong"):
        export_onnx(load_bundle(tmp_path / "x"), tmp_path / "x.onnx")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bundle(tmp_path / "x", Segmenter(bands=2, classes=1, width=0.0625))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"samescene\[export\]"):
        export_onnx(made, tmp_path / "x.onnx")

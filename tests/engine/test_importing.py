"""Published weights come in; pickles that need code, damaged and foreign files stay out."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from engine.errors import EngineError, MissingFileError, ModelError, OutputError, ParameterError
from engine.models.bundle import load_bundle
from engine.models.foreign import read_weights
from engine.models.importing import ImportRequest, find_encoder, import_model
from engine.models.names import EncoderName
from engine.models.resnet import ResNet


def published(name: EncoderName = "resnet18", *, bands: int = 2, width: float = 0.125, seed: int = 0) -> ResNet:
    """A network whose normalisations are not those of a new one."""
    torch.manual_seed(seed)
    made = ResNet(name, bands=bands, width=width).eval()
    for key, value in made.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.2)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 2)
    return made


def request(weights: Path, out: Path, **changes: Any) -> ImportRequest:
    known = {"sensor": "s1", "mean": (-12.6, -20.3), "std": (5.3, 5.9), "licence": "CC-BY-4.0", "trained_on": "SSL4EO"}
    return ImportRequest(weights=weights, out=out, **{**known, **changes})


def refused(path: Path, *words: str) -> None:
    with pytest.raises(EngineError) as caught:
        find_encoder(read_weights(path), source=str(path))
    assert str(path) in caught.value.message
    for word in words:
        assert word in caught.value.message, caught.value.message
    assert "\n" not in caught.value.line and len(caught.value.line) < 500


def reference_resnet50(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """ResNet-50 after He et al. 2015, table 1, v1.5 (the stride of a stage lies in its first 3 × 3 convolution),
    written with functional calls on the field's parameter names, independently of the engine."""

    def conv(x: Tensor, key: str, stride: int = 1) -> Tensor:
        weight = state[f"{key}.weight"]
        return F.conv2d(x, weight, None, stride, padding=weight.shape[-1] // 2)

    def norm(x: Tensor, key: str) -> Tensor:
        mean, var, gain, bias = (
            state[f"{key}.{part}"][None, :, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * gain + bias

    x = torch.clamp(norm(conv(x, "conv1", 2), "bn1"), min=0)
    outcomes = [x]
    x = F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, 2)
    for stage, (blocks, planes) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=1):
        for block in range(blocks):
            key, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            assert state[f"{key}.conv2.weight"].shape == (planes, planes, 3, 3)
            assert state[f"{key}.conv3.weight"].shape == (4 * planes, planes, 1, 1)
            y = torch.clamp(norm(conv(x, f"{key}.conv1"), f"{key}.bn1"), min=0)
            y = torch.clamp(norm(conv(y, f"{key}.conv2", stride), f"{key}.bn2"), min=0)
            y = norm(conv(y, f"{key}.conv3"), f"{key}.bn3")
            if block == 0:
                x = norm(conv(x, f"{key}.downsample.0", stride), f"{key}.downsample.1")
            x = torch.clamp(x + y, min=0)
        outcomes.append(x)
    return outcomes


def test_resnet50_is_the_published_one(tmp_path: Path) -> None:
    """Full width, through a file as published (MoCo's names), against the reference."""
    donor = published("resnet50", bands=13, width=1.0).double()
    state = {f"module.encoder_q.{key}": value.float() for key, value in donor.state_dict().items()}
    state["module.encoder_q.fc.0.weight"] = torch.zeros(8, 8)
    torch.save({"epoch": 3, "arch": "resnet50", "state_dict": state}, tmp_path / "moco.pth")
    found = find_encoder(read_weights(tmp_path / "moco.pth"), source="moco.pth")
    assert found.encoder.name == "resnet50" and found.dropped == ("fc",)
    assert found.prefix == "state_dict.module.encoder_q."
    assert sum(p.numel() for p in found.encoder.parameters()) == 23_508_032 + 10 * 64 * 49
    x = torch.randn(2, 13, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = reference_resnet50({k: v.double() for k, v in found.encoder.state_dict().items()}, x.double())
        for got, want in zip(found.encoder(x), wanted, strict=True):
            assert got.shape == want.shape
            assert float((got - want).abs().max()) < 1e-4 * float(want.abs().max())


@pytest.mark.parametrize(
    ("prefix", "wrap"),
    [
        ("", None),
        ("module.", "state_dict"),
        ("backbone.", "model"),
        ("encoder.", None),
        ("module.encoder_q.", "state_dict"),
        ("module.base_encoder.", "state_dict"),
        ("module.backbone.", "teacher"),
    ],
)
@pytest.mark.parametrize("kind", ["torch", "old", "safetensors"])
def test_prefixes_and_formats(tmp_path: Path, prefix: str, wrap: str | None, kind: str) -> None:
    donor = published()
    state = {prefix + key: value for key, value in donor.state_dict().items()}
    state[f"{prefix}fc.weight"], state[f"{prefix}fc.bias"] = torch.zeros(3, 64), torch.zeros(3)
    path = tmp_path / f"weights.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "safetensors":
        save_file(state, path)
    else:
        content = {wrap: state, "epoch": 1, "optimizer": {"state": {0: {"step": torch.zeros(1)}}}} if wrap else state
        torch.save(content, path, _use_new_zipfile_serialization=kind == "torch")
    found = find_encoder(read_weights(path), source=str(path))
    assert found.prefix.endswith(prefix) and found.dropped == ("fc",)
    assert (found.encoder.name, found.encoder.bands, found.encoder.width) == ("resnet18", 2, 0.125)
    for key, value in donor.state_dict().items():
        assert torch.equal(found.encoder.state_dict()[key], value)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_depth_width_and_bands_are_read_off(name: EncoderName) -> None:
    found = find_encoder(published(name, bands=12, width=0.25).state_dict(), source="x")
    assert (found.encoder.name, found.encoder.bands, found.encoder.width) == (name, 12, 0.25)


def two_encoders(first: str, second: str, bands: tuple[int, int] = (2, 2)) -> dict[str, Tensor]:
    return {
        f"{prefix}.{key}": value
        for seed, (prefix, count) in enumerate(zip((first, second), bands, strict=True))
        for key, value in published(seed=seed, bands=count).state_dict().items()
    }


def test_among_several_encoders_one_is_chosen() -> None:
    one = published(seed=0).conv1.weight
    found = find_encoder(two_encoders("encoder_q", "encoder_k"), source="x")
    assert found.prefix == "encoder_q." and torch.equal(found.encoder.conv1.weight, one)
    assert find_encoder(two_encoders("teacher.backbone", "student.backbone"), source="x").prefix == "teacher.backbone."
    with pytest.raises(ModelError, match=r"more than one encoder to choose; it holds s1, s2.*--prefix"):
        find_encoder(two_encoders("s1", "s2"), source="x")
    assert find_encoder(two_encoders("s1", "s2"), source="x", prefix="s2").prefix == "s2."
    assert find_encoder(two_encoders("m.s1", "m.s2"), source="x", prefix="s2.").prefix == "m.s2."
    assert find_encoder(two_encoders("s1", "s2", (2, 12)), source="x", bands=12).prefix == "s2."
    with pytest.raises(ModelError, match="no encoder to choose"):
        find_encoder(two_encoders("s1", "s2"), source="x", prefix="s3")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickles_that_need_code_are_refused(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (ran,))

    state = published().state_dict()
    for number, content in enumerate((Attack(), {**state, "x": Attack()}, {"state_dict": state, "args": [Attack()]})):
        for zipped in (True, False):
            path = tmp_path / f"attack-{number}-{zipped}.pth"
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
            refused(path, "would run code")
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps(Attack()))
    refused(path)
    path = tmp_path / "renamed.safetensors"
    torch.save(Attack(), path)
    refused(path, "would run code")
    path = tmp_path / "namespace.pth"
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=1)}, path)
    refused(path, "would run code (argparse.Namespace)")
    path = tmp_path / "module.pth"
    torch.save(published(), path)
    refused(path, "would run code")
    assert not ran.exists()


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    whole = {}
    torch.save(published(width=0.0625).state_dict(), tmp_path / "a.pth")
    torch.save(published(width=0.0625).state_dict(), tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    save_file(published(width=0.0625).state_dict(), tmp_path / "c.safetensors")
    for path in sorted(tmp_path.iterdir()):
        whole[path] = path.read_bytes()
    for path, content in whole.items():
        for size in (0, 1, 8, 9, 40, 1000, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:size])
            refused(path)
    for name, content in (("x.tif", b"II*\0" + bytes(200)), ("x.txt", b"hello" * 9), ("x.onnx", b"\x08\x08" * 50)):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "neither a safetensors file nor")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("hello", "world")
    refused(tmp_path / "x.zip", "cannot be read")
    for name, content in (("list.pth", [1, 2]), ("text.pth", {"a": "b"}), ("one.pth", 3)):
        torch.save(content, tmp_path / name)
        refused(tmp_path / name, "no tensor")
    with pytest.raises(MissingFileError, match="no such file"):
        read_weights(tmp_path / "absent.pth")
    with pytest.raises(MissingFileError, match="folder"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("layer3.0.bn1.running_mean"), ("layer3.0.bn1.running_mean is missing",)),
        (lambda s: s.pop("conv1.weight"), ("no ResNet found",)),
        (lambda s: s.update({"attention.weight": torch.zeros(2)}), ("attention.weight is not one",)),
        (lambda s: s.update({"layer2.2.conv1.weight": torch.zeros(2)}), ("(2, 3, 2, 2)", "two-layer")),
        (lambda s: s.update({"conv1.weight": torch.zeros(8, 2, 3, 3)}), ("(8, 2, 3, 3)", "7 × 7")),
        (lambda s: s.update({"bn1.weight": torch.zeros(9)}), ("bn1.weight has shape (9,)",)),
        (lambda s: s.update({"bn1.weight": torch.full((8,), torch.nan)}), ("bn1.weight", "not finite")),
        (lambda s: s.update({"bn1.weight": torch.zeros(8, dtype=torch.int8)}), ("bn1.weight is torch.int8",)),
        (lambda s: s.update({"bn1.weight": torch.zeros(8).to_sparse()}), ("bn1.weight", "sparse")),
    ],
)
def test_weights_that_are_no_resnet_are_named(tmp_path: Path, change: Any, words: tuple[str, ...]) -> None:
    state = dict(published().state_dict())
    change(state)
    torch.save(state, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", *words)


def test_half_weights_and_missing_counters_are_no_fault() -> None:
    state = {k: v.half() for k, v in published().state_dict().items() if "num_batches" not in k}
    found = find_encoder(state, source="x")
    assert {v.dtype for k, v in found.encoder.state_dict().items() if "num_batches" not in k} == {torch.float32}


# ------------------------------------------------------------------------------------------------------ bundles


def test_a_bundle_is_made(tmp_path: Path) -> None:
    donor = published("resnet34", bands=2)
    torch.save(donor.state_dict(), tmp_path / "w.pth")
    bundle, _ = import_model(request(tmp_path / "w.pth", tmp_path / "s1-ssl4eo", address="https://example.org/w"))
    again = load_bundle(tmp_path / "s1-ssl4eo")
    assert again.card == bundle.card and bundle.folder.resolve() == (tmp_path / "s1-ssl4eo").resolve()
    card = again.card
    assert (card.name, card.task, card.network.encoder) == ("s1-ssl4eo", "encoder", "resnet34")
    assert [(b.name, b.unit, b.mean, b.std) for b in card.bands] == [("VV", "db", -12.6, 5.3), ("VH", "db", -20.3, 5.9)]
    assert card.trained_on[0].address == "https://example.org/w"
    x = torch.randn(1, 2, 64, 64)
    with torch.inference_mode():
        assert torch.equal(again.encoder()(x)[-1], donor(x)[-1])
    with pytest.raises(OutputError, match="not empty"):
        import_model(request(tmp_path / "w.pth", tmp_path / "s1-ssl4eo"))
    import_model(request(tmp_path / "w.pth", tmp_path / "s1-ssl4eo", overwrite=True))


@pytest.mark.parametrize(("bands", "names"), [(13, "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B10 B11 B12"), (12, "")])
def test_usual_bands_of_sentinel2(tmp_path: Path, bands: int, names: str) -> None:
    torch.save(published(bands=bands).state_dict(), tmp_path / "w.pth")
    statistics = {"mean": [0.0] * bands, "std": [1.0] * bands}
    bundle, _ = import_model(request(tmp_path / "w.pth", tmp_path / "x", sensor="s2", **statistics))
    wanted = names or "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12"
    assert [band.name for band in bundle.card.bands] == wanted.split()
    assert {band.unit for band in bundle.card.bands} == {"reflectance"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sensor": "s3"}, "no sensor 's3'"),
        ({"bands": ("VV",)}, "take 2 bands, 1 were named"),
        ({"bands": ("VV", "XX")}, "no band 'XX'"),
        ({"bands": ("VV", "VV")}, "stand twice"),
        ({"sensor": "s2"}, "the weights take 2 bands; which they are must be told"),
        ({"mean": (1.0,)}, "2 means are needed"),
        ({"std": (1.0, 1.0, 1.0)}, "2 standard deviations are needed"),
        ({"std": (1.0, 0.0)}, r"bands\.1\.std"),
        ({"name": "../x"}, "cannot be called"),
        ({"gsd_m": (20.0, 10.0)}, "gsd_m"),
    ],
)
def test_requests_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    torch.save(published().state_dict(), tmp_path / "w.pth")
    with pytest.raises((ParameterError, ModelError), match=words):
        import_model(request(tmp_path / "w.pth", tmp_path / "out", **changes))
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth"], "something was left"

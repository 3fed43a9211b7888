"""ConvNeXt: equal to an implementation written apart in the published namings, whose weights load as they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ModelError, ParameterError
from engine.models.bundle import load_bundle
from engine.models.convnext import ConvNext
from engine.models.convnext_weights import convnext_of, load_convnext_state, timm_names
from engine.models.importing import ImportRequest, find_encoder, import_model

WIDTH = 0.125


@pytest.fixture(scope="module")
def encoder() -> ConvNext:
    torch.manual_seed(3)
    made = ConvNext("convnext_tiny", bands=3, width=WIDTH).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))  # every scale and bias counts
    return made


def torchvision_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As torchvision.models.convnext_tiny().state_dict() has them."""
    found = {"classifier.0.weight": torch.ones(96), "classifier.2.weight": torch.ones(1000, 96)}
    for key, value in state.items():
        part = key.split(".")
        if part[0] == "stem":
            found[f"features.0.{part[1]}.{part[2]}"] = value
        elif part[2] == "downsample":
            found[f"features.{2 * int(part[1])}.{part[3]}.{part[4]}"] = value
        else:
            inside = {"conv_dw": "block.0", "norm": "block.2", "fc1": "block.3", "fc2": "block.5"}
            block = f"features.{2 * int(part[1]) + 1}.{part[3]}"
            if part[4] == "gamma":
                found[f"{block}.layer_scale"] = value.reshape(-1, 1, 1)
            else:
                found[f"{block}.{inside[part[-2]]}.{part[-1]}"] = value
    return found


def authors_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As the paper's own checkpoints have them, below "model"."""
    found = {"model.norm.weight": torch.ones(96), "model.head.weight": torch.ones(1000, 96)}
    for key, value in state.items():
        part = key.split(".")
        if part[0] == "stem":
            found[f"model.downsample_layers.0.{part[1]}.{part[2]}"] = value
        elif part[2] == "downsample":
            found[f"model.downsample_layers.{part[1]}.{part[3]}.{part[4]}"] = value
        else:
            inside = {"conv_dw": "dwconv", "norm": "norm", "fc1": "pwconv1", "fc2": "pwconv2"}
            block = f"model.stages.{part[1]}.{part[3]}"
            rest = "gamma" if part[4] == "gamma" else f"{inside[part[-2]]}.{part[-1]}"
            found[f"{block}.{rest}"] = value
    return found


def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Over the channels, by the definition."""
    centred = x - x.mean(1, keepdim=True)
    unit = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
    return unit * weight[:, None, None] + bias[:, None, None]


def reference(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """The paper's figure 4 with 1 × 1 convolutions in place of linear layers, from weights in torchvision's names."""

    def named(name: str) -> tuple[Tensor, Tensor]:
        return state[f"{name}.weight"], state[f"{name}.bias"]

    stages = []
    x = norm(F.conv2d(x, *named("features.0.0"), stride=4), *named("features.0.1"))
    for stage, blocks in enumerate((3, 3, 9, 3)):
        if stage:
            x = norm(x, *named(f"features.{2 * stage}.0"))
            x = F.conv2d(x, *named(f"features.{2 * stage}.1"), stride=2)
        for block in range(blocks):
            at = f"features.{2 * stage + 1}.{block}"
            y = norm(F.conv2d(x, *named(f"{at}.block.0"), padding=3, groups=x.shape[1]), *named(f"{at}.block.2"))
            for layer in (3, 5):
                weight, bias = named(f"{at}.block.{layer}")
                y = F.conv2d(y, weight[:, :, None, None], bias)
                y = 0.5 * y * (1 + torch.erf(y / 2**0.5)) if layer == 3 else y
            x = x + state[f"{at}.layer_scale"] * y
        stages.append(x)
    return stages


def test_layer_by_layer_it_equals_the_reference(encoder):
    x = torch.randn(2, 3, 64, 96)
    wanted = reference(torchvision_names(encoder.state_dict()), x)
    with torch.no_grad():
        found = encoder(x)
    assert [f.shape[1] for f in found] == list(encoder.channels) == [12, 24, 48, 96]
    assert [f.shape[2:] for f in found] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


@pytest.mark.parametrize(
    ("name", "millions"), [("convnext_tiny", 27.818592), ("convnext_small", 49.453152), ("convnext_base", 87.564416)]
)
def test_published_sizes(name, millions):
    with torch.device("meta"):
        assert sum(p.numel() for p in ConvNext(name).parameters()) == round(millions * 1e6)


@pytest.mark.parametrize("naming", [lambda s: s, torchvision_names, authors_names])
def test_published_state_dicts_load_by_the_import(encoder, naming, tmp_path):
    state = naming(encoder.state_dict())
    torch.save({"state_dict": state}, tmp_path / "published.pth")
    bundle, found = import_model(
        ImportRequest(
            weights=tmp_path / "published.pth", out=tmp_path / "bundle", sensor="s2", bands=("B04", "B03", "B02"),
            mean=(0.1, 0.1, 0.1), std=(0.1, 0.1, 0.1), licence="MIT", trained_on="ImageNet",
        )
    )  # fmt: skip
    assert isinstance(found.encoder, ConvNext)
    assert bundle.card.network.architecture == "convnext"
    again = load_bundle(tmp_path / "bundle").module()
    for key, value in again.state_dict().items():
        assert torch.equal(value, encoder.state_dict()[key]), key


def test_size_is_read_off_the_shapes():
    with torch.device("meta"):
        state = ConvNext("convnext_base", width=0.25).state_dict()
    state = {key: torch.zeros(value.shape) for key, value in state.items()}
    found = convnext_of(state, source="x")
    assert (found.name, found.width) == ("convnext_small", 32 / 96)  # the same blocks and channels
    assert found.channels == (32, 64, 128, 256)


def test_fewer_stages_and_other_bands_take_what_they_have(encoder):
    short = ConvNext("convnext_tiny", bands=4, width=WIDTH, stages=3)
    load_convnext_state(short, encoder.state_dict(), source="x")
    grey = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        a, b = short(grey.expand(-1, 4, -1, -1))[-1], encoder(grey.expand(-1, 3, -1, -1))[2]
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    assert short.stride == 16


def test_what_is_no_convnext_is_one_line(encoder):
    state = dict(encoder.state_dict())
    gone = {k: v for k, v in state.items() if k != "stages.2.blocks.4.gamma"}
    with pytest.raises(ModelError, match=r"stages\.2\.blocks\.4\.gamma is missing"):
        find_encoder(gone, source="weights.pth")
    with pytest.raises(ModelError, match="not a ConvNeXt"):
        find_encoder({"features.0.0.weight": torch.zeros(32, 3, 3, 3)}, source="weights.pth")
    with pytest.raises(ParameterError, match="positive width"):
        ConvNext(width=-1)
    assert timm_names({"other": torch.zeros(1)}).keys() == {"other"}

"""Encoders: shapes, the field's parameter names, loading published weights, folding of normalisations."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from engine.errors import ModelError, ParameterError
from engine.models.names import EncoderName
from engine.models.resnet import ResNet, load_encoder_state
from engine.models.segmenter import Segmenter, fuse_batch_norm

# Parameters of the published networks without their classifier (He et al. 2016; three bands).
PUBLISHED = {"resnet18": 11_176_512, "resnet34": 21_284_672, "resnet50": 23_508_032}


@pytest.mark.parametrize("name", PUBLISHED)
def test_size_is_that_of_the_published_network(name: EncoderName) -> None:
    encoder = ResNet(name, bands=3)
    assert sum(p.numel() for p in encoder.parameters()) == PUBLISHED[name]


def published_names(name: str) -> set[str]:
    """The keys of a published state dict, written down independently of the code."""
    blocks = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}[name]
    convs = 3 if name == "resnet50" else 2
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    keys = {"conv1.weight", *(f"bn1.{n}" for n in norm)}
    for stage, count in enumerate(blocks, start=1):
        for block in range(count):
            for conv in range(1, convs + 1):
                keys.add(f"layer{stage}.{block}.conv{conv}.weight")
                keys |= {f"layer{stage}.{block}.bn{conv}.{n}" for n in norm}
        if stage > 1 or name == "resnet50":
            keys.add(f"layer{stage}.0.downsample.0.weight")
            keys |= {f"layer{stage}.0.downsample.1.{n}" for n in norm}
    return keys


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_names_are_those_of_published_weights(name: EncoderName) -> None:
    assert set(ResNet(name, bands=2).state_dict()) == published_names(name)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("bands", [1, 2, 13])
def test_features_at_five_strides(name: EncoderName, bands: int) -> None:
    encoder = ResNet(name, bands=bands, width=0.25).eval()
    with torch.inference_mode():
        features = encoder(torch.randn(2, bands, 64, 96))
    assert [f.shape[1] for f in features] == list(encoder.channels)
    assert [tuple(f.shape[2:]) for f in features] == [(64 // s, 96 // s) for s in (2, 4, 8, 16, 32)]


def test_against_an_independent_forward_pass() -> None:
    """ResNet-18 written out with functional calls on the same parameters."""
    from torch.nn import functional as F

    torch.manual_seed(0)
    encoder = ResNet("resnet18", bands=2, width=0.25).eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(), module.running_var.uniform_(0.5, 2), module.weight.data.normal_()
    s = encoder.state_dict()

    def norm(x: torch.Tensor, key: str) -> torch.Tensor:
        return F.batch_norm(x, s[f"{key}.running_mean"], s[f"{key}.running_var"], s[f"{key}.weight"], s[f"{key}.bias"])

    x = torch.randn(1, 2, 64, 64)
    with torch.inference_mode():
        got = encoder(x.clone())
        y = F.relu(norm(F.conv2d(x, s["conv1.weight"], stride=2, padding=3), "bn1"))
        wanted = [y]
        y = F.max_pool2d(y, 3, 2, 1)
        for stage in (1, 2, 3, 4):
            for block in (0, 1):
                key, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
                z = F.relu(norm(F.conv2d(y, s[f"{key}.conv1.weight"], stride=stride, padding=1), f"{key}.bn1"))
                z = norm(F.conv2d(z, s[f"{key}.conv2.weight"], padding=1), f"{key}.bn2")
                if f"{key}.downsample.0.weight" in s:
                    y = norm(F.conv2d(y, s[f"{key}.downsample.0.weight"], stride=stride), f"{key}.downsample.1")
                y = F.relu(z + y)
            wanted.append(y)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_parameter() -> None:
    encoder = ResNet("resnet18", bands=2, width=0.125)
    sum(f.square().mean() for f in encoder(torch.randn(2, 2, 64, 64))).backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in encoder.parameters())


class Strided(TorchDispatchMode):
    """Notes the (input channels, stride) of every 1 × 1 convolution that has a stride."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution.default and args[1].shape[2:] == (1, 1) and args[3][0] > 1:
            self.seen.append((args[1].shape[1], args[3][0]))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_narrow_network_asks_for_no_strided_shortcut_that_breaks_memory(name: EncoderName) -> None:
    """oneDNN issue 6035: with AVX2 the training of a network of 4 channels died or learned from wrong gradients."""
    torch.manual_seed(0)
    network, images = ResNet(name, bands=3, width=0.0625).eval(), torch.randn(2, 3, 64, 64)
    with Strided() as narrow:
        network(images)[-1].square().mean().backward()
    assert all(channels >= 16 for channels, _ in narrow.seen), narrow.seen
    with Strided() as wide:
        ResNet(name, bands=3, width=0.25)(images)
    assert (16 if name == "resnet18" else 64, 2) in wide.seen, "where it is safe oneDNN leaves the pixels out"
    found = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    with torch.backends.mkldnn.flags(enabled=False):
        network(images)[-1].square().mean().backward()
    for grad, parameter in zip(found, network.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad, rtol=1e-3, atol=1e-4 * float(parameter.grad.abs().max()))


def test_published_weights_load_with_another_number_of_bands() -> None:
    torch.manual_seed(1)
    donor = ResNet("resnet18", bands=3, width=0.125)
    state = {**donor.state_dict(), "fc.weight": torch.zeros(9, 64), "fc.bias": torch.zeros(9)}
    same = ResNet("resnet18", bands=3, width=0.125)
    load_encoder_state(same, state, source="donor.safetensors")
    for key, value in donor.state_dict().items():
        assert torch.equal(same.state_dict()[key], value)
    other = ResNet("resnet18", bands=2, width=0.125).eval()
    load_encoder_state(other, state, source="donor.safetensors")
    grey = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        # A grey image gives what it gave: the sum over bands is kept.
        torch.testing.assert_close(
            other(grey.expand(-1, 2, -1, -1))[0], donor.eval()(grey.expand(-1, 3, -1, -1))[0], rtol=1e-4, atol=1e-5
        )


def test_weights_that_do_not_fit_are_named() -> None:
    encoder = ResNet("resnet18", bands=2, width=0.125)
    state = dict(encoder.state_dict())
    state.pop("layer3.1.conv2.weight")
    with pytest.raises(ModelError, match=r"x\.safetensors.*layer3\.1\.conv2\.weight is missing .1 missing"):
        load_encoder_state(encoder, state, source="x.safetensors")
    state = {**encoder.state_dict(), "layer9.weight": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"layer9\.weight is not one of its parameters"):
        load_encoder_state(encoder, state, source="x.safetensors")
    state = {**encoder.state_dict(), "bn1.bias": torch.zeros(5)}
    with pytest.raises(ModelError, match=r"bn1\.bias has shape \(5,\)"):
        load_encoder_state(encoder, state, source="x.safetensors")


def test_unknown_encoders_and_sizes_are_refused() -> None:
    with pytest.raises(ParameterError, match="resnet18, resnet34, resnet50"):
        ResNet("resnet19", bands=2)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="at least 1 band"):
        ResNet("resnet18", bands=0)


def test_folding_normalisations_changes_nothing_but_rounding() -> None:
    torch.manual_seed(2)
    network = Segmenter(bands=2, classes=3, encoder="resnet50", width=0.125).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            (
                module.running_mean.normal_(0, 0.2),
                module.running_var.uniform_(0.5, 2),
                module.weight.data.uniform_(0.5, 1.5),
            )
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fused = fuse_batch_norm(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    x = torch.randn(1, 2, 64, 64)
    with torch.inference_mode():
        wanted = network(x)
        assert float((fused(x) - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items()), "the original changed"

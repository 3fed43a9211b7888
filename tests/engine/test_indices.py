"""Normalised differences inside a network: what they are, and the way of such a model through a bundle."""

from __future__ import annotations

import pytest
import torch

from engine.models.bundle import load_bundle, save_bundle
from engine.models.card import Card
from engine.models.exporting import export_onnx
from engine.models.indices import GAIN, PAIRS, Indices
from engine.models.segmenter import Segmenter

NAMES = ("B02", "B03", "B04", "B08", "B11", "B12")
MEAN, STD = (0.05, 0.08, 0.09, 0.25, 0.2, 0.15), (0.02, 0.03, 0.04, 0.1, 0.08, 0.06)


def made() -> Indices:
    return Indices(NAMES, MEAN, STD)


def test_they_are_differences_of_reflectance_behind_the_bands():
    rho = torch.rand((2, 6, 4, 5), generator=torch.Generator().manual_seed(0)) * 0.5 + 0.02
    mean, std = (torch.tensor(v).view(1, 6, 1, 1) for v in (MEAN, STD))
    given = (rho - mean) / std
    found = made()(given)
    assert found.shape == (2, 6 + len(PAIRS), 4, 5) and torch.equal(found[:, :6], given)
    for place, (a, b) in enumerate(PAIRS):
        first, second = rho[:, NAMES.index(a)], rho[:, NAMES.index(b)]
        torch.testing.assert_close(
            found[:, 6 + place], GAIN * (first - second) / (first + second), rtol=1e-4, atol=1e-4
        )


def test_they_do_not_change_with_brightness_and_stay_finite():
    mean, std = (torch.tensor(v).view(1, 6, 1, 1) for v in (MEAN, STD))
    rho = torch.full((1, 6, 1, 1), 0.2) * torch.tensor([1, 2, 3, 4, 5, 6.0]).view(1, 6, 1, 1)
    dim, bright = (made()((rho * f - mean) / std)[:, 6:] for f in (0.5, 1.5))
    torch.testing.assert_close(dim, bright, rtol=1e-4, atol=1e-4)
    odd = made()((torch.tensor([-0.02, 0.02, 0, 0, 0.0, 0]).view(1, 6, 1, 1) - mean) / std)
    assert bool(odd.isfinite().all()) and float(odd[:, 6:].abs().max()) <= 2 * GAIN


@pytest.mark.parametrize(("names", "count"), [(("B02", "B03", "B04", "B08"), 3), (("B03",), 0)])
def test_only_pairs_whose_bands_are_there(names, count):
    assert Indices(names, (0.1,) * len(names), (0.1,) * len(names)).count == count


def test_a_model_with_indices_goes_through_a_bundle_to_the_bit(tmp_path):
    torch.manual_seed(1)
    network = Segmenter(bands=6, classes=2, width=0.0625, indices=made()).eval()
    bands = [
        {"sensor": "s2", "name": n, "unit": "reflectance", "mean": m, "std": s}
        for n, m, s in zip(NAMES, MEAN, STD, strict=True)
    ]
    card = {
        "name": "with-indices", "title": "t", "licence": "l", "task": "landcover", "bands": bands, "gsd_m": [10, 10],
        "classes": [{"value": 10, "name": "a"}, {"value": 20, "name": "b"}], "activation": "softmax",
        "trained_on": [], "tile": 64, "overlap": 16,
    }  # fmt: skip
    bundle = save_bundle(tmp_path / "model", network, card)
    assert bundle.card.network.indices
    again = load_bundle(tmp_path / "model").network()
    x = torch.randn((1, 6, 64, 64), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.equal(network(x), again(x))
        plain = Segmenter(bands=6, classes=2, width=0.0625).eval()
        assert plain.encoder.conv1.weight.shape[1] == 6 and again.encoder.conv1.weight.shape[1] == 6 + len(PAIRS)
    pytest.importorskip("onnxruntime")
    assert export_onnx(bundle, tmp_path / "model.onnx").difference < 1e-3


def test_the_card_refuses_what_cannot_be():
    bands = [
        {"sensor": "s1", "name": n, "unit": "db", "mean": -10, "std": 3}
        for n in ("VV", "VH")
    ]  # fmt: skip
    card = {
        "name": "x", "title": "t", "licence": "l", "task": "flood", "bands": bands, "gsd_m": [10, 10],
        "classes": [{"value": 0, "name": "dry"}, {"value": 1, "name": "water"}], "activation": "softmax",
        "trained_on": [], "weights_sha256": "0" * 64, "engine_version": "1", "network": {"indices": True},
    }  # fmt: skip
    with pytest.raises(ValueError, match="indices are for a resnet-unet of bands of s2"):
        Card.model_validate(card)

"""The segmentation network: output size, independence of pixels far apart, learning."""

from __future__ import annotations

import pytest
import torch

from engine.models.names import EncoderName
from engine.models.segmenter import Segmenter


@pytest.mark.parametrize("encoder", ["resnet18", "resnet34", "resnet50"])
def test_one_logit_per_class_and_pixel(encoder: EncoderName) -> None:
    network = Segmenter(bands=4, classes=3, encoder=encoder, width=0.125).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 4, 64, 96)).shape == (2, 3, 64, 96)
    again = Segmenter(**network.settings())
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in network.state_dict().items()}
    assert all(key.startswith(("encoder.", "decoder.", "head.")) for key in network.state_dict())


def test_items_of_a_batch_do_not_mix() -> None:
    torch.manual_seed(0)
    network = Segmenter(bands=2, classes=2, width=0.125).eval()
    x = torch.randn(3, 2, 64, 64)
    with torch.inference_mode():
        together = network(x)
        alone = torch.cat([network(item[None]) for item in x])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_the_finest_skip_reaches_the_output() -> None:
    """A single changed pixel changes the answer next to it more than far from it."""
    torch.manual_seed(0)
    network = Segmenter(bands=1, classes=1, width=0.25).eval()
    x = torch.randn(1, 1, 256, 256)
    y = x.clone()
    y[0, 0, 128, 128] += 5
    with torch.inference_mode():
        change = (network(y) - network(x)).abs()[0, 0]
    assert float(change[120:136, 120:136].mean()) > 10 * float(change[:32, :32].mean())


def test_it_learns() -> None:
    torch.manual_seed(0)
    network = Segmenter(bands=1, classes=1, width=0.125)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)
    field = torch.nn.functional.interpolate(torch.randn(4, 1, 8, 8), scale_factor=8, mode="bilinear")
    x, wanted = field + 0.3 * torch.randn(4, 1, 64, 64), (field > 0).float()
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]

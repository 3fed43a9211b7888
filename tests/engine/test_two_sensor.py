"""Two sensors in one network, one of which may be missing; embedders of pretraining."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.losses.dense import dense_info_nce
from engine.models.losses.infonce import info_nce
from engine.models.projection import DenseHead, DualEncoder, Embedder, ProjectionHead, pooled
from engine.models.resnet import ResNet
from engine.models.two_sensor import TwoSensorSegmenter


def scenes(n: int = 3, size: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, size, size, generator=generator), torch.randn(n, 4, size, size, generator=generator)


@pytest.fixture
def network() -> TwoSensorSegmenter:
    torch.manual_seed(1)
    made = TwoSensorSegmenter(s1_bands=2, s2_bands=4, classes=3, width=0.125)
    with torch.no_grad():  # running statistics that are not those of a new network
        made.train()
        made(*scenes(4))
    return made.eval()


S1 = torch.tensor([True, True, False])
S2 = torch.tensor([True, False, True])
GARBAGE = [0.0, 1e6, -1e30, math.nan, math.inf]


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize("training", [False, True])
def test_values_of_a_missing_sensor_never_reach_the_result(
    network: TwoSensorSegmenter, value: float, training: bool
) -> None:
    network.train(training)
    state = {key: v.clone() for key, v in network.state_dict().items()}
    s1, s2 = scenes()
    outcomes = []
    for filling in (0.5, value):
        network.load_state_dict(state)
        network.zero_grad()
        a, b = s1.clone(), s2.clone()
        a[~S1], b[~S2] = filling, filling
        logits = network(a, b, S1, S2)
        logits.square().mean().backward()
        gradients = [p.grad.clone() for p in network.parameters()]
        outcomes.append([logits.detach(), *gradients, *(v.clone() for v in network.state_dict().values())])
    for one, other in zip(*outcomes, strict=True):
        assert torch.equal(one, other)
    assert torch.isfinite(outcomes[1][0]).all()


def test_an_image_is_mapped_alike_whatever_its_neighbours_lack(network: TwoSensorSegmenter) -> None:
    s1, s2 = scenes()
    with torch.inference_mode():
        mixed = network(s1, s2, S1, S2)
        both, only1, only2 = network(s1[:1], s2[:1]), network(s1=s1[1:2]), network(s2=s2[2:])
        torch.testing.assert_close(mixed, torch.cat([both, only1, only2]), rtol=1e-4, atol=1e-4)
        none = torch.zeros(3, dtype=torch.bool)
        torch.testing.assert_close(network(s1, s2, None, none), network(s1), rtol=1e-4, atol=1e-4)
        for other in (network(s1), network(s2=s2)):
            assert float((network(s1, s2) - other).abs().max()) > 1e-2, "a sensor does not count"
        assert torch.isfinite(network(s1, s2, none, none)).all()


def test_pixels_under_cloud_are_told_by_the_other_sensor(network: TwoSensorSegmenter) -> None:
    s1, s2 = scenes(1, 128)
    clear = torch.ones(1, 1, 128, 128, dtype=torch.bool)
    clear[..., 64:] = False
    with torch.inference_mode():
        a = network(s1, s2, None, clear)
        s2[..., 64:] = math.nan
        assert torch.equal(network(s1, s2, None, clear), a)
        assert float((a - network(s1)).abs()[..., :32].max()) > 1e-2, "what S2 sees does not count"
        # A sensor that sees the whole image is no different from one whose mask says so.
        assert torch.equal(network(s1, None, torch.ones(1, 1, 128, 128, dtype=torch.bool)), network(s1))


def test_normalisations_see_present_images_alone(network: TwoSensorSegmenter) -> None:
    s1, s2 = scenes()
    one, two = (TwoSensorSegmenter(s1_bands=2, s2_bands=4, classes=3, width=0.125) for _ in range(2))
    for made in (one, two):
        made.load_state_dict(network.state_dict())
        made.train()
    with torch.no_grad():
        one(s1, s2, S1, S2)
        two.s1(s1[S1])
    torch.testing.assert_close(one.s1.bn1.running_mean, two.s1.bn1.running_mean)
    torch.testing.assert_close(one.s1.bn1.running_var, two.s1.bn1.running_var)


@pytest.mark.parametrize("given", ["s1", "s2", "both", "none"])
def test_every_parameter_gets_a_gradient(network: TwoSensorSegmenter, given: str) -> None:
    network.train()
    s1, s2 = scenes()
    none = torch.zeros(3, dtype=torch.bool)
    if given == "none":
        network(s1, s2, none, none).mean().backward()
    else:
        network(s1 if given != "s2" else None, s2 if given != "s1" else None).square().mean().backward()
    assert all(p.grad is not None for p in network.parameters())
    for sensor, encoder in (("s1", network.s1), ("s2", network.s2)):
        assert (float(encoder.conv1.weight.grad.abs().sum()) > 0) == (given in (sensor, "both"))


def test_sizes_and_settings(network: TwoSensorSegmenter) -> None:
    again = TwoSensorSegmenter(**network.settings())
    again.load_state_dict(network.state_dict())
    assert again.bands == 6 and again.settings() == network.settings()
    assert network(*scenes(2, 96)).shape == (2, 3, 96, 96)
    s1, s2 = scenes()
    for bad in ((None, None), (s1, s2[:2]), (s1, s2[..., :32])):
        with pytest.raises(ParameterError, match="Give Sentinel-1"):
            network(*bad)
    with pytest.raises(ParameterError, match="Validity must be bool"):
        network(s1, s2, S1.float())
    with pytest.raises(ParameterError, match="Validity must be bool"):
        network(s1, s2, S1[:2])


# ---------------------------------------------------------------------------------------------------- embedders


def test_heads_give_unit_length() -> None:
    assert torch.allclose(ProjectionHead(16, 32, 8)(torch.randn(5, 16) * 100).norm(dim=1), torch.ones(5))
    dense, head = DenseHead(16, 32, 8), ProjectionHead(16, 32, 8)
    head.load_state_dict({k: v.flatten(1) if v.ndim == 4 else v for k, v in dense.state_dict().items()})
    x = torch.randn(2, 16, 3, 4)
    flat = head(x.movedim(1, 3).reshape(-1, 16)).reshape(2, 3, 4, 8).movedim(3, 1)
    torch.testing.assert_close(dense(x), flat)


def test_pooling_leaves_missing_pixels_out() -> None:
    x = torch.randn(2, 5, 4, 4)
    valid = torch.zeros(2, 1, 128, 128, dtype=torch.bool)
    valid[0, :, :64] = True
    valid[0, :, 64:80, :32] = True  # half of the cell in row 2, column 0
    torch.testing.assert_close(
        pooled(x, valid)[0], (x[0, :, :2].sum((1, 2)) + x[0, :, 2, 0] / 2) / 8.5, rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(pooled(x, valid)[1], x[1].mean((1, 2)))
    torch.testing.assert_close(pooled(x, torch.ones_like(valid)), pooled(x))


def test_missing_pixels_do_not_reach_an_embedding() -> None:
    torch.manual_seed(0)
    embedder = Embedder(ResNet("resnet18", bands=2, width=0.125), dimensions=8, dense=True).eval()
    x, valid = scenes(2)[0], torch.rand(2, 1, 64, 64) > 0.3
    other = torch.where(valid, x, torch.full((), math.nan))
    with torch.inference_mode():
        a, b = embedder(x, valid), embedder(other, valid)
    assert torch.equal(a.pooled, b.pooled) and torch.equal(a.dense, b.dense)
    assert a.dense.shape == (2, 8, 4, 4)


def test_the_dense_head_sits_at_the_level_that_is_asked_for() -> None:
    torch.manual_seed(0)
    usual = Embedder(ResNet("resnet18", bands=2, width=0.125), dimensions=8, dense=True)
    for level, places in ((0, 32), (1, 16), (2, 8), (3, 4), (4, 2)):
        made = Embedder(ResNet("resnet18", bands=2, width=0.125), dimensions=8, dense=True, dense_level=level).eval()
        assert made(torch.zeros(1, 2, 64, 64)).dense.shape == (1, 8, places, places)
        assert made.state_dict().keys() == usual.state_dict().keys()
    with pytest.raises(ParameterError, match="levels 0 to 4, found 5"):
        Embedder(ResNet("resnet18", bands=2, width=0.125), dense=True, dense_level=5)


def test_pairs_are_learned_by_contrast() -> None:
    """A few steps on four pairs bring partners together, pooled and dense."""
    torch.manual_seed(0)
    encoders = [ResNet("resnet18", bands=bands, width=0.125) for bands in (2, 4)]
    model = DualEncoder(*encoders, dimensions=16, dense=True).train()
    s1, s2 = scenes(4)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    values = []
    for _ in range(25):
        one, two = model(s1, s2)
        loss = info_nce(one.pooled, two.pooled, temperature=0.2)
        dense = dense_info_nce(one.dense, two.dense, temperature=0.2)
        optimiser.zero_grad()
        (loss + dense).backward()
        optimiser.step()
        values.append((loss.item(), dense.item()))
    assert values[-1][0] < 0.25 * math.log(4) and values[-1][1] < 0.5 * values[0][1]
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(ParameterError, match="found 4 and 3"):
        model(s1, s2[:3])
    assert F.cosine_similarity(one.pooled, two.pooled).mean() > 0.5

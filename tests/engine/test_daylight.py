"""Other light: the closed form is the physics that it stands for, each sample has its own draw, the mask is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.training.daylight import Daylight, Reflectances, relit

BANDS = Reflectances(("B02", "B04", "B08"), (0.05, 0.1, 0.25), (0.03, 0.05, 0.1))


def squares(count=6, side=8):
    generator = torch.Generator().manual_seed(5)
    image = torch.randn((count, 3, side, side), generator=generator)
    valid = torch.rand((count, 1, side, side), generator=generator) > 0.2
    return image.masked_fill(~valid, 0.0), valid


@pytest.mark.parametrize(
    "light",
    [Daylight(brightness=0.4), Daylight(tint=0.3), Daylight(haze=0.05), Daylight(brightness=0.2, tint=0.1, haze=0.02)],
)
def test_it_is_a_factor_and_a_haze_on_reflectance(light):
    image, valid = squares()
    lit = relit(image, valid, BANDS, light, torch.Generator().manual_seed(1))
    assert bool((lit[~valid.expand_as(lit)] == 0).all())
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (BANDS.mean, BANDS.std))
    before, after = image * std + mean, lit * std + mean
    for sample in range(len(image)):
        seen = valid[sample, 0]
        hazes, factors = [], []
        for band, name in enumerate(BANDS.names):
            slope, shift = np.polyfit(before[sample, band][seen].numpy(), after[sample, band][seen].numpy(), 1)
            assert abs(math.log(slope)) <= light.brightness + light.tint + 1e-5
            factors.append(slope)
            hazes.append(shift / BANDS.scattering()[BANDS.names.index(name)])
        assert max(abs(h) for h in hazes) <= light.haze + 1e-5
        assert np.ptp(hazes) < 1e-4  # one haze for all bands
        if not light.tint:
            assert np.ptp(factors) < 1e-4


def test_haze_is_less_in_longer_wavelengths():
    assert BANDS.scattering()[0] == pytest.approx(1)
    assert list(BANDS.scattering()) == sorted(BANDS.scattering(), reverse=True)


def test_each_sample_has_its_own_light_and_the_same_generator_gives_the_same():
    image, valid = squares()
    first, again = (relit(image, valid, BANDS, Daylight(tint=0.3), torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first, again)
    ratios = {round(float((first[i] - first[i].mean()).std() / image[i].std()), 4) for i in range(len(image))}
    assert len(ratios) == len(image)


def test_none_is_none():
    assert not Daylight()
    image, valid = squares()
    assert torch.allclose(relit(image, valid, BANDS, Daylight(), torch.Generator()), image)

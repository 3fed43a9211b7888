"""Other light on an optical square: season, sun and air as an augmentation of reflectance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.sensors import SENTINEL2

_BLUE_NM = 492.4
_SLOPE = 1.5
"""Exponent of the scattering of haze with the wavelength: between clean air (4, Rayleigh) and cloud (0)."""


@dataclass(frozen=True, kw_only=True)
class Daylight:
    """How reflectance is varied, each sample by its own draw. ``brightness``: all bands times e^u, u even over
    ±brightness; ``tint``: each band times a factor of its own, drawn alike; ``haze``: up to so much reflectance added
    or taken off in blue, less with the wavelength."""

    brightness: float = 0.0
    tint: float = 0.0
    haze: float = 0.0

    def __bool__(self) -> bool:
        return self.brightness > 0 or self.tint > 0 or self.haze > 0


@dataclass(frozen=True)
class Reflectances:
    """The bands of a normalised image: standard names, means and standard deviations of their reflectance."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def scattering(self) -> tuple[float, ...]:
        """By band, what haze of 1 in blue adds: (492 nm / wavelength)^1.5."""
        lengths = [SENTINEL2.band(name).wavelength_nm or math.inf for name in self.names]
        return tuple((_BLUE_NM / length) ** _SLOPE for length in lengths)


def relit(image: Tensor, valid: Tensor, bands: Reflectances, daylight: Daylight, generator: torch.Generator) -> Tensor:
    """``image`` (N, bands, H, W), normalised reflectance, under other light; 0 where not ``valid`` (N, 1, H, W).

    With z = (ρ − mean) / std, the reflectance ρ·f + h is z·f + (mean·(f − 1) + h) / std. Draws come from ``generator``.
    """
    count, number = image.shape[:2]

    def even(columns: int) -> Tensor:
        drawn = torch.rand((count, columns), generator=generator, device=generator.device)
        return (2 * drawn - 1).to(image.device)

    mean, std, haze = (_row(values, image) for values in (bands.mean, bands.std, bands.scattering()))
    factor = (daylight.brightness * even(1) + daylight.tint * even(number)).exp()
    shift = (mean * (factor - 1) + daylight.haze * even(1) * haze) / std
    lit = image * factor[:, :, None, None].to(image.dtype) + shift[:, :, None, None].to(image.dtype)
    return lit.masked_fill(~valid, 0.0)


def _row(values: Sequence[float], image: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=image.device)[None]

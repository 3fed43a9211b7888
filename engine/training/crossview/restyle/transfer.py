"""Styles taken over from a tile without any training: its colours, and its texture by frequency.

Colour: the mean and covariance of the pixels become those of the tile, by the one linear map that moves colours least
(Pitié and Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping"). Texture: the amplitudes of the lowest
frequencies are taken from the tile and the phases kept (Yang and Soatto 2020, "FDA: Fourier Domain Adaptation"), and
the mean amplitude at every other radius is brought to the tile's: a bird's-eye view is smeared, a tile is sharp. Pure
torch, batched.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.device import off_apple

LOW = 0.03
"""Share of the spectrum's side, on either side of zero, that is taken over."""
GAIN = 3.0
"""Largest factor of an amplitude: noise is not made into texture."""
_EPS = 1e-4


class Unchanged(nn.Module):
    """The bird's-eye view as it is."""

    needs_style = False

    def forward(self, views: Tensor, mask: Tensor, style: Tensor) -> Tensor:
        return views * mask


class Colour(nn.Module):
    """Colours of ``style`` for ``views`` (both (N, 3, S, S) of 0…1); ``mask`` (N, 1, S, S) bool is what is seen."""

    needs_style = True

    def forward(self, views: Tensor, mask: Tensor, style: Tensor) -> Tensor:
        return colour_transfer(views, mask, style) * mask


class Texture(nn.Module):
    """Texture, then colours of ``style``."""

    needs_style = True

    def forward(self, views: Tensor, mask: Tensor, style: Tensor) -> Tensor:
        return colour_transfer(texture_transfer(views, mask, style), mask, style) * mask


def colour_transfer(views: Tensor, mask: Tensor, style: Tensor) -> Tensor:
    """``views`` whose seen pixels have the mean and covariance of all pixels of ``style``; 0…1. A view of one colour
    gets the style's mean."""
    mean, cov = _moments(views, mask)
    cov = cov + _EPS * torch.eye(3, dtype=cov.dtype, device=cov.device)  # of one colour: nothing to stretch
    mean_to, cov_to = _moments(style, torch.ones_like(style[:, :1], dtype=torch.bool))
    root = _power(cov, 0.5)
    back = _power(cov, -0.5)
    move = back @ _power(root @ cov_to @ root, 0.5) @ back
    flat = (views - mean[:, :, None, None]).flatten(2)
    return ((move @ flat).view_as(views) + mean_to[:, :, None, None]).clamp(0, 1)


def texture_transfer(views: Tensor, mask: Tensor, style: Tensor) -> Tensor:
    """``views`` with low frequencies of ``style`` and its mean amplitude at every radius of the spectrum; 0…1."""
    mean, _ = _moments(views, mask)
    filled = torch.where(mask, views, mean[:, :, None, None])
    ours, theirs = torch.fft.fft2(filled.float()), torch.fft.fft2(style.float())
    amplitude, wanted = ours.abs(), theirs.abs()
    side = views.shape[-1]
    steps = torch.fft.fftfreq(side, device=views.device)
    radius = (steps[:, None].square() + steps[None, :].square()).sqrt()
    ring = (radius * side).round().long().flatten()
    share = mask.float().mean((1, 2, 3)).clamp(min=0.05)[:, None, None]
    # What is not seen is flat and holds no amplitude: what is seen is measured by its own area.
    gain = (_per_ring(wanted, ring) * share.sqrt() / (_per_ring(amplitude, ring) + _EPS)).clamp(1 / GAIN, GAIN)
    changed = amplitude * gain.gather(2, ring.expand(*gain.shape[:2], -1)).view_as(amplitude)
    low = (steps[:, None].abs() <= LOW) & (steps[None, :].abs() <= LOW)
    low[0, 0] = False  # the mean is the colours' to move
    changed = torch.where(low, wanted * share[..., None].sqrt(), changed)
    return torch.fft.ifft2(torch.polar(changed, ours.angle())).real.to(views.dtype).clamp(0, 1)


def _per_ring(amplitude: Tensor, ring: Tensor) -> Tensor:
    """(N, 3, rings) mean of (N, 3, S, S) over each ring."""
    rings = int(ring.max()) + 1
    flat = amplitude.flatten(2)
    total = flat.new_zeros((*flat.shape[:2], rings)).index_add_(2, ring, flat)
    return total / torch.bincount(ring, minlength=rings).to(flat)


def _moments(images: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3) mean and (N, 3, 3) covariance of the pixels of (N, 3, S, S) where ``mask`` (N, 1, S, S) is true."""
    weights = mask.to(images.dtype).flatten(2)
    total = weights.sum(2).clamp(min=1)
    flat = images.flatten(2)
    mean = (flat * weights).sum(2) / total
    centred = (flat - mean[:, :, None]) * weights
    cov = centred @ centred.transpose(1, 2) / total[:, :, None]
    return mean, cov


def _power(cov: Tensor, exponent: float) -> Tensor:
    """A power of symmetric matrices (N, 3, 3) without negative values."""
    values, vectors = (x.to(cov.device) for x in torch.linalg.eigh(off_apple(cov.float())))
    return (vectors * values.clamp(min=1e-12).pow(exponent)[:, None, :]) @ vectors.transpose(1, 2)

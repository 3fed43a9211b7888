"""Masked normalised correlation of ring images over all turns at once, by the Fourier transform over azimuth.

Zero-normalised cross-correlation as in Padfield, Masked Object Registration in the Fourier Domain (IEEE TIP 2012), for
turns instead of shifts: mean and variance of the overhead image are those of the cells that the mask covers at each
turn, so that what the panorama does not see plays no part.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FLAT = 0.05
"""Share of an overhead image's variance below which the covered part counts as flat: there correlation is noise."""


@dataclass(frozen=True)
class TurningTemplate:
    """Spectra of templates (T, C, R, A) ready to be correlated: ``pattern`` of weights × normalised values, ``cover``
    of the weights, each weight summing to 1."""

    pattern: Tensor
    cover: Tensor
    sectors: int

    @classmethod
    def of(cls, values: Tensor, weights: Tensor) -> TurningTemplate:
        """``values`` and ``weights`` ≥ 0, both (T, C, R, A); values without weight have no influence."""
        pattern, cover = weighted(values, weights)
        return cls(torch.fft.rfft(pattern), torch.fft.rfft(cover), values.shape[-1])

    def mirrored(self) -> TurningTemplate:
        """Left and right of the sector 0 exchanged."""
        return TurningTemplate(self.pattern.conj(), self.cover.conj(), self.sectors)


def weighted(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """``values`` (…, R, A) and ``weights`` ≥ 0 → (weights × values normalised under them, the weights, each summing to
    1); values without weight have no influence."""
    total = weights.sum(dim=(-2, -1), keepdim=True).clamp(min=1e-9)
    share = weights / total
    centred = values - (share * values).sum(dim=(-2, -1), keepdim=True)
    spread = (share * centred * centred).sum(dim=(-2, -1), keepdim=True).sqrt()
    normal = torch.where(spread > 1e-6, centred / spread.clamp(min=1e-6), torch.zeros_like(centred))
    return share * normal, share


def normalised(values: Tensor) -> Tensor:
    """(…, R, A) overhead ring images, finite, less their mean and divided by their spread."""
    centred = values - values.mean(dim=(-2, -1), keepdim=True)
    return centred / centred.square().mean(dim=(-2, -1), keepdim=True).sqrt().clamp(min=1e-6)


@dataclass(frozen=True)
class TurningImages:
    """Spectra of overhead ring images (N, C, R, A): of the normalised values and of their squares."""

    values: Tensor
    squares: Tensor

    @classmethod
    def of(cls, values: Tensor) -> TurningImages:
        """``values`` (N, C, R, A), finite."""
        normal = normalised(values)
        return cls(torch.fft.rfft(normal), torch.fft.rfft(normal * normal))


def turned_correlation(template: TurningTemplate, images: TurningImages) -> Tensor:
    """(T, N, C, A) correlation, −1…1, of each template with each image: at the turn k the template's sector j lies on
    the image's sector j + k. Where the covered part of an image is flat it goes to 0."""

    def over(a: Tensor, b: Tensor) -> Tensor:
        return torch.fft.irfft(torch.einsum("tcrf,ncrf->tncf", a.conj().resolve_conj(), b), n=template.sectors)

    common, mean = over(template.pattern, images.values), over(template.cover, images.values)
    variance = over(template.cover, images.squares) - mean * mean
    return common / variance.clamp(min=FLAT).sqrt()


def standing_correlation(pattern: Tensor, cover: Tensor, images: Tensor) -> Tensor:
    """(Q, N, C) correlation without turning, what :func:`turned_correlation` gives at the turn 0: of ``pattern``
    (Q, C, R, A) and ``cover`` (Q, R, A; one for all channels) by :func:`weighted` with ``images`` (N, C, R, A) by
    :func:`normalised`. Three matrix products a channel, so that many are compared with many in a little time."""
    by_channel = images.flatten(2).movedim(1, 0)  # (C, N, cells)
    under = cover.flatten(1)
    common = pattern.flatten(2).movedim(1, 0) @ by_channel.transpose(1, 2)
    mean, square = under @ by_channel.transpose(1, 2), under @ by_channel.square().transpose(1, 2)
    return (common / (square - mean * mean).clamp(min=FLAT).sqrt()).movedim(0, 2)

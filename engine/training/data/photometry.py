"""Photometric changes of one sensor; every draw comes from the generator that is passed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import gammaincinv
from torch import Generator, Tensor

from engine.training.data.memory import room, whole

_RADIUS = 3
_LEVELS = 1 << 16
_CACHE_BYTES = 1 << 21
_SMALL = 1 << 15


@dataclass(frozen=True, kw_only=True)
class Photometry:
    """The aggressive list. ``gain``: factors per sample and band from 1 − g to 1 + g on the values' deviation from the
    mean; ``offset`` in standard deviations, ``common`` the same for all bands of a sample together; ``blur``:
    probability, with a spread of 0.3 to 1.3 pixels; ``drop``: probability that a band is set to its mean (never all);
    ``speckle``: probability of multiplied speckle of ``looks`` looks, for Sentinel-1 only."""

    gain: float = 0.2
    offset: float = 0.2
    common: float = 0.0
    blur: float = 0.5
    drop: float = 0.1
    speckle: float = 0.5
    looks: int = 8


@dataclass(frozen=True)
class Changes:
    """What was drawn for each of N samples: whether it gets speckle and is blurred, with which ``sigma`` in pixels;
    ``gain`` and ``offset`` (N, bands, 1, 1), both 0 for a band that is dropped."""

    speckled: Tensor
    blurred: Tensor
    sigma: Tensor
    gain: Tensor
    offset: Tensor

    def part(self, samples: slice) -> Changes:
        """Of these samples."""
        return Changes(
            self.speckled[samples],
            self.blurred[samples],
            self.sigma[samples],
            self.gain[samples],
            self.offset[samples],
        )


def draw_changes(image: Tensor, settings: Photometry, generator: Generator, *, speckle: bool) -> Changes:
    """Changes for the samples of ``image`` (N, bands, H, W), on its device."""
    number, bands = image.shape[:2]

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device).to(image.device)

    speckled, blurred = rand(number), rand(number)
    sigma = 0.3 + rand(number)
    gain = 1 + settings.gain * (2 * rand(number, bands) - 1)
    offset = settings.offset * (2 * rand(number, bands) - 1)
    draws = rand(number, bands)
    kept = draws >= settings.drop
    if bands == 1 or settings.drop <= 0:
        kept = torch.ones_like(kept)
    if settings.common > 0:
        offset = offset + settings.common * (2 * rand(number, 1) - 1)
    kept |= ~kept.any(dim=1, keepdim=True) & (draws == draws.amax(dim=1, keepdim=True))
    return Changes(
        (speckled < settings.speckle) & speckle,
        blurred < settings.blur,
        sigma,
        (gain * kept)[:, :, None, None].to(image.dtype),
        (offset * kept)[:, :, None, None].to(image.dtype),
    )


def photometry(
    image: Tensor,
    valid: Tensor,
    settings: Photometry,
    generator: Generator,
    *,
    db_std: Sequence[float] | None = None,
) -> Tensor:
    """``image`` (N, bands, H, W) normalised, changed by the aggressive list; 0 where not ``valid`` (N, 1, H, W).

    ``db_std``: the standard deviations in dB by which Sentinel-1 was normalised: with it speckle is multiplied in
    linear power, that is added in dB; None (Sentinel-2): no speckle.
    """
    drawn = draw_changes(image, settings, generator, speckle=db_std is not None)
    out = room(image.shape, image.dtype, image.device)
    many, whole_ones = len(image), whole(valid)
    if image.device.type == "cpu":  # a few at a time stay in the processor's cache
        many = max(1, _CACHE_BYTES // (image[:1].numel() * image.element_size()))
    for start in range(0, len(image), many):
        part = slice(start, start + many)
        out[part] = image[part]
        mask = None if all(whole_ones[part]) else valid[part]
        change(out[part], mask, drawn.part(part), settings, generator, db_std=db_std)
    return out


def change(
    image: Tensor,
    valid: Tensor | None,
    drawn: Changes,
    settings: Photometry,
    generator: Generator,
    *,
    db_std: Sequence[float] | None,
) -> None:
    """Change ``image`` in place as drawn: speckle, blur, gain, offset and dropped bands; 0 where not ``valid``
    (None: all is)."""
    if valid is not None:
        image.mul_(valid)
    if db_std is not None and settings.speckle > 0:
        rows = drawn.speckled.nonzero()[:, 0]
        if len(rows):
            image.index_add_(0, rows, _speckle(image[rows], settings.looks, db_std, generator))
            if valid is not None:
                image.mul_(valid)
    if settings.blur > 0:
        rows = drawn.blurred.nonzero()[:, 0]
        if len(rows) == len(image):
            _blur(image, valid, drawn.sigma, into=image)
        elif len(rows):
            part = image[rows]
            _blur(part, None if valid is None else valid[rows], drawn.sigma[rows], into=part)
            image.index_copy_(0, rows, part)
    image.mul_(drawn.gain).add_(drawn.offset)
    if valid is not None:
        image.mul_(valid)


@lru_cache(maxsize=8)
def _decibels(looks: int) -> Tensor:
    """10 log10 of the quantiles of speckle at 65536 equal steps of probability.

    The mean of L exponential intensities is gamma distributed with L looks and mean 1 (Goodman 1976); an even draw of
    one of its quantiles is a draw of it, to the resolution of the steps.
    """
    shares = (np.arange(_LEVELS) + 0.5) / _LEVELS
    return torch.from_numpy((10 * np.log10(gammaincinv(looks, shares) / looks)).astype(np.float32))


def _speckle(image: Tensor, looks: int, db_std: Sequence[float], generator: Generator) -> Tensor:
    """Speckle of ``looks`` looks in dB, in the units of ``image`` (n, bands, H, W): another for every value."""
    drawn = torch.randint(0, _LEVELS, (image.numel(),), generator=generator, device=generator.device)
    found = _decibels(looks).to(image.device).index_select(0, drawn.to(image.device)).view(image.shape)
    spread = torch.tensor(list(db_std), device=image.device).view(1, -1, 1, 1)
    return found.div_(spread).to(image.dtype)


def _blur(image: Tensor, valid: Tensor | None, sigma: Tensor, *, into: Tensor) -> None:
    """``into`` becomes ``image`` (n, bands, H, W), 0 where not ``valid`` (None: all is), blurred over valid pixels by a
    Gaussian, each sample by its own ``sigma`` (n,) in pixels."""
    at = torch.arange(_RADIUS + 1, device=image.device, dtype=torch.float32)
    kernels = torch.exp(-0.5 * (at / sigma.float()[:, None]) ** 2)
    kernels = torch.where(kernels > 1e-3, kernels, torch.zeros_like(kernels))
    kernels = (kernels / (2 * kernels.sum(1, keepdim=True) - kernels[:, :1])).to(image.dtype)
    taps: list[float | Tensor] = [tap[:, None, None, None] for tap in kernels.unbind(1)]
    # Beyond the edges there is nothing valid either: the blurred mask takes care of both.
    if valid is None:
        rows, cols = (_spread(image.new_ones((len(image), 1, n, 1)), taps, -2) for n in image.shape[-2:])
        weight = rows * cols.transpose(-1, -2)
    else:
        weight = _spread(_spread(valid.to(image.dtype), taps, -2), taps, -1)
    weight.clamp_min_(1e-6)
    if image.device.type != "cpu" or image[0].numel() < _SMALL:
        torch.div(_spread(_spread(image, taps, -2), taps, -1), weight, out=into)
        return
    for number, kernel in enumerate(kernels.tolist()):  # times a plain number and added is one pass over the memory
        own, one = [float(tap) for tap in kernel if tap], slice(number, number + 1)
        torch.div(_spread(_spread(image[one], own, -2), own, -1), weight[one], out=into[one])


def _spread(x: Tensor, taps: Sequence[float | Tensor], dim: int) -> Tensor:
    """``x`` (n, C, H, W) convolved along ``dim`` with a symmetric kernel, given from the middle outwards: numbers, or
    tensors (n, 1, 1, 1), one for each sample; 0 beyond the edges."""
    length = x.shape[dim]
    total = x * taps[0]
    for far, tap in enumerate(taps[1:length], start=1):
        for start, source in ((far, 0), (0, far)):
            to, add = total.narrow(dim, start, length - far), x.narrow(dim, source, length - far)
            if isinstance(tap, Tensor):
                to.add_(add * tap)
            else:
                to.add_(add, alpha=tap)
    return total

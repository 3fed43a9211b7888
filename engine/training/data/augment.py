"""Augmentations of batches on any device; every draw comes from the generator that is passed in.

A batch is what :meth:`engine.training.data.dataset.PairDataset.batch` gives. Geometry is joint: all sensors, their
validity and the labels of a sample are cut, turned and mirrored the same way. Photometric changes act on one sensor.
Invalid pixels stay 0 and never enter a neighbour's value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Batch = dict[str, Tensor]
_LABELS = ("label",)
_IMAGES = ("s1", "s2")
_RADIUS = 3
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """``area``: share of the square that is cut, drawn evenly between the two, then brought to ``size`` pixels;
    (1, 1) with the same size cuts nothing. ``size`` None: the size that comes in. With ``window`` the cut has exactly
    ``size`` pixels at a place drawn at random, and nothing is resampled. ``flips``, ``turns``: mirrored, turned by 90°
    steps, all eight equally likely when both are on."""

    size: int | None = None
    area: tuple[float, float] = (1.0, 1.0)
    window: bool = False
    flips: bool = True
    turns: bool = True


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


AGGRESSIVE = Geometry(area=(0.2, 1.0))


def joint_geometry(batch: Batch, geometry: Geometry, generator: Generator) -> Batch:
    """The batch with every sample cut, mirrored and turned by its own draw, all its layers alike.

    Images are resampled bilinearly over valid pixels (where the size changes), validity and labels by the nearest
    pixel. Other keys pass through. Raises ValueError for a square that is smaller than the window.
    """
    images = [key for key in _IMAGES if key in batch]
    first = batch[images[0]]
    number, side = first.shape[0], first.shape[-1]
    size = geometry.size or side
    if geometry.window and size > side:
        raise ValueError(f"A window of {size} pixels cannot be cut from squares of {side}.")
    uniform = torch.rand((number, 3), generator=generator, device=generator.device).tolist()
    codes = torch.randint(0, 8, (number,), generator=generator, device=generator.device).tolist()
    plans = []
    for (area, down, right), code in zip(uniform, codes, strict=True):
        if geometry.window:
            cut = size
        else:
            low, high = geometry.area
            cut = max(1, min(side, round(side * (low + (high - low) * area) ** 0.5)))
        row, col = int(down * (side - cut + 1)), int(right * (side - cut + 1))
        plans.append((min(row, side - cut), min(col, side - cut), cut, code))
    out = dict(batch)
    for key in images:
        valid = batch[f"{key}_valid"]
        done = [_image(batch[key][i], valid[i], *plan[:3], size) for i, plan in enumerate(plans)]
        out[key] = torch.stack([_turn(x, plan[3], geometry) for (x, _), plan in zip(done, plans, strict=True)])
        out[f"{key}_valid"] = torch.stack(
            [_turn(v, plan[3], geometry) for (_, v), plan in zip(done, plans, strict=True)]
        )
    for key in _LABELS:
        if key in batch:
            cuts = [_nearest(batch[key][i][None], *plan[:3], size)[0] for i, plan in enumerate(plans)]
            out[key] = torch.stack([_turn(x, plan[3], geometry) for x, plan in zip(cuts, plans, strict=True)])
    return out


def _nearest(layer: Tensor, row: int, col: int, cut: int, size: int) -> Tensor:
    part = layer[..., row : row + cut, col : col + cut]
    if cut == size:
        return part
    at = ((torch.arange(size, device=layer.device) + 0.5) * (cut / size)).long().clamp_(max=cut - 1)
    return part[..., at, :][..., at]


def _image(image: Tensor, valid: Tensor, row: int, col: int, cut: int, size: int) -> tuple[Tensor, Tensor]:
    part = image[..., row : row + cut, col : col + cut]
    mask = valid[..., row : row + cut, col : col + cut]
    if cut == size:
        return part, mask
    kept = _nearest(valid, row, col, cut, size)
    if bool(mask.all()):
        part = part[None]
        return F.interpolate(part, size=(size, size), mode="bilinear", align_corners=False, antialias=cut > size)[
            0
        ], kept
    weight = mask.to(image.dtype)
    both = torch.cat([part * weight, weight])[None]
    both = F.interpolate(both, size=(size, size), mode="bilinear", align_corners=False, antialias=cut > size)[0]
    return torch.where(kept, both[:-1] / both[-1:].clamp_min(1e-6), torch.zeros_like(both[:-1])), kept


def _turn(layer: Tensor, code: int, geometry: Geometry) -> Tensor:
    """One of the eight symmetries of the square: ``code`` bit 0 mirrors, bits 1 and 2 are quarter turns."""
    if geometry.flips and code & 1:
        layer = layer.flip(-1)
    if geometry.turns and code >> 1:
        layer = layer.rot90(code >> 1, (-2, -1))
    return layer


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
    if image.device.type == "cpu" and image.shape[0] > _AT_ONCE:  # a few at a time stay in the processor's cache
        parts = zip(image.split(_AT_ONCE), valid.split(_AT_ONCE), strict=True)
        return torch.cat([photometry(x, v, settings, generator, db_std=db_std) for x, v in parts])
    number, bands = image.shape[:2]

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device).to(image.device)

    if settings.speckle > 0 and db_std is not None:
        chosen = rand(number) < settings.speckle
        if bool(chosen.any()):
            image = image.clone()
            image[chosen] += _speckle(image[chosen], settings.looks, db_std, rand)
    if settings.blur > 0:
        image = _blur(image, valid, rand(number) < settings.blur, 0.3 + rand(number))
    if settings.gain > 0:
        image = image * (1 + settings.gain * (2 * rand(number, bands, 1, 1) - 1)).to(image.dtype)
    if settings.offset > 0:
        image = image + (settings.offset * (2 * rand(number, bands, 1, 1) - 1)).to(image.dtype)
    if settings.common > 0:
        image = image + (settings.common * (2 * rand(number, 1, 1, 1) - 1)).to(image.dtype)
    if settings.drop > 0 and bands > 1:
        draws = rand(number, bands)
        dropped = draws < settings.drop
        dropped &= ~(dropped.all(dim=1, keepdim=True) & (draws == draws.amax(dim=1, keepdim=True)))
        image = image.masked_fill(dropped[:, :, None, None], 0.0)
    return image if bool(valid.all()) else image * valid


def _speckle(image: Tensor, looks: int, db_std: Sequence[float], rand: Callable[..., Tensor]) -> Tensor:
    """Speckle in dB, in the units of ``image``: the mean of L exponential intensities is gamma distributed, with L
    looks and mean 1; their sum is minus the logarithm of the product of L uniform numbers."""
    product = torch.ones(image.shape, device=image.device)
    for _ in range(looks):
        product *= rand(*image.shape).clamp_min_(1e-7)
    power = torch.log(product.clamp_min_(1e-38)).mul_(-1 / looks).clamp_min_(1e-6)
    spread = torch.tensor(list(db_std), device=image.device).view(1, -1, 1, 1)
    return (10 * torch.log10(power) / spread).to(image.dtype)


def _blur(image: Tensor, valid: Tensor, chosen: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of the ``chosen`` samples over valid pixels, each with its own ``sigma`` in pixels."""
    if not bool(chosen.any()):
        return image
    x, mask = image[chosen], valid[chosen].to(image.dtype)
    at = torch.arange(-_RADIUS, _RADIUS + 1, device=image.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (at[None] / sigma[chosen].float()[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).to(image.dtype)
    # Beyond the edges there is nothing valid either: the blurred mask takes care of both.
    weight = _spread(mask, kernel).clamp_min_(1e-6)
    out = image.clone()
    out[chosen] = _spread(x * mask, kernel).div_(weight).mul_(mask)
    return out


def _spread(x: Tensor, kernel: Tensor) -> Tensor:
    """``x`` (N, C, H, W) convolved along rows and columns with the ``kernel`` (N, taps) of its sample."""
    for dim in (-2, -1):
        length = x.shape[dim]
        padded = F.pad(x, (0, 0, _RADIUS, _RADIUS) if dim == -2 else (_RADIUS, _RADIUS, 0, 0))
        total = torch.zeros_like(x)
        for tap in range(kernel.shape[1]):
            total.addcmul_(padded.narrow(dim, tap, length), kernel[:, tap, None, None, None])
        x = total
    return x


def aggressive_view(
    batch: Batch,
    sensor: str,
    generator: Generator,
    *,
    geometry: Geometry = AGGRESSIVE,
    settings: Photometry | None = None,
    db_std: Sequence[float] | None = None,
) -> tuple[Tensor, Tensor]:
    """One view of one sensor by the whole list, and its validity: what SimCLR and MoCo draw twice of each sample."""
    alone = {sensor: batch[sensor], f"{sensor}_valid": batch[f"{sensor}_valid"]}
    seen = joint_geometry(alone, geometry, generator)
    valid = seen[f"{sensor}_valid"]
    chosen = settings or Photometry()
    return photometry(seen[sensor], valid, chosen, generator, db_std=db_std if sensor == "s1" else None), valid

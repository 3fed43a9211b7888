"""Reduced squares: what ground looks like at a coarser pixel, as an augmentation."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.training.symmetry import turned

Batch = dict[str, Tensor]
_IMAGES = ("s1", "s2")


def shrunk(batch: Batch, otherwise: Batch, scale: float, shrink: float, generator: torch.Generator) -> Batch:
    """``otherwise`` (the batch as it was varied at a scale of 1 … ``scale``) with some samples taken from ``batch``,
    reduced by 1 … ``shrink``, mirrored and turned.

    Factors are even in their logarithm over 1/``shrink`` … ``scale`` as a whole: so log ``shrink`` of log ``shrink`` +
    log ``scale`` of the samples are reduced. A reduced square is continued by its mirror images, labels alike, so that
    no pixel is empty.
    """
    share = math.log(shrink) / (math.log(shrink) + math.log(scale))
    count, side = len(batch["label"]), batch["label"].shape[-1]
    drawn = torch.rand((2, count), generator=generator, device=generator.device).cpu()
    layers = [name for name, value in batch.items() if value.ndim >= 3]
    rows = [i for i in range(count) if float(drawn[0, i]) < share]
    if not rows:
        return otherwise
    small = {name: batch[name][rows].clone() for name in layers}
    for place, row in enumerate(rows):
        size = max(8, round(side * math.exp(-float(drawn[1, row]) * math.log(shrink))))
        if size < side:
            one = _reduced({name: batch[name][row] for name in layers}, size)
            for name in layers:
                small[name][place] = one[name]
    small = turned(small, layers, generator)
    at = torch.tensor(rows, device=batch["label"].device)
    return {n: otherwise[n].index_copy(0, at, small[n]) if n in small else otherwise[n] for n in otherwise}


def _reduced(sample: Batch, size: int) -> Batch:
    """Layers (…, side, side) of one sample, reduced to ``size`` and mirrored to ``side`` again: images by means over
    valid pixels, others by the nearest pixel."""
    side = sample["label"].shape[-1]
    at = torch.arange(side, device=sample["label"].device)
    middle = ((torch.arange(size, device=at.device) + 0.5) * side / size).long()
    fold = at % (2 * size)
    mirror = torch.where(fold < size, fold, 2 * size - 1 - fold)
    nearest = middle[mirror]
    out = {}
    for name, layer in sample.items():
        if name not in _IMAGES:
            out[name] = layer[..., nearest[:, None], nearest]
            continue
        valid = sample[f"{name}_valid"].to(layer.dtype)
        weight = _smaller(valid, size).clamp_min(1e-6)
        mean = _smaller(layer * valid, size) / weight
        out[name] = mean[..., mirror[:, None], mirror] * sample[f"{name}_valid"][..., nearest[:, None], nearest]
    return out


def _smaller(layer: Tensor, size: int) -> Tensor:
    """(bands, side, side) → (bands, size, size), each pixel the mean of what it covers."""
    found: Tensor = F.interpolate(layer[None], size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return found[0]

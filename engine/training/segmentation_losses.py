"""Objectives of segmentation over labelled pixels: cross entropy, focal loss, Dice."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.training.data.items import IGNORE

FOCUS = 2.0
HEAVIEST = 10.0
"""Largest ratio of the weights of two classes."""


def cross_entropy(
    logits: Tensor, label: Tensor, *, weights: Tensor | None = None, focus: float = 0.0, smoothing: float = 0.0
) -> Tensor:
    """Mean over the labelled pixels of weight × (1 − p)^``focus`` × −log p, p the probability of the right class.

    ``logits`` (N, classes, H, W), ``label`` (N, H, W) int64, −1 where there is none; ``weights`` by class, the mean is
    weighted. ``focus`` 0 is cross entropy, 2 the focal loss of Lin et al. (2017), equation 4. ``smoothing`` of the
    label is spread over all classes (Szegedy et al. 2016, section 7). 0, with gradients of 0, without a labelled pixel.
    """
    logits = logits.float()
    known = label != IGNORE
    every = F.log_softmax(logits, dim=1)
    log_p = every.gather(1, label.clamp(min=0)[:, None])[:, 0]
    scale = known.to(log_p.dtype) if weights is None else weights.to(log_p.dtype)[label.clamp(min=0)] * known
    losses = -log_p * scale
    if focus > 0:
        losses = losses * (1 - log_p.exp()).clamp(min=0) ** focus
    if smoothing > 0:
        losses = (1 - smoothing) * losses - smoothing * every.mean(1) * scale
    return losses.sum() / scale.sum().clamp(min=torch.finfo(losses.dtype).tiny)


def dice(logits: Tensor, label: Tensor, *, smooth: float = 1.0) -> Tensor:
    """1 − Dice of the probabilities (Milletari et al. 2016, V-Net, with p and not p² below the line), over the labelled
    pixels of the batch, mean over the classes that occur in it; 0 without a labelled pixel."""
    logits = logits.float()
    known = (label != IGNORE)[:, None].to(logits.dtype)
    p = F.softmax(logits, dim=1) * known
    truth = F.one_hot(label.clamp(min=0), logits.shape[1]).movedim(3, 1).to(logits.dtype) * known
    axes = (0, 2, 3)
    score = (2 * (p * truth).sum(axes) + smooth) / (p.sum(axes) + truth.sum(axes) + smooth)
    present = (truth.sum(axes) > 0).to(logits.dtype)
    return ((1 - score) * present).sum() / present.sum().clamp(min=1)


def class_weights(counts: dict[int, int], classes: int) -> Tensor:
    """Weights by the square root of the classes' rarity, mean 1 over the classes that occur; 1 for others.

    A class with less than a hundredth of the commonest one's pixels weighs as one with a hundredth: no class weighs
    more than :data:`HEAVIEST` times what another does, for a handful of pixels must not rule a batch.
    """
    numbers = torch.tensor([float(counts.get(c, 0)) for c in range(classes)], dtype=torch.float64)
    present = numbers > 0
    if not bool(present.any()):
        return torch.ones(classes)
    weights = numbers.clamp(min=float(numbers.max()) / HEAVIEST**2).rsqrt()
    return torch.where(present, weights / weights[present].mean(), torch.ones(()).double()).float()

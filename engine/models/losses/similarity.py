"""What the losses share: checked, normalised embeddings and the cross entropy of one positive among many."""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.losses.scale import check_temperature


def unit_pair(a: Tensor, b: Tensor, temperature: float | Tensor) -> tuple[Tensor, Tensor]:
    """Rows of ``a`` and ``b`` (both (N, D)) at unit length, at least float32. Raises ParameterError on other shapes."""
    check_temperature(temperature)
    if a.shape != b.shape or a.ndim != 2:
        raise ParameterError(
            f"Paired embeddings must have one shape (N, D), found {tuple(a.shape)} and {tuple(b.shape)}."
        )
    return unit(a), unit(b)


def unit(x: Tensor) -> Tensor:
    """Rows at unit length in float32, or float64 if they were; a row of zeros stays."""
    return F.normalize(x if x.dtype == torch.float64 else x.float(), dim=1)


def full_precision(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Autocast switched off: similarities divided by a small temperature do not bear half precision."""
    return torch.autocast(x.device.type, enabled=False)


def picked(logits: Tensor, positives: Tensor) -> Tensor:
    """(n,) cross entropy of each row of ``logits`` (n, m) with the column ``positives`` (n,)."""
    return F.cross_entropy(logits, positives, reduction="none")


def numbered(count: int, start: int, like: Tensor) -> Tensor:
    """``start`` … ``start + count − 1`` on the device of ``like``."""
    return torch.arange(start, start + count, device=like.device)

"""Room for the tensors of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_PLAIN = {torch.float32: np.dtype(np.float32), torch.bool: np.dtype(np.bool_), torch.int64: np.dtype(np.int64)}


def room(shape: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
    """An uninitialised tensor. On a processor numpy makes it: it asks the system for large pages, and a tensor of
    50 MB that is made anew every step is filled in a quarter of the time."""
    if torch.device(device).type == "cpu" and dtype in _PLAIN:
        return torch.from_numpy(np.empty(tuple(shape), _PLAIN[dtype]))
    return torch.empty(tuple(shape), dtype=dtype, device=device)


def whole(valid: Tensor) -> list[bool]:
    """Of each sample of ``valid`` (N, 1, H, W) bool whether all its pixels are valid."""
    if valid.device.type == "cpu":  # torch reads a byte at a time
        return [bool(one.all()) for one in valid.numpy()]
    return [bool(one) for one in valid.flatten(1).all(1).tolist()]

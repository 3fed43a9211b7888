"""New arrays that are cheap to touch for the first time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def fresh(shape: Sequence[int], *, device: torch.device) -> Tensor:
    """float32 tensor of any values.

    On processors numpy makes it: numpy asks the system for large pages, torch does not, and writing 40 MB for the first
    time took 21 ms instead of 4 ms, more than any arithmetic on them.
    """
    if device.type != "cpu":
        return torch.empty(tuple(shape), device=device)
    return torch.from_numpy(np.empty(tuple(shape), np.float32))

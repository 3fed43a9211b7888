"""The moving average of a network's weights (Polyak and Juditsky 1992; with the warm-up of the decay usual since)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.errors import ParameterError


class MovingAverage:
    """Average of every floating parameter and buffer of ``module``: after update n (from 0) the old average counts
    min(``decay``, (1 + n) / (10 + n)). Whole-number buffers are copied."""

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ParameterError(f"The decay of a moving average must be at least 0 and below 1, found {decay}.")
        self.decay = decay
        self.updates = 0
        self.values = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take the weights of ``module``, after a step of the optimiser."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, value in module.state_dict().items():
            mine = self.values[name]
            if mine.is_floating_point():
                mine.lerp_(value.to(mine.dtype), 1 - decay)
            else:
                mine.copy_(value)

    def load(self, values: Mapping[str, Tensor], updates: int) -> None:
        """Continue from a checkpoint."""
        self.updates = updates
        for name, mine in self.values.items():
            mine.copy_(values[name])

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """``module`` with the averaged weights inside the block, with its own afterwards."""
        own = {name: value.detach().clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.values)
        try:
            yield
        finally:
            module.load_state_dict(own)

"""The learning rate over a run: linear warm-up, then a half cosine (Loshchilov and Hutter 2017, SGDR)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Factor of the base rate by step, a pure function, so that a resumed run needs no state of it.

    ``steps`` of the whole run; the first ``warmup`` climb linearly (step 0 has 1/``warmup``); the rest fall along a
    half cosine from 1 to ``floor``, which the last step reaches.
    """

    steps: int
    warmup: int = 0
    floor: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 <= self.warmup <= self.steps or not 0 <= self.floor <= 1:
            raise ParameterError(
                f"A schedule cannot have {self.steps} steps, {self.warmup} of warm-up and a floor of {self.floor}: "
                "expected at least 1 step, a warm-up no longer than the run and a floor of 0 to 1."
            )

    def factor(self, step: int) -> float:
        """The factor (0…1) at ``step`` (from 0)."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / max(1, self.steps - self.warmup - 1))
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done))

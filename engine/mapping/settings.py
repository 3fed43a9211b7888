"""How a network is run over a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from engine.errors import ParameterError
from engine.mapping.network import Precision
from engine.mapping.precision import Activation, Judged

Nodata = Literal["all", "any"]


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How a network is run over a scene.

    ``tile`` and ``overlap`` are in pixels; ``mean`` and ``std`` per band normalise the input (None: used as it is);
    missing values become the mean. ``validity`` adds a last input band, 1 where the output will not be missing, else
    0. A pixel is missing in the output, NaN in every class, exactly where ``nodata`` holds: "all" input bands missing,
    or "any" of them. ``batch`` None takes what suits the device. ``activation`` and ``temperature`` act on the blended
    logits; with ``logits`` only the temperature does, and ``activation`` is what the caller will do (by its result
    precisions are compared). ``judged``: what the caller makes of the answer, a probability or the likeliest class; a
    reduced precision must be equal enough for that. ``budget_bytes`` is for the arrays of a run; None never splits a
    scene into groups of columns.
    """

    tile: int = 512
    overlap: int = 64
    batch: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    validity: bool = False
    nodata: Nodata = "all"
    activation: Activation = "none"
    temperature: float = 1.0
    logits: bool = False
    precision: Precision = "auto"
    judged: Judged = "probabilities"
    budget_bytes: int | None = 1 << 30

    def __post_init__(self) -> None:
        faults = []
        if self.tile < 1 or not 0 <= self.overlap < self.tile:
            faults.append(f"tile {self.tile} and overlap {self.overlap} (expected 0 <= overlap < tile)")
        if self.batch is not None and self.batch < 1:
            faults.append(f"batch {self.batch} (expected at least 1)")
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            faults.append(f"mean {self.mean} and std {self.std} (expected one of each per band)")
        if not all(math.isfinite(m) for m in self.mean or ()):
            faults.append(f"mean {self.mean} (expected finite numbers)")
        if not all(math.isfinite(s) and s > 0 for s in self.std or ()):
            faults.append(f"std {self.std} (expected positive numbers)")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            faults.append(f"temperature {self.temperature} (expected a positive number)")
        if faults:
            raise ParameterError(f"Inference cannot run with {'; '.join(faults)}.")

    @property
    def stride(self) -> int:
        """Pixels from one tile to the next."""
        return self.tile - self.overlap

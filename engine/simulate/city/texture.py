"""A square of noise that repeats, looked up by place: the marks on walls, roofs, leaves and clouds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Window
from engine.simulate.noise import fractal_noise

FloatArray = NDArray[np.float32]
SIDE = 512


class Noise:
    """Smooth noise of variance about 1. ``at(x, y)`` takes pixels of the square and repeats it mirrored."""

    def __init__(self, seed: int, longest: int, shortest: int, gain: float = 0.6) -> None:
        self.values = fractal_noise(seed, Window(0, 0, SIDE, SIDE), longest, shortest, gain=gain)
        self._mirrored = np.block([[self.values, self.values[:, ::-1]], [self.values[::-1], self.values[::-1, ::-1]]])
        self._flat = np.ascontiguousarray(self._mirrored).ravel()

    def at(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> FloatArray:
        """The nearest values, float32."""
        c = np.floor(x).astype(np.int32) & (2 * SIDE - 1)
        r = np.floor(y).astype(np.int32) & (2 * SIDE - 1)
        return self._flat[(r << 10) | c]


@lru_cache(maxsize=1)
def grain() -> Noise:
    """The noise of surfaces: the same in every city, as gravel is."""
    return Noise(20261126, 16, 1, 0.8)


@lru_cache(maxsize=1)
def leafage() -> Noise:
    """The noise of leaves: clumps of eight pixels and what is between them."""
    return Noise(20261127, 8, 1, 0.9)

"""Random numbers of a city: one generator a stream, so that a change in one part leaves the others alone."""

from __future__ import annotations

import numpy as np

from engine.simulate.noise import derive

Dice = np.random.Generator


def dice(seed: int, *streams: int | str) -> Dice:
    """A generator for the stream named by ``streams``; the same on every call."""
    return np.random.Generator(np.random.SFC64(derive(seed, "city", *streams)))


def pick(rng: Dice, weights: dict[str, float]) -> str:
    """One of the keys of ``weights``, as likely as its share of the sum."""
    names = list(weights)
    shares = np.cumsum([weights[n] for n in names])
    return names[int(np.searchsorted(shares, rng.uniform(0, shares[-1]), side="right").clip(0, len(names) - 1))]

"""The likeliest heading of a photo, drawn between those that were tried: one rule for all that search and evaluate."""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 4
"""Headings round the circle from which on a parabola through three of them says something."""


def likeliest(table: Tensor, headings: Tensor) -> tuple[Tensor, Tensor]:
    """Greatest value of each row of ``table`` (N, Q), and the compass heading there, 0…360 degrees, of the ``headings``
    (Q,) that the columns stand for.

    Where they go evenly round the circle, as in 0°, 22.5°, 45° …, it is drawn between them: the top of the parabola
    through the greatest and its two neighbours. NaN goes through to the value.
    """
    best, at = table.max(dim=1)
    count = len(headings)
    step = 360.0 / count
    apart = (headings.diff() - step + 180.0) % 360.0 - 180.0
    if count < _LEAST or bool((apart.abs() > 1e-3).any()):
        return best, headings[at] % 360.0
    before, after = (table.gather(1, ((at + k) % count)[:, None])[:, 0] for k in (-1, 1))
    bend = (2 * best - before - after).clamp(min=1e-6)
    found = (headings[at] + step * ((after - before) / (2 * bend)).clamp(-0.5, 0.5)) % 360.0
    # What lies a rounding below north is north, not 360°.
    return best, torch.where(found < 360.0, found, torch.zeros_like(found))

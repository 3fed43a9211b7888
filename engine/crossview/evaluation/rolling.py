"""Panoramas turned by an angle that matching does not know, so that no method can profit from how they were stored."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from engine.panorama.view import PanoramaView


def rolled(pixels: Tensor, view: PanoramaView, *, seed: int, name: str) -> tuple[Tensor, PanoramaView, float]:
    """``pixels`` (…, W) of a full panorama rolled by a whole number of columns drawn from ``seed`` and ``name`` alone;
    the view that matching gets, whose heading is 0; and the true compass direction of the rolled image's centre.

    A part of a circle is not rolled: its columns have a beginning. Its view still loses the heading.
    """
    blind = replace(view, heading_deg=0.0)
    if not view.closed:
        return pixels, blind, view.heading_deg
    width = pixels.shape[-1]
    columns = int(draw(seed, name) * width)
    # Rolled to the right, the centre shows what stood further left.
    return torch.roll(pixels, columns, dims=-1), blind, (view.heading_deg - 360.0 * columns / width) % 360.0


def draw(seed: int, name: str) -> float:
    """A number in [0, 1) from a seed and a name, the same on every machine and in any order of the pairs."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56

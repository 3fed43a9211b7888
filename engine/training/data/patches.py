"""Patches of an item that share no pixel: queries and gallery of a search, where neighbours must be real strangers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.raster.grid import Window
from engine.training.data.statistics import SMALLEST_STD, BandStatistics


def patch_windows(height: int, width: int, side: int, *, stride: int | None = None) -> list[Window]:
    """Squares of ``side`` pixels wholly inside an image, row by row.

    Without ``stride`` as many as fit beside each other, evenly spread, so that none overlap; with it one every
    ``stride`` pixels, which overlap where it is less than ``side``. None where the image is smaller than a square.
    """

    def starts(length: int) -> list[int]:
        if length < side:
            return []
        if stride is not None:
            return list(range(0, length - side + 1, stride))
        count = length // side
        return [0] if count == 1 else [i * (length - side) // (count - 1) for i in range(count)]

    return [Window(row, col, side, side) for row in starts(height) for col in starts(width)]


def normalised_patches(
    image: NDArray[np.float32], windows: list[Window], statistics: BandStatistics
) -> tuple[Tensor, Tensor]:
    """(N, bands, side, side) float32 normalised by ``statistics``, 0 where a band is missing, and (N, 1, side, side)
    bool validity, of ``image`` (bands, rows, columns) with NaN where invalid: what a batch of training holds."""
    mean = np.asarray(statistics.mean, np.float64)[:, None, None]
    std = np.maximum(np.asarray(statistics.std, np.float64), SMALLEST_STD)[:, None, None]
    valid = np.asarray(np.isfinite(image).all(axis=0, keepdims=True))
    values = np.where(valid, (image - mean) / std, 0.0).astype(np.float32)
    cuts = [(slice(None), slice(w.row, w.row_stop), slice(w.col, w.col_stop)) for w in windows]
    if not cuts:
        empty = torch.empty((0, len(image), 0, 0))
        return empty, empty[:, :1].bool()
    return (
        torch.from_numpy(np.stack([values[cut] for cut in cuts])),
        torch.from_numpy(np.stack([valid[cut] for cut in cuts])),
    )

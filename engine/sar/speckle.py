"""Speckle: means and the refined Lee filter, on linear power, with missing values kept out.

Every filter here works on linear power (the mean of decibels is biased), treats NaN and everything outside the array
as missing, never as a value, and gives NaN exactly where the input pixel is NaN. A pixel depends only on the pixels
within :data:`REFINED_LEE_HALO`, or size // 2, of it: a strip read with that halo gives the same as the whole scene.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter, uniform_filter1d

FloatArray = NDArray[np.float32]

REFINED_LEE_HALO = 3
_SIDE = 7
# Blocks of this side are filtered one after another, so that the working arrays stay small.
_BLOCK = 512


def boxcar(power: NDArray[np.floating], size: int) -> FloatArray:
    """Mean linear power of the valid pixels in a ``size`` × ``size`` window (odd), (rows, columns) float32.

    NaN where the input is NaN; infinite values count as missing.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"The window's side must be odd and positive, not {size}.")
    valid = np.isfinite(power)
    filled = np.where(valid, power, 0).astype(np.float32)
    # The filter sums each line in double precision; running sums leave about 1e-16 of the largest value as noise.
    mean = uniform_filter(filled, size, mode="constant")
    if valid.all():
        across, down = (uniform_filter1d(np.ones(n, np.float32), size, mode="constant") for n in power.shape[::-1])
        mean /= across[None, :]
        mean /= down[:, None]
    else:
        share = uniform_filter(valid.astype(np.float32), size, mode="constant")
        np.divide(mean, share, out=mean, where=valid)
        mean[~valid] = np.nan
    return np.maximum(mean, 0, out=mean)


def estimate_looks(power: NDArray[np.floating], *, size: int = _SIDE) -> float:
    """Equivalent number of looks: mean² / variance of the most homogeneous areas, at least 1.

    The mode of the local squared coefficient of variation over ``size`` × ``size`` windows that are wholly valid:
    texture and edges only ever raise it, so that the lower flank of its distribution is speckle alone (Lee and Pottier,
    Polarimetric Radar Imaging, 2009, §5.2). Without one such window: 4.4, the looks of a Sentinel-1 IW GRD product.
    """
    valid = np.isfinite(power) & (power > 0)
    filled = np.where(valid, power, 0).astype(np.float64)
    share = uniform_filter(valid.astype(np.float64), size, mode="constant")
    mean = uniform_filter(filled, size, mode="constant")
    variance = uniform_filter(filled * filled, size, mode="constant") - mean * mean
    whole = share > 1 - 0.5 / size**2
    if not whole.any():
        return 4.4
    n = size * size
    variation = np.maximum(variance[whole] * n / (n - 1), 0) / mean[whole] ** 2
    if float(np.median(variation)) < 1e-9:
        return 1e9  # no speckle at all
    logs = np.log(np.maximum(variation, 1e-9))
    counts, edges = np.histogram(logs, bins=64)
    smooth = uniform_filter1d(counts.astype(np.float64), 5, mode="constant")
    top = int(np.argmax(smooth))
    return max(1.0, 1.0 / math.exp(0.5 * (edges[top] + edges[top + 1])))


def refined_lee(power: NDArray[np.floating], looks: float | None = None) -> FloatArray:
    """Refined Lee filter of linear power, (rows, columns) float32; mean, edges and points kept, speckle reduced.

    In a 7 × 7 window the strongest of four gradients between 3 × 3 means finds the edge; of its two sides the one
    nearer to the centre's own 3 × 3 mean is the half window (28 pixels) whose mean and variance enter the linear
    minimum-mean-square-error estimate (J.-S. Lee, Refined filtering of image noise using local statistics, 1981;
    Lee and Pottier 2009, §5.3). ``looks``: equivalent number of looks; None estimates it from ``power``, which a
    strip-wise caller should do once for the scene. Missing pixels leave the sums; NaN only where the input is NaN.
    """
    looks = estimate_looks(power) if looks is None else looks
    if not looks > 0:
        raise ValueError(f"The number of looks must be positive, not {looks}.")
    height, width = power.shape
    out = np.empty((height, width), dtype=np.float32)
    for row in range(0, height, _BLOCK):
        for col in range(0, width, _BLOCK):
            rows = slice(max(0, row - REFINED_LEE_HALO), row + _BLOCK + REFINED_LEE_HALO)
            cols = slice(max(0, col - REFINED_LEE_HALO), col + _BLOCK + REFINED_LEE_HALO)
            inner = out[row : row + _BLOCK, col : col + _BLOCK]
            top, left = row - rows.start, col - cols.start
            filtered = _refined_lee_block(power[rows, cols], looks)
            inner[...] = filtered[top : top + inner.shape[0], left : left + inner.shape[1]]
    return out


def _refined_lee_block(power: NDArray[np.floating], looks: float) -> FloatArray:
    height, width = power.shape
    valid = np.isfinite(power)
    centre = np.where(valid, power, 0).astype(np.float64)
    padded = np.pad(centre, 3)
    known = np.pad(valid.astype(np.float64), 3)

    means = _block_means(padded, known, height, width)
    side = _choose_side(means)

    n, total, squares = (_sum_of_side(source, side) for source in (known, padded, padded * padded))
    mean = np.divide(total, n, out=np.zeros_like(total), where=n > 0)
    variance = np.divide(squares, n, out=np.zeros_like(total), where=n > 0) - mean * mean
    np.maximum(variance, 0, out=variance)

    speckle = 1.0 / looks
    signal = np.maximum(variance - mean * mean * speckle, 0) / (1 + speckle)
    gain = np.divide(signal, variance, out=np.zeros_like(variance), where=variance > 0)
    result = mean + gain * (centre - mean)
    return np.where(valid, result, np.nan).astype(np.float32)


def _block_means(padded: NDArray, known: NDArray, height: int, width: int) -> NDArray:
    """(3, 3, rows, columns): means of the 3 × 3 blocks whose centres lie −2, 0, +2 rows and columns away."""
    total = 9 * uniform_filter(padded, 3, mode="constant")
    count = 9 * uniform_filter(known, 3, mode="constant")
    block = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0.5)
    means = np.empty((3, 3, height, width))
    for i in range(3):
        for j in range(3):
            means[i, j] = block[1 + 2 * i : 1 + 2 * i + height, 1 + 2 * j : 1 + 2 * j + width]
    return means


# The two sides of the edge that each of the four gradients finds, as (row, column) of the 3 × 3 blocks that face each
# other, and as half windows in the order of _half_windows.
_FACING = (((1, 0), (1, 2)), ((0, 1), (2, 1)), ((0, 0), (2, 2)), ((0, 2), (2, 0)))


_WHOLE = 8
_ROUNDING = 1e-9


def _choose_side(means: NDArray) -> NDArray[np.int8]:
    """Index into :func:`_half_windows` for every pixel; the whole window where both sides are equally near."""
    own = np.where(np.isnan(means[1, 1]), 0, means[1, 1])
    # A block without any valid pixel makes no edge, and its side is never the nearer one.
    m = np.where(np.isnan(means), own, means)
    distance = np.where(np.isnan(means), np.inf, np.abs(m - own))
    gradients = np.stack(
        [
            np.abs(m[0, 2] + m[1, 2] + m[2, 2] - m[0, 0] - m[1, 0] - m[2, 0]),
            np.abs(m[2, 0] + m[2, 1] + m[2, 2] - m[0, 0] - m[0, 1] - m[0, 2]),
            np.abs(m[1, 2] + m[2, 2] + m[2, 1] - m[0, 1] - m[0, 0] - m[1, 0]),
            np.abs(m[1, 0] + m[2, 0] + m[2, 1] - m[0, 1] - m[0, 2] - m[1, 2]),
        ]
    )
    # Differences of rounding size are none: the choice must not hang on the order of a sum.
    none = _ROUNDING * own
    strongest = gradients.max(axis=0)
    direction = np.argmax(gradients >= strongest - none, axis=0)
    side = np.zeros(direction.shape, dtype=np.int8)
    for d, ((r0, c0), (r1, c1)) in enumerate(_FACING):
        first, second = distance[r0, c0], distance[r1, c1]
        nearer = np.where(first < second - none, 2 * d, np.where(second < first - none, 2 * d + 1, _WHOLE))
        np.copyto(side, nearer.astype(np.int8), where=direction == d)
    side[strongest <= none] = _WHOLE
    return side


def _half_windows() -> list[NDArray[np.bool_]]:
    """7 × 7 masks: left, right, top, bottom, four triangles (28 pixels each, the centre included), and the whole."""
    rows, cols = np.mgrid[-3:4, -3:4]
    return [
        cols <= 0,
        cols >= 0,
        rows <= 0,
        rows >= 0,
        rows + cols <= 0,
        rows + cols >= 0,
        rows - cols <= 0,
        rows - cols >= 0,
        np.ones((_SIDE, _SIDE), dtype=np.bool_),
    ]


def _sum_of_side(source: NDArray, side: NDArray[np.int8]) -> NDArray:
    """Sum of ``source`` (padded by 3) under the half window that ``side`` names for each pixel."""
    height, width = side.shape
    kernels = _half_windows()
    out = np.zeros((height, width))
    totals = np.zeros((len(kernels), height, width))
    run = np.zeros((source.shape[0], source.shape[1]))
    for length in range(1, _SIDE + 1):
        # run[:, c] = sum of source[:, c : c + length]; every row of every kernel is one such run.
        run[:, : source.shape[1] - length + 1] += source[:, length - 1 :]
        for k, kernel in enumerate(kernels):
            for i in range(_SIDE):
                if int(kernel[i].sum()) == length:
                    first = int(np.argmax(kernel[i]))
                    totals[k] += run[i : i + height, first : first + width]
    for k in range(len(kernels)):
        np.copyto(out, totals[k], where=side == k)
    return out

"""Reproducible randomness: the value at a place depends on the seed and the place alone, never on how work is cut.

Two kinds. *Lattice noise* hashes integer coordinates (any window, at once, equal to the crop of a larger one).
*Block noise* has a generator of its own for every seed, stream and block: :data:`BLOCK` is the atom of every per-pixel
random field, so a scene is the same whether it is made whole, in strips or in parallel.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from engine.raster.grid import Window

FloatArray = NDArray[np.float32]
UIntArray = NDArray[np.uint32]

BLOCK = 512
"""Side in pixels of the square blocks that random pixel fields are drawn in."""

# Variance of a cubic B-spline field on unit-variance nodes, averaged over phase, per axis: 151/315.
_SPLINE_GAIN = 315.0 / 151.0


def mix(value: UIntArray) -> UIntArray:
    """A bijective hash of 32-bit integers (xor-shift-multiply, the finaliser of the "lowbias32" family)."""
    h = value ^ (value >> np.uint32(16))
    h *= np.uint32(0x7FEB352D)
    h ^= h >> np.uint32(15)
    h *= np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return h


def hash_integers(seed: int, *coordinates: NDArray[np.integer]) -> UIntArray:
    """Hash of integer coordinate arrays (broadcast against one another) under ``seed``: uniform uint32."""
    state: UIntArray = mix(np.array([seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF], np.uint32))
    key = np.atleast_1d(mix(state[:1] * np.uint32(0x9E3779B1) ^ state[1:]))
    h: UIntArray = key
    for values in coordinates:
        h = mix(h * np.uint32(0x85EBCA77) ^ np.asarray(values).astype(np.int64).astype(np.uint32))
    return h


def uniform_of(h: UIntArray, byte: int) -> FloatArray:
    """Uniform numbers 0..1 from one of the four bytes of hashes (256 levels: for choices, not for statistics)."""
    return ((h >> np.uint32(8 * byte)) & np.uint32(255)).astype(np.float32) * np.float32(1 / 255)


def normal_of(h: UIntArray) -> FloatArray:
    """Nearly normal numbers (mean 0, variance 1, within ±3.5) from hashes: the sum of the four bytes."""
    total = sum(((h >> np.uint32(s)) & np.uint32(255)).astype(np.float32) for s in (0, 8, 16, 24))
    return (np.asarray(total, np.float32) - np.float32(510.0)) * np.float32(1 / 147.8)


@lru_cache(maxsize=4096)
def derive(seed: int, *streams: int | str) -> int:
    """A 62-bit seed for an independent stream named by numbers and words."""
    state = np.uint32(0x243F6A88)
    words: list[int] = [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF]
    for stream in streams:
        words.extend(stream.encode() if isinstance(stream, str) else [stream & 0xFFFFFFFF, 257])
        words.append(258)
    low, high = np.array([state]), np.array([np.uint32(0x85A308D3)])
    for word in words:
        low = mix(low * np.uint32(0x9E3779B1) ^ np.uint32(word))
        high = mix(high * np.uint32(0x85EBCA77) ^ low)
    return (int(high[0]) << 30) ^ int(low[0])


def _spline_weights(start: int, size: int, period: int) -> tuple[int, csr_array]:
    """First node and the (size, nodes) matrix that spreads nodes of a uniform cubic B-spline over pixels.

    Pixel i has its centre at (i + 0.5) / period nodes; node n weighs on pixels within two periods.
    """
    return start // period - 1, _spline_matrix(start % period, size, period)


@lru_cache(maxsize=512)
def _spline_matrix(phase: int, size: int, period: int) -> csr_array:
    position = (np.arange(phase, phase + size, dtype=np.float64) + 0.5) / period
    base = np.floor(position).astype(np.int64)
    t = position - base
    taps = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    # Four weights a row: sparse products cost next to nothing and, unlike BLAS, start no threads of their own.
    columns = (base[:, None] + np.arange(4)).astype(np.int32)
    starts = np.arange(0, 4 * size + 1, 4, dtype=np.int32)
    weights = np.stack(taps, axis=1).astype(np.float32)
    return csr_array((weights.ravel(), columns.ravel(), starts), shape=(size, int(base[-1]) + 4))


def _blend(down: csr_array, nodes: FloatArray, across: csr_array) -> FloatArray:
    """down · nodes · acrossᵀ, the long pass last and along rows."""
    wide = np.ascontiguousarray((across @ np.ascontiguousarray(nodes.T)).T)
    return np.asarray(down @ wide, np.float32)


def spread(nodes: FloatArray, origin: tuple[int, int], window: Window, period: int) -> FloatArray:
    """A smooth (C2) surface over ``window`` from values on nodes ``period`` pixels apart.

    ``nodes[r, c]`` stands at node (origin row + r, origin column + c); it must reach two nodes beyond the
    window; ValueError otherwise.
    """
    r0, down = _spline_weights(window.row, window.height, period)
    c0, across = _spline_weights(window.col, window.width, period)
    r, c = r0 - origin[0], c0 - origin[1]
    if r < 0 or c < 0 or r + down.shape[1] > nodes.shape[0] or c + across.shape[1] > nodes.shape[1]:
        raise ValueError(f"{window} reaches beyond the nodes of the surface.")
    part = nodes[r : r + down.shape[1], c : c + across.shape[1]]
    return _blend(down, part, across)


def lattice_noise(seed: int, window: Window, period: int) -> FloatArray:
    """Smooth noise (mean 0, variance about 1) with features of ``period`` pixels; (height, width) float32."""
    r0, down = _spline_weights(window.row, window.height, period)
    c0, across = _spline_weights(window.col, window.width, period)
    rows = np.arange(r0, r0 + down.shape[1])[:, None]
    cols = np.arange(c0, c0 + across.shape[1])[None, :]
    nodes = normal_of(hash_integers(seed, rows, cols))
    return _blend(down, nodes, across) * np.float32(_SPLINE_GAIN)


def fractal_noise(seed: int, window: Window, longest: int, shortest: int, *, gain: float = 0.5) -> FloatArray:
    """Sum of octaves from period ``longest`` down to ``shortest`` (halving), each ``gain`` times the one before.

    Scaled to variance about 1. The classic fractional Brownian surface for ``gain`` 0.5 (Mandelbrot; Perlin 1985).
    """
    total = np.zeros(window.shape, np.float32)
    weight, power, period, octave = 1.0, 0.0, longest, 0
    while period >= shortest:
        total += np.float32(weight) * lattice_noise(derive(seed, octave), window, period)
        power += weight * weight
        weight, period, octave = weight * gain, period // 2, octave + 1
    return total / np.float32(math.sqrt(power)) if power else total


def exceeded_by(
    seed: int, shape: tuple[int, int], longest: int, shortest: int, *, share: float, gain: float = 0.5
) -> float:
    """The value that :func:`fractal_noise` exceeds on ``share`` of a scene of ``shape`` (height, width).

    Looked up on every 16th pixel (fewer steps where ``shortest`` is less), where it is the very same field.
    """
    stride = min(16, shortest)
    rows, cols = -(-shape[0] // stride), -(-shape[1] // stride)
    sample = fractal_noise(seed, Window(0, 0, rows, cols), longest // stride, shortest // stride, gain=gain)
    return float(np.quantile(sample, 1 - share))


def block_normals(seed: int, block: tuple[int, int], shape: tuple[int, int]) -> FloatArray:
    """Independent standard normals of a block: the same for a seed and block whatever is asked before or after."""
    bits = np.random.SFC64(np.random.SeedSequence([seed & 0xFFFFFFFF, seed >> 32, *block]))
    return np.random.Generator(bits).standard_normal(shape, dtype=np.float32)

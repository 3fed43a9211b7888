"""What a network knows of labelled pixels: only the tiles that hold labels are read and computed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.models.card import BandInput
from engine.models.pixel import WIDE, PixelSegmenter
from engine.models.segmenter import Segmenter
from engine.raster.grid import Window
from engine.training.labels.pixels import LabelPixels
from engine.training.labels.scene import LabelScene

_CORE = 256
_HALO = 64
"""Pixels around a tile that a trunk sees too, as much as tiles overlap in mapping."""


Mapper = Segmenter | PixelSegmenter
Describe = Callable[[Tensor], Tensor]


def known_of(
    network: PixelSegmenter,
    scene: LabelScene,
    pixels: LabelPixels,
    inputs: Sequence[BandInput],
    *,
    device: torch.device,
    told: Callable[[float], None] = lambda share: None,
) -> tuple[Tensor, NDArray[np.bool_]]:
    """(n, known) float32 of :meth:`PixelSegmenter.describe` for the labelled pixels, and bool (n,): which of them have
    a valid value in every band. ``inputs`` normalise the scene's bands, in its order; ``told`` hears the share done."""
    network = network.to(device).eval()
    return _gathered(network.describe, network.known, _halo(network), scene, pixels, inputs, device=device, told=told)


def scores_of(
    network: Mapper, scene: LabelScene, pixels: LabelPixels, inputs: Sequence[BandInput], *, device: torch.device
) -> tuple[Tensor, NDArray[np.bool_]]:
    """(n, classes) float32 logits of the labelled pixels, and bool (n,) as :func:`known_of`."""
    network = network.to(device).eval()
    return _gathered(network, network.classes, _halo(network), scene, pixels, inputs, device=device)


@torch.no_grad()
def _gathered(
    describe: Describe,
    count: int,
    halo: int,
    scene: LabelScene,
    pixels: LabelPixels,
    inputs: Sequence[BandInput],
    *,
    device: torch.device,
    told: Callable[[float], None] = lambda share: None,
) -> tuple[Tensor, NDArray[np.bool_]]:
    values = torch.zeros(len(pixels), count)
    valid = np.zeros(len(pixels), bool)
    tile = pixels.row // _CORE * (scene.grid.width // _CORE + 1) + pixels.col // _CORE
    order = np.argsort(tile, kind="stable")
    cuts = np.r_[np.flatnonzero(np.r_[True, np.diff(tile[order]) > 0]), len(order)]
    for number, (first, last) in enumerate(itertools.pairwise(cuts.tolist())):
        told(number / (len(cuts) - 1))
        here = order[first:last]
        row, col = int(pixels.row[here[0]]) // _CORE * _CORE, int(pixels.col[here[0]]) // _CORE * _CORE
        window = Window(row, col, _CORE, _CORE).grow(halo)
        x, missing = normalised(scene.read(window), inputs)
        found = describe(x[None].to(device))[0].float().cpu()
        r, c = pixels.row[here] - window.row, pixels.col[here] - window.col
        values[torch.from_numpy(here)] = found[:, torch.from_numpy(r), torch.from_numpy(c)].T
        valid[here] = ~missing[r, c]
    return values, valid


def _halo(network: Mapper) -> int:
    return WIDE // 2 if isinstance(network, PixelSegmenter) and network.trunk is None else _HALO


@torch.no_grad()
def logits_of(
    network: Mapper, scene: LabelScene, window: Window, inputs: Sequence[BandInput], *, device: torch.device
) -> tuple[Tensor, NDArray[np.bool_]]:
    """float32 (classes, rows, columns) of ``window``, at once, and bool (rows, columns): where a band is missing."""
    halo = _halo(network)
    rows, cols = (math.ceil((side + 2 * halo) / network.divisor) * network.divisor for side in window.shape)
    whole = Window(window.row - halo, window.col - halo, rows, cols)
    x, missing = normalised(scene.read(whole), inputs)
    inside = slice(halo, halo + window.height), slice(halo, halo + window.width)
    logits = network.to(device).eval()(x[None].to(device))[0].cpu()
    return logits[:, inside[0], inside[1]], missing[inside]


def normalised(planes: NDArray[np.float32], inputs: Sequence[BandInput]) -> tuple[Tensor, NDArray[np.bool_]]:
    """Normalised values (bands, rows, columns), 0 where missing, and bool (rows, columns): where a band is."""
    mean = np.array([one.mean for one in inputs], np.float32)[:, None, None]
    std = np.array([one.std for one in inputs], np.float32)[:, None, None]
    missing = ~np.isfinite(planes)
    values = torch.from_numpy(np.where(missing, np.float32(0), (planes - mean) / std))
    return values, np.asarray(missing.any(axis=0), bool)

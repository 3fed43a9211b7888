"""The pixel head from beginning to end: describe labelled pixels, split, choose, measure, fit, put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.events import Reporter
from engine.models.pixel import PixelSegmenter
from engine.training.labels.blocks import Blocks, split_by_block
from engine.training.labels.data import LabelData, without_missing
from engine.training.labels.features import known_of
from engine.training.labels.figures import HeldOut, held_out
from engine.training.labels.logistic import Floats
from engine.training.labels.pixels import thin
from engine.training.labels.selection import WAVES, Choice, Selected, Waves, select
from engine.training.labels.trunk import Trunk
from engine.training.rng import step_generator

MOST_PIXELS = 200_000
"""Labelled pixels that are described and judged; more are thinned, large polygons first."""
MOST_FITTED = 12_000
"""Labelled pixels that heads are fitted to."""
_SMALLEST_SPREAD = 1e-3
Ints = NDArray[np.int64]
Row = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Fitted:
    """What came out: the ``network`` in evaluation mode on the processor, the ``data`` that were used (valid pixels
    only), their ``blocks``, the ``choice``, what held-out pixels tell, and ``pixels`` fitted to and judged."""

    network: PixelSegmenter
    data: LabelData
    blocks: Blocks
    choice: Choice
    losses: tuple[tuple[Choice, float], ...]
    measured: HeldOut
    fitted_to: int


def fit_pixel_head(
    data: LabelData,
    trunk: Trunk,
    *,
    block_m: float | None,
    seed: int,
    device: torch.device,
    reporter: Reporter,
    log: Row = lambda row: None,
) -> Fitted:
    """Train a head on the labelled pixels of ``data``; ``log`` takes figures on the way, for metrics.jsonl.

    The same input gives the same weights to the bit on one machine. Raises the errors of :func:`without_missing`.
    """
    part = reporter.part(0.0, 0.35)
    data, thinned = _thinned(data)
    if thinned:
        reporter.log(f"{thinned:,} labelled pixels of large polygons are not looked at: {MOST_PIXELS:,} are enough.")
    blank = trunk.network(len(data.table), waves=0)
    known, valid = [], []
    for number, (scene, pixels) in enumerate(zip(data.scenes, data.pixels, strict=True)):
        share = part.part(number / len(data.scenes), (number + 1) / len(data.scenes))
        described, seen = known_of(
            blank,
            scene,
            pixels,
            trunk.inputs,
            device=device,
            told=lambda done, share=share: share.progress(done, "features", "Looking at labelled pixels"),  # type: ignore[misc]
        )
        known.append(described[torch.from_numpy(seen)])
        valid.append(seen)
    data = without_missing(data, valid)
    classes = len(data.table)
    blocks = split_by_block(data.pixels, classes, side_m=block_m, seed=seed)
    labels = data.klass
    fit_on = _fitted_pixels(data)
    values = torch.cat(known).double().numpy()
    centre = values[fit_on].mean(0)
    spread = np.maximum(values[fit_on].std(0), _SMALLEST_SPREAD)
    inputs = (values - centre) / spread
    waves = Waves.drawn(inputs.shape[1], step_generator("cpu", seed, "waves"))
    fitting = reporter.part(0.35, 1.0)
    step = 0

    def told(share: float, words: str, row: dict[str, float]) -> None:
        nonlocal step
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in row.items())
        fitting.progress(share, "train", f"{words}: {figures}" if figures else words)
        if "validation_loss" in row:
            reporter.log(f"{words}: {figures}")
        if row:
            log({"step": step, **row})
            step += 1

    found = select(inputs, labels, blocks.fold, fit_on, _units(data), classes, waves=waves, told=told)
    measured = held_out(found.held_out, labels, blocks.fold, blocks.block, classes)
    network = _assembled(trunk, classes, found, waves, centre, spread)
    return Fitted(network, data, blocks, found.choice, found.losses, measured, len(fit_on))


def _thinned(data: LabelData) -> tuple[LabelData, int]:
    total = sum(len(one) for one in data.pixels)
    if total <= MOST_PIXELS:
        return data, 0
    kept = tuple(one.only(thin(one, max(1, MOST_PIXELS * len(one) // total))) for one in data.pixels)
    made = LabelData(data.places, data.scenes, data.layers, kept, data.table, data.ignored)
    return made, total - sum(map(len, kept))


def _fitted_pixels(data: LabelData) -> Ints:
    """Indexes, over all scenes, of the pixels that heads are fitted to."""
    total = sum(len(one) for one in data.pixels)
    found, before = [], 0
    for one in data.pixels:
        if len(one):
            found.append(before + thin(one, max(1, MOST_FITTED * len(one) // total)))
        before += len(one)
    return np.concatenate(found)


def _units(data: LabelData) -> Ints:
    """The unit of each pixel, with numbers that no other scene has."""
    found, before = [], 0
    for one in data.pixels:
        found.append(one.unit + before)
        before += int(one.unit.max()) + 1 if len(one) else 0
    return np.concatenate(found)


@torch.no_grad()
def _assembled(
    trunk: Trunk, classes: int, found: Selected, waves: Waves, centre: Floats, spread: Floats
) -> PixelSegmenter:
    """The network with everything that was fitted."""
    network = trunk.network(classes, waves=WAVES if found.choice.waves else 0)
    network.centre.copy_(torch.from_numpy(centre))
    network.spread.copy_(torch.from_numpy(spread))
    network.head.weight.copy_(torch.from_numpy(found.head.weight.T[:, :, None, None]))
    if network.head.bias is not None:
        network.head.bias.copy_(torch.from_numpy(found.head.bias))
    if network.wave is not None and network.wave.bias is not None:
        network.wave.weight.copy_(torch.from_numpy(waves.weight.T[:, :, None, None]))
        network.wave.bias.copy_(torch.from_numpy(waves.bias))
    return network

"""Validation of a flood network: counts of water, and the temperature that calibrates it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from engine.metrics.bootstrap import pooled_estimate
from engine.metrics.segmentation import figures_of_counts
from engine.training.data.dataset import PairDataset
from engine.training.data.items import IGNORE
from engine.training.segmentation import Network, known_label, predicted, whole_cells
from engine.training.temperature import fit_temperature

Counts = list[tuple[int, int, int, int]]
_AT_ONCE = 8
_PIXELS = 1_000_000


@torch.no_grad()
def calibrate(
    network: Network,
    data: PairDataset,
    indices: list[int],
    *,
    sensors: Sequence[str] | None = None,
    fit: bool = True,
    check: Callable[[], None] = lambda: None,
) -> tuple[float, Counts]:
    """(temperature, (tp, fp, fn, tn) of water for each sample) over the labelled, valid pixels of samples ``indices``.

    Counts are of what the network tells from all ``sensors`` together (default: those of the data). The temperature is
    fitted on at most a million pixels, evenly spread, of the answers from both sensors and from each alone: one card
    serves all three. It is 1 with nothing to fit on, or without ``fit``.
    """
    whole = tuple(sensors or data.bands)
    ways = [whole, *([(s,) for s in whole] if fit and len(whole) > 1 else [])]
    device = next(network.parameters()).device
    every = max(1, len(ways) * len(indices) * data.side**2 // _PIXELS)
    logits_kept: list[Tensor] = []
    labels_kept: list[Tensor] = []
    counts: Counts = []
    for start in range(0, len(indices), _AT_ONCE):
        check()
        batch = whole_cells(data.batch(indices[start : start + _AT_ONCE], sensors=whole))
        there = {name: value.to(device) for name, value in batch.items() if name != "index"}
        for way in ways:
            logits = predicted(network, there, way).float().cpu()
            label = known_label(batch, way)
            if way == whole:
                counts += _counted(logits, label)
            if fit:
                known = label != IGNORE
                logits_kept.append(logits.movedim(1, 3)[known][::every])
                labels_kept.append(label[known][::every])
    temperature = fit_temperature(torch.cat(logits_kept), torch.cat(labels_kept)) if logits_kept else 1.0
    return round(temperature, 4), counts


def _counted(logits: Tensor, label: Tensor) -> Counts:
    mapped = logits[:, 1] > logits[:, 0]
    found: Counts = []
    for truth, water in zip(label, mapped, strict=True):
        wet, dry = truth == 1, truth == 0
        pairs = (water & wet, water & dry, ~water & wet, ~water & dry)
        found.append(tuple(int(p.sum()) for p in pairs))  # type: ignore[arg-type]
    return found


def water_iou(counts: Counts) -> dict[str, float | int | None]:
    """IoU of water of the summed counts, with its interval over samples: value, low, high, n."""
    table = np.asarray(counts, np.float64).reshape(-1, 4)
    return pooled_estimate(table, lambda sums: figures_of_counts("iou", sums)).plain()

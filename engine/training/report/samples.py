"""Pictures of samples for a report: pairs and what was found for them, predictions beside labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engine.training.data.dataset import PairDataset
from engine.training.objectives import CrossSensor
from engine.training.report.charts import (
    Rgb,
    class_picture,
    label_picture,
    optical_picture,
    probability_picture,
    radar_picture,
)

_LINES = 6
_GALLERY = 64
Picture = tuple[str, Rgb]


def sensor_picture(batch: dict[str, Tensor], sensor: str, bands: tuple[str, ...], row: int) -> Rgb:
    """The first radar band in grey, or red, green and blue (the first band where these are not there)."""
    values = batch[sensor][row].float().cpu().numpy()
    valid = batch[f"{sensor}_valid"][row, 0].cpu().numpy()
    if sensor == "s2" and {"B02", "B03", "B04"} <= set(bands):
        return optical_picture(values[[bands.index(name) for name in ("B04", "B03", "B02")]], valid)
    return radar_picture(values[0], valid)


def spread(count: int, wanted: int) -> list[int]:
    """``wanted`` numbers below ``count``, evenly spread."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, wanted))})


@torch.no_grad()
def pair_samples(data: PairDataset, objective: CrossSensor | None) -> list[list[Picture]]:
    """Rows of pictures: both sensors of a sample and, with an ``objective``, the Sentinel-2 image that it finds for
    the Sentinel-1 image among up to 64 samples."""
    chosen = spread(len(data), _GALLERY)
    batch = data.batch(chosen)
    found: list[int] | None = None
    if objective is not None:
        device = next(objective.parameters()).device
        views = {name: batch[name].to(device) for name in ("s1", "s2", "s1_valid", "s2_valid")}
        pair = objective.eval().model(**views)
        found = (pair.s1.pooled @ pair.s2.pooled.T).argmax(1).tolist()
    lines = []
    for row in spread(len(chosen), _LINES):
        name = data.samples[chosen[row]].name
        line = [(f"{name}, {s.upper()}", sensor_picture(batch, s, bands, row)) for s, bands in data.bands.items()]
        if found is not None:
            right = "its partner" if found[row] == row else data.samples[chosen[found[row]]].name
            line.append((f"found for S1: {right}", sensor_picture(batch, "s2", data.bands["s2"], found[row])))
        lines.append(line)
    return lines


def prediction_samples(
    data: PairDataset, indices: list[int], probability: Tensor, batch: dict[str, Tensor]
) -> list[list[Picture]]:
    """Rows of pictures: each sensor's image, label and predicted probability (N, H, W) of the samples ``indices``."""
    lines = []
    for row, index in enumerate(indices):
        name = data.samples[index].name
        lines.append(
            [
                *((f"{name}, {s.upper()}", sensor_picture(batch, s, bands, row)) for s, bands in data.bands.items()),
                ("label", label_picture(batch["label"][row].cpu().numpy())),
                ("probability of water", probability_picture(probability[row].float().cpu().numpy())),
            ]
        )
    return lines


def class_samples(
    data: PairDataset,
    indices: list[int],
    probability: Tensor,
    batch: dict[str, Tensor],
    classes: Sequence[tuple[str, str]],
) -> list[list[Picture]]:
    """Rows of pictures: each sensor's image, the label and the predicted classes in the colours of ``classes`` (colour
    and name by number), and the confidence, from ``probability`` (N, classes, H, W)."""
    confidence, mapped = (part.cpu() for part in probability.float().max(1))
    colors = [color for color, _ in classes]
    lines = []
    for row, index in enumerate(indices):
        name = data.samples[index].name
        label = batch["label"][row].cpu().numpy()
        there = sorted({int(k) for k in np.unique(label) if k >= 0})
        told = ", ".join(classes[k][1] for k in there)
        lines.append(
            [
                *((f"{name}, {s.upper()}", sensor_picture(batch, s, bands, row)) for s, bands in data.bands.items()),
                (f"label: {told}", class_picture(label, colors)),
                ("predicted", class_picture(mapped[row].numpy(), colors)),
                ("confidence", probability_picture(confidence[row].numpy())),
            ]
        )
    return lines

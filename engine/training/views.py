"""Which augmentation goes with which method of pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from engine.training.data.augment import Batch, aggressive_view
from engine.training.objectives import Augment
from engine.training.symmetry import turned


def gentle(sensors: Sequence[str]) -> Augment:
    """Joint mirroring and turning alone: two sensors are views enough."""
    names = [name for sensor in sensors for name in (sensor, f"{sensor}_valid")]

    def augment(batch: Batch, generator: torch.Generator) -> Batch:
        return turned({name: batch[name] for name in names}, names, generator)

    return augment


def aggressive(sensors: Sequence[str], db_std: Mapping[str, Sequence[float]]) -> Augment:
    """The whole list, drawn for each sensor by itself: resized crop, mirroring, turning, gain, offset, blur, bands
    dropped, and speckle for sensors in dB, whose ``db_std`` are given."""

    def augment(batch: Batch, generator: torch.Generator) -> Batch:
        out: Batch = {}
        for sensor in sensors:
            out[sensor], out[f"{sensor}_valid"] = aggressive_view(batch, sensor, generator, db_std=db_std.get(sensor))
        return out

    return augment

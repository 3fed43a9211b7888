"""Which augmentation goes with which method of pretraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from engine.training.data.augment import Batch, Photometry, aggressive_view, photometry
from engine.training.objectives import Augment
from engine.training.symmetry import turned


def gentle(sensors: Sequence[str]) -> Augment:
    """Joint mirroring and turning alone: two sensors are views enough."""
    names = [name for sensor in sensors for name in (sensor, f"{sensor}_valid")]

    def augment(batch: Batch, generator: torch.Generator) -> Batch:
        return turned({name: batch[name] for name in names}, names, generator)

    return augment


def jittered(sensors: Sequence[str], *, gain: float, offset: float) -> Augment:
    """:func:`gentle`, then factors of 1 − ``gain`` to 1 + ``gain`` and offsets of up to ``offset`` standard deviations
    for each band of each sensor by itself: the layout of an image stays, its radiometry cannot be relied upon."""
    plain = gentle(sensors)
    settings = Photometry(gain=gain, offset=offset, blur=0.0, drop=0.0, speckle=0.0)

    def augment(batch: Batch, generator: torch.Generator) -> Batch:
        out = plain(batch, generator)
        return out | {s: photometry(out[s], out[f"{s}_valid"], settings, generator) for s in sensors}

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

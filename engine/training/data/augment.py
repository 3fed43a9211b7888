"""Augmentations of batches on any device; every draw comes from the generator that is passed in.

A batch is what :meth:`engine.training.data.dataset.PairDataset.batch` gives. Geometry is joint: all sensors, their
validity and the labels of a sample are cut, turned and mirrored the same way. Photometric changes act on one sensor.
Invalid pixels stay 0 and never enter a neighbour's value.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator, Tensor

from engine.training.data.geometry import (
    Batch,
    Geometry,
    draw_plan,
    in_cache,
    joint_geometry,
    nearest,
    resample,
    room_for,
)
from engine.training.data.memory import whole
from engine.training.data.photometry import Photometry, change, draw_changes, photometry

__all__ = ["AGGRESSIVE", "Batch", "Geometry", "Photometry", "aggressive_view", "joint_geometry", "photometry"]

AGGRESSIVE = Geometry(area=(0.2, 1.0))


def aggressive_view(
    batch: Batch,
    sensor: str,
    generator: Generator,
    *,
    geometry: Geometry = AGGRESSIVE,
    settings: Photometry | None = None,
    db_std: Sequence[float] | None = None,
) -> tuple[Tensor, Tensor]:
    """One view of one sensor by the whole list, and its validity: what SimCLR and MoCo draw twice of each sample.

    The same as :func:`joint_geometry` and then :func:`photometry`, but each few samples go through both while they
    are in the processor's cache.
    """
    image, valid = batch[sensor], batch[f"{sensor}_valid"]
    db_std = db_std if sensor == "s1" else None
    settings = settings or Photometry()
    plan = draw_plan(image, geometry, generator)
    drawn = draw_changes(image, settings, generator, speckle=db_std is not None)
    out, seen, whole_ones = room_for(image, plan), nearest(valid, plan), whole(valid)
    for part in in_cache(image, plan):
        holes = not all(whole_ones[part])
        resample(image[part], valid[part] if holes else None, plan.part(part), into=out[part])
        change(out[part], seen[part] if holes else None, drawn.part(part), settings, generator, db_std=db_std)
    return out, seen

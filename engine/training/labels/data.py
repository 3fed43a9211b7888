"""Scenes with their labels, checked: what a model is trained from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import BandError, InputError, RegionError
from engine.training.labels.classes import ClassTable, class_table
from engine.training.labels.layer import LabelLayer, Value, read_labels
from engine.training.labels.pixels import LabelPixels, rasterise
from engine.training.labels.scene import LabelScene

FEWEST_PIXELS = 5
"""Labelled pixels that a class needs."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Place:
    """Files of one scene and the label layer that lies on it, as they were named."""

    rasters: tuple[str, ...]
    labels: str


@dataclass(frozen=True)
class LabelData:
    """Open ``scenes`` with their ``pixels`` (of valid values or not yet known), one class ``table``; ``ignored`` tells
    what was left out, a line each."""

    places: tuple[Place, ...]
    scenes: tuple[LabelScene, ...]
    layers: tuple[LabelLayer, ...]
    pixels: tuple[LabelPixels, ...]
    table: ClassTable
    ignored: tuple[str, ...]

    @property
    def bands(self) -> tuple[tuple[str, str], ...]:
        """(sensor, name) of the bands that all scenes have."""
        return self.scenes[0].bands

    @property
    def klass(self) -> Ints:
        """The class number of every pixel, scene after scene."""
        return np.concatenate([one.klass for one in self.pixels])

    def features(self) -> Ints:
        """Features of each class that hold a pixel."""
        return np.sum([one.features for one in self.pixels], axis=0)

    def close(self) -> None:
        """Close the scenes."""
        for scene in self.scenes:
            scene.close()


def open_label_data(
    places: Sequence[Place],
    *,
    class_field: str | None,
    class_colors: str | None,
    bands: Sequence[str] | None,
    point_size: Literal[1, 3] = 1,
    told: Callable[[float, str], None] = lambda share, words: None,
) -> LabelData:
    """Open and check everything. Raises the errors of :class:`LabelScene`, :func:`read_labels`, :func:`class_table`
    and :func:`rasterise`; BandError where scenes differ in bands; RegionError for one class only."""
    scenes: list[LabelScene] = []
    try:
        layers: list[LabelLayer] = []
        for number, place in enumerate(places):
            told(0.5 * number / len(places), f"Reading {place.labels}")
            scenes.append(LabelScene.open(place.rasters, bands=bands))
            if scenes[-1].bands != scenes[0].bands:
                raise BandError(
                    f"{scenes[-1].path}: has the bands {_listed(scenes[-1])}, {scenes[0].path} has "
                    f"{_listed(scenes[0])}.",
                    remedy="Give scenes of the same bands, or choose common ones with --s2-bands.",
                )
            layers.append(read_labels(place.labels, class_field, scenes[-1].grid))
        values: set[Value] = {value for layer in layers for value in layer.values}
        table = class_table(values, class_colors)
        ignored = [note for layer in layers for note in layer.notes]
        pixels = []
        for number, (scene, layer) in enumerate(zip(scenes, layers, strict=True)):
            told(0.5 + 0.5 * number / len(places), f"Laying {layer.path} on {scene.path}")
            one = rasterise(layer, table, scene.grid, scene=scene.path, point_size=point_size)
            ignored += _passed_over(layer, one)
            pixels.append(one)
        data = LabelData(tuple(places), tuple(scenes), tuple(layers), tuple(pixels), table, tuple(ignored))
        return _counted(data)
    except BaseException:
        for scene in scenes:
            scene.close()
        raise


def _listed(scene: LabelScene) -> str:
    return ", ".join(name for _, name in scene.bands)


def _passed_over(layer: LabelLayer, pixels: LabelPixels) -> list[str]:
    told = (
        (pixels.conflicts, "pixels are claimed by features of different classes: passed over"),
        (pixels.small, "polygons hold the centre of no pixel: passed over"),
        (pixels.outside, "features lie outside of the scene: passed over"),
    )
    return [f"{layer.path}: {count:,} {words}." for count, words in told if count]


def without_missing(data: LabelData, valid: Sequence[NDArray[np.bool_]]) -> LabelData:
    """The data without the pixels where the scene has no valid value (bool, one a pixel and scene).

    Raises InputError where no labelled pixel has a value, and RegionError as :func:`open_label_data`.
    """
    lost = sum(int((~one).sum()) for one in valid)
    total = sum(len(one) for one in valid)
    if lost == total:
        raise InputError(
            f"{data.layers[0].path}: all {total:,} labelled pixels lie where the scene {data.scenes[0].path} has no "
            "valid value.",
            remedy="Label places that the scene shows, free of cloud.",
        )
    ignored = list(data.ignored)
    if lost:
        ignored.append(f"{lost:,} of {total:,} labelled pixels have no valid value in the scene: passed over.")
    pixels = tuple(one.only(keep) for one, keep in zip(data.pixels, valid, strict=True))
    return _counted(LabelData(data.places, data.scenes, data.layers, pixels, data.table, tuple(ignored)))


def _counted(data: LabelData) -> LabelData:
    """``data`` when every class has enough pixels; classes that lie outside of every scene are dropped."""
    counts = np.bincount(data.klass, minlength=len(data.table))
    source = data.layers[0].path
    gone = [one for one, count in zip(data.table.classes, counts, strict=True) if count == 0]
    if len(data.table) - len(gone) < 2:
        name = next((f"{c.value} ({c.name})" for c, n in zip(data.table.classes, counts, strict=True) if n), "none")
        raise RegionError(
            f"{source}: the labels in the scene have one class only, {name}; expected at least two.",
            remedy="Label what the class is to be told from, too.",
        )
    few = [f"{c.name} ({n})" for c, n in zip(data.table.classes, counts.tolist(), strict=True) if 0 < n < FEWEST_PIXELS]
    if few:
        raise RegionError(
            f"{source}: too few labelled pixels of {', '.join(few)}; expected at least {FEWEST_PIXELS} of each class.",
            remedy="Label more of these classes, or leave them out.",
        )
    if not gone:
        return data
    table = data.table.without(one.value for one in gone)
    number = np.cumsum(counts > 0) - 1
    pixels = tuple(
        LabelPixels(
            p.grid, p.row, p.col, number[p.klass], p.unit, p.features[counts > 0], p.conflicts, p.small, p.outside
        )
        for p in data.pixels
    )
    ignored = (
        *data.ignored,
        *(f"{source}: no pixel of the class {one.name} is in the scene: left out." for one in gone),
    )
    return LabelData(data.places, data.scenes, data.layers, pixels, table, ignored)

"""The pixel-wise random forest that a land-cover model has to beat, and figures of two maps beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.metrics.bootstrap import Figure, pooled_estimate
from engine.raster.read import open_raster
from starters.landcover import CODES, ChipFile

TREES, LEAF, PIXELS = 100, 5, 60_000
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def reflectance_of(chip: ChipFile) -> tuple[Floats, Ints]:
    """(7, rows, columns) reflectance, NaN where there is none, and (rows, columns) codes, 0 where there is none."""
    with open_raster(str(chip.image), what="image") as file:
        bands = file.read(file.grid.window, [1, 2, 3, 4, 5, 6, 7]) / 1e4
    with open_raster(str(chip.label), what="label") as file:
        label = file.read(file.grid.window, [1])[0]
    return bands.astype(np.float32), np.nan_to_num(label).astype(np.int64)


def arrays_of(chip: ChipFile) -> tuple[Floats, Ints]:
    """(pixels, 11) features and (pixels,) codes."""
    bands, label = reflectance_of(chip)
    coastal, blue, green, red, nir, swir1, swir2 = bands

    def difference(a: Floats, b: Floats) -> Floats:
        total = a + b
        found: Floats = np.clip((a - b) / np.where(np.abs(total) < 1e-3, 1e-3, total), -3, 3)
        return found

    indices = [difference(nir, red), difference(green, nir), difference(green, swir1), difference(swir1, nir)]
    planes = np.stack([coastal, blue, green, red, nir, swir1, swir2, *indices])
    return np.nan_to_num(planes.reshape(11, -1).T), label.ravel()


def matrix_of(truth: Ints, mapped: Ints) -> Ints:
    """(codes, codes) pixels by truth and map, both of WorldCover codes; where the truth is 0 none is counted."""
    number = np.zeros(256, np.int64)
    number[list(CODES)] = np.arange(len(CODES))
    known = truth > 0
    pairs = number[truth[known]] * len(CODES) + number[mapped[known]]
    return np.bincount(pairs, minlength=len(CODES) ** 2).reshape(len(CODES), -1)


def forest_matrices(train: Sequence[ChipFile], test: Sequence[ChipFile]) -> Ints:
    """(chips, codes, codes) pixels of ``test`` by truth and by a forest of ``train``."""
    from sklearn.ensemble import RandomForestClassifier

    features, labels = (np.concatenate(parts) for parts in zip(*map(arrays_of, train), strict=True))
    chosen = np.random.default_rng(0).choice(len(labels), min(PIXELS, len(labels)), replace=False)
    chosen = chosen[labels[chosen] > 0]
    forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, random_state=0, n_jobs=1)
    forest.fit(features[chosen], labels[chosen])
    found = np.zeros((len(test), len(CODES), len(CODES)), np.int64)
    for into, chip in zip(found, test, strict=True):
        x, truth = arrays_of(chip)
        into += matrix_of(truth, forest.predict(x))
    return found


def difference(a: Ints, b: Ints, figures: Mapping[str, Figure]) -> dict[str, Any]:
    """``figures`` of ``a`` less those of ``b``, both (chips, …), with paired bootstrap over chips."""
    rows = np.concatenate([a.reshape(len(a), -1), b.reshape(len(b), -1)], axis=1)
    cut = a[0].size
    return {
        name: pooled_estimate(rows, lambda s, f=figure: f(s[..., :cut]) - f(s[..., cut:])).plain()
        for name, figure in figures.items()
    }


def by_place(matrices: Ints, places: Sequence[str]) -> Ints:
    """(chips, …) summed to (places, …), in the order of the places' names."""
    names, which = np.unique(np.asarray(places), return_inverse=True)
    found = np.zeros((len(names), *matrices.shape[1:]), np.int64)
    np.add.at(found, which, matrices)
    return found

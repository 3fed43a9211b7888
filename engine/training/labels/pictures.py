"""Pictures for the report: the scene with its labels drawn over it, and the map that the model makes of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from engine.mapping.report.pictures import UNSEEN, backscatter_rgb, reflectance_rgb
from engine.raster.grid import Window
from engine.training.labels.classes import ClassTable
from engine.training.labels.features import Mapper, logits_of
from engine.training.labels.pixels import LabelPixels
from engine.training.labels.scene import LabelScene
from engine.training.labels.trunk import Trunk

SIDE = 512
"""Side of the pictures in pixels, as far as the scene reaches."""
Rgb = NDArray[np.uint8]
_UNKNOWN = (96, 96, 96)


def fullest_window(pixels: LabelPixels, *, side: int = SIDE) -> Window:
    """The window of ``side`` pixels, inside the grid, that holds labels of the most features."""
    height, width = pixels.grid.shape
    rows, cols = min(side, height), min(side, width)
    best, most = Window(0, 0, rows, cols), -1
    units = np.unique(pixels.unit)
    for unit in units[:: max(1, len(units) // 200)]:
        own = pixels.unit == unit
        row = int(np.clip(pixels.row[own].mean() - rows / 2, 0, height - rows))
        col = int(np.clip(pixels.col[own].mean() - cols / 2, 0, width - cols))
        window = Window(row, col, rows, cols)
        count = len(np.unique(pixels.unit[_inside(pixels, window)]))
        if count > most:
            best, most = window, count
    return best


def preview(
    network: Mapper,
    scene: LabelScene,
    pixels: LabelPixels,
    table: ClassTable,
    trunk: Trunk,
    *,
    temperature: float,
    unknown_below: float,
    device: torch.device,
) -> tuple[Window, Rgb, Rgb]:
    """A window with many labels, (rows, columns, 3) of the scene there and of its map; labels are outlined in the
    colours of their classes, on the map in white."""
    window = fullest_window(pixels)
    values = scene.read(window)
    logits, missing = logits_of(network, scene, window, trunk.inputs, device=device)
    probability = (logits / temperature).softmax(0)
    best = probability.argmax(0).numpy()
    colors = np.array([one.rgb for one in table.classes], np.uint8)
    mapped = colors[best]
    mapped[probability.amax(0).numpy() < unknown_below] = _UNKNOWN
    mapped[missing] = UNSEEN
    picture = scene_picture(values, scene.bands)
    labels = np.full(window.shape, -1, np.int64)
    unit = np.full(window.shape, -1, np.int64)
    here = _inside(pixels, window)
    place = pixels.row[here] - window.row, pixels.col[here] - window.col
    labels[place], unit[place] = pixels.klass[here], pixels.unit[here]
    edge = _edges(unit)
    picture[edge] = colors[labels[edge]]
    mapped[edge] = 255
    return window, picture, mapped


def scene_picture(values: NDArray[np.float32], bands: tuple[tuple[str, str], ...]) -> Rgb:
    """Red, green and blue where they are, else the first optical band in grey, else radar; NaN is light grey."""
    if all(("s2", name) in bands for name in ("B04", "B03", "B02")):
        return reflectance_rgb(values[[bands.index(("s2", name)) for name in ("B04", "B03", "B02")]])
    light = [i for i, (sensor, _) in enumerate(bands) if sensor == "s2"]
    if light:
        return reflectance_rgb(values[light[:1]])
    nothing = np.full(values.shape[1:], np.nan, np.float32)
    planes = {name: values[i] for i, (_, name) in enumerate(bands)}
    return backscatter_rgb(planes.get("VV", nothing), planes.get("VH", nothing))


def _inside(pixels: LabelPixels, window: Window) -> NDArray[np.bool_]:
    return (
        (pixels.row >= window.row)
        & (pixels.row < window.row_stop)
        & (pixels.col >= window.col)
        & (pixels.col < window.col_stop)
    )


def _edges(unit: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Labelled pixels with a neighbour of another unit, or of none."""
    framed = np.pad(unit, 1, constant_values=-1)
    middle = framed[1:-1, 1:-1]
    different = np.zeros(unit.shape, bool)
    for rows, cols in (
        (slice(0, -2), slice(1, -1)),
        (slice(2, None), slice(1, -1)),
        (slice(1, -1), slice(0, -2)),
        (slice(1, -1), slice(2, None)),
    ):
        different |= framed[rows, cols] != middle
    return np.asarray(different & (unit >= 0), bool)

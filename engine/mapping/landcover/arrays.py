"""The same land-cover pipeline with its result in memory: for chips, evaluation and previews."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.events import Reporter
from engine.legends import NOT_OBSERVED
from engine.mapping.landcover.classes import ClassTable, class_table
from engine.mapping.landcover.classifier import LandcoverModel
from engine.mapping.landcover.pipeline import LandcoverRule, LandcoverStrip, map_classes
from engine.mapping.landcover.scene import LandcoverScene
from engine.raster.grid import Grid, Window
from engine.sensors import Unit


@dataclass(frozen=True)
class LandcoverArrays:
    """``codes`` and ``confidence`` (rows, columns) as in ``landcover.tif`` and ``confidence.tif``, on ``grid``."""

    codes: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    grid: Grid


class ArraySink:
    """Collects a map in memory."""

    def __init__(self, grid: Grid) -> None:
        codes, confidence = np.full((2, *grid.shape), NOT_OBSERVED, np.uint8)
        self.arrays = LandcoverArrays(codes, confidence, grid)

    def add(self, strip: LandcoverStrip) -> None:
        """Take one strip."""
        here = strip.window.within(Window(0, 0, *self.arrays.codes.shape))
        self.arrays.codes[here] = strip.codes
        self.arrays.confidence[here] = strip.confidence


def unknown_cut(model: LandcoverModel, given: int | None) -> int:
    """Whole per cent below which a pixel is unknown: ``given``, else the model's own threshold."""
    return given if given is not None else math.ceil(100 * model.card.unknown_below - 1e-9)


def map_arrays(
    scenes: Sequence[str],
    model: LandcoverModel,
    *,
    reporter: Reporter,
    table: ClassTable | None = None,
    scl: str | None = None,
    bands: str | None = None,
    unit: Unit | None = None,
    unknown_below: int | None = None,
    min_area: float = 1000.0,
) -> LandcoverArrays:
    """Codes and confidence of an image, as ``engine landcover`` would write them.

    Needs no georeference (then a pixel counts as 10 m). ``table`` default: the model's own legend. Raises EngineError.
    """
    with (
        LandcoverScene.open(scenes, scl=scl, bands=bands, unit=unit) as scene,
        tempfile.TemporaryDirectory(prefix="samescene-") as folder,
    ):
        model.check(scene, reporter)
        sink = ArraySink(scene.grid)
        map_classes(
            scene,
            model,
            table or class_table(model.card),
            rule=LandcoverRule(unknown_below=unknown_cut(model, unknown_below), min_area=min_area),
            sinks=[sink],
            folder=Path(folder),
            reporter=reporter,
        )
        return sink.arrays

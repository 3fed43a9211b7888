"""The same flood pipeline with its result in memory: for chips, evaluation and studies."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.events import Reporter
from engine.mapping.flood.classes import NOT_OBSERVED
from engine.mapping.flood.detector import WaterDetector
from engine.mapping.flood.methods import choose_detector, require_fit
from engine.mapping.flood.pipeline import FloodStrip, WaterRule, map_water
from engine.mapping.flood.scene import FloodScene
from engine.mapping.flood.surroundings import Surroundings
from engine.raster.grid import Grid, Window
from engine.sensors import Unit


@dataclass(frozen=True)
class FloodArrays:
    """``codes`` and ``probability`` (rows, columns) as ``flood.tif`` and ``water_probability.tif`` hold them."""

    codes: NDArray[np.uint8]
    probability: NDArray[np.uint8]


class ArraySink:
    """Collects a map in memory."""

    def __init__(self, grid: Grid) -> None:
        self.arrays = FloodArrays(
            np.full(grid.shape, NOT_OBSERVED, np.uint8), np.full(grid.shape, NOT_OBSERVED, np.uint8)
        )

    def add(self, strip: FloodStrip) -> None:
        """Take one strip."""
        here = strip.window.within(_whole(self.arrays.codes))
        self.arrays.codes[here] = strip.codes
        self.arrays.probability[here] = strip.probability


def map_arrays(
    path: str,
    *,
    method: str = "auto",
    device: str = "auto",
    reporter: Reporter,
    before: str | None = None,
    s2: str | None = None,
    scl: str | None = None,
    bands: str | None = None,
    unit: Unit | None = None,
    probability: int = 50,
    min_area: float = 2000.0,
    detector: WaterDetector | None = None,
) -> FloodArrays:
    """Codes and probability of a Sentinel-1 or Sentinel-2 file, as ``engine flood`` would write them.

    Needs no georeference (then a pixel counts as 10 m, Sentinel-1’s usual spacing). ``detector`` replaces
    ``method`` in studies. Raises EngineError.
    """
    chosen = detector or choose_detector(method, device=device, reporter=reporter)
    with (
        FloodScene.open(path, before=before, s2=s2, scl=scl, bands=bands, unit=unit) as scene,
        tempfile.TemporaryDirectory(prefix="samescene-") as folder,
        Surroundings.open(
            scene.grid,
            reference_water=None,
            dem=None,
            hand=None,
            region=[],
            look=None,
            max_hand=15.0,
            max_slope=5.0,
            folder=Path(folder),
            reporter=reporter,
        ) as surroundings,
    ):
        require_fit(chosen, scene)
        sink = ArraySink(scene.grid)
        map_water(
            scene,
            chosen,
            surroundings,
            rule=WaterRule(cut=probability, min_area=min_area),
            sinks=[sink],
            folder=Path(folder),
            reporter=reporter,
        )
        return sink.arrays


def _whole(array: NDArray[np.uint8]) -> Window:
    return Window(0, 0, *array.shape)

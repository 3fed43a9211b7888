"""Water by thresholds and a model together: two witnesses who err in different ways."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np

from engine.errors import ModelError
from engine.events import Reporter
from engine.mapping.flood.detector import FloatArray, SceneReader, WaterDetector
from engine.raster.grid import Window

_UNEQUAL = "The two detectors gave different numbers of rows."
Strips = Iterable[tuple[Window, FloatArray]]


class FusedDetector:
    """A :class:`~engine.mapping.flood.detector.WaterDetector` of two others.

    P(water) is that of ``thresholds``, raised to the mean of both (the linear opinion pool of Stone 1961) where that
    mean reaches one half: so what the thresholds find stays, and the model adds what it is surer of than they are of
    the contrary. Regions grow as those of the thresholds do. Where one has no value the other's stands.

    Raises ModelError for a model that does not map from Sentinel-1.
    """

    def __init__(self, thresholds: WaterDetector, model: WaterDetector) -> None:
        self._thresholds, self._model = thresholds, model
        if not self.sensors:
            raise ModelError(
                f"The model {model.name} maps from {' and '.join(model.sensors)}; expected one that maps from s1, to "
                "go with thresholds.",
                remedy="Give the model alone, or a model for Sentinel-1.",
            )

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self._thresholds.name}+{self._model.name}"

    @property
    def sensors(self) -> tuple[str, ...]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        return tuple(sensor for sensor in self._model.sensors if sensor in self._thresholds.sensors)

    @property
    def optical_bands(self) -> tuple[str, ...]:
        """None: thresholds do not look at light."""
        return ()

    @property
    def grow_percent(self) -> int:
        """That of the thresholds."""
        return self._thresholds.grow_percent

    def check(self, scene: SceneReader) -> None:
        """Raise what either raises."""
        self._thresholds.check(scene)
        self._model.check(scene)

    def probabilities(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        yield from _fused(
            self._thresholds.probabilities(scene, reporter.part(0.0, 0.2)),
            self._model.probabilities(scene, reporter.part(0.1, 1.0)),
        )

    def probabilities_before(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        yield from _fused(
            self._thresholds.probabilities_before(scene, reporter.part(0.0, 0.2)),
            self._model.probabilities_before(scene, reporter.part(0.1, 1.0)),
        )

    def diagnostics(self) -> dict[str, Any]:
        """Those of both."""
        return {**self._thresholds.diagnostics(), **self._model.diagnostics()}


def fuse(thresholds: FloatArray, model: FloatArray) -> FloatArray:
    """P(water) (rows, columns) of the class's rule; NaN only where both are."""
    pool = 0.5 * (thresholds + model)
    with np.errstate(invalid="ignore"):
        raised = np.where(pool >= 0.5, np.maximum(thresholds, pool), thresholds)
    return np.where(np.isnan(thresholds), model, np.where(np.isnan(model), thresholds, raised)).astype(np.float32)


def _fused(first: Strips, second: Strips) -> Iterator[tuple[Window, FloatArray]]:
    """Strips of both, cut where either is."""
    with contextlib.ExitStack() as stack:
        for strips in (first, second):
            stack.enter_context(contextlib.closing(cast(Any, strips)))
        other: tuple[Window, FloatArray] | None = None
        others, row = iter(second), 0
        for window, values in first:
            row = window.row
            while row < window.row_stop:
                if other is None or other[0].row_stop <= row:
                    other = next(others, None)
                if other is None:
                    raise ValueError(_UNEQUAL)
                place, theirs = other
                stop = min(window.row_stop, place.row_stop)
                part = Window(row, window.col, stop - row, window.width)
                own = values[row - window.row : stop - window.row]
                yield part, fuse(own, theirs[row - place.row : stop - place.row])
                row = stop
        if next(others, None) is not None or (other is not None and other[0].row_stop != row):
            raise ValueError(_UNEQUAL)

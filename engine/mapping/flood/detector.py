"""What the flood pipeline asks of a detector of water, and what a detector may ask of the scene.

There are thresholds (:mod:`engine.mapping.flood.threshold`, no weights), models (:mod:`engine.mapping.flood.model`, a
bundle run by the streaming inference) and both together (:mod:`engine.mapping.flood.fused`). The pipeline treats all
alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.events import Reporter
from engine.raster.grid import Grid, Window

FloatArray = NDArray[np.float32]


class SceneReader(Protocol):
    """The input of a flood map on one grid: Sentinel-1 in sigma0 dB, Sentinel-2 in reflectance, or both.

    Windows are rows and columns of :attr:`grid` (the output grid, cropped to the area of interest). They may reach
    over its edges: where the file has pixels there, they are read; elsewhere the answer is NaN.
    """

    @property
    def grid(self) -> Grid:
        """The output grid; its CRS may be None (chips without georeference)."""

    @property
    def context(self) -> Window:
        """The window, at least the grid's, that statistics may use: the area of interest with surroundings."""

    @property
    def polarisations(self) -> tuple[str, ...]:
        """Those of ("VV", "VH") that the scene after the event has; none where it is not Sentinel-1."""

    @property
    def optical_bands(self) -> tuple[str, ...]:
        """Standard names of the Sentinel-2 bands of the event; none where there is no such image."""

    @property
    def has_before(self) -> bool:
        """True when there is a scene before the event."""

    def read(self, window: Window) -> FloatArray:
        """(2, rows, columns): VV, VH in dB, NaN where there is no valid value; an absent polarisation is all NaN."""

    def read_before(self, window: Window) -> FloatArray:
        """The same of the scene before the event, on the same grid; all NaN where it has no pixel."""

    def read_optical(self, window: Window, names: Sequence[str], *, before: bool = False) -> FloatArray:
        """(len(names), rows, columns) reflectance of these bands, after or ``before`` the event; NaN in all of them
        where one has no valid value or a cloud mask hides the ground, and where there is no such image."""


class WaterDetector(Protocol):
    """Gives the probability of open water for every pixel, strip by strip from the top.

    ``grow_percent``: region growing keeps connected pixels of at least this probability (per cent) when one of them
    reaches the request's probability; a detector that wants no growing gives 100.
    """

    @property
    def name(self) -> str:
        """``threshold`` or the model's name."""

    @property
    def sensors(self) -> tuple[str, ...]:
        """What it maps from: "s1", "s2", or both, of which either may be missing."""

    @property
    def optical_bands(self) -> tuple[str, ...]:
        """The Sentinel-2 bands that it takes, by standard name."""

    @property
    def grow_percent(self) -> int:
        """See the class."""

    def check(self, scene: SceneReader) -> None:
        """Raise BandError or ModelError where the scene cannot be mapped, before anything is computed."""

    def probabilities(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """Full-width windows of ``scene.grid``, contiguous from row 0 to its height, with P(water) 0..1.

        NaN exactly where no sensor that it maps from has a value. The values do not depend on how the strips are cut.
        """

    def probabilities_before(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """The same windows with P(water) in the scene before the event; asked for only where ``has_before``."""

    def diagnostics(self) -> dict[str, Any]:
        """JSON-able facts of the last run for report and ``result.json``.

        Keys of the threshold detector: ``thresholds`` {pol: {value_db, source: "tiles"|"scene"|"prior", tiles_used,
        tiles_seen, reason}}, ``histograms`` {pol: {edges_db: [n + 1], counts: [n]}}, ``change`` (with a before
        scene), ``filter``. Keys of a model: ``model``, ``sha256``, ``tile``, ``overlap``, ``precision``, ``device``.
        """

"""From probabilities of classes to a land-cover map, strip by strip.

Passes over the scene, each in memory of one strip:

1. the model's logits become a code and a per cent for each pixel, which go to spools;
2. unknown is decided, and patches below the minimum mapping unit are found (:mod:`engine.mapping.landcover.patches`);
3. they get their neighbours' class, and the sinks are fed.

Laws: a pixel is unknown exactly where its confidence is below the rule's cut or clouds hide it (and where the classes
of the model that the legend lacks are likelier than any it has); not observed (255) exactly where the input has no
valid value, or outside the area of interest. A pixel that the minimum mapping unit gave another class cannot be surer
of it than what its own class left over: its confidence becomes min(p, 100 − p).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.events import Reporter
from engine.legends import NOT_OBSERVED
from engine.mapping.landcover.classes import ClassTable
from engine.mapping.landcover.classifier import UNDER_CLOUD, LandcoverModel, Watch
from engine.mapping.landcover.patches import SettledPatches, StripPatches
from engine.mapping.landcover.scene import LandcoverScene
from engine.mapping.scene.areas import pixel_areas
from engine.mapping.scene.spool import RowSpool
from engine.raster.area import PixelAreas, WindowAreas
from engine.raster.grid import Grid, Window
from engine.raster.vector import burn

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_STRIP_PIXELS = 1 << 20
"""Of a strip: one byte each, a few arrays of them stay in a processor's cache."""
_STRIP_ROWS = 512


@dataclass(frozen=True)
class LandcoverStrip:
    """One finished strip: ``codes`` and ``confidence`` as in the output files; ``outside`` the area of interest (None:
    there is none). ``areas``: m² of its pixels."""

    window: Window
    codes: U8
    confidence: U8
    areas: WindowAreas
    outside: Mask | None = None

    @property
    def probability(self) -> U8:
        """The confidence, as previews call it."""
        return self.confidence


class LandcoverSink(Protocol):
    """Takes finished strips in order from the top."""

    def add(self, strip: LandcoverStrip) -> None:
        """Take one strip."""


@dataclass(frozen=True, kw_only=True)
class LandcoverRule:
    """Unknown below ``unknown_below`` per cent; patches below ``min_area`` m² go to their neighbours. ``region``:
    polygons in the grid's CRS outside of which nothing is mapped; empty: no such limit."""

    unknown_below: int = 0
    min_area: float = 1000.0
    region: Sequence[Any] = field(default_factory=list)


def map_classes(
    scene: LandcoverScene,
    model: LandcoverModel,
    table: ClassTable,
    *,
    rule: LandcoverRule,
    sinks: Sequence[LandcoverSink],
    folder: Path,
    reporter: Reporter,
    watch: Watch | None = None,
) -> None:
    """Run all passes and feed ``sinks``; scratch files go to ``folder``; ``watch`` is shown what is read of Sentinel-2.
    Raises what model and sinks raise."""
    width = scene.grid.width
    with ExitStack() as stack:
        codes, percent, clouds = (stack.enter_context(RowSpool(width, folder)) for _ in range(3))
        reporter.progress(0.0, "inference", "Starting the network")
        strips = model.decide(scene, clouds, table.decide, reporter.part(0.0, 0.85), watch=watch)
        for window, found, chance in strips:
            codes.write(window, found)
            percent.write(window, chance)
        passes = _Passes(scene.grid, codes, percent, clouds, rule, pixel_areas(scene.grid))
        patches = passes.patches(reporter.part(0.85, 0.9)) if rule.min_area > 0 else None
        for strip in passes.finished(patches, reporter.part(0.9, 1.0)):
            for sink in sinks:
                sink.add(strip)


@dataclass(frozen=True)
class _Passes:
    """The passes after the model's, over the spools."""

    grid: Grid
    codes: RowSpool
    percent: RowSpool
    clouds: RowSpool
    rule: LandcoverRule
    areas: PixelAreas

    def patches(self, reporter: Reporter) -> SettledPatches:
        """Decide every pixel, which then stands in the spools, and find the small patches."""
        found = StripPatches(side_m=_sides(self.grid), min_area=self.rule.min_area)
        for window in self._windows():
            codes, percent, _ = self._decided(window)
            self.codes.write(window, codes)
            self.percent.write(window, percent)
            found.add(codes, self.areas.within(window))
            reporter.progress(window.row_stop / self.grid.height, "patches", "Looking for small patches")
        return found.resolve()

    def finished(self, patches: SettledPatches | None, reporter: Reporter) -> Iterator[LandcoverStrip]:
        """Strips with their small patches gone; None: nobody looked for them, and nothing is decided yet."""
        for index, window in enumerate(self._windows()):
            if patches is None:
                codes, percent, outside = self._decided(window)
            else:
                codes, changed = patches.apply(index, self.codes.read(window))
                percent, outside = self.percent.read(window), self._outside(window)
                if changed is not None:
                    percent[changed] = np.minimum(percent[changed], 100 - percent[changed])
            yield LandcoverStrip(window, codes, percent, self.areas.within(window), outside)
            reporter.progress(window.row_stop / self.grid.height, "write", "Writing the map")

    def _windows(self) -> Iterator[Window]:
        rows = max(1, min(_STRIP_ROWS, _STRIP_PIXELS // self.grid.width))
        for strip in self.grid.strips(rows):
            yield strip.core

    def _decided(self, window: Window) -> tuple[U8, U8, Mask | None]:
        """(codes, per cent, outside) before small patches are looked at."""
        codes, percent = self.codes.read(window), self.percent.read(window)
        hidden = self.clouds.read(window) == UNDER_CLOUD
        hidden &= percent == NOT_OBSERVED
        _clear(codes, hidden)
        _clear(percent, hidden)
        if self.rule.unknown_below > 0:
            _clear(codes, percent < self.rule.unknown_below)
        outside = self._outside(window)
        if outside is not None:
            codes[outside], percent[outside] = NOT_OBSERVED, NOT_OBSERVED
        return codes, percent, outside

    def _outside(self, window: Window) -> Mask | None:
        return ~burn(self.rule.region, self.grid, window) if self.rule.region else None


def _clear(values: U8, where: Mask) -> None:
    """Set ``values`` to 0, which is :data:`UNKNOWN`: a product takes a twentieth of the time of setting by a mask."""
    np.multiply(values, (~where).view(np.uint8), out=values)


def _sides(grid: Grid) -> tuple[float, float]:
    """Metres of a pixel's side down a column and along a row."""
    down, along = grid.gsd_m()
    return down, along

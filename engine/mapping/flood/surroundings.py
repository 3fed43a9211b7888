"""What else is known of the ground: reference water, height above drainage, slope, and the area of interest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import DamagedFileError, MissingExtraError, UnitsError
from engine.events import Reporter
from engine.mapping.flood.classes import HIGH, SHADOW, STEEP
from engine.mapping.scene.sampling import sample_windows
from engine.raster.drainage import hand_raster
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster, open_raster
from engine.raster.terrain import slope_degrees
from engine.raster.vector import burn
from engine.sar.shadow import radar_shadow, shadow_reach

LAND, REFERENCE, UNKNOWN = 0, 1, 2
COLUMNS = 2048


@dataclass
class Surroundings:
    """Optional layers on one grid; every answer is for a window of that grid. Close it.

    Pixels without a value in a layer are not judged by it: no reference there, no exclusion there.
    """

    grid: Grid
    max_hand: float
    max_slope: float
    reference: Raster | None = None
    occurrence_scale: float = 1.0
    hand: Raster | None = None
    dem: Raster | None = None
    region: list[Any] = field(default_factory=list)
    look: float | None = None
    relief_m: float = 0.0
    _views: dict[str, Raster] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        grid: Grid,
        *,
        reference_water: str | None,
        dem: str | None,
        hand: str | None,
        region: list[Any],
        look: float | None,
        max_hand: float,
        max_slope: float,
        folder: Path,
        reporter: Reporter,
    ) -> Surroundings:
        """Open the layers; HAND is computed from ``dem`` (in ``folder``) unless ``hand`` is given.

        ``look``: azimuth in which the radar looked, degrees; with it the DEM also gives radar shadow.

        Without the terrain extra HAND is left out with a warning; slope still works. Raises the reader's errors,
        GridError for a layer without CRS, UnitsError for reference water that is neither 0/1 nor per cent.
        """
        self = cls(grid=grid, max_hand=max_hand, max_slope=max_slope, region=region, look=look)
        try:
            if reference_water is not None:
                self.reference = _georeferenced(reference_water, "reference water")
                self.occurrence_scale = _occurrence_scale(self.reference)
                self._views["reference"] = self.reference.onto(grid, resampling="nearest")
            if dem is not None:
                self.dem = _georeferenced(dem, "DEM")
                heights = _samples(self.dem)
                if not heights.size:
                    raise DamagedFileError(f"{dem}: the DEM has no valid value.", remedy="Check its nodata value.")
                self.relief_m = float(np.ptp(heights))
                self._views["dem"] = self.dem.onto(grid, resampling="bilinear")
            if hand is not None:
                self.hand = _georeferenced(hand, "HAND")
            elif dem is not None:
                try:
                    self.hand = open_raster(str(hand_raster(dem, grid, folder, reporter)), what="HAND")
                except MissingExtraError as error:
                    reporter.warn(f"Height above drainage is not used: {error.line}")
            if self.hand is not None:
                self._views["hand"] = self.hand.onto(grid, resampling="bilinear")
        except BaseException:
            self.close()
            raise
        return self

    @property
    def has_reference(self) -> bool:
        """True when there is a reference water layer."""
        return self.reference is not None

    @property
    def has_terrain(self) -> bool:
        """True when water may be set aside because of terrain."""
        return self.hand is not None or self.dem is not None

    def reference_water(self, window: Window) -> NDArray[np.uint8]:
        """LAND, REFERENCE or UNKNOWN (no reference at this pixel) for every pixel."""
        view = self._views.get("reference")
        if view is None:
            return np.full(window.shape, UNKNOWN, np.uint8)
        water = np.empty(window.shape, np.uint8)
        for part in columns_of(window):
            values = view.read(part, [1])[0]
            water[part.within(window)] = np.where(np.isnan(values), UNKNOWN, values * self.occurrence_scale >= 0.5)
        return water

    def terrain_reason(self, window: Window, doubtful: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """SHADOW, STEEP or HIGH (named in this order) where ``doubtful`` water is not plausible by terrain, else 0."""
        reason = np.zeros(window.shape, np.uint8)
        for part in columns_of(window):
            here = part.within(window)
            if doubtful[here].any():
                reason[here] = np.where(doubtful[here], self._terrain(part), 0)
        return reason

    def _terrain(self, window: Window) -> NDArray[np.uint8]:
        reason = np.zeros(window.shape, np.uint8)
        if "hand" in self._views:
            hand = self._views["hand"].read(window, [1])[0]
            reason[np.nan_to_num(hand, nan=0.0) > self.max_hand] = HIGH
        if self.dem is not None:
            slope = slope_degrees(self.dem, self.grid, window)
            reason[np.nan_to_num(slope, nan=0.0) > self.max_slope] = STEEP
            if self.look is not None:
                reason[self._shadow(window, self.look)] = SHADOW
        return reason

    def _shadow(self, window: Window, look: float) -> NDArray[np.bool_]:
        step, distance = direction_in_pixels(self.grid, (look + 180.0) % 360.0)
        reach = shadow_reach(self.relief_m, distance)
        outer = window.grow(reach)
        hidden = radar_shadow(self._views["dem"].read(outer, [1])[0], step=step, distance_m=distance, reach=reach)
        return hidden[window.within(outer)]

    def outside(self, window: Window) -> NDArray[np.bool_] | None:
        """True for pixels whose centre lies outside the area of interest; None when there is none."""
        if not self.region:
            return None
        return ~burn(self.region, self.grid, window)

    def close(self) -> None:
        """Close what was opened."""
        for raster in (*self._views.values(), self.reference, self.hand, self.dem):
            if raster is not None:
                raster.close()

    def __enter__(self) -> Surroundings:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _georeferenced(path: str, what: str) -> Raster:
    raster = open_raster(path, what=what)
    try:
        raster.require_crs()
    except BaseException:
        raster.close()
        raise
    return raster


def columns_of(window: Window) -> Iterator[Window]:
    """The window in parts of at most :data:`COLUMNS` columns: resampling holds many arrays of the part's size."""
    for col in range(window.col, window.col_stop, COLUMNS):
        yield Window(window.row, col, window.height, min(COLUMNS, window.col_stop - col))


def direction_in_pixels(grid: Grid, azimuth_deg: float) -> tuple[tuple[float, float], float]:
    """A compass direction as ((rows, columns), metres): the step's longer side is one pixel, metres its length.

    Map north is taken as true north: grid convergence (a few degrees) does not matter for what uses this.
    """
    down, along = grid.gsd_m()
    east, north = math.sin(math.radians(azimuth_deg)), math.cos(math.radians(azimuth_deg))
    t = grid.transform
    # Metres east and north of one pixel along a row and down a column, from the transform's directions.
    row_length, col_length = math.hypot(t.a, t.d), math.hypot(t.b, t.e)
    matrix = np.array(
        [[t.a / row_length * along, t.b / col_length * down], [t.d / row_length * along, t.e / col_length * down]]
    )
    col, row = np.linalg.solve(matrix, [east, north])
    longer = max(abs(col), abs(row))
    return (float(row / longer), float(col / longer)), float(1.0 / longer)


def _samples(raster: Raster) -> NDArray[np.float32]:
    parts = [raster.read(window, [1])[0] for window in sample_windows(raster.grid, size=256, along=4)]
    values = np.concatenate([part[np.isfinite(part)] for part in parts])
    return values


def _occurrence_scale(raster: Raster) -> float:
    """1 for a 0/1 mask, 0.01 for per cent occurrence; raises UnitsError for anything else."""
    values = _samples(raster)
    top = float(values.max()) if values.size else 1.0
    bottom = float(values.min()) if values.size else 0.0
    if bottom >= 0 and top <= 1:
        return 1.0
    if bottom >= 0 and top <= 100:
        return 0.01
    raise UnitsError(
        f"{raster.path}: reference water must be 0/1 or per cent 0..100; found {bottom:g}..{top:g}.",
        remedy="Convert the layer, or declare its nodata value.",
    )

"""The rasters of a flood map: classes, probability and, where any pixel is set aside, the reasons."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from engine.events import Reporter
from engine.mapping.flood.classes import CLASS_COLORS, CLASS_NAMES, NOT_OBSERVED, REASON_COLORS, REASON_NAMES
from engine.mapping.flood.pipeline import FloodStrip
from engine.raster.grid import Grid
from engine.raster.write import CogWriter


class RasterSink:
    """Writes ``flood.tif``, ``water_probability.tif`` and ``excluded.tif`` into ``folder``."""

    def __init__(self, folder: Path, grid: Grid, *, tags: dict[str, str]) -> None:
        self._folder = folder
        self._any_reason = False
        self._flood = CogWriter(
            folder / "flood.tif",
            grid,
            dtype="uint8",
            nodata=NOT_OBSERVED,
            band_names=["flood"],
            colors=CLASS_COLORS,
            class_names=CLASS_NAMES,
            tags=tags,
            overview_resampling="mode",
        )
        self._probability = CogWriter(
            folder / "water_probability.tif",
            grid,
            dtype="uint8",
            nodata=NOT_OBSERVED,
            band_names=["water probability (%)"],
            colors=None,
            class_names=None,
            tags={**tags, "UNITS": "per cent"},
            overview_resampling="average",
        )
        self._reasons = CogWriter(
            folder / "excluded.tif",
            grid,
            dtype="uint8",
            nodata=NOT_OBSERVED,
            band_names=["reason"],
            colors=REASON_COLORS,
            class_names=REASON_NAMES,
            tags=tags,
            overview_resampling="mode",
        )

    def add(self, strip: FloodStrip) -> None:
        """Write one strip."""
        self._flood.write(strip.window, strip.codes)
        self._probability.write(strip.window, strip.probability)
        self._reasons.write(strip.window, strip.reasons)
        self._any_reason = self._any_reason or bool(((strip.reasons != 0) & (strip.reasons != NOT_OBSERVED)).any())

    def finish(self, reporter: Reporter) -> dict[str, str]:
        """Close the files; returns the file name of each output."""
        names = {"flood": "flood.tif", "probability": "water_probability.tif"}
        reporter.progress(0.0, "rasters", "Building overviews")
        self._flood.close()
        reporter.progress(0.4, "rasters", "Building overviews")
        self._probability.close()
        reporter.progress(0.8, "rasters", "Building overviews")
        if self._any_reason:
            self._reasons.close()
            names["excluded"] = "excluded.tif"
        else:
            self._reasons.discard()
        return names

    def __enter__(self) -> RasterSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            for writer in (self._flood, self._probability, self._reasons):
                writer.discard()

"""The rasters of a land-cover map: classes and confidence."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from engine.events import Reporter
from engine.legends import NOT_OBSERVED
from engine.mapping.landcover.classes import ClassTable
from engine.mapping.landcover.naming import LEGEND_TAG
from engine.mapping.landcover.pipeline import LandcoverStrip
from engine.raster.grid import Grid
from engine.raster.write import CogWriter

MAP, CONFIDENCE = "landcover.tif", "confidence.tif"


class RasterSink:
    """Writes ``landcover.tif`` and ``confidence.tif`` into ``folder``; the legend's name stands in the tags of both."""

    def __init__(self, folder: Path, grid: Grid, table: ClassTable, *, tags: dict[str, str]) -> None:
        tags = {**tags, LEGEND_TAG: table.legend}
        self._map = CogWriter(
            folder / MAP,
            grid,
            dtype="uint8",
            nodata=NOT_OBSERVED,
            band_names=["land cover"],
            colors=table.colors,
            class_names=table.names,
            tags=tags,
            overview_resampling="mode",
        )
        self._confidence = CogWriter(
            folder / CONFIDENCE,
            grid,
            dtype="uint8",
            nodata=NOT_OBSERVED,
            band_names=["confidence (%)"],
            tags={**tags, "UNITS": "per cent"},
            overview_resampling="average",
        )

    def add(self, strip: LandcoverStrip) -> None:
        """Write one strip."""
        self._map.write(strip.window, strip.codes)
        self._confidence.write(strip.window, strip.confidence)

    def finish(self, reporter: Reporter) -> dict[str, str]:
        """Close the files; returns the file name of each output."""
        reporter.progress(0.0, "rasters", "Building overviews")
        self._map.close()
        reporter.progress(0.5, "rasters", "Building overviews")
        self._confidence.close()
        return {"landcover": MAP, "confidence": CONFIDENCE}

    def __enter__(self) -> RasterSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._map.discard()
            self._confidence.discard()

"""The rasters of a simulated scene: names, bands, colours and tags."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from engine.raster.grid import Grid
from engine.raster.write import CogWriter
from engine.simulate.landscape import WORLDCOVER_CLASSES
from engine.simulate.optics import BANDS
from engine.simulate.request import SceneSettings, parse_time
from engine.simulate.scene import POLARISATIONS, SceneArrays
from engine.version import VERSION

NOTE = "SIMULATED: computed by SameScene, no real observation."

_CLEAR = (0, 0, 0, 0)
_WATER = {0: _CLEAR, 1: (31, 78, 158, 255)}
_TRUTH = {0: (245, 243, 238, 0), 1: (31, 78, 158, 255), 2: (232, 89, 12, 255), 255: _CLEAR}
_SHADOW = {0: _CLEAR, 1: (74, 20, 140, 255), 255: _CLEAR}


@dataclass(frozen=True, kw_only=True)
class RasterFile:
    """One raster of the scene. ``source`` is the field of SceneArrays behind it, ``product`` what asks for it.

    ``date``: which acquisition it shows, 0 before, 1 after, None for neither.
    """

    product: str
    name: str
    source: str
    dtype: str
    nodata: float | None
    bands: tuple[str, ...]
    meaning: str
    date: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    classes: dict[int, str] | None = None
    colors: dict[int, tuple[int, int, int, int]] | None = None
    overviews: Literal["mode", "nearest", "average"] = "nearest"

    @property
    def key(self) -> str:
        """The key in the result's ``outputs``."""
        return self.name.removesuffix(".tif").lower()

    def of(self, arrays: SceneArrays) -> Any:
        """This file's pixels among ``arrays``."""
        return getattr(arrays, self.source)

    def writer(self, folder: Path, grid: Grid, settings: SceneSettings) -> CogWriter:
        """The writer of this file in ``folder``."""
        tags = {
            "SIMULATED": "yes",
            "DATASET": "SameScene simulated scene",
            "TIFFTAG_IMAGEDESCRIPTION": NOTE,
            "TIFFTAG_SOFTWARE": f"SameScene engine {VERSION}",
            "SEED": str(settings.seed),
            **self.tags,
        }
        if self.date is not None:
            tags["ACQUIRED"] = iso(settings.before_time if self.date == 0 else parse_time(settings.observed_at))
        if self.product == "s1":
            tags["LOOKS"] = str(settings.looks)
        return CogWriter(
            folder / self.name,
            grid,
            dtype=self.dtype,
            nodata=self.nodata,
            band_names=self.bands,
            colors=self.colors,
            class_names=self.classes,
            tags=tags,
            overview_resampling=self.overviews,
        )


def raster_files(settings: SceneSettings) -> list[RasterFile]:
    """The rasters that ``settings.products`` asks for."""
    return [file for file in _FILES if file.product in settings.makes]


def iso(moment: datetime) -> str:
    """A UTC time as ISO 8601 to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _radar(name: str, source: str, date: int, when: str) -> RasterFile:
    return RasterFile(
        product="s1",
        name=name,
        source=source,
        dtype="float32",
        nodata=float("nan"),
        bands=POLARISATIONS,
        meaning=f"Sentinel-1 {when} the event: VV, VH, sigma0 in dB",
        date=date,
        tags={
            "UNITS": "dB",
            "VALUES": "sigma0 in decibel",
            "ORBIT_DIRECTION": "ASCENDING",
            "RELATIVE_ORBIT": "44",
        },
        overviews="average",
    )


def _label(name: str, source: str, date: int, meaning: str) -> RasterFile:
    words = "-1 ignore (water under plants or between houses, or not observed), 0 not water, 1 water"
    return RasterFile(
        product="labels",
        name=name,
        source=source,
        dtype="int16",
        nodata=None,
        bands=("label",),
        meaning=meaning,
        date=date,
        tags={"VALUES": words},
    )


_FILES = (
    _radar("before_S1.tif", "before", 0, "before"),
    _radar("after_S1.tif", "after", 1, "during"),
    RasterFile(
        product="s2",
        name="after_S2.tif",
        source="optical",
        dtype="uint16",
        nodata=0,
        bands=BANDS,
        meaning="Sentinel-2 Level-2A during the event: 12 bands, reflectance x 10000",
        date=1,
        tags={"UNITS": "reflectance x 10000", "LEVEL": "L2A"},
        overviews="average",
    ),
    RasterFile(
        product="landcover",
        name="landcover.tif",
        source="landcover",
        dtype="uint8",
        nodata=255,
        bands=("landcover",),
        meaning="land cover before the event, ESA WorldCover codes",
        tags={"VALUES": "ESA WorldCover codes"},
        classes={code: title for code, (title, _) in WORLDCOVER_CLASSES.items()},
        colors={code: color for code, (_, color) in WORLDCOVER_CLASSES.items()},
        overviews="mode",
    ),
    RasterFile(
        product="dem",
        name="dem.tif",
        source="dem",
        dtype="float32",
        nodata=-9999.0,
        bands=("height",),
        meaning="height of ground or permanent water in metres",
        tags={"UNITS": "m"},
        overviews="average",
    ),
    RasterFile(
        product="water",
        name="reference_water.tif",
        source="reference_water",
        dtype="uint8",
        nodata=255,
        bands=("permanent water",),
        meaning="1 permanent water, 0 land",
        classes={0: "land", 1: "permanent water"},
        colors=_WATER,
    ),
    RasterFile(
        product="truth",
        name="flood_truth.tif",
        source="flood_truth",
        dtype="uint8",
        nodata=255,
        bands=("flood truth",),
        meaning="0 dry, 1 permanent water, 2 flood (under plants and between houses too), 255 not observed",
        date=1,
        classes={0: "dry land", 1: "permanent water", 2: "flood", 255: "not observed"},
        colors=_TRUTH,
    ),
    RasterFile(
        product="truth",
        name="excluded_truth.tif",
        source="excluded_truth",
        dtype="uint8",
        nodata=255,
        bands=("excluded truth",),
        meaning="1 radar shadow, 0 seen, 255 not observed",
        date=1,
        classes={0: "seen by the radar", 1: "radar shadow", 255: "not observed"},
        colors=_SHADOW,
    ),
    _label("before_label.tif", "before_label", 0, "1 water, 0 dry, -1 ignore; scores a map of before_S1.tif"),
    _label(
        "after_label.tif", "after_label", 1, "1 water, 0 dry, -1 ignore (hidden water); scores a map of after_S1.tif"
    ),
)

"""A Sentinel-2 file of a map: bands and scale found, clouds masked, read as reflectance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import BandError, GridError, UnitsError
from engine.mapping.scene.bands import numbers_for
from engine.mapping.scene.sampling import sample_windows
from engine.optics.classification import is_classification, shows_ground
from engine.optics.products import bands_by_number
from engine.optics.reflectance import ScaleFinding, find_scale, to_reflectance
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster, Resampling, open_raster
from engine.sensors import SENTINEL2, identify_band, match_bands

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Sentinel2File:
    """One opened file: ``bands`` are 1-based numbers by standard name, ``scale`` what its values are and why, ``scl``
    the scene classification that hides clouds, on any grid, or None."""

    raster: Raster
    bands: dict[str, int]
    scale: ScaleFinding
    scl: Raster | None = None
    sensor: ClassVar[str] = "s2"

    @property
    def acquired(self) -> datetime | None:
        """Acquisition time (UTC) where the file tells it."""
        return self.raster.acquired

    @property
    def unit_text(self) -> str:
        """What the values are, and why."""
        return f"(value - {self.scale.offset}) x {self.scale.scale:g}: {self.scale.reason}"

    def facts(self) -> dict[str, Any]:
        """What was found in the file, JSON-able."""
        return {
            "sensor": self.sensor,
            "unit": "reflectance",
            "unit_reason": self.unit_text,
            "bands": self.bands,
            "clouds": "not masked" if self.scl is None else f"masked by {self.scl.path}",
        }

    def close(self) -> None:
        """Close the files."""
        if self.scl is not None:
            self.scl.close()
        self.raster.close()


class Sentinel2View:
    """A file on a grid. Where its CRS is absent its pixels are the grid's, if they are as many; else GridError."""

    def __init__(self, file: Sentinel2File, grid: Grid) -> None:
        self._file = file
        self._image = laid_on(file.raster, grid, "bilinear")
        self._scl = laid_on(file.scl, grid, "nearest") if file.scl is not None else None

    def read(self, window: Window, names: Sequence[str]) -> FloatArray:
        """Reflectance (len(names), rows, columns); NaN in every band where one has no valid value, or under cloud."""
        values = self._image.read(window, [self._file.bands[name] for name in names])
        out = to_reflectance(values, self._file.scale)
        hidden = np.isnan(out).any(axis=0)
        if self._scl is not None:
            hidden |= ~shows_ground(self._scl.read(window, [1])[0])
        out[:, hidden] = np.nan
        return out

    def close(self) -> None:
        """Close the views, not the files."""
        for view, own in ((self._image, self._file.raster), (self._scl, self._file.scl)):
            if view is not None and view is not own:
                view.close()


class _ZeroIsMissing(Raster):
    """Digital number 0, "no data" in every Sentinel-2 product, as NaN before anything is resampled."""

    def __init__(self, source: Raster) -> None:
        super().__init__(
            path=source.path,
            what=source.what,
            grid=source.grid,
            names=source.names,
            dtype=source.dtype,
            nodata=source.nodata,
            tags=source.tags,
            block=source.block,
            remote=source.remote,
        )
        self._source, self._acquired = source, source._acquired

    def _read(self, window: Window, bands: tuple[int, ...]) -> FloatArray:
        values = self._source.read(window, bands)
        values[values == 0] = np.nan
        return values

    def require_crs(self) -> None:
        self._source.require_crs()

    def close(self) -> None:
        self._source.close()


def laid_on(raster: Raster, grid: Grid, how: Resampling) -> Raster:
    """``raster`` on ``grid`` by georeference; GridError where that cannot be done."""
    if raster.grid == grid:
        return raster
    if raster.grid.crs is None or grid.crs is None:
        if raster.grid.crs is None and grid.crs is None and raster.grid.shape == grid.shape:
            return raster
        raise GridError(
            f"{raster.path}: the {raster.what} can be laid on the scene only with a CRS in both.",
            remedy="Georeference both files.",
        )
    return raster.onto(grid, resampling=how)


def find_optical_bands(raster: Raster, *, numbers: str | None = None) -> dict[str, int]:
    """1-based band numbers by standard name: by name, by ``numbers``, or by the count of a product whose bands have no
    names; empty where the file has no band of Sentinel-2. Raises BandError for a band that stands twice."""
    if numbers is not None:
        return numbers_for(raster, numbers, SENTINEL2)
    present = {identify_band(name, SENTINEL2) if name else None for name in raster.names}
    wanted = [band.name for band in SENTINEL2.bands if band.name in present]
    if wanted:
        indexes = match_bands(raster.names, SENTINEL2, wanted, path=str(raster.path))
        return dict(zip(wanted, indexes, strict=True))
    names = bands_by_number(raster.count) if not any(raster.names) else None
    return {name: number for number, name in enumerate(names or (), 1)}


def open_sentinel2(path: str, *, what: str, bands: str | None = None, scl: str | None = None) -> Sentinel2File:
    """Open a Sentinel-2 image and, with ``scl``, its scene classification; see :func:`sentinel2_of` for errors."""
    return sentinel2_of(open_raster(path, what=what), bands=bands, scl=scl)


def sentinel2_of(raster: Raster, *, bands: str | None = None, scl: str | None = None) -> Sentinel2File:
    """The file of an open raster, which is closed when this fails.

    Scale and offset are judged as for training data, from tags and up to 25 windows of 256 × 256 pixels over the whole
    file. Raises the errors of :func:`engine.raster.read.open_raster`, BandError, and UnitsError for an ``scl`` that
    holds other values than scene classes.
    """
    mask: Raster | None = None
    try:
        numbers = find_optical_bands(raster, numbers=bands)
        if not numbers:
            listed = ", ".join(name or f"(band {i + 1} without a name)" for i, name in enumerate(raster.names))
            raise BandError(
                f"{raster.path}: no Sentinel-2 band was found; found: {listed or 'no band'}.",
                remedy="Name the bands in the file (B02, B03, …).",
            )
        source = zero_is_missing(raster)
        samples = sample_bands(source, numbers)
        integer = np.dtype(raster.dtype).kind in "iu"
        scale = find_scale(samples, tags=raster.tags, integer=integer, acquired=raster.acquired, declared=None)
        if scl is not None:
            mask = open_classification(scl)
    except BaseException:
        if mask is not None:
            mask.close()
        raster.close()
        raise
    return Sentinel2File(raster=source, bands=numbers, scale=scale, scl=mask)


def zero_is_missing(raster: Raster) -> Raster:
    """The raster with digital number 0 as missing where it holds integers and declares no nodata value."""
    integer = np.dtype(raster.dtype).kind in "iu"
    return _ZeroIsMissing(raster) if integer and all(n is None for n in raster.nodata) else raster


def sample_bands(source: Raster, numbers: dict[str, int]) -> dict[str, FloatArray]:
    """Values of each band from up to 25 windows of 256 × 256 pixels, to judge scale and offset by."""
    windows = sample_windows(source.grid, size=256, along=5, block=source.block)
    parts = [source.read(window, list(numbers.values())) for window in windows]
    return {name: np.concatenate([p[i].ravel() for p in parts]) for i, name in enumerate(numbers)}


def open_classification(path: str) -> Raster:
    """Open a scene classification (SCL); raises UnitsError where it holds other values than its classes."""
    mask = open_raster(path, what="scene classification")
    try:
        _check_classes(mask)
    except BaseException:
        mask.close()
        raise
    return mask


def _check_classes(mask: Raster) -> None:
    for window in sample_windows(mask.grid, size=256, along=3):
        if not is_classification(mask.read(window, [1])[0]):
            raise UnitsError(
                f"{mask.path}: holds other values than the classes 0 to 11 of a Sentinel-2 scene classification.",
                remedy="Give the SCL band of the product.",
            )

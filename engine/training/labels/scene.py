"""The scene that labels lie on: rasters of one place, all bands on the grid of the first."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engine.errors import BandError, GridError
from engine.mapping.scene.sampling import sample_windows
from engine.mapping.scene.opening import ImageFile, open_image
from engine.mapping.scene.sentinel1 import Sentinel1File
from engine.mapping.scene.sentinel2 import Sentinel2View
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster
from engine.sensors import SENSORS
from engine.training.data.statistics import BandStatistics, RunningStatistics

Floats = NDArray[np.float32]
UNUSED = ("B09", "B10")
"""Bands of water vapour and cirrus: they see the air, not the ground."""
APART_DAYS = 3.0


@dataclass(frozen=True)
class _Part:
    """One file: the bands taken from it, in order, and how it is read on the scene's grid."""

    file: ImageFile
    names: tuple[str, ...]
    view: Raster | Sentinel2View


class LabelScene:
    """Sentinel-2 in reflectance and Sentinel-1 in dB of one place and about one date, on the grid of the first file.

    ``bands``: (sensor, name) of each plane that :meth:`read` gives, Sentinel-1 first, in the sensors' own order. Use it
    as a context manager; made by :meth:`open`.
    """

    def __init__(self, files: Sequence[ImageFile], *, bands: Sequence[str] | None = None) -> None:
        self.files = tuple(files)
        self.grid: Grid = files[0].raster.grid
        self.path = files[0].raster.path
        self._parts: list[_Part] = []
        taken: dict[tuple[str, str], int] = {}
        for number, file in enumerate(files):
            for name in file.bands:
                unwanted = name not in bands if bands is not None else name in UNUSED
                if file.sensor == "s2" and unwanted:
                    continue
                if (file.sensor, name) in taken:
                    other = files[taken[file.sensor, name]].raster.path
                    raise BandError(
                        f"{file.raster.path}: the {SENSORS[file.sensor].title} band {name} stands in {other} too.",
                        remedy="Give each band once; several dates of one place are trained on as --data folder:PATH.",
                    )
                taken[file.sensor, name] = number
        order = [(sensor.key, band.name) for sensor in SENSORS.values() for band in sensor.bands]
        self.bands = tuple(one for one in order if one in taken)
        if not self.bands:
            raise BandError(f"{self.path}: none of the bands asked for is in the scene.", remedy="Name other bands.")
        for number, file in enumerate(files):
            names = tuple(name for name in file.bands if taken.get((file.sensor, name)) == number)
            if names:
                self._parts.append(_Part(file, names, _view(file, self.grid)))

    @classmethod
    def open(cls, paths: Sequence[str], *, bands: Sequence[str] | None = None) -> LabelScene:
        """Open the files; ``bands``: the Sentinel-2 bands to take (default: all but :data:`UNUSED`).

        Raises what :func:`engine.mapping.scene.opening.open_image` raises, BandError for a band that stands twice, and
        GridError where files do not overlap.
        """
        files: list[ImageFile] = []
        try:
            for path in paths:
                files.append(open_image(path, what="scene", bands=None, unit=None))
            return cls(files, bands=bands)
        except BaseException:
            for file in files:
                file.close()
            raise

    @property
    def sensors(self) -> tuple[str, ...]:
        """Keys of the sensors, in the order of :attr:`bands`."""
        return tuple(dict.fromkeys(sensor for sensor, _ in self.bands))

    def read(self, window: Window) -> Floats:
        """float32 (bands, rows, columns): dB and reflectance; NaN in all bands of a sensor where one is missing."""
        out = np.full((len(self.bands), *window.shape), np.nan, np.float32)
        for part in self._parts:
            if isinstance(part.file, Sentinel1File):
                both = part.file.read_db(window, part.view if isinstance(part.view, Raster) else None)
                planes = {"VV": both[0], "VH": both[1]}
            else:
                values = part.view.read(window, part.names)  # type: ignore[arg-type]
                planes = dict(zip(part.names, values, strict=True))
            for name in part.names:
                out[self.bands.index((part.file.sensor, name))] = planes[name]
        for sensor in self.sensors:
            rows = [i for i, (key, _) in enumerate(self.bands) if key == sensor]
            hidden = ~np.isfinite(out[rows]).all(axis=0)
            for row in rows:
                out[row][hidden] = np.nan
        return out

    def statistics(self) -> dict[str, BandStatistics]:
        """Mean and spread of each sensor's bands over windows spread over the scene."""
        running = {s: RunningStatistics([n for key, n in self.bands if key == s]) for s in self.sensors}
        for window in sample_windows(self.grid, size=256, along=5):
            values = self.read(window)
            for sensor, one in running.items():
                one.add(values[[i for i, (key, _) in enumerate(self.bands) if key == sensor]])
        return {sensor: one.result() for sensor, one in running.items()}

    def notes(self) -> list[str]:
        """What makes the labels doubtful: dates far apart, no cloud mask."""
        found = []
        dates = [file.acquired for file in self.files if file.acquired is not None]
        if len(dates) > 1 and (max(dates) - min(dates)).total_seconds() / 86400 > APART_DAYS:
            days = (max(dates) - min(dates)).days
            found.append(f"{self.path}: the files were taken {days} days apart: they may show different ground.")
        return found

    def close(self) -> None:
        """Close every file."""
        for part in self._parts:
            if part.view is not part.file.raster:
                part.view.close()
        for file in self.files:
            file.close()

    def __enter__(self) -> LabelScene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self.close()


def _view(file: ImageFile, grid: Grid) -> Raster | Sentinel2View:
    own = file.raster.grid
    if own != grid and own.crs is not None and grid.crs is not None:
        reach = file.raster.onto(grid)
        meets = any(np.isfinite(reach.read(window, [1])).any() for window in sample_windows(grid, size=64, along=16))
        if not meets:
            raise GridError(
                f"{file.raster.path}: the scene's file does not overlap the first one.",
                remedy="Give rasters of one place.",
            )
    if not isinstance(file, Sentinel1File):
        return Sentinel2View(file, grid)
    return file.raster if own == grid or own.crs is None else file.raster.onto(grid, resampling="bilinear")

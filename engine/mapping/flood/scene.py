"""The Sentinel-1 scene of a flood map: files opened, bands and unit found, cropped, read as sigma0 dB."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

import numpy as np
from rasterio.warp import transform_bounds

from engine.errors import BandError, GridError, ParameterError
from engine.events import Reporter
from engine.mapping.flood.detector import FloatArray
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster, open_raster
from engine.sar.radiometry import UnitFinding, detect_unit, to_db
from engine.sar.shadow import look_azimuth
from engine.sensors import SENTINEL1, Unit, identify_band, match_bands

POLARISATIONS = ("VV", "VH")
CONTEXT_PIXELS = 2048
"""Statistics of a small area of interest are taken from a square of at least this many pixels around it."""


@dataclass(frozen=True, kw_only=True)
class Sentinel1File:
    """One opened file: ``bands`` are 1-based numbers by polarisation, ``unit`` what its values are and why."""

    raster: Raster
    bands: dict[str, int]
    unit: UnitFinding

    @property
    def acquired(self) -> datetime | None:
        """Acquisition time (UTC) where the file tells it."""
        return self.raster.acquired

    def read_db(self, window: Window, raster: Raster | None = None) -> FloatArray:
        """(2, rows, columns) sigma0 dB of VV, VH in ``window`` of ``raster`` (default: the file's own grid)."""
        out = np.full((2, *window.shape), np.nan, np.float32)
        values = (raster or self.raster).read(window, list(self.bands.values()))
        if self.unit.zero_is_fill:
            values = np.where(values == 0, np.float32(np.nan), values)
        for plane, pol in zip(values, self.bands, strict=True):
            out[POLARISATIONS.index(pol)] = to_db(plane, self.unit.unit)
        return out


def parse_band_numbers(text: str) -> dict[str, int]:
    """``"VV=1,VH=2"`` → {"VV": 1, "VH": 2}; raises ParameterError."""
    found: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(VV|VH)\s*=\s*([1-9]\d*)\s*", part, re.IGNORECASE)
        if match is None or match[1].upper() in found:
            raise ParameterError(
                f"--bands {text!r} is not understood.", remedy="Write for example VV=1,VH=2, or VV=1 alone."
            )
        found[match[1].upper()] = int(match[2])
    return {pol: found[pol] for pol in POLARISATIONS if pol in found}


def find_polarisations(raster: Raster, *, numbers: str | None) -> dict[str, int]:
    """1-based band numbers by polarisation, by name or as given in ``numbers``; raises BandError."""
    count = len(raster.names)
    if numbers is not None:
        bands = parse_band_numbers(numbers)
        for pol, number in bands.items():
            if number > count:
                raise BandError(
                    f"{raster.path}: --bands asks for band {number} as {pol}, but the file has {count}.",
                    remedy="Give numbers that the file has.",
                )
        return bands
    present = [identify_band(name, SENTINEL1) if name else None for name in raster.names]
    wanted = [pol for pol in POLARISATIONS if pol in present]
    if not wanted:
        listed = ", ".join(name or f"(band {i + 1} without a name)" for i, name in enumerate(raster.names))
        raise BandError(
            f"{raster.path}: neither VV nor VH was found among its bands; found: {listed or 'no band'}.",
            remedy="Name the bands VV and VH in the file, or give their numbers, for example --bands VV=1,VH=2.",
        )
    indexes = match_bands(raster.names, SENTINEL1, wanted, path=str(raster.path))
    return dict(zip(wanted, indexes, strict=True))


def open_sentinel1(path: str, *, what: str, bands: str | None, unit: Unit | None) -> Sentinel1File:
    """Open a scene and find its polarisations and unit.

    The unit is judged from metadata and up to 25 windows of 256 × 256 pixels over the whole file. Raises the errors of
    :func:`engine.raster.read.open_raster`, BandError, and UnitsError when the unit is unclear or contradicts ``unit``.
    """
    raster = open_raster(path, what=what)
    try:
        numbers = find_polarisations(raster, numbers=bands)
        samples: dict[str, list[np.ndarray]] = {pol: [] for pol in numbers}
        for window in sample_windows(raster.grid, size=256, along=5):
            for pol, plane in zip(numbers, raster.read(window, list(numbers.values())), strict=True):
                samples[pol].append(plane[np.isfinite(plane)])
        finding = detect_unit(
            {pol: np.concatenate(parts) for pol, parts in samples.items()},
            names=tuple(raster.names[number - 1] for number in numbers.values()),
            tags=raster.tags,
            dtype=raster.dtype,
            declared=unit,
            path=str(raster.path),
        )
    except BaseException:
        raster.close()
        raise
    return Sentinel1File(raster=raster, bands=numbers, unit=finding)


def sample_windows(grid: Grid, *, size: int, along: int) -> list[Window]:
    """Up to ``along``² windows of ``size`` pixels, evenly spread over the grid; the whole grid when it is small."""

    def starts(length: int) -> list[int]:
        last = max(0, length - size)
        number = min(along, max(1, math.ceil(length / size)))
        return sorted({round(i * last / max(1, number - 1)) for i in range(number)})

    return [
        Window(row, col, size, size).intersect(grid.window) for row in starts(grid.height) for col in starts(grid.width)
    ]


class Sentinel1Scene:
    """The scene after the event and, on its grid, the one before. Implements :class:`SceneReader`; close it.

    ``crop`` is a window of the file's grid; the scene's own windows count from its upper-left corner.
    """

    def __init__(self, post: Sentinel1File, *, before: Sentinel1File | None = None, crop: Window | None = None) -> None:
        self.post, self.before = post, before
        whole = post.raster.grid
        self._crop = (crop or whole.window).intersect(whole.window)
        self._grid = whole.crop(self._crop)
        self._before_view = self._view_before(whole) if before is not None else None

    @classmethod
    def open(
        cls, post: str, *, before: str | None = None, bands: str | None = None, unit: Unit | None = None
    ) -> Sentinel1Scene:
        """Open the files; ``bands`` and ``unit`` hold for both. A scene before that does not overlap is a GridError."""
        first = open_sentinel1(post, what="scene", bands=bands, unit=unit)
        try:
            second = open_sentinel1(before, what="scene before the event", bands=bands, unit=unit) if before else None
            try:
                return cls(first, before=second)
            except BaseException:
                if second is not None:
                    second.raster.close()
                raise
        except BaseException:
            first.raster.close()
            raise

    def cropped(self, crop: Window) -> Sentinel1Scene:
        """The same files seen through a window of the file's grid; close only one of the two."""
        return Sentinel1Scene(self.post, before=self.before, crop=crop)

    def _view_before(self, whole: Grid) -> Raster:
        if self.before is None:
            raise ValueError("There is no scene before the event.")
        raster = self.before.raster
        if not set(self.before.bands) & set(self.post.bands):
            raise BandError(
                f"{raster.path}: the scene before the event has {', '.join(self.before.bands)}, the scene after "
                f"{', '.join(self.post.bands)}: no polarisation in common.",
                remedy="Use a scene of the same polarisation mode.",
            )
        if whole.crs is None or raster.grid.crs is None:
            if whole.crs is None and raster.grid.crs is None and raster.grid.shape == whole.shape:
                return raster
            raise GridError(
                f"{raster.path}: a scene before the event can be laid on the scene after it only with a CRS in both.",
                remedy="Georeference both files.",
            )
        if not _overlap(raster.grid, whole):
            raise GridError(
                f"{raster.path}: the scene before the event does not overlap {self.post.raster.path}.",
                remedy="Choose a scene of the same place.",
            )
        return raster.onto(whole, resampling="bilinear")

    @property
    def grid(self) -> Grid:
        """The cropped grid of the scene after the event."""
        return self._grid

    @property
    def file_grid(self) -> Grid:
        """The whole grid of the file."""
        return self.post.raster.grid

    @property
    def block(self) -> tuple[int, int]:
        """Rows and columns of the file's blocks."""
        return self.post.raster.block

    @property
    def crop(self) -> Window:
        """The crop, in the file's grid."""
        return self._crop

    @property
    def context(self) -> Window:
        """The crop grown to at least :data:`CONTEXT_PIXELS` a side where the file has them."""
        more_rows = max(0, math.ceil((CONTEXT_PIXELS - self._crop.height) / 2))
        more_cols = max(0, math.ceil((CONTEXT_PIXELS - self._crop.width) / 2))
        grown = self._crop.grow(more_rows, more_cols).intersect(self.file_grid.window)
        return grown.shift(-self._crop.row, -self._crop.col)

    @property
    def polarisations(self) -> tuple[str, ...]:
        """Polarisations of the scene after the event."""
        return tuple(self.post.bands)

    @property
    def has_before(self) -> bool:
        """True when there is a scene before the event."""
        return self.before is not None

    def read(self, window: Window) -> FloatArray:
        """See :class:`SceneReader`."""
        return self.post.read_db(window.shift(self._crop.row, self._crop.col))

    def read_before(self, window: Window) -> FloatArray:
        """See :class:`SceneReader`."""
        if self.before is None:
            return np.full((2, *window.shape), np.nan, np.float32)
        return self.before.read_db(window.shift(self._crop.row, self._crop.col), self._before_view)

    def advise(self, reporter: Reporter) -> None:
        """Warn about what makes the result doubtful: unusual GSD, different orbits, a before scene that is later."""
        down, along = self.grid.gsd_m()
        if self.grid.crs is not None and not (min(down, along) >= 5 and max(down, along) <= 60):
            reporter.warn(
                f"Pixels of {down:.1f} x {along:.1f} m: the method was measured at 10 to 40 m, so expect less accuracy."
            )
        if self.before is None:
            return
        first, second = _orbit(self.before.raster.tags), _orbit(self.post.raster.tags)
        if first and second and first != second:
            reporter.warn(
                f"The scene before the event is of orbit {first}, the scene after of {second}: differences in viewing "
                "geometry look like change."
            )
        a, b = self.before.acquired, self.post.acquired
        if a is not None and b is not None and a >= b:
            reporter.warn(
                f"The scene before the event ({a:%Y-%m-%d}) is not earlier than the scene after ({b:%Y-%m-%d})."
            )

    @property
    def look_azimuth(self) -> float | None:
        """Direction in which the radar looked, degrees from north; None where the tags do not tell the pass."""
        direction = _tag(self.post.raster.tags, _PASS_TAGS)
        if not direction or self.grid.crs is None:
            return None
        _, south, _, north = transform_bounds(self.grid.crs, "EPSG:4326", *self.grid.bounds)
        return look_azimuth(direction, (south + north) / 2)

    def close(self) -> None:
        """Close both files."""
        if self._before_view is not None and self.before is not None and self._before_view is not self.before.raster:
            self._before_view.close()
        if self.before is not None:
            self.before.raster.close()
        self.post.raster.close()

    def __enter__(self) -> Sentinel1Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _overlap(a: Grid, b: Grid) -> bool:
    """Do the bounding boxes of two georeferenced grids meet (in b's CRS)?"""
    try:
        west, south, east, north = transform_bounds(a.crs, b.crs, *a.bounds, densify_pts=21)
    except Exception:  # a grid outside the CRS's domain cannot overlap
        return False
    if not all(map(math.isfinite, (west, south, east, north))):
        return False
    other = b.bounds
    if b.geographic and west > east:  # across the antimeridian
        return north > other.south and south < other.north and (other.east > west or other.west < east)
    return west < other.east and east > other.west and south < other.north and north > other.south


_TRACK_TAGS = ("RELATIVE_ORBIT", "RELATIVEORBITNUMBER", "SAT:RELATIVE_ORBIT", "ORBIT_NUMBER_RELATIVE")
_PASS_TAGS = ("ORBIT", "ORBIT_DIRECTION", "PASS", "SAT:ORBIT_STATE", "ORBITPROPERTIES_PASS")


def _tag(tags: dict[str, str], names: tuple[str, ...]) -> str:
    upper = {key.upper(): value.strip().upper() for key, value in tags.items()}
    return next((upper[name] for name in names if name in upper), "")


def _orbit(tags: dict[str, str]) -> str:
    """Relative orbit and pass direction as far as the tags tell them, for comparison; empty when they do not."""
    return " ".join(filter(None, (_tag(tags, _TRACK_TAGS), _tag(tags, _PASS_TAGS))))

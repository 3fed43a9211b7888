"""The scene of a flood map on one grid: Sentinel-1 in dB, Sentinel-2 in reflectance, or both; after and before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType

import numpy as np
from rasterio.warp import transform_bounds

from engine.errors import BandError, ParameterError
from engine.events import Reporter
from engine.mapping.flood.detector import FloatArray
from engine.mapping.scene.opening import ImageFile, open_image
from engine.mapping.scene.overlap import alike, check_overlap
from engine.mapping.scene.sentinel1 import Sentinel1File
from engine.mapping.scene.sentinel2 import Sentinel2File, Sentinel2View, sentinel2_of
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster, open_raster
from engine.sar.shadow import look_azimuth
from engine.sensors import SENSORS, Unit

CONTEXT_PIXELS = 2048
"""Statistics of a small area of interest are taken from a square of at least this many pixels around it."""
APART_DAYS = 3.0
"""Sentinel-1 and Sentinel-2 further apart than this may show different water."""


class FloodScene:
    """The scene after the event and, on its grid, what else is known: the scene before (of the same sensor) and, beside
    a Sentinel-1 scene, a Sentinel-2 image (``light``). Implements :class:`SceneReader`; close it.

    ``crop`` is a window of the file's grid; the scene's own windows count from its upper-left corner.
    """

    def __init__(
        self,
        post: ImageFile,
        *,
        before: ImageFile | None = None,
        light: Sentinel2File | None = None,
        crop: Window | None = None,
    ) -> None:
        self.post, self.before, self.light = post, before, light
        whole = post.raster.grid
        self._crop = (crop or whole.window).intersect(whole.window)
        self._grid = whole.crop(self._crop)
        self._radar_before: Raster | None = None
        self._optical: Sentinel2View | None = None
        self._optical_before: Sentinel2View | None = None
        if before is not None:
            self._check_before(before)
        if isinstance(before, Sentinel1File):
            self._radar_before = (
                before.raster if alike(before.raster, whole) else before.raster.onto(whole, resampling="bilinear")
            )
        elif isinstance(before, Sentinel2File):
            self._optical_before = Sentinel2View(before, whole)
        if isinstance(post, Sentinel2File):
            self._optical = Sentinel2View(post, whole)
        elif light is not None:
            check_overlap(light.raster, post.raster, "Sentinel-2 image")
            self._optical = Sentinel2View(light, whole)

    @classmethod
    def open(
        cls,
        post: str,
        *,
        before: str | None = None,
        s2: str | None = None,
        scl: str | None = None,
        bands: str | None = None,
        unit: Unit | None = None,
    ) -> FloodScene:
        """Open the files; ``bands`` and ``unit`` hold for ``post`` and ``before``, ``scl`` for the Sentinel-2 image of
        the event (``post`` or ``s2``). Files that do not overlap are a GridError."""
        opened: list[ImageFile] = []
        try:
            first = open_image(post, what="scene", bands=bands, unit=unit, scl=None if s2 else scl)
            opened.append(first)
            second = None
            if before is not None:
                second = open_image(before, what="scene before the event", bands=bands, unit=unit)
                opened.append(second)
            light = None
            if s2 is not None:
                if first.sensor != "s1":
                    raise ParameterError(
                        f"{first.raster.path}: --s2 stands beside a Sentinel-1 scene; this is a Sentinel-2 image.",
                        remedy="Give the Sentinel-1 scene as POST, or leave --s2 out.",
                    )
                light = sentinel2_of(open_raster(s2, what="Sentinel-2 image"), scl=scl)
                opened.append(light)
            return cls(first, before=second, light=light)
        except BaseException:
            for file in opened:
                file.close()
            raise

    def cropped(self, crop: Window) -> FloodScene:
        """The same files seen through a window of the file's grid; close only one of the two."""
        return FloodScene(self.post, before=self.before, light=self.light, crop=crop)

    def _check_before(self, before: ImageFile) -> None:
        path = before.raster.path
        if before.sensor != self.post.sensor:
            raise BandError(
                f"{path}: the scene before the event is a {SENSORS[before.sensor].title} image, the scene after "
                f"{SENSORS[self.post.sensor].title}.",
                remedy="Use a scene before the event of the same sensor.",
            )
        if not set(before.bands) & set(self.post.bands):
            raise BandError(
                f"{path}: the scene before the event has {', '.join(before.bands)}, the scene after "
                f"{', '.join(self.post.bands)}: no {'polarisation' if before.sensor == 's1' else 'band'} in common.",
                remedy="Use a scene of the same polarisation mode." if before.sensor == "s1" else "Use another scene.",
            )
        check_overlap(before.raster, self.post.raster, "scene before the event")

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
        """See :class:`SceneReader`."""
        return tuple(self.post.bands) if isinstance(self.post, Sentinel1File) else ()

    @property
    def optical_bands(self) -> tuple[str, ...]:
        """See :class:`SceneReader`."""
        image = self.image
        return tuple(image.bands) if image is not None else ()

    @property
    def image(self) -> Sentinel2File | None:
        """The Sentinel-2 file of the event: the scene itself, or the one beside it."""
        return self.post if isinstance(self.post, Sentinel2File) else self.light

    @property
    def has_before(self) -> bool:
        """True when there is a scene before the event."""
        return self.before is not None

    def read(self, window: Window) -> FloatArray:
        """See :class:`SceneReader`."""
        if isinstance(self.post, Sentinel1File):
            return self.post.read_db(window.shift(self._crop.row, self._crop.col))
        return np.full((2, *window.shape), np.nan, np.float32)

    def read_before(self, window: Window) -> FloatArray:
        """See :class:`SceneReader`."""
        if not isinstance(self.before, Sentinel1File):
            return np.full((2, *window.shape), np.nan, np.float32)
        return self.before.read_db(window.shift(self._crop.row, self._crop.col), self._radar_before)

    def read_optical(self, window: Window, names: Sequence[str], *, before: bool = False) -> FloatArray:
        """See :class:`SceneReader`."""
        view = self._optical_before if before else self._optical
        if view is None:
            return np.full((len(names), *window.shape), np.nan, np.float32)
        return view.read(window.shift(self._crop.row, self._crop.col), names)

    def advise(self, reporter: Reporter) -> None:
        """Warn about what makes the result doubtful: unusual GSD, clouds, dates, different orbits."""
        down, along = self.grid.gsd_m()
        if self.polarisations and self.grid.crs is not None and not (min(down, along) >= 5 and max(down, along) <= 60):
            reporter.warn(
                f"Pixels of {down:.1f} x {along:.1f} m: the method was measured at 10 to 40 m, so expect less accuracy."
            )
        for file in (self.image, self.before):
            if isinstance(file, Sentinel2File) and file.scl is None:
                reporter.warn(
                    f"{file.raster.path}: no cloud mask is used{' (--scl)' if file is self.image else ''}; clouds and "
                    "their shadows are mapped as they look."
                )
        if self.light is not None and self.light.acquired is not None and self.post.acquired is not None:
            days = abs((self.light.acquired - self.post.acquired).total_seconds()) / 86400
            if days > APART_DAYS:
                reporter.warn(
                    f"The Sentinel-2 image was taken {days:.0f} days apart from the scene: water may have moved."
                )
        if self.before is None:
            return
        first, second = _orbit(self.before.raster.tags), _orbit(self.post.raster.tags)
        if first and second and first != second and self.polarisations:
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
        direction = _tag(self.post.raster.tags, _PASS_TAGS) if self.polarisations else ""
        if not direction or self.grid.crs is None:
            return None
        _, south, _, north = transform_bounds(self.grid.crs, "EPSG:4326", *self.grid.bounds)
        return look_azimuth(direction, (south + north) / 2)

    def close(self) -> None:
        """Close every file."""
        for view in (self._optical, self._optical_before):
            if view is not None:
                view.close()
        if self._radar_before is not None and self.before is not None and self._radar_before is not self.before.raster:
            self._radar_before.close()
        for file in (self.light, self.before, self.post):
            if file is not None:
                file.close()

    def __enter__(self) -> FloodScene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_TRACK_TAGS = ("RELATIVE_ORBIT", "RELATIVEORBITNUMBER", "SAT:RELATIVE_ORBIT", "ORBIT_NUMBER_RELATIVE")
_PASS_TAGS = ("ORBIT", "ORBIT_DIRECTION", "PASS", "SAT:ORBIT_STATE", "ORBITPROPERTIES_PASS")


def _tag(tags: dict[str, str], names: tuple[str, ...]) -> str:
    upper = {key.upper(): value.strip().upper() for key, value in tags.items()}
    return next((upper[name] for name in names if name in upper), "")


def _orbit(tags: dict[str, str]) -> str:
    """Relative orbit and pass direction as far as the tags tell them, for comparison; empty when they do not."""
    return " ".join(filter(None, (_tag(tags, _TRACK_TAGS), _tag(tags, _PASS_TAGS))))

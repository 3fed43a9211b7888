"""The scene of a land-cover map on one grid: Sentinel-2 in reflectance, Sentinel-1 in dB, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engine.events import Reporter
from engine.mapping.landcover.images import Images, open_images
from engine.mapping.scene.bands import POLARISATIONS
from engine.mapping.scene.overlap import check_overlap
from engine.mapping.scene.sentinel2 import Sentinel2File, laid_on
from engine.optics.classification import shows_ground
from engine.optics.clouds import CLOUD_BANDS, RULE, looks_cloudy
from engine.optics.reflectance import to_reflectance
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster
from engine.sensors import SENTINEL2, Unit

FloatArray = NDArray[np.float32]
Mask = NDArray[np.bool_]


STAND_INS = {"B08": "B8A"}
"""Bands of Sentinel-2 that another may stand in for. B8A (865 nm, 21 nm wide) lies within B08 (833 nm, 106 nm wide):
over 19 real images that have both (2.2 million pixels) it is brighter by 0.024 (median; 0.039 root mean square), 1.10
times as bright (1.01 to 1.18 from image to image), most where there are plants."""
STAND_IN_NOTE = (
    "There is no {band}: {other} is read in its place. It is the narrower near infrared (865 instead of 833 nm), "
    "brighter by 0.02 of reflectance as a rule, so expect a little less accuracy."
)


class LandcoverScene:
    """All bands on the grid of the finest file of Sentinel-2 (of Sentinel-1 where it is alone), bilinear by
    georeference. Close it.

    ``crop`` is a window of the file's grid; the scene's own windows count from its upper-left corner and may reach over
    it: what the files hold there is read. ``stand_ins``: bands that there are not, by the band that is read for them
    (:data:`STAND_INS`). Raises GridError for files that do not overlap, or without a CRS where grids differ.
    """

    def __init__(self, images: Images, *, crop: Window | None = None) -> None:
        self.images = images
        reference = images.reference.raster
        whole = reference.grid
        self.crop = (crop or whole.window).intersect(whole.window)
        self.block = reference.block
        self._file_grid = whole
        self._grid = whole.crop(self.crop)
        for file in images.files:
            if file.raster is not reference:
                check_overlap(file.raster, reference, "image")
        self._light: dict[str, tuple[Sentinel2File, Raster]] = {}
        for light in images.light:
            view = laid_on(light.raster, whole, "bilinear")
            self._light |= dict.fromkeys(light.bands, (light, view))
        self.stand_ins = {
            band: other for band, other in STAND_INS.items() if band not in self._light and other in self._light
        }
        self._light |= {band: self._light[other] for band, other in self.stand_ins.items()}
        self._radar = [(file, laid_on(file.raster, whole, "bilinear")) for file in images.radar]
        self._scl = laid_on(images.scl, whole, "nearest") if images.scl is not None else None
        self.polarisations = tuple(p for p in POLARISATIONS if any(p in file.bands for file in images.radar))
        self.optical_bands = tuple(
            band.name for band in SENTINEL2.bands if band.name in self._light and band.name not in self.stand_ins
        )

    @classmethod
    def open(
        cls, scenes: Sequence[str], *, scl: str | None = None, bands: str | None = None, unit: Unit | None = None
    ) -> LandcoverScene:
        """Open the files; raises what :func:`~engine.mapping.landcover.images.open_images` does."""
        images = open_images(scenes, scl=scl, bands=bands, unit=unit)
        try:
            return cls(images)
        except BaseException:
            images.close()
            raise

    def cropped(self, crop: Window) -> LandcoverScene:
        """The same files seen through a window of the file's grid; close only one of the two."""
        return LandcoverScene(self.images, crop=crop)

    @property
    def grid(self) -> Grid:
        """The cropped grid."""
        return self._grid

    @property
    def file_grid(self) -> Grid:
        """The whole grid of the reference file."""
        return self._file_grid

    @property
    def sensors(self) -> tuple[str, ...]:
        """Of "s1" and "s2" those that there are."""
        return tuple(s for s, files in (("s1", self.images.radar), ("s2", self.images.light)) if files)

    def read(self, window: Window) -> FloatArray:
        """(2, rows, columns): VV, VH in dB, NaN where there is no valid value."""
        place = window.shift(self.crop.row, self.crop.col)
        out = np.full((2, *window.shape), np.nan, np.float32)
        for file, view in self._radar:
            values = file.read_db(place, view)
            for name in file.bands:
                out[POLARISATIONS.index(name)] = values[POLARISATIONS.index(name)]
        return out

    def read_optical(self, window: Window, names: Sequence[str]) -> FloatArray:
        """(len(names), rows, columns) reflectance, clouds included; NaN where a band has no valid value, and in all of
        a band that there is not."""
        place = window.shift(self.crop.row, self.crop.col)
        out: FloatArray | None = None
        todo = [name for name in names if name in self._light]
        while todo:
            file, view = self._light[todo[0]]
            together = [name for name in todo if self._light[name][0] is file]
            values = view.read(place, [file.bands[self.stand_ins.get(name, name)] for name in together])
            to_reflectance(values, file.scale, out=values)
            if together == list(names):
                return values  # the common case of one file: nothing is made to be filled and thrown away
            if out is None:
                out = np.full((len(names), *window.shape), np.nan, np.float32)
            for name, plane in zip(together, values, strict=True):
                out[names.index(name)] = plane
            todo = [name for name in todo if name not in together]
        return np.full((len(names), *window.shape), np.nan, np.float32) if out is None else out

    @property
    def cloud_bands(self) -> tuple[str, ...]:
        """What :meth:`clouds` wants to be given: nothing where there is a scene classification."""
        ready = self._scl is None and set(CLOUD_BANDS) <= set(self.optical_bands)
        return CLOUD_BANDS if ready else ()

    def clouds(self, window: Window, reflectance: Mapping[str, FloatArray]) -> Mask:
        """bool (rows, columns): under cloud or its shadow by the scene classification, else thick cloud by the simple
        test on ``reflectance`` (by name, :attr:`cloud_bands` among them)."""
        if self._scl is not None:
            place = window.shift(self.crop.row, self.crop.col)
            return np.asarray(~shows_ground(self._scl.read(place, [1])[0]), bool)
        found = looks_cloudy(reflectance)
        return np.zeros(window.shape, bool) if found is None else found

    @property
    def cloud_rule(self) -> str | None:
        """In words, how clouds are found; None where there is no Sentinel-2 image."""
        if not self.images.light:
            return None
        if self.images.scl is not None:
            return f"scene classification {self.images.scl.path}"
        return f"simple test: {RULE}" if self.cloud_bands else "not looked for"

    def advise(self, reporter: Reporter) -> None:
        """Warn about what makes the result doubtful: clouds that are not looked for, dates far apart."""
        if self.images.light and self._scl is None:
            if self.cloud_bands:
                reporter.log(f"Clouds are found by a simple test ({RULE}); --scl tells them better.")
            else:
                reporter.warn(
                    "No cloud mask is used: there is no --scl, and the simple test needs B02, B04 and B11. Clouds are "
                    "mapped as they look."
                )
        self.images.advise(reporter)

    def close(self) -> None:
        """Close every file."""
        own = [file.raster for file in self.images.files]
        views = [view for _, view in (*self._light.values(), *self._radar)]
        for view in {id(v): v for v in views if not any(v is raster for raster in own)}.values():
            view.close()
        if self._scl is not None and self._scl is not self.images.scl:
            self._scl.close()
        self.images.close()

    def __enter__(self) -> LandcoverScene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

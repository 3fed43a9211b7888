"""The images of a land-cover map: one or several files, told apart by their bands, whose dates agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.errors import BandError, EngineError, InputError, ParameterError
from engine.events import Reporter
from engine.mapping.scene.bands import parse_band_numbers
from engine.mapping.scene.opening import ImageFile
from engine.mapping.scene.products import band_in_name, find_product, is_product
from engine.mapping.scene.sentinel1 import Sentinel1File, sentinel1_of_all
from engine.mapping.scene.sentinel2 import (
    Sentinel2File,
    find_optical_bands,
    open_classification,
    sample_bands,
    zero_is_missing,
)
from engine.optics.reflectance import find_scale
from engine.raster.read import Raster, open_raster
from engine.sensors import SENSORS, SENTINEL1, SENTINEL2, Sensor, Unit, identify_band

APART_DAYS = 30.0
"""Sentinel-1 and Sentinel-2 further apart than this may show different ground."""


@dataclass
class Images:
    """Opened files by sensor; each band stands in one of them, the finest. ``scl`` hides clouds. Close it."""

    radar: list[Sentinel1File] = field(default_factory=list)
    light: list[Sentinel2File] = field(default_factory=list)
    scl: Raster | None = None

    @property
    def files(self) -> list[ImageFile]:
        """All images, Sentinel-2 first."""
        return [*self.light, *self.radar]

    @property
    def reference(self) -> ImageFile:
        """The file on whose grid the map is made: of Sentinel-2, else Sentinel-1, the one with the smallest pixels."""
        own: Sequence[ImageFile] = self.light or self.radar
        return min(own, key=lambda file: _pixel_m(file.raster))

    @property
    def dated(self) -> ImageFile:
        """A file of the reference's sensor that tells its time, where one does."""
        own: Sequence[ImageFile] = self.light or self.radar
        return next((file for file in own if file.acquired is not None), self.reference)

    def advise(self, reporter: Reporter) -> None:
        """Warn where the two sensors saw the ground at different times."""
        times = [next((f.acquired for f in files if f.acquired), None) for files in (self.radar, self.light)]
        if times[0] is None or times[1] is None:
            return
        days = abs((times[0] - times[1]).total_seconds()) / 86400
        if days > APART_DAYS:
            reporter.warn(
                f"Sentinel-1 and Sentinel-2 were taken {days:.0f} days apart: where the ground changed meanwhile the "
                "map mixes both."
            )

    def close(self) -> None:
        """Close every file."""
        for file in self.files:
            file.close()
        if self.scl is not None:
            self.scl.close()


def open_images(
    scenes: Sequence[str], *, scl: str | None = None, bands: str | None = None, unit: Unit | None = None
) -> Images:
    """Open what ``scenes`` name: rasters, ``.SAFE`` folders; ``bands`` names those of files that do not tell.

    Raises the errors of :func:`engine.raster.read.open_raster` and of the two sensors' readers; BandError for a file
    with bands of neither sensor and for a band that stands in two files of equal pixels; InputError for files of one
    sensor with different dates; ParameterError where ``scl`` or ``unit`` is given without the sensor it is for.
    """
    images = Images()
    opened: list[Raster] = []
    try:
        rasters, masks = _open_all(scenes, opened)
        if scl is not None:
            masks = [scl]
        given = parse_band_numbers(bands) if bands is not None else None
        chosen = _takes_numbers(rasters, given[0] if given else None)
        sensors = [given[0] if given and raster in chosen else _sensor_of(raster) for raster in rasters]
        radar = [raster for raster, sensor in zip(rasters, sensors, strict=True) if sensor is SENTINEL1]
        if radar:
            numbers = [bands if raster in chosen else None for raster in radar]
            images.radar = sentinel1_of_all(radar, bands=numbers, unit=unit)
        light = [raster for raster, sensor in zip(rasters, sensors, strict=True) if sensor is SENTINEL2]
        images.light = _optical_files(light, {id(r): bands for r in chosen})
        _check_dates(images.radar)
        _check_dates(images.light)
        _refuse_stray(images, scl=scl, unit=unit)
        _drop_coarser_twins(images)
        if masks and images.light:
            images.scl = open_classification(masks[0])
    except BaseException:
        images.close()
        for raster in opened:
            raster.close()
        raise
    return images


def _open_all(scenes: Sequence[str], opened: list[Raster]) -> tuple[list[Raster], list[str]]:
    """Rasters of all scenes with names of bands as far as files tell them, and scene classifications among them."""
    masks: list[str] = []

    def take(path: str, tags: dict[str, str]) -> None:
        if band_in_name(path) == "SCL":
            masks.append(path)
            return
        raster = open_raster(path, what="scene")
        opened.append(raster)
        raster.tags = {**raster.tags, **tags}
        name = band_in_name(path)
        if name and raster.count == 1 and not raster.names[0]:
            raster.names = (name,)

    for scene in scenes:
        if is_product(scene):
            product = find_product(scene)
            for path in product.bands.values():
                take(str(path), dict(product.tags))
            masks += [str(product.scl)] if product.scl is not None else []
        else:
            take(scene, {})
    if not opened:
        raise InputError(
            f"{scenes[0]}: is a scene classification alone; expected an image.", remedy="Give the image too."
        )
    return list(opened), masks


def _sensor_of(raster: Raster) -> Sensor:
    if any(identify_band(name, SENTINEL1) in ("VV", "VH") for name in raster.names if name):
        return SENTINEL1
    if find_optical_bands(raster):
        return SENTINEL2
    listed = ", ".join(name or f"(band {i + 1} without a name)" for i, name in enumerate(raster.names))
    raise BandError(
        f"{raster.path}: no band of Sentinel-1 (VV, VH) or Sentinel-2 (B02, B03, …) was found; found: {listed}.",
        remedy="Name the bands in the file, or give their numbers, for example --bands B02=1,B03=2,B04=3,B08=4.",
    )


def _takes_numbers(rasters: list[Raster], sensor: Sensor | None) -> list[Raster]:
    """The files that ``--bands`` is for: the only one; else those that name no band; else those of its sensor."""
    if sensor is None:
        return []
    if len(rasters) == 1:
        return rasters
    unnamed = [raster for raster in rasters if not any(raster.names) and not find_optical_bands(raster)]
    return unnamed or [raster for raster in rasters if _sensor_of(raster) is sensor]


def _optical_files(rasters: list[Raster], numbers: dict[int, str | None]) -> list[Sentinel2File]:
    """Files of Sentinel-2; scale and offset are judged over all bands of one kind of value together, so that a bright
    band in a file of its own is not judged alone."""
    found = [(raster, find_optical_bands(raster, numbers=numbers.get(id(raster)))) for raster in rasters]
    sources = [(raster, zero_is_missing(raster), bands) for raster, bands in found]
    samples = [sample_bands(source, bands) for _, source, bands in sources]
    files = []
    for raster, source, bands in sources:
        whole = np.dtype(raster.dtype).kind in "iu"
        alike = [i for i, (other, _, _) in enumerate(sources) if (np.dtype(other.dtype).kind in "iu") == whole]
        scale = find_scale(
            {name: values for i in alike for name, values in samples[i].items()},
            tags={key: text for i in alike for key, text in sources[i][0].tags.items()},
            integer=whole,
            acquired=next((r.acquired for r, _, _ in sources if r.acquired), None),
            declared=None,
        )
        files.append(Sentinel2File(raster=source, bands=bands, scale=scale))
    return files


def _check_dates(files: Sequence[ImageFile]) -> None:
    dated = [(file.acquired.date(), file) for file in files if file.acquired is not None]
    for day, file in dated[1:]:
        if day != dated[0][0]:
            raise InputError(
                f"{file.raster.path}: was taken on {day}, {dated[0][1].raster.path} on {dated[0][0]}; expected files "
                f"of one date of {SENSORS[file.sensor].title}.",
                remedy="Map each date by itself.",
            )


def _refuse_stray(images: Images, *, scl: str | None, unit: Unit | None) -> None:
    for option, given, files, sensor in (
        ("--scl", scl, images.light, SENTINEL2),
        ("--units", unit, images.radar, SENTINEL1),
    ):
        if given and not files:
            raise ParameterError(
                f"{option} is for {sensor.title}; no such image is among the scenes.", remedy=f"Leave {option} out."
            )


def _drop_coarser_twins(images: Images) -> None:
    """Of a band that stands in several files keep the one with the smallest pixels."""
    everything: tuple[list[Any], ...] = (images.light, images.radar)
    for files in everything:
        owner: dict[str, ImageFile] = {}
        for file in sorted(files, key=lambda one: _pixel_m(one.raster)):
            for name in list(file.bands):
                twin = owner.setdefault(name, file)
                if twin is file:
                    continue
                if _pixel_m(twin.raster) > 0.999 * _pixel_m(file.raster):
                    raise BandError(
                        f"{file.raster.path}: the band {name} stands in {twin.raster.path} too, with pixels of the "
                        "same size.",
                        remedy="Give one of the two files, or map each by itself.",
                    )
                del file.bands[name]
        for file in [f for f in files if not f.bands]:
            file.close()
            files.remove(file)


def _pixel_m(raster: Raster) -> float:
    down, along = raster.grid.gsd_m()
    return down * along


def missing_band(
    model: str, path: str, sensor: str, missing: Sequence[str], found: Sequence[str], needed: Sequence[str]
) -> EngineError:
    """The one line for a scene that lacks bands which a model cannot do without."""
    return BandError(
        f"{path}: lacks the {SENSORS[sensor].title} band {', '.join(missing)}, which the model {model} needs; found "
        f"{', '.join(found) or 'none'}; expected at least {', '.join(needed)}.",
        remedy="Give the files of these bands too, or choose another model.",
    )

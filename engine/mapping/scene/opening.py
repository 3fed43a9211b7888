"""Opening an image: which sensor took it is told by its bands."""

from __future__ import annotations

from engine.errors import ParameterError
from engine.mapping.scene.bands import parse_band_numbers
from engine.mapping.scene.sentinel1 import Sentinel1File, sentinel1_of
from engine.mapping.scene.sentinel2 import Sentinel2File, find_optical_bands, sentinel2_of
from engine.raster.read import open_raster
from engine.sensors import SENTINEL1, SENTINEL2, Unit, identify_band

ImageFile = Sentinel1File | Sentinel2File


def open_image(path: str, *, what: str, bands: str | None, unit: Unit | None, scl: str | None = None) -> ImageFile:
    """Open a Sentinel-1 or Sentinel-2 image, told apart by its bands; ``scl`` is for Sentinel-2.

    Raises what :func:`~engine.mapping.scene.sentinel1.open_sentinel1` and
    :func:`~engine.mapping.scene.sentinel2.open_sentinel2` raise, and ParameterError where ``unit`` or ``scl`` is given
    for the other sensor.
    """
    sensor = parse_band_numbers(bands)[0] if bands is not None else None
    raster = open_raster(path, what=what)
    try:
        if sensor is None:
            radar = any(identify_band(name, SENTINEL1) in ("VV", "VH") for name in raster.names if name)
            sensor = SENTINEL2 if not radar and find_optical_bands(raster) else SENTINEL1
        given = {"--units": unit, "--scl": scl}
        stray = next((name for name in given if given[name] and (name == "--scl") == (sensor is SENTINEL1)), None)
        if stray is not None:
            other = SENTINEL2 if sensor is SENTINEL1 else SENTINEL1
            raise ParameterError(
                f"{raster.path}: {stray} is for {other.title}; the {what} is a {sensor.title} image.",
                remedy=f"Leave {stray} out.",
            )
    except BaseException:
        raster.close()
        raise
    if sensor is SENTINEL2:
        return sentinel2_of(raster, bands=bands, scl=scl)
    return sentinel1_of(raster, bands=bands, unit=unit)

"""Band numbers as ``--bands`` gives them."""

from __future__ import annotations

import re

from engine.errors import BandError, ParameterError
from engine.raster.read import Raster
from engine.sensors import SENTINEL1, SENTINEL2, Sensor, identify_band

POLARISATIONS = ("VV", "VH")


def parse_band_numbers(text: str) -> tuple[Sensor, dict[str, int]]:
    """``"VV=1,VH=2"`` or ``"B03=2,B08=4"`` → the sensor and its bands' numbers; raises ParameterError."""
    found: dict[str, int] = {}
    sensors: set[str] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)\s*=\s*([1-9]\d*)\s*", part)
        word = match[1] if match else ""
        name = word.upper() if word.upper() in POLARISATIONS else identify_band(word, SENTINEL2) if word else None
        if match is None or name is None or name in found:
            raise _unclear(text)
        found[name] = int(match[2])
        sensors.add("s1" if name in POLARISATIONS else "s2")
    if len(sensors) != 1:
        raise _unclear(text)
    if sensors == {"s1"}:
        return SENTINEL1, {pol: found[pol] for pol in POLARISATIONS if pol in found}
    return SENTINEL2, {band.name: found[band.name] for band in SENTINEL2.bands if band.name in found}


def _unclear(text: str) -> ParameterError:
    return ParameterError(
        f"--bands {text!r} is not understood.",
        remedy="Write for example VV=1,VH=2, or VV=1 alone; for Sentinel-2 B03=2,B08=4.",
    )


def numbers_for(raster: Raster, text: str, sensor: Sensor) -> dict[str, int]:
    """The numbers that ``text`` gives for bands of ``sensor`` in ``raster``.

    Raises ParameterError (not understood, another sensor), BandError (a number that the file does not have).
    """
    found, bands = parse_band_numbers(text)
    if found is not sensor:
        raise ParameterError(
            f"{raster.path}: --bands {text!r} names bands of {found.title}; expected those of {sensor.title}.",
            remedy="Name the bands in the file instead.",
        )
    for name, number in bands.items():
        if number > raster.count:
            raise BandError(
                f"{raster.path}: --bands asks for band {number} as {name}, but the file has {raster.count}.",
                remedy="Give numbers that the file has.",
            )
    return bands

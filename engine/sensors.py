"""Sensors, bands and units: the names by which bands are matched, and what their numbers mean.

Bands are matched by name and never by position. The names found in real files differ (``VV``, ``Sigma0_VV_db``,
``B02``, ``B2``, ``blue``), so each band carries its aliases; matching ignores case and separators.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from engine.errors import BandError


class Unit(str, Enum):
    """What a Sentinel-1 pixel value is.

    ``DB``: sigma0 (or gamma0) in decibel, about −50…+20. ``POWER``: the same in linear power, about 1e-5…10.
    ``AMPLITUDE``: square root of linear power. ``DN``: uncalibrated amplitude digital numbers of a GRD product,
    0…65535; needs a calibration table before it is sigma0.
    """

    DB = "db"
    POWER = "power"
    AMPLITUDE = "amplitude"
    DN = "dn"


@dataclass(frozen=True)
class Band:
    """A band's standard name, the other names it has in files, and its centre wavelength in nm (None for radar)."""

    name: str
    aliases: tuple[str, ...] = ()
    wavelength_nm: float | None = None
    gsd_m: float = 10.0


@dataclass(frozen=True)
class Sensor:
    """A sensor: ``key`` as used in cards and options, ``title`` for people, and its bands in standard order."""

    key: str
    title: str
    bands: tuple[Band, ...]

    def band(self, name: str) -> Band:
        """The band of that standard name."""
        for band in self.bands:
            if band.name == name:
                return band
        raise KeyError(name)


SENTINEL1 = Sensor(
    "s1",
    "Sentinel-1",
    (
        Band("VV", ("sigma0_vv", "gamma0_vv", "sigma0_vv_db", "gamma0_vv_db", "vv_db", "intensity_vv", "amplitude_vv")),
        Band("VH", ("sigma0_vh", "gamma0_vh", "sigma0_vh_db", "gamma0_vh_db", "vh_db", "intensity_vh", "amplitude_vh")),
        Band("HH", ("sigma0_hh", "gamma0_hh", "sigma0_hh_db", "gamma0_hh_db", "hh_db", "intensity_hh", "amplitude_hh")),
        Band("HV", ("sigma0_hv", "gamma0_hv", "sigma0_hv_db", "gamma0_hv_db", "hv_db", "intensity_hv", "amplitude_hv")),
    ),
)

SENTINEL2 = Sensor(
    "s2",
    "Sentinel-2",
    (
        Band("B01", ("b1", "coastal", "coastal_aerosol", "aerosol"), 442.7, 60.0),
        Band("B02", ("b2", "blue"), 492.4),
        Band("B03", ("b3", "green"), 559.8),
        Band("B04", ("b4", "red"), 664.6),
        Band("B05", ("b5", "rededge1", "red_edge_1"), 704.1, 20.0),
        Band("B06", ("b6", "rededge2", "red_edge_2"), 740.5, 20.0),
        Band("B07", ("b7", "rededge3", "red_edge_3"), 782.8, 20.0),
        Band("B08", ("b8", "nir"), 832.8),
        Band("B8A", ("b08a", "nir08", "narrow_nir", "nir_narrow"), 864.7, 20.0),
        Band("B09", ("b9", "water_vapour", "water_vapor"), 945.1, 60.0),
        Band("B10", ("cirrus",), 1373.5, 60.0),
        Band("B11", ("swir1", "swir16"), 1613.7, 20.0),
        Band("B12", ("swir2", "swir22"), 2202.4, 20.0),
    ),
)

SENSORS = {sensor.key: sensor for sensor in (SENTINEL1, SENTINEL2)}


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def identify_band(description: str, sensor: Sensor) -> str | None:
    """The standard name of the band that ``description`` (a band name from a file) means, or None.

    An exact name or alias wins; else a whole word of the description may be a name (``"S1 sigma0 VV"`` → ``VV``).
    """
    wanted = _key(description)
    for band in sensor.bands:
        if wanted in {_key(band.name), *(_key(a) for a in band.aliases)}:
            return band.name
    words = {w for w in re.split(r"[^a-z0-9]+", description.lower()) if w}
    hits = [band.name for band in sensor.bands if band.name.lower() in words]
    return hits[0] if len(hits) == 1 else None


def match_bands(descriptions: Sequence[str | None], sensor: Sensor, wanted: Sequence[str], *, path: str) -> list[int]:
    """1-based indexes in ``descriptions`` of the ``wanted`` bands, in the wanted order.

    Raises BandError, naming ``path``, what was found and what was wanted, when one is missing or stands twice.
    """
    found = [identify_band(d, sensor) if d else None for d in descriptions]
    indexes = []
    for name in wanted:
        hits = [i + 1 for i, f in enumerate(found) if f == name]
        if len(hits) != 1:
            listed = ", ".join(str(d) if d else f"(band {i + 1} without a name)" for i, d in enumerate(descriptions))
            what = "is missing" if not hits else f"stands {len(hits)} times (bands {hits})"
            raise BandError(
                f"{path}: the {sensor.title} band {name} {what}; found: {listed or 'no band'}.",
                remedy=f"Name the bands in the file, or give their numbers, for example --bands {wanted[0]}=1.",
            )
        indexes.append(hits[0])
    return indexes

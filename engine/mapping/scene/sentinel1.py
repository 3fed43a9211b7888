"""A Sentinel-1 file of a map: polarisations and unit found, read as sigma0 dB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.errors import BandError
from engine.mapping.scene.bands import POLARISATIONS, numbers_for
from engine.mapping.scene.sampling import sample_windows
from engine.raster.grid import Window
from engine.raster.read import Raster, open_raster
from engine.sar.radiometry import UnitFinding, detect_unit, to_db
from engine.sensors import SENTINEL1, Unit, identify_band, match_bands

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Sentinel1File:
    """One opened file: ``bands`` are 1-based numbers by polarisation, ``unit`` what its values are and why."""

    raster: Raster
    bands: dict[str, int]
    unit: UnitFinding

    sensor: ClassVar[str] = "s1"

    @property
    def acquired(self) -> datetime | None:
        """Acquisition time (UTC) where the file tells it."""
        return self.raster.acquired

    @property
    def unit_text(self) -> str:
        """What the values are, and why."""
        return f"{self.unit.unit.value}: {self.unit.reason}"

    def facts(self) -> dict[str, Any]:
        """What was found in the file, JSON-able."""
        return {
            "sensor": self.sensor,
            "unit": self.unit.unit.value,
            "unit_reason": self.unit.reason,
            "bands": self.bands,
        }

    def close(self) -> None:
        """Close the file."""
        self.raster.close()

    def read_db(self, window: Window, raster: Raster | None = None) -> FloatArray:
        """(2, rows, columns) sigma0 dB of VV, VH in ``window`` of ``raster`` (default: the file's own grid)."""
        out = np.full((2, *window.shape), np.nan, np.float32)
        values = (raster or self.raster).read(window, list(self.bands.values()))
        if self.unit.zero_is_fill:
            values = np.where(values == 0, np.float32(np.nan), values)
        for plane, pol in zip(values, self.bands, strict=True):
            out[POLARISATIONS.index(pol)] = to_db(plane, self.unit.unit)
        return out


def find_polarisations(raster: Raster, *, numbers: str | None) -> dict[str, int]:
    """1-based band numbers by polarisation, by name or as given in ``numbers``; raises BandError."""
    if numbers is not None:
        return numbers_for(raster, numbers, SENTINEL1)
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
    return sentinel1_of(open_raster(path, what=what), bands=bands, unit=unit)


def sentinel1_of(raster: Raster, *, bands: str | None, unit: Unit | None) -> Sentinel1File:
    """:func:`open_sentinel1` for a raster that is open already; it is closed when this fails."""
    return sentinel1_of_all([raster], bands=[bands], unit=unit)[0]


def sentinel1_of_all(
    rasters: Sequence[Raster], *, bands: Sequence[str | None], unit: Unit | None
) -> list[Sentinel1File]:
    """Files of one scene, ``bands`` of each as for :func:`open_sentinel1`: the unit is judged over all of them, so that
    a polarisation in a file of its own is not judged alone. All are closed when this fails."""
    try:
        numbers = [find_polarisations(r, numbers=given) for r, given in zip(rasters, bands, strict=True)]
        samples: dict[str, list[np.ndarray]] = {}
        for raster, own in zip(rasters, numbers, strict=True):
            for window in sample_windows(raster.grid, size=256, along=5):
                for pol, plane in zip(own, raster.read(window, list(own.values())), strict=True):
                    samples.setdefault(pol, []).append(plane[np.isfinite(plane)])
        finding = detect_unit(
            {pol: np.concatenate(parts) for pol, parts in samples.items()},
            names=tuple(r.names[n - 1] for r, own in zip(rasters, numbers, strict=True) for n in own.values()),
            tags={key: text for raster in rasters for key, text in raster.tags.items()},
            dtype=rasters[0].dtype,
            declared=unit,
            path=str(rasters[0].path),
        )
    except BaseException:
        for raster in rasters:
            raster.close()
        raise
    return [Sentinel1File(raster=r, bands=own, unit=finding) for r, own in zip(rasters, numbers, strict=True)]

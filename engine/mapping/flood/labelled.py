"""A labelled chip as evaluation reads it: images, truth, and which pixels count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.errors import BandError, DamagedFileError
from engine.mapping.flood.baselines import baseline_maps, optical_baseline_maps
from engine.mapping.flood.chips import SENSOR_FILES, Chip, Sensors
from engine.mapping.scene.overlap import same_pixels
from engine.mapping.scene.sentinel1 import open_sentinel1
from engine.mapping.scene.sentinel2 import Sentinel2View, open_sentinel2
from engine.optics.indices import INDICES
from engine.raster.grid import Grid
from engine.raster.read import open_raster
from engine.sensors import Unit

Bools = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Labelled:
    """A chip as read: (2, rows, columns) dB or None, reflectance by band name, truth, and where pixels count: labelled,
    and valid in the input (of two sensors, in either)."""

    truth: Bools
    scored: Bools
    db: FloatArray | None = None
    reflectance: dict[str, FloatArray] = field(default_factory=dict)

    def baselines(self) -> dict[str, tuple[Bools, float | None]]:
        """Maps of plain thresholds of what was read, by name, with their thresholds."""
        radar = baseline_maps(self.db) if self.db is not None else {}
        return radar | optical_baseline_maps(self.reflectance)


def numbers_if_unnamed(chip: Chip) -> str | None:
    """The layout's band numbers, for a Sentinel-1 file that names no band at all."""
    if chip.numbers is None:
        return None
    with open_raster(str(chip.s1), what="Sentinel-1 chip") as raster:
        return None if any(raster.names) else chip.numbers


def read_labelled(
    chip: Chip, sensors: Sensors, *, bands: str | None, unit: Unit | None, optical_bands: Sequence[str] = ()
) -> Labelled:
    """Read the images of ``sensors`` and the label; Sentinel-2 is valid where ``optical_bands`` (those that are mapped
    from; none: every band) are.

    Raises InputError: a file that cannot be read, bands or unit not found, grids that differ, no label.
    """
    with open_raster(str(chip.label), what="label") as label:
        if label.count != 1:
            raise DamagedFileError(f"{label.path}: the label has {label.count} bands; expected 1.")
        grid = label.grid
        db: FloatArray | None = None
        reflectance: dict[str, FloatArray] = {}
        valid: Bools | None = None
        if "s1" in SENSOR_FILES[sensors]:
            file = open_sentinel1(str(chip.s1), what="Sentinel-1 chip", bands=bands, unit=unit)
            with file.raster as raster:
                same_pixels(raster.grid, grid, chip.s1, chip.label)
                db = file.read_db(raster.grid.window)
                grid = raster.grid
            valid = np.asarray(np.isfinite(db).any(axis=0))
        if "s2" in SENSOR_FILES[sensors]:
            reflectance = _reflectance(chip, grid, sensors, optical_bands, bands=bands if sensors == "s2" else None)
            planes = np.stack([reflectance[name] for name in optical_bands or reflectance])
            seen: Bools = np.asarray(np.isfinite(planes).all(axis=0))
            valid = seen if valid is None else valid | seen
        values = label.read(label.grid.window, [1])[0]
    known = np.isfinite(values)
    strange = np.setdiff1d(np.unique(values[known]), [-1, 0, 1])
    if strange.size:
        raise DamagedFileError(
            f"{chip.label}: the label holds {', '.join(f'{v:g}' for v in strange[:4])}; expected 1 water, 0 dry, "
            "-1 ignore.",
            remedy="Write such pixels as -1, or declare them as nodata.",
        )
    scored = known & (values >= 0)
    return Labelled(values == 1, scored & valid if valid is not None else scored, db, reflectance)


def _reflectance(
    chip: Chip, grid: Grid, sensors: Sensors, wanted: Sequence[str], *, bands: str | None
) -> dict[str, FloatArray]:
    """The ``wanted`` bands and those of the indices, each by itself; beside Sentinel-1 laid on its grid."""
    file = open_sentinel2(str(chip.s2), what="Sentinel-2 chip", bands=bands)
    try:
        missing = [name for name in wanted if name not in file.bands]
        if missing:
            raise BandError(
                f"{chip.s2}: lacks the Sentinel-2 band {missing[0]}, which the model takes; found "
                f"{', '.join(file.bands)}.",
                remedy="Give chips with the bands of the model.",
            )
        if sensors == "s2":
            same_pixels(file.raster.grid, grid, chip.s2, chip.label)
            grid = file.raster.grid
        indices = [name for pair in INDICES.values() for name in pair if name in file.bands]
        names = list(dict.fromkeys([*(wanted or file.bands), *indices]))
        view = Sentinel2View(file, grid)
        found = {name: view.read(grid.window, [name])[0] for name in names}
        view.close()
        return found
    finally:
        file.close()

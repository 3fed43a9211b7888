"""Reading an item: both sensors and the label as arrays on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import BandError, DamagedFileError, GridError, InputError, MissingFileError, UnitsError
from engine.optics.products import bands_by_number
from engine.optics.reflectance import cloud_share, find_scale, to_reflectance
from engine.raster.grid import Grid
from engine.raster.read import Raster, Resampling, open_raster
from engine.sar.radiometry import detect_unit, to_db
from engine.sensors import SENSORS, identify_band, match_bands
from engine.training.data.items import (
    IGNORE,
    S1_BANDS,
    S2_BANDS,
    Acquisition,
    BandFile,
    LabelFile,
    LabelItem,
    LeftOut,
    PairItem,
    days_apart,
)

FloatArray = NDArray[np.float32]
_MAX_SIDE = 20_000


@dataclass(frozen=True)
class ItemArrays:
    """``s1`` (bands, rows, columns) sigma0 dB, ``s2`` reflectance, float32, NaN where invalid, None where the item has
    no such sensor. ``label`` (rows, columns) int16 codes, −1 where there is none. ``notes``: how units were found.
    ``s1_acquired``, ``s2_acquired``: UTC, from names, lists or tags."""

    grid: Grid
    s1: FloatArray | None
    s2: FloatArray | None
    label: NDArray[np.int16] | None = None
    notes: tuple[str, ...] = ()
    s1_acquired: datetime | None = None
    s2_acquired: datetime | None = None

    @property
    def days_between(self) -> float | None:
        """|Δt| of the sensors in days, from the item's names and lists or the files' tags; None where not known."""
        if self.s1_acquired is None or self.s2_acquired is None:
            return None
        return days_apart(self.s1_acquired, self.s2_acquired)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When an item is left out: S1 and S2 further apart than ``max_days``; more than ``max_missing`` of a sensor's
    pixels invalid; more than ``max_cloud`` of S2 bright as cloud (shares 0…1). None: never for that reason."""

    max_days: float | None = 30.0
    max_missing: float = 0.2
    max_cloud: float | None = 0.5


def read_item(item: PairItem, *, s1_bands: Sequence[str] = S1_BANDS, s2_bands: Sequence[str] = S2_BANDS) -> ItemArrays:
    """The arrays of ``item`` on one grid: that of the label, else ``item.frame``, else the finest Sentinel-2 file.

    Everything else is resampled by georeference, never by array index: Sentinel-2 bilinear, Sentinel-1 and labels by
    the nearest pixel (which keeps the statistics of speckle). Raises MissingFileError, DamagedFileError, GridError
    (grids that do not meet, or differ without a CRS), BandError, UnitsError; each names the file.
    """
    with ExitStack() as stack:
        label = item.label if isinstance(item, LabelItem) else None
        grid = _open(stack, _frame(item), "frame").grid
        if max(grid.shape) > _MAX_SIDE:
            raise GridError(
                f"{_frame(item)}: has {grid.height} x {grid.width} pixels, more than {_MAX_SIDE} on a side.",
                remedy="Cut it into chips first.",
            )
        s1 = s2 = s1_when = s2_when = None
        notes: list[str] = []
        if item.s1 is not None:
            s1, s1_when = _read_s1(stack, item.s1, grid, s1_bands, notes)
        if item.s2 is not None:
            s2, s2_when = _read_s2(stack, item.s2, grid, s2_bands, notes)
        truth = _read_label(stack, label, grid) if label is not None else None
        return ItemArrays(grid, s1, s2, truth, tuple(notes), s1_when, s2_when)


def load_item(
    item: PairItem,
    rules: Rules,
    *,
    s1_bands: Sequence[str] = S1_BANDS,
    s2_bands: Sequence[str] = S2_BANDS,
) -> ItemArrays | LeftOut:
    """:func:`read_item`, or why the item is left out: broken files and what ``rules`` exclude."""
    if (late := _too_late(item, item.days_between, rules)) is not None:
        return late
    try:
        arrays = read_item(item, s1_bands=s1_bands, s2_bands=s2_bands)
    except (MissingFileError, DamagedFileError, GridError, BandError, UnitsError) as error:
        return LeftOut(item.name, _reason(error), error.message)
    if (late := _too_late(item, arrays.days_between, rules)) is not None:
        return late
    for acquisition, array in ((item.s1, arrays.s1), (item.s2, arrays.s2)):
        if acquisition is None or array is None:
            continue
        missing = 1.0 - float(np.isfinite(array).all(axis=0).mean())
        if missing > rules.max_missing:
            share = f"{missing:.0%} of the pixels are NaN or nodata, more than {rules.max_missing:.0%}"
            return LeftOut(item.name, "empty", f"{acquisition.path}: {share}.")
    if arrays.label is not None and not (arrays.label != IGNORE).any() and isinstance(item, LabelItem):
        return LeftOut(item.name, "empty", f"{item.label.path}: no pixel has a label.")
    if rules.max_cloud is not None and item.s2 is not None and arrays.s2 is not None:
        share_ = cloud_share(arrays.s2, list(s2_bands))
        if share_ is not None and share_ > rules.max_cloud:
            why = f"{item.s2.path}: {share_:.0%} of the pixels look like cloud, more than {rules.max_cloud:.0%}."
            return LeftOut(item.name, "cloudy", why, False)
    return arrays


def _too_late(item: PairItem, days: float | None, rules: Rules) -> LeftOut | None:
    if rules.max_days is None or days is None or days <= rules.max_days:
        return None
    why = f"{item.name}: S1 and S2 are {days:.1f} days apart, more than {rules.max_days:g}."
    return LeftOut(item.name, "dates", why, broken=False)


def refuse_above(left_out: Sequence[LeftOut], total: int, share: float, *, place: str) -> None:
    """Raise InputError when more than ``share`` of ``total`` items are broken; what was left out by choice is free."""
    broken = [one for one in left_out if one.broken]
    if total and len(broken) > share * total:
        raise InputError(
            f"{place}: {len(broken)} of {total} items are broken, more than {share:.0%}. {broken[0].why}",
            remedy="See 'engine data check' for the whole list; mend the files, or allow a larger share.",
        )


def _reason(error: InputError) -> str:
    if isinstance(error, MissingFileError):
        return "missing"
    if isinstance(error, DamagedFileError):
        return "unreadable"
    return "units" if isinstance(error, UnitsError) else "mismatched"


def _frame(item: PairItem) -> Path:
    if isinstance(item, LabelItem):
        return item.label.path
    if item.frame is not None:
        return item.frame
    acquisition = item.s2 or item.s1
    if acquisition is None:
        raise ValueError(f"The item {item.name} has neither sensor.")
    return finest(acquisition)


def finest(acquisition: Acquisition) -> Path:
    """The file with the finest grid: by its bands' ground sampling distance, the first among equals."""
    sensor = SENSORS[acquisition.sensor]
    return min(acquisition.files, key=lambda f: min((sensor.band(b).gsd_m for b in f.bands), default=0.0)).path


def _open(stack: ExitStack, path: Path, what: str) -> Raster:
    return stack.enter_context(open_raster(path, what=what))


def _planes(
    stack: ExitStack, acquisition: Acquisition, grid: Grid, bands: Sequence[str], how: Resampling
) -> tuple[FloatArray, list[Raster]]:
    """(bands, rows, columns) as the files have them, on ``grid``, and the rasters that were read."""
    out = np.full((len(bands), *grid.shape), np.nan, np.float32)
    rasters, left = [], list(bands)
    for file in acquisition.files:
        here = [b for b in left if not file.bands or b in file.bands]
        if not here:
            continue
        raster = _open(stack, file.path, SENSORS[acquisition.sensor].title + " image")
        numbers = _numbers(raster, file, acquisition.sensor, here)
        view = _onto(raster, grid, how)
        out[[bands.index(b) for b in here]] = view.read(grid.window, numbers)
        rasters.append(raster)
        left = [b for b in left if b not in here]
    if left:
        raise BandError(
            f"{acquisition.path}: the {SENSORS[acquisition.sensor].title} band {left[0]} is missing.",
            remedy="Choose bands that the data set has.",
        )
    if grid.height and np.isnan(out).all() and any(raster.grid != grid for raster in rasters):
        with_values = next((r for r in rasters if np.isfinite(r.read(r.grid.window)).any()), None)
        if with_values is not None:
            raise GridError(
                f"{acquisition.path}: does not overlap the grid that the item is read on.",
                remedy="Give files of the same place.",
            )
    return out, rasters


def _onto(raster: Raster, grid: Grid, how: Resampling) -> Raster:
    if raster.grid == grid:
        return raster
    if raster.grid.crs is None or grid.crs is None:
        raise GridError(
            f"{raster.path}: its grid of {raster.grid.height} x {raster.grid.width} pixels differs from that of the "
            f"item ({grid.height} x {grid.width}), and there is no coordinate reference system to align them by.",
            remedy="Georeference the files, or cut them to the same pixels.",
        )
    return raster.onto(grid, resampling=how)


def _numbers(raster: Raster, file: BandFile, sensor: str, wanted: Sequence[str]) -> list[int]:
    if not file.bands:
        if any(identify_band(n, SENSORS[sensor]) for n in raster.names if n):
            return match_bands(raster.names, SENSORS[sensor], wanted, path=str(file.path))
        names = bands_by_number(raster.count) if sensor == "s2" else None
        if names is None:
            match_bands(raster.names, SENSORS[sensor], wanted, path=str(file.path))  # raises, and says what was found
            return []
    elif len(file.bands) != raster.count:
        raise BandError(
            f"{file.path}: has {raster.count} bands; expected {len(file.bands)} ({', '.join(file.bands)}).",
            remedy="Copy or download the file again.",
        )
    else:
        names = file.bands
    missing = [b for b in wanted if b not in names]
    if missing:
        raise BandError(
            f"{file.path}: the band {missing[0]} is missing; found {', '.join(names)}.",
            remedy="Choose bands that the file has.",
        )
    return [names.index(b) + 1 for b in wanted]


def _read_s1(
    stack: ExitStack, acquisition: Acquisition, grid: Grid, bands: Sequence[str], notes: list[str]
) -> tuple[FloatArray, datetime | None]:
    values, rasters = _planes(stack, acquisition, grid, bands, "nearest")
    finding = detect_unit(
        dict(zip(bands, values, strict=True)),
        names=[name for raster in rasters for name in raster.names],
        tags=rasters[0].tags,
        dtype=rasters[0].dtype,
        declared=acquisition.unit,
        path=str(acquisition.path),
    )
    notes.append(f"S1 in {finding.unit.value}: {finding.reason}")
    if finding.zero_is_fill:
        values[values == 0] = np.nan
    return to_db(values, finding.unit), acquisition.acquired or rasters[0].acquired


def _read_s2(
    stack: ExitStack, acquisition: Acquisition, grid: Grid, bands: Sequence[str], notes: list[str]
) -> tuple[FloatArray, datetime | None]:
    values, rasters = _planes(stack, acquisition, grid, bands, "bilinear")
    if all(nodata is None for raster in rasters for nodata in raster.nodata):
        values[:, (values == 0).all(axis=0)] = np.nan  # digital number 0 is "no data" in every Sentinel-2 product
    known = dict(zip(bands, values, strict=True))
    if acquisition.offset is None and "B10" not in known:
        cirrus = next((r for r in rasters if r.count == 13), None)
        if cirrus is not None:
            known["B10"] = cirrus.read(cirrus.grid.window, [11])[0]
    finding = find_scale(
        known,
        tags=rasters[0].tags,
        integer=np.dtype(rasters[0].dtype).kind in "iu",
        acquired=acquisition.acquired or rasters[0].acquired,
        declared=acquisition.offset,
    )
    notes.append(f"S2 minus {finding.offset}, times {finding.scale:g}: {finding.reason}")
    return to_reflectance(values, finding), acquisition.acquired or rasters[0].acquired


def _read_label(stack: ExitStack, label: LabelFile, grid: Grid) -> NDArray[np.int16]:
    raster = _open(stack, label.path, "label")
    if label.band > raster.count:
        raise BandError(
            f"{label.path}: has {raster.count} bands; expected labels in band {label.band}.",
            remedy="Copy or download the file again.",
        )
    view = _onto(raster, grid, "nearest")
    codes = view.read(grid.window, [label.band])[0]
    out = np.full(grid.shape, IGNORE, np.int16)
    valid = np.isfinite(codes) & (np.abs(codes) < 32_000)
    for code in label.ignore:
        valid &= codes != code
    if label.classes:
        strange = sorted({int(c) for c in np.unique(codes[valid])} - set(label.classes))
        if strange:
            raise DamagedFileError(
                f"{label.path}: has the class {strange[0]}; expected {', '.join(map(str, sorted(label.classes)))}.",
                remedy="Mend the labels, or give the data kind that they belong to.",
            )
    out[valid] = codes[valid].astype(np.int16)
    return out

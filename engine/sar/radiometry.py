"""Sentinel-1 radiometry: which unit the values are in, and the way to decibel and linear power and back.

A wrong unit gives chance results without any error, so the unit is found from two independent sources, what the file
says (tags, band names) and what the values can be, and refused when they disagree or when both leave it open.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import UnitsError
from engine.sensors import Unit

FloatArray = NDArray[np.float32]

# Medians of sigma0 or gamma0 in dB that a scene can have at all, by co- and cross-polarisation.
_POSSIBLE = {"VV": (-30.0, 3.0), "VH": (-38.0, -4.0), "HH": (-30.0, 3.0), "HV": (-38.0, -4.0)}
_ANY_POSSIBLE = (-38.0, 3.0)
# Usual medians of a scene of land and of water: (mean, standard deviation) of co-polarisation, cross-polarisation and
# their difference in dB. They tell power from amplitude, whose decibels differ by a factor of two.
_USUAL = (((-10.5, 3.5), (-17.5, 3.5), (7.0, 1.8)), ((-19.0, 4.0), (-27.0, 3.5), (8.0, 3.0)))
_CO, _CROSS = ("VV", "HH"), ("VH", "HV")
# Log-likelihood by which one unit must be the better one: e^3, about 20 to 1.
_CLEAR = 3.0

_FACTOR = {Unit.POWER: 10.0, Unit.AMPLITUDE: 20.0}
_REMEDY = "Give the unit that the values are in: --units db, --units power or --units amplitude."
_CALIBRATE = (
    "Calibrate the product to sigma0 or gamma0 first (for example SNAP: Radiometric > Calibrate, then Terrain "
    "Correction), or use a terrain-corrected (RTC) product."
)


@dataclass(frozen=True)
class UnitFinding:
    """The unit of a scene and why: ``reason`` is a sentence for log and report.

    ``zero_is_fill`` is True when the exact value 0 stands so often that it can only be undeclared nodata (a dB value
    or a power is practically never exactly 0); the reader of the scene should then treat 0 as missing.
    """

    unit: Unit
    reason: str
    zero_is_fill: bool = False


@dataclass(frozen=True)
class _Facts:
    """What the finite, non-zero values of one polarisation look like."""

    count: int
    negative: float
    low: float
    median: float
    high: float
    zeros: float

    @property
    def text(self) -> str:
        return f"median {self.median:.4g}, 1 to 99 % {self.low:.4g} to {self.high:.4g}, {self.negative:.0%} negative"


def _facts(values: ArrayLike) -> _Facts:
    flat = np.asarray(values, dtype=np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    zeros = float(np.mean(flat == 0)) if flat.size else 0.0
    flat = flat[flat != 0]
    if flat.size == 0:
        return _Facts(0, 0.0, math.nan, math.nan, math.nan, zeros)
    low, median, high = np.percentile(flat, [1, 50, 99])
    return _Facts(flat.size, float(np.mean(flat < 0)), float(low), float(median), float(high), zeros)


def _median_db(facts: _Facts, unit: Unit) -> float:
    if unit is Unit.DB:
        return facts.median
    return _FACTOR[unit] * math.log10(facts.median) if facts.median > 0 else -math.inf


def _possible(by_pol: Mapping[str, _Facts], unit: Unit) -> bool:
    """True when every polarisation's values can be in ``unit``."""
    for pol, facts in by_pol.items():
        # Noise removal leaves a few negative powers; a dB scene is negative nearly everywhere.
        signed_right = facts.negative >= 0.5 if unit is Unit.DB else facts.negative <= 0.05
        if unit is Unit.DB:
            signed_right = signed_right and facts.low > -90 and facts.high < 60
        low, high = _POSSIBLE.get(pol.upper(), _ANY_POSSIBLE)
        if not (signed_right and low <= _median_db(facts, unit) <= high):
            return False
    return True


def _score(by_pol: Mapping[str, _Facts], unit: Unit) -> float:
    """Log-likelihood (up to a constant) of the medians under ``unit``: the better of a land and a water scene."""
    medians = {pol.upper(): _median_db(facts, unit) for pol, facts in by_pol.items()}
    co = next((medians[pol] for pol in _CO if pol in medians), None)
    cross = next((medians[pol] for pol in _CROSS if pol in medians), None)
    seen = (co, cross, None if co is None or cross is None else co - cross)
    return max(
        -0.5 * sum(((x - mean) / sd) ** 2 for x, (mean, sd) in zip(seen, scene, strict=True) if x is not None)
        for scene in _USUAL
    )


def _contradicts(by_pol: Mapping[str, _Facts], unit: Unit) -> bool:
    """True when the values cannot be in ``unit``, or are far more likely in the other unit of the same sign."""
    if not _possible(by_pol, unit):
        return True
    twin = {Unit.POWER: Unit.AMPLITUDE, Unit.AMPLITUDE: Unit.POWER}.get(unit)
    if twin is None or not _possible(by_pol, twin):
        return False
    return _score(by_pol, twin) - _score(by_pol, unit) > _CLEAR


def _looks_like_dn(by_pol: Mapping[str, _Facts]) -> bool:
    return all(f.negative == 0 and f.median >= 10 for f in by_pol.values())


def unit_of_text(text: str) -> Unit | None:
    """The unit that a tag such as ``dB (RTC gamma0)``, ``linear power`` or ``amplitude`` means; None if none."""
    words = set(re.split(r"[^a-z0-9]+", text.lower()))
    if words & {"db", "decibel", "decibels"}:
        return Unit.DB
    if words & {"amplitude", "magnitude"}:
        return Unit.AMPLITUDE
    if words & {"power", "linear", "intensity", "m2", "natural"}:
        return Unit.POWER
    if words & {"dn", "counts"} or {"digital", "number"} <= words:
        return Unit.DN
    return None


def _stated(names: Sequence[str | None], tags: Mapping[str, str]) -> tuple[Unit | None, str]:
    """The unit that the file itself states, and where."""
    for key, value in tags.items():
        if key.lower() in {"unit", "units", "unittype", "unit_type"}:
            unit = unit_of_text(str(value))
            if unit is not None:
                return unit, f"tag {key}={value}"
    for name in names:
        unit = unit_of_text(name or "")
        if unit is not None:
            return unit, f"band name {name}"
    return None, ""


def _snap_linear(names: Sequence[str | None]) -> bool:
    """SNAP calls calibrated linear power Sigma0_VV or Gamma0_VH and adds _db when it is in decibel."""
    return bool(names) and all(re.match(r"(sigma|gamma|beta)0_[vh][vh]$", (n or "").lower()) for n in names)


def detect_unit(
    sample_by_pol: Mapping[str, ArrayLike],
    *,
    names: Sequence[str | None],
    tags: Mapping[str, str],
    dtype: str | np.dtype,
    declared: Unit | None,
    path: str,
) -> UnitFinding:
    """The unit of a Sentinel-1 scene, from what the file says and from a sample of its values.

    ``sample_by_pol``: values by polarisation (any shape, NaN where invalid), taken from all over the scene, scale and
    offset of the file applied. ``names``: the bands' names in the file; ``tags``: its tags; ``dtype`` on disk;
    ``declared``: what the user says, or None. The medians that each unit can give by polarisation tell power from
    amplitude; where both could be (a dark sea in amplitude looks like bright land in power) and the file states
    neither, the answer is a refusal. Without a single valid value the stated unit, else dB, is assumed.

    Raises UnitsError for uncalibrated digital numbers, for a declared or stated unit that the values contradict, and
    where the unit is not clear.
    """
    every = {pol: _facts(values) for pol, values in sample_by_pol.items()}
    # Bytes and 16-bit integers hold too few values: 0 may be a true value there.
    zero_is_fill = np.dtype(dtype).itemsize >= 4 and any(f.zeros > 0.01 for f in every.values())
    missing = "; the value 0 counts as missing" if zero_is_fill else ""
    by_pol = {pol: facts for pol, facts in every.items() if facts.count}
    stated, where = _stated(names, tags)

    if not by_pol:
        unit = declared or (stated if stated not in (None, Unit.DN) else None) or Unit.DB
        return UnitFinding(unit, f"no valid value in the sample: {unit.value} assumed{missing}", zero_is_fill)

    found = "; ".join(f"{pol}: {facts.text}" for pol, facts in by_pol.items())
    if declared is Unit.DN or (declared is None and stated is Unit.DN) or _looks_like_dn(by_pol):
        raise UnitsError(
            f"{path}: the values are uncalibrated digital numbers or scaled integers, expected sigma0 or gamma0 "
            f"in dB, power or amplitude; found {np.dtype(dtype).name}, {found}.",
            remedy=_CALIBRATE,
        )

    if declared is not None:
        if _contradicts(by_pol, declared):
            raise UnitsError(
                f"{path}: --units {declared.value} was given, but the values cannot be {_expected(declared)}; "
                f"found {found}.",
                remedy=_REMEDY,
            )
        return UnitFinding(declared, f"given as --units {declared.value}, and the values agree{missing}", zero_is_fill)

    if stated is not None:
        if _contradicts(by_pol, stated):
            raise UnitsError(
                f"{path}: the {where} says {stated.value}, but the values cannot be {_expected(stated)}; "
                f"found {found}.",
                remedy=_REMEDY,
            )
        return UnitFinding(stated, f"{where}, and the values agree{missing}", zero_is_fill)

    fitting = [unit for unit in (Unit.DB, Unit.POWER, Unit.AMPLITUDE) if not _contradicts(by_pol, unit)]
    if len(fitting) == 1:
        return UnitFinding(
            fitting[0], f"the values can only be {_expected(fitting[0])}: {found}{missing}", zero_is_fill
        )
    if Unit.POWER in fitting and _snap_linear(names):
        return UnitFinding(Unit.POWER, f"band name {names[0]} without _db, and the values agree{missing}", zero_is_fill)
    if fitting:
        either = " or ".join(u.value for u in fitting)
        raise UnitsError(f"{path}: the unit is not clear, the values could be {either}; found {found}.", remedy=_REMEDY)
    raise UnitsError(
        f"{path}: the values are in no unit of Sentinel-1 backscatter; expected {_expected(Unit.DB)}, "
        f"{_expected(Unit.POWER)} or {_expected(Unit.AMPLITUDE)}; found {np.dtype(dtype).name}, {found}.",
        remedy=_CALIBRATE,
    )


def _expected(unit: Unit) -> str:
    return {
        Unit.DB: "dB (mostly negative, median −38 to 3)",
        Unit.POWER: "linear power (positive, median 0.0002 to 2)",
        Unit.AMPLITUDE: "amplitude (positive, square root of power, median 0.01 to 1.4)",
        Unit.DN: "digital numbers",
    }[unit]


def to_db(values: ArrayLike, unit: Unit) -> FloatArray:
    """``values`` in decibel as float32 of the same shape.

    NaN and infinite values, and power or amplitude that is not positive (fill, noise removed to nothing), give NaN,
    never −inf. Raises UnitsError for digital numbers, which have no decibel without a calibration table.
    """
    array = np.asarray(values, dtype=np.float32)
    if unit is Unit.DB:
        return np.where(np.isfinite(array), array, np.float32(np.nan))
    if unit not in _FACTOR:
        raise UnitsError("Digital numbers have no decibel without calibration.", remedy=_CALIBRATE)
    out = np.full(array.shape, np.nan, dtype=np.float32)
    np.log10(array, out=out, where=np.isfinite(array) & (array > 0))
    out *= np.float32(_FACTOR[unit])
    return out


def to_power(db: ArrayLike) -> FloatArray:
    """Linear power, 10^(dB/10), as float32 of the same shape; NaN and infinite values give NaN."""
    array = np.asarray(db, dtype=np.float32)
    clean = np.where(np.isfinite(array), array, np.float32(np.nan))
    clean *= np.float32(math.log(10.0) / 10.0)
    return np.exp(clean, out=clean)

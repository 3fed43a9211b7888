"""Probability of open water from backscatter: dark at the pixel, and in the neighbourhood of confident water.

Smooth open water reflects the beam away; the echo left in VH lies near the noise of the instrument. One threshold
cannot serve both questions that matter. *Is there water at all?* needs a strict level, met by the mean over a wide
window (or a stricter one in a narrow window), or dry fields and sand are taken for water. *How far does it reach?*
needs a lenient level in a narrow window: a pixel half water, half land holds half of the land's power, 3 dB below it.
So the probability is a product,

    P(water) = dark · (isolated + (1 − isolated) · near),

``dark`` from the narrow window against the edge level, ``near`` from both windows against the seed levels, taken as
the largest within ``reach`` pixels. Edge and seed levels follow from the scene's land and water levels. This is the
two-threshold idea of hysteresis (Canny 1986) and of region growing in flood mapping (Martinis et al. 2015; Chini et al.
2017) as a probability with bounded support, so that strips of a scene need only a halo.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.special import expit

from engine.sar.radiometry import to_db, to_power
from engine.sar.speckle import boxcar
from engine.sensors import Unit

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class ClassLevels:
    """Mean backscatter of land and of calm open water in dB, as seen in a 5 × 5 mean of linear power."""

    land_db: float
    water_db: float


# What is usual where a scene does not tell: levels of Sentinel-1 IW over vegetated land and calm water at incidence
# angles of 30 to 45 degrees, with thermal noise removed.
USUAL_LEVELS: Mapping[str, ClassLevels] = {
    "VV": ClassLevels(land_db=-10.5, water_db=-20.0),
    "VH": ClassLevels(land_db=-16.5, water_db=-27.0),
}


@dataclass(frozen=True, kw_only=True)
class WaterModel:
    """Constants of the probability; how they were chosen is told in docs/studies/flood-thresholds.md.

    ``fine``, ``coarse``: sides of the windows (pixels, odd). ``reach``: how far confident water is looked for (pixels).
    ``edge_drop``: the edge level lies this far (dB) below land. ``seed_fraction``: the seed level's place between water
    (0) and land (1); ``narrow_fraction``: the same for the narrow window, which alone sees rivers. ``fine_slope``,
    ``coarse_slope``: dB by which the odds change by a factor of e. ``isolated``: probability that a dark pixel far from
    confident water is water. ``vv_weight``: share of VV in the evidence where both polarisations are there: rough water
    is as bright as land in VV, rarely in VH. ``bound``: largest evidence (log-odds, before weighting) of VV where VH is
    there too. ``least_drop``, ``least_slope``: the fall of backscatter since a scene before below which dark now means
    dark before, and the dB by which its odds change; ``most_drop``, ``most_slope``: the fall above which water now
    cannot have been water before (wind moves VH by some 3 dB).
    """

    fine: int = 5
    coarse: int = 11
    reach: int = 4
    edge_drop: float = 3.0
    seed_fraction: float = 0.25
    narrow_fraction: float = -0.05
    fine_slope: float = 0.5
    coarse_slope: float = 0.4
    isolated: float = 0.1
    vv_weight: float = 0.1
    bound: float = 4.0
    least_drop: float = 2.0
    least_slope: float = 0.5
    most_drop: float = 6.0
    most_slope: float = 0.8

    @property
    def halo(self) -> int:
        """Pixels around a window on which its probabilities depend."""
        return max(self.fine // 2, self.coarse // 2 + self.reach)

    def edge_db(self, levels: ClassLevels) -> float:
        """Level at which a pixel next to confident water is as likely water as land."""
        return levels.land_db - self.edge_drop

    def seed_db(self, levels: ClassLevels) -> float:
        """Level of the wide window below which water is confident."""
        return levels.water_db + self.seed_fraction * (levels.land_db - levels.water_db)

    def narrow_seed_db(self, levels: ClassLevels) -> float:
        """Level of the narrow window below which water is confident: as dark as calm water itself."""
        return levels.water_db + self.narrow_fraction * (levels.land_db - levels.water_db)


def fine_db(power: FloatArray, model: WaterModel) -> FloatArray:
    """Mean of linear power in the narrow window, in dB; NaN where the pixel itself is missing."""
    return _mean_db(power, model.fine)


def _mean_db(power: FloatArray, size: int) -> FloatArray:
    # The floor (−90 dB, far below any instrument's noise) keeps a valid pixel without echo from counting as missing.
    return to_db(np.maximum(boxcar(power, size), np.float32(1e-9)), Unit.POWER)


def water_probability(
    db_by_pol: Mapping[str, FloatArray],
    *,
    levels: Mapping[str, ClassLevels],
    weights: Mapping[str, float],
    model: WaterModel,
) -> FloatArray:
    """P(water) 0..1, float32 (rows, columns), NaN exactly where no polarisation is finite.

    ``db_by_pol``: sigma0 in dB by polarisation, (rows, columns), NaN where missing; ``levels`` and ``weights`` (> 0)
    for each of them. Pixels within ``model.halo`` of the array's rim see missing values beyond it.
    """
    if not db_by_pol:
        raise ValueError("At least one polarisation is needed.")
    shape = next(iter(db_by_pol.values())).shape
    dark, wide, narrow, total = (np.zeros(shape, np.float32) for _ in range(4))
    for pol, db in db_by_pol.items():
        power, level, weight = to_power(db), levels[pol], np.float32(weights[pol])
        mean, wide_mean = fine_db(power, model), _mean_db(power, model.coarse)
        known = np.isfinite(mean)
        total += np.where(known, weight, 0)
        bound = model.bound if pol == "VV" and "VH" in db_by_pol else math.inf
        for out, threshold, values, slope in (
            (dark, model.edge_db(level), mean, model.fine_slope),
            (wide, model.seed_db(level), wide_mean, model.coarse_slope),
            (narrow, model.narrow_seed_db(level), mean, model.coarse_slope),
        ):
            evidence = np.clip((np.float32(threshold) - values) / np.float32(slope), -bound, bound)
            out += np.where(known, weight * evidence, 0)
    seen = total > 0
    for evidence in (dark, wide, narrow):
        np.divide(evidence, total, out=evidence, where=seen)
    near = np.where(seen, expit(np.maximum(wide, narrow)), np.float32(0))
    near = maximum_filter(near, size=2 * model.reach + 1, mode="constant", cval=0.0)
    probability = expit(dark) * (model.isolated + (1 - model.isolated) * near)
    return np.where(seen, probability, math.nan).astype(np.float32)


def drop_db(
    now: Mapping[str, FloatArray],
    before: Mapping[str, FloatArray],
    *,
    weights: Mapping[str, float],
    model: WaterModel,
) -> FloatArray:
    """By how many dB the narrow-window mean fell from ``before`` to ``now``: the log-ratio, float32 (rows, columns).

    Weighted mean over the polarisations that are finite in both, averaged over the narrow window once more; NaN where
    none is finite in both. ``weights`` (> 0) by polarisation.
    """
    shape = next(iter(now.values())).shape
    fall, total = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for pol in now:
        if pol in before:
            change = fine_db(to_power(before[pol]), model) - fine_db(to_power(now[pol]), model)
            known = np.isfinite(change)
            fall += np.where(known, np.float32(weights[pol]) * change, 0)
            total += np.where(known, np.float32(weights[pol]), 0)
    seen = total > 0
    np.divide(fall, total, out=fall, where=seen)
    # The ratio of two speckled means is averaged once more: its own spread is 1.2 dB, too near to least_drop.
    mean = uniform_filter(fall, model.fine, mode="constant")
    share = uniform_filter(seen.astype(np.float32), model.fine, mode="constant")
    return np.divide(mean, share, out=np.full(shape, np.nan, np.float32), where=seen)


def lasting_water(p_before: FloatArray, p_now: FloatArray, drop: FloatArray, *, model: WaterModel) -> FloatArray:
    """P(water before), told apart from flood by what did not change: float32, NaN where ``p_before`` is NaN.

    What is dark now and did not fall since was as dark before: permanent water that wind had roughened, or tarmac and
    sand that never were flooded; in either case not flood. So P(before) is at least P(now) · P(no fall). What fell far
    and is dark now was brighter than water: a wet field, a shore. So P(before) is lowered by P(far fall) · P(now). Its
    odds are cubed first: a weak trace of water, which grows into water where it touches some, must not hide a flood.
    """
    same = expit((model.least_drop - drop) / model.least_slope)
    far = expit((drop - model.most_drop) / model.most_slope)
    # Where the fall is not known (NaN) both bounds are absent.
    least = np.nan_to_num(p_now * same, nan=0.0)
    most = 1 - np.nan_to_num(p_now * far, nan=0.0)
    sharp = p_before**3 / (p_before**3 + (1 - p_before) ** 3)
    lasting = np.maximum(sharp * most, least)
    return np.where(np.isfinite(p_before), lasting, math.nan).astype(np.float32)

"""Plain thresholds to compare a flood map with: a global Otsu threshold, and fixed ones.

Of Sentinel-1: VV and VH, on the 5 × 5 mean of linear power, the usual quick speckle filter. Of Sentinel-2: the water
indices, pixel by pixel. They see one chip as a whole and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from engine.optics.indices import INDICES, water_indices

FIXED_DB = {"VV": -15.0, "VH": -21.0}
SIDE = 5
BINS = 256

FloatArray = NDArray[np.float32]


def smoothed_db(db: FloatArray) -> FloatArray:
    """(rows, columns) dB → dB of the 5 × 5 mean of linear power over valid pixels; NaN where the pixel itself is."""
    valid = np.isfinite(db)
    power = np.where(valid, 10.0 ** (np.where(valid, db, 0.0).astype(np.float64) / 10.0), 0.0)
    total = uniform_filter(power, SIDE, mode="constant")
    share = uniform_filter(valid.astype(np.float64), SIDE, mode="constant")
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = 10.0 * np.log10(total / share)
    return np.where(valid, mean, np.nan).astype(np.float32)


def otsu_db(values: FloatArray) -> float | None:
    """The threshold, in the unit of ``values``, of the largest variance between two classes of a 256-bin histogram.

    Otsu, A Threshold Selection Method from Gray-Level Histograms (1979). None without two different finite values.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0 or finite.min() == finite.max():
        return None
    counts, edges = np.histogram(finite, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = finite.size - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    return float(edges[1:-1][int(np.nanargmax(between))])


def optical_baseline_maps(
    bands: Mapping[str, FloatArray],
) -> dict[str, tuple[NDArray[np.bool_], float | None]]:
    """``{"ndwi_0", "ndwi_otsu", "mndwi_0", "mndwi_otsu"}`` → (water, threshold) of reflectance by band name; an index
    whose bands are not there is left out."""
    maps: dict[str, tuple[NDArray[np.bool_], float | None]] = {}
    for index, values in water_indices(bands).items():
        for name, threshold in ((f"{index}_0", 0.0), (f"{index}_otsu", otsu_db(values))):
            water = np.zeros(values.shape, bool) if threshold is None else np.greater(values, threshold)
            maps[name] = (water, threshold)
    return maps


def threshold_key(name: str) -> str:
    """How the threshold of a baseline is called in results: ``threshold_db``, of an index ``threshold``."""
    return "threshold" if name.startswith(tuple(INDICES)) else "threshold_db"


def baseline_maps(db: FloatArray) -> dict[str, tuple[NDArray[np.bool_], float | None]]:
    """``{"otsu_vv", "otsu_vh", "fixed_vv", "fixed_vh"}`` → (water, threshold in dB) of (2, rows, columns) VV, VH dB.

    Without a threshold (nothing valid) nothing is water. A polarisation that is wholly absent is left out.
    """
    maps: dict[str, tuple[NDArray[np.bool_], float | None]] = {}
    for plane, pol in zip(db, ("VV", "VH"), strict=True):
        if not np.isfinite(plane).any():
            continue
        smooth = smoothed_db(plane)
        for name, threshold in ((f"otsu_{pol.lower()}", otsu_db(smooth)), (f"fixed_{pol.lower()}", FIXED_DB[pol])):
            water = np.zeros(plane.shape, bool) if threshold is None else np.less(smooth, threshold)
            maps[name] = (water, threshold)
    return maps

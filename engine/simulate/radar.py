"""What Sentinel-1 would measure: backscatter by kind of surface, incidence and slope, speckle and thermal noise.

Means lie in the ranges of Ulaby and Dobson, *Handbook of Radar Scattering Statistics for Terrain* (1989), C band, and
are set so that water and land have the medians and spreads of hand-labelled Sentinel-1 chips (docs/simulation.md).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.simulate.landscape import ByteArray, Kind
from engine.simulate.noise import block_normals, uniform_of

FloatArray = NDArray[np.float32]

# sigma0 at 38 degrees in dB:   water forest shrub  grass  crop  built  rock   sand  tarmac wetland
_MEAN_DB = {
    "VV": np.array([-20.6, -8.2, -9.5, -11.3, -10.8, -5.0, -8.5, -18.5, -19.0, -9.6], np.float32),
    "VH": np.array([-29.0, -13.9, -15.7, -18.6, -17.9, -12.5, -15.5, -27.5, -27.0, -16.8], np.float32),
}
# Spread of the mean within a kind (dB, one standard deviation) over patches of tens of metres to a few hundred.
_PATCH_DB = np.array([0.5, 0.6, 0.9, 0.9, 0.7, 1.2, 1.5, 1.0, 0.6, 1.0], np.float32)
# Spread from pixel to pixel beyond speckle: houses are bright and dark.
_GRAIN_DB = np.array([0, 0.5, 0.5, 0.3, 0.3, 4.0, 1.2, 0.3, 0.5, 0.6], np.float32)
# Spread from field to field, drawn anew for each date as crops grow and are cut.
_PARCEL_DB = np.array([0, 0, 0.4, 1.0, 2.2, 0, 0, 0, 0, 0.5], np.float32)
# Change of sigma0 with incidence in dB per degree: water much steeper than land.
_TREND_DB = {
    "VV": np.array([-0.35, -0.1, -0.12, -0.14, -0.14, -0.08, -0.14, -0.22, -0.25, -0.13], np.float32),
    "VH": np.array([-0.12, -0.1, -0.11, -0.12, -0.12, -0.08, -0.12, -0.15, -0.15, -0.11], np.float32),
}
# Lone bright targets on open land.
_TARGET_DB = np.array([0, 0, 7, 9, 9, 0, 0, 0, 0, 0], np.float32)
WIND_DB = {"VV": 9.0, "VH": 3.0}
"""What wind adds to smooth water: fresh wind brings VV up to land's level and VH hardly."""
ROOF_DB = {"VV": (3.0, 14.0), "VH": (-3.0, 9.0)}
"""What greenhouses and halls add to a field: at least, and at most beyond that. Walls along the track give back what
comes twice in the same polarisation: VV up to 25 dB above VH was seen, more than over rough water."""
_NOISE_DB = {"VV": -33.0, "VH": -33.5}
_FLOOR_POWER = 2e-5
SWATH_M = 250_000.0
NEAR_DEG, FAR_DEG = 30.5, 46.0
_DB = math.log(10.0) / 10.0


def incidence_deg(columns: NDArray[np.integer], width: int, gsd: float) -> FloatArray:
    """Incidence angle (degrees) of columns of a scene ``width`` wide centred in a 250 km swath, near range left."""
    metres = (np.asarray(columns, np.float64) - width / 2) * gsd + SWATH_M / 2
    return (NEAR_DEG + (FAR_DEG - NEAR_DEG) * np.clip(metres / SWATH_M, 0, 1)).astype(np.float32)


def texture(kind: ByteArray, patch: FloatArray, grain: FloatArray) -> FloatArray:
    """dB around the mean of a kind, common to both polarisations and dates: patches, pixels, lone bright targets.

    ``patch`` and ``grain`` are standard normal, smooth and white. One open pixel in 400 is a farm, a mast, a tree.
    """
    db = _PATCH_DB[kind] * patch + _GRAIN_DB[kind] * grain
    db += _TARGET_DB[kind] * (grain > np.float32(2.8))
    return np.asarray(db, np.float32)


def field_state(kind: ByteArray, parcel: NDArray[np.uint32], date: int) -> FloatArray:
    """dB by which a field differs from its kind at a date (0 before, 1 after the event), for VV."""
    # Byte 0 of a parcel's hash is its lasting state, bytes 1 and 2 what the dates differ by.
    state = 0.75 * uniform_of(parcel, 0) + 0.6 * uniform_of(parcel, 1 + date) - np.float32(0.675)
    return np.asarray(np.float32(3.6) * _PARCEL_DB[kind] * state, np.float32)


def mean_db(pol: str, kind: ByteArray, incidence: FloatArray) -> FloatArray:
    """Mean sigma0 in dB by kind and incidence (one value per column), for polarisation ``VV`` or ``VH``."""
    table = _MEAN_DB[pol][:, None] + _TREND_DB[pol][:, None] * (incidence - 38)[None, :]
    columns = np.arange(kind.shape[1], dtype=np.int32)[None, :]
    return np.asarray(table.ravel().take(kind.astype(np.int32) * np.int32(kind.shape[1]) + columns), np.float32)


def water_power(pol: str, patch: FloatArray, incidence: FloatArray) -> FloatArray:
    """Linear sigma0 of calm open water."""
    db = _MEAN_DB[pol][0] + _TREND_DB[pol][0] * (incidence - 38)[None, :] + _PATCH_DB[0] * patch
    return to_power(np.asarray(db, np.float32))


def to_power(db: FloatArray) -> FloatArray:
    """Linear power of dB."""
    return np.exp(db * np.float32(_DB))


def slope_gain(height: FloatArray, incidence: FloatArray, gsd: float) -> FloatArray:
    """Brightness of slopes: sin(i) / sin(i − a), a the slope toward the radar on the left (a pixel's area, Small 2011).

    Clipped to 1/6 … 6; foreshortened slopes are bright, back slopes dark. Positions are not shifted (no layover).
    """
    rise = np.gradient(height, np.float32(gsd), axis=1)
    toward = np.arctan(rise)
    angle = np.radians(incidence)[None, :]
    local = np.maximum(np.sin(angle - toward), np.float32(0.05))
    return np.clip(np.sin(angle) / local, np.float32(1 / 6), np.float32(6)).astype(np.float32)


def blur(power: FloatArray) -> FloatArray:
    """The resolution cell of GRD (about 20 m on 10 m pixels): 1-2-1 along both axes; the result is 2 smaller."""
    rows = power[:-2] + 2 * power[1:-1] + power[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) * np.float32(1 / 16)


# Neighbours' weights in range (columns) and azimuth (rows): correlations .68 and .6, as in Sentinel-1 chips.
_ACROSS, _DOWN = 0.55, 0.40


def speckle(seed: int, block: tuple[int, int], shape: tuple[int, int], *, size: int, looks: float) -> FloatArray:
    """Multiplicative speckle of a block: gamma with mean 1 and ``looks`` looks, correlated between neighbours.

    A correlated normal field is brought to the gamma distribution by the cube of Wilson and Hilferty (1931), exact in
    mean and variance to 0.2 % for 4 looks and more. ``size`` is the full block's side, ``shape`` the part asked for.
    """
    white = block_normals(seed, block, (size + 2, size + 2))[: shape[0] + 2, : shape[1] + 2]
    across = white[:, 1:-1] + np.float32(_ACROSS) * (white[:, :-2] + white[:, 2:])
    field = across[1:-1] + np.float32(_DOWN) * (across[:-2] + across[2:])
    norm = math.sqrt((1 + 2 * _ACROSS**2) * (1 + 2 * _DOWN**2))
    scale, shift = 1 / (3 * math.sqrt(looks) * norm), 1 - 1 / (9 * looks)
    root = np.maximum(field * np.float32(scale) + np.float32(shift), np.float32(0.02))
    return np.asarray(root * root * root, np.float32)


def measure(pol: str, power: FloatArray, gain: FloatArray, incidence: FloatArray) -> FloatArray:
    """dB as delivered: thermal noise shares the speckle, its mean is taken off again, the rest has a floor of −47 dB.

    The noise varies by ±1.5 dB over the three sub-swaths. The floor is that of denoised products.
    """
    third = (FAR_DEG - NEAR_DEG) / 3
    noise_db = _NOISE_DB[pol] - 1.5 * np.cos(2 * np.pi * (incidence - NEAR_DEG) / third)
    noise = np.exp(noise_db * np.float32(_DB)).astype(np.float32)[None, :]
    left = np.maximum((power + noise) * gain - noise, np.float32(_FLOOR_POWER))
    return np.asarray(np.log(left) * np.float32(1 / _DB), np.float32)


def hidden_share(kind: ByteArray, canopy: FloatArray, depth: FloatArray) -> FloatArray:
    """Share (0..1) of a flooded pixel's echo that plants or houses above the water give.

    Grass and crops hide water until it drowns them; forest and houses nearly always do.
    """
    share = np.clip(1.15 - depth / np.maximum(canopy, 0.05), 0, 0.9)
    return np.where((kind == Kind.FOREST) | (kind == Kind.BUILT), np.float32(0.9), share).astype(np.float32)


# Water below plants or beside walls returns the echo twice: gain by polarisation.
DOUBLE_BOUNCE = {"VV": np.float32(1.7), "VH": np.float32(1.2)}


def flooded(pol: str, dry: FloatArray, water: FloatArray, hidden: FloatArray) -> FloatArray:
    """Linear sigma0 of flooded ground: open water and what stands out of it."""
    return np.asarray(water * (1 - hidden) + dry * hidden * DOUBLE_BOUNCE[pol], np.float32)

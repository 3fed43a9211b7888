"""Facades by place on the wall: windows, doors, shop fronts, bands, balconies, ribs. No picture is stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.simulate.city.mesh import FloatArray
from engine.simulate.city.texture import grain
from engine.simulate.city.walls import WallTable
from engine.simulate.noise import mix

# By manner (house, shops, slab, glass, shed): storey height, ground floor height, bay, window width and height, sill.
_STOREY = np.array([2.9, 3.1, 2.9, 3.3, 99.0], np.float32)
_GROUND = np.array([2.9, 3.7, 3.2, 4.2, 99.0], np.float32)
_BAY = np.array([3.1, 2.7, 3.2, 1.6, 5.5], np.float32)
_WIDE = np.array([1.25, 1.15, 2.1, 1.48, 1.6], np.float32)
_HIGH = np.array([1.25, 1.75, 1.45, 2.95, 0.8], np.float32)
_SILL = np.array([0.95, 0.75, 0.95, 0.2, 3.2], np.float32)


def facade(
    walls: WallTable, index: NDArray[np.int32], x: FloatArray, y: FloatArray, z: FloatArray, color: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Albedo (n, 3) and the share of light that glass mirrors (n,) at places on walls ``index`` of plain ``color``."""
    start, along = walls.starts[index], walls.along[index]
    u = (x - start[:, 0]) * along[:, 0] + (y - start[:, 1]) * along[:, 1]
    manner, length, height, seed = walls.facades[index], walls.lengths[index], walls.heights[index], walls.seeds[index]
    noise = grain()
    shift = (seed & np.uint32(511)).astype(np.float32)
    coarse = noise.at(u * 1.3 + shift, z * 1.3 + shift)
    fine = noise.at(u * 9, z * 9)
    albedo = color * np.clip(1 + 0.07 * coarse + 0.05 * fine - 0.12 * np.exp(-z), 0.3, 1.6)[:, None]

    own = mix(seed ^ np.uint32(0x51ED270B))
    vary = 0.88 + 0.28 * (own & np.uint32(255)).astype(np.float32) / 255
    floor_height, ground = _STOREY[manner], _GROUND[manner]
    upper = z >= ground
    storey = np.where(upper, np.floor((z - ground) / floor_height) + 1, 0)
    v = np.where(upper, (z - ground) - (storey - 1) * floor_height, z)
    bays = np.maximum(1, np.floor(length / (_BAY[manner] * vary) + 0.35))
    bay_width = length / bays
    bay = np.clip(np.floor(u / bay_width), 0, bays - 1)
    w = u - (bay + 0.5) * bay_width
    key = mix(
        seed ^ (bay.astype(np.uint32) * np.uint32(0x85EBCA77)) ^ (storey.astype(np.uint32) * np.uint32(0xC2B2AE3D))
    )
    luck = (key & np.uint32(255)).astype(np.float32) / 255
    luck2 = ((key >> np.uint32(8)) & np.uint32(255)).astype(np.float32) / 255

    wide = np.minimum(_WIDE[manner] * vary, bay_width - 0.12)
    high, sill = _HIGH[manner], _SILL[manner]
    shop = (manner == 1) & ~upper & ((own >> np.uint32(9)) & np.uint32(1)).astype(bool)
    wide = np.where(shop, bay_width - 0.5, wide)
    high = np.where(shop, 2.35, high)
    sill = np.where(shop, 0.35, sill)
    blind = (manner == 0) & (luck < 0.22)
    fits = (z - v + sill + high < height - 0.05) & ~blind & (wide > 0.3)
    fits &= (manner != 4) | (luck < 0.5)
    inside = fits & (np.abs(w) < wide / 2) & (v > sill) & (v < sill + high)
    frame = fits & ~inside & (np.abs(w) < wide / 2 + 0.1) & (v > sill - 0.12) & (v < sill + high + 0.1)
    bar = inside & ((np.abs(w) < 0.035) | (np.abs(v - sill - high * 0.62) < 0.03)) & ~shop
    middle = np.floor(bays / 2)
    door = ((manner == 0) | ((manner <= 2) & ~shop)) & ~upper & (bay == middle) & (np.abs(w) < 0.55) & (v < 2.15)
    gate = (manner == 4) & (luck > 0.62) & (np.abs(w) < 1.9) & (z < 3.6) & (height > 4)

    light_frame = ((own >> np.uint32(12)) & np.uint32(3)) != 0
    frame_color = np.where(light_frame[:, None], np.float32(0.55), albedo * np.float32(0.55))
    albedo = np.where((frame | bar)[:, None], frame_color, albedo)
    curtain = inside & (luck2 > 0.6) & (v > sill + high * (luck - 0.2)) & (manner <= 2) & ~bar
    pane = np.where(curtain, 0.32 * (0.5 + luck), 0.03 + 0.04 * luck)[:, None] * np.array([1.0, 1.0, 0.97], np.float32)
    glass = inside & ~bar
    albedo = np.where(glass[:, None], pane, albedo)
    mirror = np.where(glass, np.where(curtain, 0.12, 0.2 + 0.35 * luck), 0.0)
    mirror = np.where(glass & (manner == 3), 0.35 + 0.3 * luck2, mirror)

    # Shop signs, balconies of slabs, the bands of storeys, ribs of sheds, plinths.
    sign_color = _signs(own)
    sign = shop & (v > 2.85) & (v < 3.45)
    albedo = np.where(sign[:, None], sign_color, albedo)
    balcony = (manner == 2) & upper & (bay % 2 == 0) & (v < 1.0) & (((own >> np.uint32(15)) & np.uint32(1)) == 1)
    albedo = np.where(balcony[:, None], color * 0.35 + 0.3, albedo)
    mirror = np.where(balcony, 0.0, mirror)
    band = (manner == 1) & (v < 0.2) & upper
    albedo = np.where(band[:, None], np.minimum(color * 1.3 + 0.04, 0.75), albedo)
    rib = (manner == 4) & ~gate
    albedo = albedo * np.where(rib, 0.93 + 0.07 * np.sin(u * 14), 1.0)[:, None]
    albedo = np.where(gate[:, None], _signs(key) * 0.6 + 0.12, albedo)
    door_color = _signs(own ^ np.uint32(0xA511E9B3)) * 0.5
    albedo = np.where(door[:, None], door_color, albedo)
    mirror = np.where(door, 0.03, mirror)
    return albedo.astype(np.float32), mirror.astype(np.float32)


def _signs(key: NDArray[np.uint32]) -> FloatArray:
    """Colours from hashes (n, 3)."""
    channels = [((key >> np.uint32(s)) & np.uint32(255)).astype(np.float32) / 255 for s in (3, 11, 19)]
    return np.asarray(np.stack(channels, axis=-1) ** 2 * 0.5 + 0.02, np.float32)

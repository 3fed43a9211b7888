"""What the ground is made of: albedo (linear, red green blue) by season, and how much it varies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """``wet`` and ``dry`` are its albedo in a green and in a parched land; ``fading`` how far it follows the season.

    ``patches``, ``mottle``, ``grain``: relative amplitude of noise at about 12 m, 1.5 m and 0.4 m; ``rows`` the
    spacing of furrows or slabs in metres (0: none) and ``depth`` their contrast; ``green`` its yellowing.
    """

    wet: Color
    dry: Color
    fading: float = 0.0
    patches: float = 0.08
    mottle: float = 0.06
    grain: float = 0.05
    rows: float = 0.0
    depth: float = 0.0
    green: float = 0.0


_SOIL, _SAND = (0.13, 0.09, 0.06), (0.30, 0.22, 0.14)

MATERIALS: dict[str, Material] = {
    "grass": Material((0.055, 0.105, 0.028), (0.21, 0.165, 0.085), 0.6, 0.16, 0.14, 0.14, green=0.5),
    "lawn": Material((0.05, 0.115, 0.024), (0.15, 0.15, 0.06), 0.5, 0.12, 0.1, 0.1, green=0.3),
    "verge": Material((0.06, 0.1, 0.03), (0.23, 0.18, 0.1), 0.6, 0.25, 0.22, 0.18, green=0.6),
    "meadow": Material((0.075, 0.11, 0.035), (0.25, 0.2, 0.11), 0.7, 0.25, 0.18, 0.15, green=0.7),
    "crop": Material((0.05, 0.1, 0.025), (0.24, 0.19, 0.09), 0.8, 0.15, 0.08, 0.08, rows=1.5, depth=0.16, green=0.3),
    "ploughed": Material(_SOIL, _SAND, 0.0, 0.18, 0.12, 0.12, rows=1.8, depth=0.18),
    "forest": Material((0.045, 0.05, 0.022), (0.15, 0.115, 0.07), 0.3, 0.25, 0.3, 0.2, green=0.4),
    "scrub": Material((0.15, 0.13, 0.075), (0.31, 0.25, 0.17), 0.3, 0.25, 0.25, 0.2, green=0.4),
    "dirt": Material((0.17, 0.125, 0.085), (0.33, 0.25, 0.17), 0.0, 0.15, 0.14, 0.12),
    "gravel": Material((0.24, 0.22, 0.19), (0.34, 0.3, 0.25), 0.0, 0.1, 0.1, 0.14),
    "asphalt": Material((0.085, 0.086, 0.09), (0.115, 0.112, 0.108), 0.0, 0.06, 0.04, 0.05),
    "worn": Material((0.15, 0.148, 0.144), (0.19, 0.183, 0.172), 0.0, 0.06, 0.05, 0.05),
    "repair": Material((0.045, 0.045, 0.048), (0.05, 0.05, 0.05), 0.0, 0.05, 0.05, 0.05),
    "concrete": Material((0.27, 0.262, 0.245), (0.33, 0.315, 0.285), 0.0, 0.08, 0.07, 0.05, rows=1.5, depth=0.06),
    "slabs": Material((0.2, 0.195, 0.19), (0.27, 0.255, 0.235), 0.0, 0.08, 0.09, 0.06, rows=0.8, depth=0.05),
    "brick": Material((0.2, 0.12, 0.09), (0.25, 0.155, 0.115), 0.0, 0.1, 0.1, 0.08),
    "kerb": Material((0.36, 0.35, 0.33), (0.4, 0.38, 0.35), 0.0, 0.08, 0.1, 0.05),
    "water": Material((0.018, 0.032, 0.036), (0.035, 0.05, 0.042), 0.0, 0.12, 0.03, 0.02),
    "bed": Material((0.06, 0.07, 0.03), (0.14, 0.1, 0.06), 0.4, 0.3, 0.4, 0.3, green=0.5),
    "yard": Material((0.15, 0.14, 0.12), (0.24, 0.21, 0.17), 0.0, 0.15, 0.15, 0.1),
}

WHITE: Color = (0.56, 0.56, 0.54)
YELLOW: Color = (0.55, 0.34, 0.045)
TYRE: Color = (0.03, 0.03, 0.03)


def albedo(material: Material, dryness: float, autumn: float, winter: float, spring: float) -> NDArray[np.float64]:
    """Its albedo (3,) in a land of that dryness at that time of the year; all 0..1."""
    wet, dry = np.array(material.wet), np.array(material.dry)
    parched = np.clip(dryness + material.fading * (0.25 * autumn + 0.3 * winter - 0.35 * spring), 0, 1)
    return wet * (1 - parched) + dry * parched

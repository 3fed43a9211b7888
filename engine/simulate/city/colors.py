"""Colours of walls, roofs and cars (linear albedo)."""

from __future__ import annotations

import numpy as np

from engine.simulate.city.dice import Dice

Color = tuple[float, float, float]

_WALLS: dict[str, list[Color]] = {
    "brick": [(0.22, 0.085, 0.055), (0.28, 0.13, 0.085), (0.17, 0.075, 0.055), (0.33, 0.22, 0.15), (0.45, 0.42, 0.36)],
    "plaster": [
        (0.55, 0.52, 0.45),
        (0.58, 0.5, 0.33),
        (0.6, 0.6, 0.58),
        (0.5, 0.36, 0.25),
        (0.38, 0.42, 0.42),
        (0.45, 0.5, 0.38),
    ],
    "stone": [(0.42, 0.37, 0.29), (0.34, 0.31, 0.27), (0.5, 0.45, 0.36), (0.28, 0.26, 0.24), (0.56, 0.54, 0.5)],
    "modern": [(0.55, 0.55, 0.54), (0.16, 0.17, 0.18), (0.36, 0.36, 0.36), (0.4, 0.3, 0.22), (0.62, 0.62, 0.6)],
    "timber": [(0.58, 0.58, 0.55), (0.42, 0.45, 0.47), (0.5, 0.46, 0.34), (0.24, 0.1, 0.07), (0.35, 0.4, 0.33)],
}
_TILES: list[Color] = [
    (0.28, 0.11, 0.065),
    (0.2, 0.085, 0.06),
    (0.11, 0.1, 0.1),
    (0.17, 0.15, 0.14),
    (0.21, 0.16, 0.12),
    (0.3, 0.29, 0.27),
    (0.08, 0.085, 0.095),
]
_FLAT: list[Color] = [
    (0.3, 0.29, 0.28),
    (0.5, 0.5, 0.48),
    (0.14, 0.14, 0.15),
    (0.36, 0.33, 0.29),
    (0.66, 0.66, 0.64),
    (0.22, 0.21, 0.2),
]
_CARS: list[tuple[Color, float]] = [
    ((0.62, 0.62, 0.62), 0.26),
    ((0.02, 0.02, 0.022), 0.22),
    ((0.15, 0.155, 0.16), 0.16),
    ((0.36, 0.37, 0.38), 0.14),
    ((0.27, 0.02, 0.02), 0.08),
    ((0.025, 0.05, 0.16), 0.09),
    ((0.3, 0.25, 0.18), 0.03),
    ((0.03, 0.1, 0.07), 0.02),
]


def _near(rng: Dice, color: Color, spread: float) -> Color:
    tint = np.clip(np.asarray(color) * rng.uniform(1 - spread, 1 + spread) * (1 + rng.normal(0, 0.05, 3)), 0.01, 0.8)
    return (float(tint[0]), float(tint[1]), float(tint[2]))


def wall_color(rng: Dice, palette: str) -> Color:
    """A wall's colour in the manner of ``palette``."""
    choices = _WALLS[palette]
    return _near(rng, choices[int(rng.integers(len(choices)))], 0.2)


def roof_color(rng: Dice, flat: bool) -> Color:
    """A roof's colour."""
    choices = _FLAT if flat else _TILES
    return _near(rng, choices[int(rng.integers(len(choices)))], 0.2)


def car_colors(rng: Dice, count: int) -> np.ndarray:
    """Paints of ``count`` cars (count, 3)."""
    shares = np.array([share for _, share in _CARS])
    index = rng.choice(len(_CARS), size=count, p=shares / shares.sum())
    return np.array([c for c, _ in _CARS])[index] * rng.uniform(0.85, 1.15, (count, 1))

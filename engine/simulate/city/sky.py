"""The sky of a day as a small panorama: blue and haze, the sun's glow, clouds, and what stands far off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.simulate.city.character import Brief
from engine.simulate.city.day import Day
from engine.simulate.city.dice import dice
from engine.simulate.city.texture import Noise
from engine.simulate.noise import derive

FloatArray = NDArray[np.float32]
ROWS, COLUMNS = 384, 1024


class Sky:
    """Radiance by direction, as seen from a street; built once a day.

    Rows run from the zenith to the horizon by the square root of elevation, columns clockwise from north.
    """

    def __init__(self, seed: int, brief: Brief, day: Day) -> None:
        row = (np.arange(ROWS, dtype=np.float32) + 0.5) / ROWS
        up = np.sin((1 - row) ** 2 * (np.pi / 2))[:, None].astype(np.float32)
        azimuth = ((np.arange(COLUMNS, dtype=np.float32) + 0.5) / COLUMNS * (2 * np.pi))[None, :]
        out = np.sqrt(np.maximum(1 - up * up, 0))
        x, y = out * np.sin(azimuth), out * np.cos(azimuth)
        mean = day.skylight * (1.25 / np.pi)
        self.horizon: FloatArray = np.asarray(
            (np.array([0.98, 1.0, 1.03]) * mean.mean() * 0.95 + mean * 0.32), np.float32
        )
        zenith = np.asarray(mean * np.array([0.55, 0.72, 1.0]) * (1 - day.overcast) + mean * 0.85 * day.overcast)
        fall = (1 - up[..., None]) ** np.float32(3.2)
        sky = zenith * (1 - fall) + self.horizon * fall
        sun = day.to_sun
        near = np.clip(x * sun[0] + y * sun[1] + up * sun[2], -1, 1)
        gamma = np.arccos(near)[..., None]
        glow = day.sunlight * (0.12 * np.exp(-gamma / 0.25) + 0.6 * np.exp(-gamma / 0.05) + 6 * (gamma < 0.02))
        sky = sky + glow
        if day.clouds > 0.02 or day.overcast > 0.3:
            sky = self._clouded(seed, day, sky, x, y, up, near)
        self._texture = np.asarray(self._skyline(seed, brief, day, sky), np.float32).reshape(-1, 3)
        self.mean: FloatArray = np.asarray(mean, np.float32)

    def _clouded(
        self,
        seed: int,
        day: Day,
        sky: NDArray[np.floating],
        x: FloatArray,
        y: FloatArray,
        up: FloatArray,
        near: FloatArray,
    ) -> NDArray[np.floating]:
        noise = Noise(derive(seed, "clouds", day.name), 128, 4, 0.55)
        height = 60.0 / (up + 0.12)
        thick = noise.at(x * height + 300, y * height + 200)
        shade = noise.at(x * height * 1.7 + 77, y * height * 1.7 + 411)
        grey = max(day.clouds, day.overcast)
        edge = 1.6 - 2.6 * grey
        cover = np.clip((thick - edge) * (0.9 + 0.6 * (1 - grey)), 0, 1)[..., None]
        lit = day.sunlight.mean() * 0.17 * (0.7 + 0.5 * np.clip(near, 0, 1) ** 4)
        base = day.skylight.mean() / 3.0
        bright = (lit + base * 1.1) * np.clip(1 - 0.16 * shade - 0.25 * np.clip(thick - edge - 0.6, 0, 1.5), 0.45, 1.3)
        cloud = bright[..., None] * np.array([1.0, 1.0, 1.01])
        return sky * (1 - 0.92 * cover) + cloud * 0.92 * cover

    def _skyline(self, seed: int, brief: Brief, day: Day, sky: NDArray[np.floating]) -> NDArray[np.floating]:
        """Far trees, hills or houses, hazed."""
        rng = dice(seed, "skyline")
        line = Noise(derive(seed, "skyline"), 256, 1, 0.62).values[7]
        line = np.concatenate([line, line[::-1]])  # closes at north
        built = brief.character in ("town", "centre")
        if built:
            step = int(rng.integers(5, 12))
            line = np.repeat(line[::step], step)[:COLUMNS] * 1.3
        reach = {"rural": 1.0, "suburb": 1.6, "town": 2.2, "centre": 3.6}[brief.character] * float(
            rng.uniform(0.6, 1.4)
        )
        top = np.radians(np.clip(reach * (0.75 + 0.38 * line), 0.15, 9))
        elevation = ((1 - (np.arange(ROWS) + 0.5) / ROWS) ** 2 * (np.pi / 2))[:, None]
        under = (elevation < top[None, :])[..., None]
        green = np.array([0.045, 0.06, 0.03]) if not built else np.array([0.2, 0.19, 0.18])
        light = day.sunlight * 0.5 + day.skylight * 0.7
        fade = np.exp(-300.0 / day.haze_m)
        texture = (
            1 + 0.22 * Noise(derive(seed, "skyline2"), 16, 1).at(np.arange(COLUMNS)[None] * 1.0, elevation * 1500)
        )[..., None]
        far = green * light / np.pi * texture * fade + self.horizon * (1 - fade)
        return np.where(under, far, sky)

    def at(self, directions: FloatArray, fine: bool = False) -> FloatArray:
        """Radiance (n, 3) seen along unit ``directions`` (n, 3); below the horizon it is that of the horizon.

        Interpolated where ``fine``, else the nearest of the sky's own pixels (a third of a degree).
        """
        up = np.clip(directions[:, 2], 0, 1)
        row = (1 - np.sqrt(np.arcsin(up) * np.float32(2 / np.pi))) * ROWS - np.float32(0.5)
        column = np.arctan2(directions[:, 0], directions[:, 1]) * np.float32(COLUMNS / (2 * np.pi)) - np.float32(0.5)
        if not fine:
            r = np.clip(row + np.float32(0.5), 0, ROWS - 1).astype(np.int32)
            return self._texture[r * COLUMNS + np.floor(column + np.float32(0.5)).astype(np.int32) % COLUMNS]
        r, c = np.floor(row), np.floor(column)
        fr, fc = (row - r)[:, None], (column - c)[:, None]
        r0 = np.clip(r.astype(np.int32), 0, ROWS - 1)
        r1 = np.minimum(r0 + 1, ROWS - 1)
        c0 = c.astype(np.int32) % COLUMNS
        c1 = (c0 + 1) % COLUMNS
        t = self._texture
        top = t[r0 * COLUMNS + c0] * (1 - fc) + t[r0 * COLUMNS + c1] * fc
        low = t[r1 * COLUMNS + c0] * (1 - fc) + t[r1 * COLUMNS + c1] * fc
        return top * (1 - fr) + low * fr

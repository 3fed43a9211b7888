"""A city on one day: its triangles, what they look like, and the light that comes along a ray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.simulate.city.character import MARGIN_M, Brief
from engine.simulate.city.contents import Contents
from engine.simulate.city.day import Day
from engine.simulate.city.facades import facade
from engine.simulate.city.furniture import build_barriers, build_cars, build_posts, parked
from engine.simulate.city.ground import Ground
from engine.simulate.city.mesh import FloatArray, Kind, MeshBuilder
from engine.simulate.city.plants import build_trees
from engine.simulate.city.rays import Tracer
from engine.simulate.city.sky import Sky
from engine.simulate.city.texture import grain
from engine.simulate.city.walls import build_houses

_WIDE_M = 6000.0
_PIECE = 1 << 14


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]


class DayScene:
    """Everything of a city as it is on ``day``; raises MissingExtraError without the ray tracer."""

    def __init__(self, seed: int, brief: Brief, size_m: float, contents: Contents, ground: Ground, day: Day) -> None:
        self.day, self.ground, self.size_m = day, ground, size_m
        builder = MeshBuilder()
        w = _WIDE_M
        plane = np.array([[[-w, -w, 0], [w, -w, 0], [w, w, 0]], [[-w, -w, 0], [w, w, 0], [-w, w, 0]]])
        builder.add(plane, (0, 0, 0), Kind.GROUND)
        self.walls = build_houses(seed, contents.buildings, builder)
        self.cars = parked(seed, contents.cars, day)
        build_cars(seed, self.cars, day, builder)
        build_posts(contents.posts, builder)
        build_barriers(seed, contents.barriers, builder)
        build_trees(seed, contents.trees, day, brief.dryness, builder)
        mesh = builder.mesh()
        self.normals, self.colors, self.kinds, self.parts = mesh.normals, mesh.colors, mesh.kinds, mesh.parts
        self.tracer = Tracer(mesh.triangles)
        self.picture = ground.colored(day)
        self.sky = Sky(seed, brief, day)
        self._cover = self._shelter()

    def _shelter(self) -> FloatArray:
        """How much of the sky what stands around hides on the ground, 0..1, on a grid of 2 m."""
        ticks = np.arange(-MARGIN_M + 1, self.size_m + MARGIN_M, 2.0, dtype=np.float32)
        x, y = np.meshgrid(ticks, ticks)
        origins = np.stack([x, y, np.full_like(x, 400)], axis=-1).reshape(-1, 3)
        down = np.broadcast_to(np.array([0, 0, -1], np.float32), origins.shape)
        _, distance = self.tracer.first(origins, down)
        height = np.clip(400 - distance, 0, 25).reshape(x.shape)
        near, far = gaussian_filter(np.minimum(height, 8), 1.5), gaussian_filter(height, 5)
        return np.clip(0.045 * near + 0.03 * far, 0, 0.75).astype(np.float32)

    def hidden_sky(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """The share of the sky that is hidden above the ground at places (n,)."""
        side = self._cover.shape[0]
        c = np.clip((x + np.float32(MARGIN_M)) * np.float32(0.5), 0, side - 1).astype(np.int32)
        r = np.clip((y + np.float32(MARGIN_M)) * np.float32(0.5), 0, side - 1).astype(np.int32)
        return self._cover[r, c]

    def light(self, origins: FloatArray, directions: FloatArray, spread: float, footprint_m: float = 0.0) -> FloatArray:
        """Radiance (n, 3) that comes along rays (n, 3).

        A pixel is ``footprint_m`` wide, and wider by ``spread`` (radians) with distance.
        """
        # Pieces that stay in the processor's cache.
        parts = [slice(k, k + _PIECE) for k in range(0, len(origins), _PIECE)]
        return np.concatenate([self._light(origins[p], directions[p], spread, footprint_m) for p in parts])

    def _light(self, origins: FloatArray, directions: FloatArray, spread: float, footprint_m: float) -> FloatArray:
        triangle, distance = self.tracer.first(origins, directions)
        hit = np.flatnonzero(triangle >= 0)
        out = np.empty((len(origins), 3), np.float32)
        missed = np.flatnonzero(triangle < 0)
        if len(missed):
            out[missed] = self.sky.at(directions[missed])
        if not len(hit):
            return out
        triangle, t, d = triangle[hit], distance[hit], directions[hit]
        place = origins[hit] + d * t[:, None]
        x, y, z = place[:, 0], place[:, 1], place[:, 2]
        kinds, normals = self.kinds[triangle], self.normals[triangle]
        albedo, mirror = self._surface(kinds, triangle, x, y, z, d, t, spread, footprint_m)
        facing = _dot(normals, d)
        leaf = kinds == Kind.LEAF
        normals = np.where(((facing > 0) & ~leaf)[:, None], -normals, normals)
        out[hit] = self._lit(place, normals, leaf, albedo)
        shiny = np.flatnonzero(mirror > 0)
        if len(shiny):
            n, v = normals[shiny], d[shiny]
            away = v - 2 * _dot(v, n)[:, None] * n
            seen = self.sky.at(away)
            seen = np.where(away[:, 2:] < 0, seen * 0.22, seen)
            m = mirror[shiny][:, None]
            out[hit[shiny]] = out[hit[shiny]] * (1 - 0.6 * m) + seen * m
        near = np.exp(-np.abs(t) * np.float32(1 / self.day.haze_m))[:, None] if not footprint_m else np.float32(0.97)
        out[hit] = out[hit] * near + self.sky.horizon * (1 - near)
        return out

    def _lit(self, place: FloatArray, normals: FloatArray, leaf: NDArray[np.bool_], albedo: FloatArray) -> FloatArray:
        day = self.day
        sun = day.to_sun
        toward = normals[:, 0] * sun[0] + normals[:, 1] * sun[1] + normals[:, 2] * sun[2]
        # Leaves let light through: one seen from behind is not black.
        toward = np.where(leaf, np.clip(0.35 + 0.6 * toward, 0.12, 1), np.clip(toward, 0, 1))
        if day.overcast < 0.95:
            lit = np.flatnonzero(toward > 0.01)
            lift = np.where(leaf[lit], 0.3, 0.02)[:, None].astype(np.float32)
            start = place[lit] + normals[lit] * np.where(leaf[lit], 0.0, 0.02)[:, None].astype(np.float32) + sun * lift
            toward[lit[self.tracer.shadowed(start, sun)]] = 0.0
        else:
            toward = np.zeros_like(toward)
        up = normals[:, 2]
        height = np.clip(place[:, 2], 0, 30)
        hidden = self.hidden_sky(place[:, 0], place[:, 1]) * np.exp(-height / np.float32(7))
        open_ = (0.5 + 0.5 * up) * (1 - hidden)
        bounce = (0.5 - 0.5 * up) * 0.13 * (1 - 0.6 * hidden)
        light = toward[:, None] * day.sunlight + open_[:, None] * day.skylight
        light += bounce[:, None] * (day.sunlight * np.float32(sun[2]) + day.skylight)
        return np.asarray(albedo * light * np.float32(1 / np.pi), np.float32)

    def _surface(
        self, kinds: NDArray[np.uint8], triangle: NDArray[np.int32], x: FloatArray, y: FloatArray, z: FloatArray,
        d: FloatArray, t: FloatArray, spread: float, footprint_m: float,
    ) -> tuple[FloatArray, FloatArray]:  # fmt: skip
        """Albedo (n, 3) and mirrored share (n,) of hits."""
        albedo = self.colors[triangle].copy()
        mirror = np.zeros(len(kinds), np.float32)
        noise = grain()
        k = np.flatnonzero(kinds == Kind.GROUND)
        if len(k):
            wide = np.float32(footprint_m) + t[k] * np.float32(spread) / np.sqrt(np.maximum(np.abs(d[k, 2]), 2e-3))
            gx, gy = x[k], y[k]
            color = self.picture.at(gx, gy, wide)
            close = np.clip(1.2 - wide * 6, 0, 1)
            albedo[k] = color * (1 + 0.09 * close * noise.at(gx * 28, gy * 28))[:, None]
            wet = k[self.ground.water(gx, gy)]
            if len(wet):
                slope = np.clip(1 - np.abs(d[wet, 2]), 0, 1)
                mirror[wet] = 0.03 + 0.75 * slope**4
        k = np.flatnonzero(kinds == Kind.WALL)
        if len(k):
            albedo[k], mirror[k] = facade(self.walls, self.parts[triangle[k]], x[k], y[k], z[k], albedo[k])
        k = np.flatnonzero(kinds == Kind.TILES)
        if len(k):
            tone = (
                1 + 0.1 * noise.at(x[k] * 2, y[k] * 2) + 0.08 * noise.at(x[k] * 9, y[k] * 9) + 0.07 * np.sin(z[k] * 26)
            )
            albedo[k] *= tone[:, None]
        k = np.flatnonzero(kinds == Kind.FLAT_ROOF)
        if len(k):
            tone = 1 + 0.12 * noise.at(x[k] * 1.1, y[k] * 1.1) + 0.06 * noise.at(x[k] * 7, y[k] * 7)
            albedo[k] *= tone[:, None]
        k = np.flatnonzero(kinds == Kind.LEAF)
        if len(k):
            spots = noise.at((x[k] + 0.7 * z[k]) * 7, (y[k] + 0.6 * z[k]) * 7)
            broad = noise.at((x[k] + 0.5 * z[k]) * 1.5, (y[k] - 0.4 * z[k]) * 1.5)
            albedo[k] *= np.clip(1 + 0.32 * spots + 0.15 * broad, 0.3, 2)[:, None]
        mirror[kinds == Kind.GLASS] = 0.5
        return albedo, mirror

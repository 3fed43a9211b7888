"""A city on one day: its triangles, what they look like, and the light that comes along a ray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from engine.simulate.city.character import MARGIN_M, Brief
from engine.simulate.city.contents import Contents
from engine.simulate.city.day import Day
from engine.simulate.city.develop import develop
from engine.simulate.city.facades import facade
from engine.simulate.city.furniture import build_barriers, build_cars, build_posts, parked
from engine.simulate.city.ground import Ground
from engine.simulate.city.mesh import FloatArray, Kind, MeshBuilder
from engine.simulate.city.plants import build_trees
from engine.simulate.city.rays import Tracer
from engine.simulate.city.sky import Sky
from engine.simulate.city.texture import grain, leafage
from engine.simulate.city.walls import build_houses

_WIDE_M = 6000.0
_PIECE = 1 << 17


def _pieces(count: int) -> list[slice]:
    """Pieces of rays, so that memory does not grow with the picture."""
    return [slice(k, k + _PIECE) for k in range(0, count, _PIECE)]


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
        self.normals, self.colors, self.parts = mesh.normals, mesh.colors, mesh.parts
        # One more at the end: the tracer's -1 is the sky.
        self.kinds = np.concatenate([mesh.kinds, np.array([Kind.SKY], np.uint8)])
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

        A pixel is ``footprint_m`` wide, and wider by ``spread`` (radians) with distance. Seen from above, haze is even.
        """
        return np.concatenate(
            [self._light(origins[p], directions[p], spread, footprint_m) for p in _pieces(len(origins))]
        )

    def photo(
        self, origins: FloatArray, directions: FloatArray, spread: float, footprint_m: float, day: Day
    ) -> NDArray[np.uint8]:
        """:meth:`light`, developed as the camera of ``day`` does: (n, 3)."""
        return np.concatenate(
            [
                develop(self._light(origins[p], directions[p], spread, footprint_m), day.gain, day.camera)
                for p in _pieces(len(origins))
            ]
        )

    def _light(self, origins: FloatArray, directions: FloatArray, spread: float, footprint_m: float) -> FloatArray:
        fine = spread < 0.006 and footprint_m < 0.15
        triangle, distance = self._seen(origins, directions, 2 if fine else 1)
        kinds = self.kinds[triangle]
        out = np.empty((len(origins), 3), np.float32)
        sky = np.flatnonzero(kinds == Kind.SKY)
        if len(sky):
            out[sky] = self.sky.at(directions[sky], fine=fine)
        ground = np.flatnonzero(kinds == Kind.GROUND)
        if len(ground):
            d, t = directions[ground], distance[ground]
            out[ground] = self._hazed(self._ground(origins[ground], d, t, spread, footprint_m), t, footprint_m)
        rest = np.flatnonzero((kinds != Kind.SKY) & (kinds != Kind.GROUND))
        if len(rest):
            d, t = directions[rest], distance[rest]
            place = origins[rest] + d * t[:, None]
            out[rest] = self._hazed(self._things(triangle[rest], kinds[rest], place, d), t, footprint_m)
        return out

    def _seen(self, origins: FloatArray, directions: FloatArray, depth: int) -> tuple[NDArray[np.int32], FloatArray]:
        """What rays meet, with the gaps in ``depth`` layers of leaves seen through."""
        triangle, distance = self.tracer.first(origins, directions)
        left = np.flatnonzero(self.kinds[triangle] == Kind.LEAF)
        for _ in range(depth):
            if not len(left):
                break
            o, d, t = origins[left], directions[left], distance[left]
            gap = self._leaves(o + d * t[:, None]) < -0.25
            left, o, d, t = left[gap], o[gap], d[gap], t[gap] + np.float32(0.04)
            further, step = self.tracer.first(o + d * t[:, None], d)
            triangle[left], distance[left] = further, t + step
            left = left[self.kinds[further] == Kind.LEAF]
        return triangle, distance

    @staticmethod
    def _leaves(place: FloatArray) -> FloatArray:
        """Noise of variance about 1 that is leaf where it is high."""
        x, y, z = place[:, 0], place[:, 1], place[:, 2]
        return leafage().at((x + np.float32(0.7) * z) * 11, (y + np.float32(0.6) * z) * 11)

    def _sunlit(self, place: FloatArray) -> FloatArray:
        """1 where the sun reaches places (n, 3), 0 in shadow; between leaves it comes through in spots."""
        if self.day.overcast >= 0.95:
            return np.zeros(len(place), np.float32)
        kinds = self.kinds[self.tracer.blocker(place, self.day.to_sun)]
        lit = (kinds == Kind.SKY) | (kinds == Kind.WIRE)
        leaf = np.flatnonzero(kinds == Kind.LEAF)
        lit[leaf] = self._leaves(place[leaf] * np.float32(0.6)) < -1.1
        return lit.astype(np.float32)

    def _hazed(self, light: FloatArray, t: FloatArray, footprint_m: float) -> FloatArray:
        clear = np.float32(0.97) if footprint_m else np.exp(t * np.float32(-1 / self.day.haze_m))[:, None]
        return light * clear + self.sky.horizon * (1 - clear)

    def _ground(
        self, origins: FloatArray, d: FloatArray, t: FloatArray, spread: float, footprint_m: float
    ) -> FloatArray:
        day = self.day
        x, y = origins[:, 0] + d[:, 0] * t, origins[:, 1] + d[:, 1] * t
        steep = np.sqrt(np.maximum(np.abs(d[:, 2]), np.float32(2e-3)))
        wide = np.asarray(footprint_m + t * spread / steep, np.float32)
        albedo, wet = self.picture.at(x, y, wide)
        if spread:
            albedo *= (1 + 0.09 * np.clip(1.2 - wide * 6, 0, 1) * grain().at(x * 28, y * 28))[:, None]
        sun = self._sunlit(np.stack([x, y, np.full_like(x, 0.02)], axis=-1)) * day.to_sun[2]
        light = sun[:, None] * (day.sunlight / np.float32(np.pi))
        light += (1 - self.hidden_sky(x, y))[:, None] * (day.skylight / np.float32(np.pi))
        light *= albedo
        pools = np.flatnonzero(wet > 0.5)
        if len(pools):
            slope = np.clip(1 - np.abs(d[pools, 2]), 0, 1)
            share = (0.03 + 0.75 * slope**4)[:, None]
            up = d[pools] * np.array([1, 1, -1], np.float32)
            light[pools] = light[pools] * (1 - share) + self.sky.at(up) * share
        return light

    def _things(
        self, triangle: NDArray[np.int32], kinds: NDArray[np.uint8], place: FloatArray, d: FloatArray
    ) -> FloatArray:
        albedo, mirror = self._surface(kinds, triangle, place)
        normals = self.normals[triangle]
        leaf = kinds == Kind.LEAF
        away = _dot(normals, d) > 0
        normals[away & ~leaf] *= -1
        albedo[away & leaf] *= 0.45  # the inside of a crown
        out = self._lit(place, normals, leaf, albedo)
        shiny = np.flatnonzero(mirror > 0)
        if len(shiny):
            n, v = normals[shiny], d[shiny]
            back = v - 2 * _dot(v, n)[:, None] * n
            seen = self.sky.at(back)
            seen[back[:, 2] < 0] *= 0.22
            m = mirror[shiny][:, None]
            out[shiny] = out[shiny] * (1 - 0.6 * m) + seen * m
        return out

    def _lit(self, place: FloatArray, normals: FloatArray, leaf: NDArray[np.bool_], albedo: FloatArray) -> FloatArray:
        day, sun = self.day, self.day.to_sun
        toward = _dot(normals, np.broadcast_to(sun, normals.shape))
        # Leaves let light through: one seen from behind is not black.
        toward = np.where(leaf, np.clip(0.4 + 0.6 * toward, 0.15, 1), np.clip(toward, 0, 1))
        lit = np.flatnonzero(toward > 0.01)
        out_of = np.where(leaf[lit], np.float32(0), np.float32(0.02))[:, None]
        start = (
            place[lit] + normals[lit] * out_of + sun * np.where(leaf[lit], np.float32(0.35), np.float32(0.02))[:, None]
        )
        toward[lit] *= self._sunlit(start)
        up = normals[:, 2]
        height = np.clip(place[:, 2], 0, 30)
        hidden = self.hidden_sky(place[:, 0], place[:, 1]) * np.exp(height * np.float32(-1 / 7))
        open_ = (0.5 + 0.5 * up) * (1 - hidden)
        bounce = (0.5 - 0.5 * up) * 0.13 * (1 - 0.6 * hidden)
        light = toward[:, None] * day.sunlight + open_[:, None] * day.skylight
        light += bounce[:, None] * (day.sunlight * np.float32(sun[2]) + day.skylight)
        return np.asarray(albedo * light * np.float32(1 / np.pi), np.float32)

    def _surface(
        self, kinds: NDArray[np.uint8], triangle: NDArray[np.int32], place: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Albedo (n, 3) and mirrored share (n,) of hits."""
        albedo = self.colors[triangle]
        mirror = np.zeros(len(kinds), np.float32)
        noise = grain()
        x, y, z = place[:, 0], place[:, 1], place[:, 2]
        k = np.flatnonzero(kinds == Kind.WALL)
        if len(k):
            albedo[k], mirror[k] = facade(self.walls, self.parts[triangle[k]], x[k], y[k], z[k], albedo[k])
        k = np.flatnonzero(kinds == Kind.TILES)
        if len(k):
            tone = 1 + 0.1 * noise.at(x[k] * 2, y[k] * 2) + 0.08 * noise.at(x[k] * 9, y[k] * 9)
            albedo[k] *= (tone + 0.07 * np.sin(z[k] * 26))[:, None]
        k = np.flatnonzero(kinds == Kind.FLAT_ROOF)
        if len(k):
            tone = 1 + 0.12 * noise.at(x[k] * 1.1, y[k] * 1.1) + 0.06 * noise.at(x[k] * 7, y[k] * 7)
            albedo[k] *= tone[:, None]
        k = np.flatnonzero(kinds == Kind.LEAF)
        if len(k):
            broad = noise.at((x[k] + 0.5 * z[k]) * 1.5, (y[k] - 0.4 * z[k]) * 1.5)
            albedo[k] *= np.clip(1 + 0.3 * self._leaves(place[k]) + 0.15 * broad, 0.3, 2)[:, None]
        mirror[kinds == Kind.GLASS] = 0.5
        return albedo, mirror

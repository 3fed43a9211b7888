"""A simulated city: give it a seed, ask it for pictures from the street and from above."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy.spatial import cKDTree

from engine.raster.grid import Grid, Window
from engine.simulate.city.blocks import build_blocks
from engine.simulate.city.cameras import equirectangular, pinhole, turned
from engine.simulate.city.character import Character, brief_of
from engine.simulate.city.contents import Contents
from engine.simulate.city.day import Day, days_of, shot
from engine.simulate.city.develop import develop
from engine.simulate.city.dice import Dice, dice
from engine.simulate.city.ground import Ground
from engine.simulate.city.roadside import build_streets
from engine.simulate.city.scene import DayScene
from engine.simulate.city.streets import Street, network_of

Picture = NDArray[np.uint8]
_ABOVE_M = 300.0
When = Literal["ground", "air"]


@dataclass(frozen=True)
class Viewpoint:
    """A place where a panorama can be taken: metres from the south-west corner, and the street's direction there."""

    x_m: float
    y_m: float
    street_deg: float


class SimulatedCity:
    """A city of ``size_m`` metres a side. Everything follows from ``seed``, ``size_m``, ``character`` and ``same_day``.

    Metres, x east and y north of the south-west corner; ground is level at z = 0. Panoramas are taken on the day
    "ground", overhead pictures on the day "air", with other sun, season, cars and light, unless ``same_day``.
    Pictures are uint8 (3, height, width); the same call gives the same bytes on one machine. Drawing needs the extra
    ``cities`` (MissingExtraError otherwise); a day's scene is made when it is first asked for.
    """

    def __init__(
        self,
        seed: int,
        *,
        size_m: float = 400.0,
        character: Character | None = None,
        same_day: bool = False,
        ground_gsd_m: float = 0.2,
    ) -> None:
        self.seed, self.size_m, self.same_day = int(seed), float(size_m), same_day
        self.brief = brief_of(self.seed, character)
        self.network = network_of(self.seed, self.brief, self.size_m)
        self.contents = Contents()
        taken = build_streets(self.seed, self.brief, self.network, self.size_m, self.contents)
        build_blocks(self.seed, self.brief, self.size_m, taken, self.contents)
        self.ground = Ground(self.seed, self.brief, self.size_m, self.contents, ground_gsd_m)
        self.days: dict[str, Day] = dict(zip(("ground", "air"), days_of(self.seed, same_day), strict=True))
        self._scenes: dict[str, DayScene] = {}

    def scene(self, when: When) -> DayScene:
        """The city on the day of the panoramas or of the aerial picture."""
        day = self.days[when]
        if day.name not in self._scenes:
            self._scenes[day.name] = DayScene(self.seed, self.brief, self.size_m, self.contents, self.ground, day)
        return self._scenes[day.name]

    # --- from above -------------------------------------------------------------------------------------------------

    def grid(self, gsd_m: float = 0.25) -> Grid:
        """The overhead grid of the whole city: UTM zone 33 north, on its central meridian: grid north is north."""
        side = round(self.size_m / gsd_m)
        west, north = 500_000.0 - self.size_m / 2, self._northing + self.size_m
        return Grid(side, side, Affine(gsd_m, 0, west, 0, -gsd_m, north), CRS.from_epsg(32633))

    @property
    def _northing(self) -> float:
        """Northing of the south edge, at about the latitude that the sun was computed for."""
        return round(self.days["ground"].latitude * 110_900 / 100) * 100.0 + 1000.0 * (self.seed % 97)

    def overhead(self, window: Window | None = None, *, gsd_m: float = 0.25, samples: int = 1) -> Picture:
        """A window of the overhead picture of :meth:`grid` (None: all of it), north up, ground at its exact place.

        On the day "air" what stands on the ground leans a little, as in real aerial pictures, unless ``same_day``.

        Windows may reach over the city's edge. ``samples`` rays along each side of a pixel. Equal to the crop of any
        larger window.
        """
        part = window if window is not None else self.grid(gsd_m).window
        return self._overhead(part.row, part.col, part.height, part.width, gsd_m, samples, (0.0, self.size_m))

    def overhead_around(
        self, x_m: float, y_m: float, *, side: int = 256, gsd_m: float = 0.25, samples: int = 1
    ) -> Picture:
        """The overhead picture of ``side`` pixels whose middle is exactly (x_m, y_m)."""
        half = side * gsd_m / 2
        return self._overhead(0, 0, side, side, gsd_m, samples, (x_m - half, y_m + half))

    def _overhead(
        self, row: int, col: int, height: int, width: int, gsd_m: float, samples: int, corner: tuple[float, float]
    ) -> Picture:
        scene = self.scene("air")
        out = np.empty((height * width, 3), np.uint8)
        strip = max(1, 300_000 // max(1, width * samples * samples))
        steps = (np.arange(samples) + 0.5) / samples
        for first in range(0, height, strip):
            count = min(strip, height - first)
            # Every place is computed from its own whole numbers, so that windows agree to the bit.
            x = corner[0] + ((col + np.arange(width))[:, None] + steps).ravel() * gsd_m
            y = corner[1] - ((row + first + np.arange(count))[:, None] + steps).ravel() * gsd_m
            xx, yy = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
            # Rays are aimed at places on the ground, so that those lie where they are whatever the lean.
            east, north = (np.float32(_ABOVE_M * tilt) for tilt in scene.day.lean)
            origins = np.stack([xx - east, yy - north, np.full_like(xx, _ABOVE_M)], axis=-1).reshape(-1, 3)
            aim = np.array([east, north, -_ABOVE_M], np.float32)
            down = np.broadcast_to(aim / np.linalg.norm(aim), origins.shape)
            rows = slice(first * width, (first + count) * width)
            if samples == 1:
                out[rows] = scene.photo(origins, down, 0.0, gsd_m, scene.day)
                continue
            light = scene.light(origins, down, 0.0, gsd_m / samples)
            light = light.reshape(count, samples, width, samples, 3).mean(axis=(1, 3)).reshape(-1, 3)
            out[rows] = develop(light, scene.day.gain, scene.day.camera)
        return np.ascontiguousarray(out.reshape(height, width, 3).transpose(2, 0, 1))

    # --- from the street --------------------------------------------------------------------------------------------

    def panorama(
        self,
        x_m: float,
        y_m: float,
        heading_deg: float = 0.0,
        *,
        height: int = 256,
        width: int = 512,
        hfov_deg: float = 360.0,
        vfov_deg: float = 180.0,
        pitch_center_deg: float = 0.0,
        pitch_deg: float = 0.0,
        roll_deg: float = 0.0,
        camera_height_m: float = 2.5,
        samples: int = 1,
    ) -> Picture:
        """An equirectangular picture whose middle column looks to ``heading_deg`` (clockwise from north).

        Column c looks to heading + ((c + 0.5) / width - 0.5) · hfov, row r to
        pitch_center + (0.5 - (r + 0.5) / height) · vfov, before the camera's own ``pitch_deg`` (up) and ``roll_deg``
        (right side down).
        """
        rays = equirectangular(height * samples, width * samples, hfov_deg, vfov_deg, pitch_center_deg)
        spread = float(np.radians(hfov_deg / (width * samples)))
        held = (heading_deg, pitch_deg, roll_deg)
        return self._photo(rays, x_m, y_m, held, camera_height_m, (height, width), samples, spread)

    def perspective(
        self,
        x_m: float,
        y_m: float,
        heading_deg: float = 0.0,
        *,
        pitch_deg: float = 0.0,
        roll_deg: float = 0.0,
        hfov_deg: float = 70.0,
        height: int = 384,
        width: int = 512,
        camera_height_m: float = 1.6,
        samples: int = 1,
    ) -> Picture:
        """A pinhole picture that looks to ``heading_deg``."""
        rays = pinhole(height * samples, width * samples, hfov_deg)
        spread = float(np.radians(hfov_deg) / (width * samples))
        held = (heading_deg, pitch_deg, roll_deg)
        return self._photo(rays, x_m, y_m, held, camera_height_m, (height, width), samples, spread)

    def _photo(
        self,
        rays: NDArray[np.float32],
        x_m: float,
        y_m: float,
        held: tuple[float, float, float],
        camera_height_m: float,
        shape: tuple[int, int],
        samples: int,
        spread: float,
    ) -> Picture:
        scene = self.scene("ground")
        day = shot(scene.day, self.seed, round(x_m * 1000), round(y_m * 1000))
        directions = turned(rays, *held)
        origins = np.broadcast_to(np.array([x_m, y_m, camera_height_m], np.float32), directions.shape)
        height, width = shape
        if samples == 1:
            pixels = scene.photo(origins, directions, spread, 0.0, day)
        else:
            # The sun is far brighter than white: without a limit its disc would eat the pixels beside it.
            light = np.minimum(scene.light(origins, directions, spread), 3 / day.gain)
            light = light.reshape(height, samples, width, samples, 3).mean(axis=(1, 3)).reshape(-1, 3)
            pixels = develop(light, day.gain, day.camera)
        return np.ascontiguousarray(pixels.reshape(height, width, 3).transpose(2, 0, 1))

    def viewpoints(self, count: int, *, seed: int = 0, spacing_m: float = 6.0) -> list[Viewpoint]:
        """Up to ``count`` places on the streets inside the city, in random order.

        They lie in lanes, about ``spacing_m`` apart and clear of cars by 3.5 m. Where streets are full the spacing is
        halved, down to an eighth; then there are fewer than ``count``.
        """
        rng = dice(self.seed, "viewpoints", seed)
        cars = cKDTree(self.scene("ground").cars[:, :2]) if len(self.scene("ground").cars) else None
        streets = [s for s in self.network.streets if s.length > 12]
        found: list[Viewpoint] = []
        for spacing in (spacing_m, spacing_m / 2, spacing_m / 4, spacing_m / 8):
            cell = spacing / math.sqrt(2)
            taken = {(math.floor(v.x_m / cell), math.floor(v.y_m / cell)) for v in found}
            for number in rng.permutation(len(streets) * 4):
                found += self._along(rng, streets[number % len(streets)], spacing, cars, taken)
            if len(found) >= count:
                break
        return [found[k] for k in rng.permutation(len(found))[:count]]

    def _along(
        self, rng: Dice, street: Street, spacing: float, cars: cKDTree | None, taken: set[tuple[int, int]]
    ) -> list[Viewpoint]:
        """Places along one street that are clear of cars and alone in their cell of about ``spacing``."""
        cell = spacing / math.sqrt(2)
        stations = np.arange(3 + rng.uniform(0, spacing), street.length - 3, spacing)
        if not len(stations):
            return []
        lane = street.median / 2 + (street.width - street.median) / 4 * 0.8
        offsets = rng.choice([-1, 1], len(stations)) * lane + rng.normal(0, 0.4, len(stations))
        places, directions = street.at(stations, offsets)
        inside = ((places > 3.0) & (places < self.size_m - 3.0)).all(axis=1)
        if cars is not None:
            inside &= cars.query(places)[0] > 3.5
        out = []
        for (x, y), d in zip(places[inside], directions[inside], strict=True):
            key = (math.floor(x / cell), math.floor(y / cell))
            if key not in taken:
                taken.add(key)
                street_deg = float(np.degrees(np.arctan2(d[0], d[1])) % 360)
                out.append(Viewpoint(round(float(x), 3), round(float(y), 3), street_deg))
        return out

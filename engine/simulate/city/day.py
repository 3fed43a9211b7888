"""The day on which a picture was taken: season, sun, clouds, haze, and the camera's exposure and white balance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.panorama.solar import sun_position
from engine.simulate.city.dice import Dice, dice

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Camera:
    """``exposure`` a factor, ``balance`` the gains of red, green, blue, ``saturation`` and ``gamma`` about 1."""

    exposure: float
    balance: tuple[float, float, float]
    saturation: float
    gamma: float


@dataclass(frozen=True)
class Day:
    """``name`` tells the days of a city apart. ``day_of_year`` 1..365; angles in degrees, azimuth from north by east.

    ``autumn``, ``winter``, ``spring`` are how far it is that season, ``overcast`` the share of sunlight that clouds
    take, ``clouds`` the cover of broken cloud, all 0..1; ``haze_m`` the distance in which contrast falls to 37 %.
    ``lean`` is how far an aerial picture shifts what stands on the ground, east and north, in metres for a metre of
    height.
    """

    name: str
    day_of_year: int
    latitude: float
    sun_azimuth_deg: float
    sun_elevation_deg: float
    autumn: float
    winter: float
    spring: float
    overcast: float
    clouds: float
    haze_m: float
    camera: Camera
    lean: tuple[float, float] = (0.0, 0.0)

    @property
    def to_sun(self) -> Vector:
        """Unit vector towards the sun (east, north, up)."""
        a, e = math.radians(self.sun_azimuth_deg), math.radians(self.sun_elevation_deg)
        return np.array([math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), math.sin(e)], np.float32)

    @property
    def sunlight(self) -> Vector:
        """Irradiance of the sun on a plane that faces it (3,), relative; redder when it stands low."""
        air = 1.0 / max(math.sin(math.radians(self.sun_elevation_deg)), 0.12)
        clear = np.exp(-air * np.array([0.07, 0.12, 0.24])) * 3.0
        return np.asarray(clear * (1 - self.overcast) ** 1.5, np.float32)

    @property
    def skylight(self) -> Vector:
        """Irradiance of the sky on level ground (3,), relative."""
        high = math.sin(math.radians(self.sun_elevation_deg)) ** 0.6
        blue = np.array([0.46, 0.55, 0.69]) * (1 - self.overcast) + np.array([1.15, 1.2, 1.27]) * self.overcast
        return np.asarray(blue * (0.35 + 0.65 * high) * (1 + 0.35 * self.clouds), np.float32)

    @property
    def gain(self) -> float:
        """What turns radiance into a well exposed picture: a grey of 0.2 in the open becomes a middle tone."""
        lit = float((self.sunlight * max(0.25, self.to_sun[2]) + self.skylight).mean())
        return 1.15 * math.pi / lit * self.camera.exposure

    def leaves(self, evergreen: bool) -> float:
        """Share of its leaves that a tree carries."""
        return 1.0 if evergreen else float(np.clip(1.15 - 1.3 * self.winter - 0.25 * self.autumn, 0.0, 1.0))


def days_of(seed: int, same_day: bool) -> tuple[Day, Day]:
    """The days of the panoramas and of the aerial picture; the very same light and season where ``same_day``."""
    rng = dice(seed, "days")
    latitude = float(rng.uniform(24, 56))
    ground = _day(rng, "ground", latitude, 14.0, cloudy=True)
    if same_day:
        return ground, ground
    air = _day(rng, "air", latitude, 26.0, cloudy=False)
    tilt, turn = float(rng.uniform(0, 0.11)), float(rng.uniform(0, 2 * math.pi))
    return ground, replace(air, lean=(tilt * math.cos(turn), tilt * math.sin(turn)))


def _day(rng: Dice, name: str, latitude: float, lowest: float, *, cloudy: bool) -> Day:
    number, azimuth, elevation = 172, 180.0, 60.0
    for _ in range(50):
        number = int(rng.integers(1, 366)) if rng.random() < 0.45 else int(rng.integers(100, 290))
        azimuth, elevation = sun_position(number, float(rng.uniform(-5.0, 5.0)), latitude)
        if elevation >= lowest:
            break
    else:
        azimuth, elevation = sun_position(172, 0.0, latitude)
        number = 172
    overcast = float(rng.beta(0.5, 1.3)) if cloudy and rng.random() < 0.6 else float(rng.uniform(0, 0.12))
    return Day(
        name=name,
        day_of_year=number,
        latitude=latitude,
        sun_azimuth_deg=azimuth,
        sun_elevation_deg=elevation,
        autumn=_bump(number, 295, 24),
        winter=max(_bump(number, 15, 42), _bump(number, 355, 42)) ** 0.7,
        spring=_bump(number, 125, 30),
        overcast=overcast if overcast < 0.9 else 1.0,
        clouds=float(rng.uniform(0, 0.75)) if cloudy else 0.0,
        haze_m=float(np.exp(rng.uniform(np.log(500), np.log(5000)))),
        # Panoramas hold much sky, and cameras expose for it.
        camera=camera_of(rng, 0.32, 0.76 if cloudy else 1.0),
    )


def camera_of(rng: Dice, spread: float, exposure: float = 1.0) -> Camera:
    """A camera whose settings stray by about ``spread`` around ``exposure``."""
    warm = float(rng.normal(0, spread * 0.28))
    tint = float(rng.normal(0, spread * 0.1))
    return Camera(
        exposure=exposure * float(np.exp(rng.normal(0, spread * 0.8))),
        balance=(1 + warm, 1 + tint, 1 - warm),
        saturation=float(rng.uniform(1 - spread, 1 + spread)),
        gamma=float(np.exp(rng.normal(0, spread * 0.35))),
    )


def shot(day: Day, seed: int, *key: int) -> Day:
    """The day with the camera as it was for one picture."""
    extra = camera_of(dice(seed, "shot", *key), 0.16)
    own = day.camera
    r, g, b = (p * q for p, q in zip(own.balance, extra.balance, strict=True))
    return replace(
        day,
        camera=Camera(
            own.exposure * extra.exposure, (r, g, b), own.saturation * extra.saturation, own.gamma * extra.gamma
        ),
    )


def _bump(day: int, middle: int, width: float) -> float:
    away = abs((day - middle + 182) % 365 - 182)
    return math.exp(-0.5 * (away / width) ** 2)

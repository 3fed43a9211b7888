"""What stands and lies in a city, before any of it is a triangle or a pixel. Metres; angles in radians from east."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray


@dataclass(frozen=True)
class Patch:
    """A piece of ground of one ``kind`` (see :mod:`engine.simulate.city.materials`); later ones lie on earlier ones.

    ``tone`` is its brightness against others of the kind, ``angle`` the direction of its rows or slabs.
    """

    shape: Any
    kind: str
    tone: float = 1.0
    angle: float = 0.0


@dataclass(frozen=True)
class Building:
    """A block of a house: a rectangle ``length`` along ``angle`` by ``width``, walls to ``height``, a roof above."""

    x: float
    y: float
    length: float
    width: float
    angle: float
    height: float
    roof: str
    rise: float
    wall: tuple[float, float, float]
    tiles: tuple[float, float, float]
    facade: int
    base: float = 0.0

    def outline(self, grow: float = 0.0) -> Any:
        """Its plan as a polygon, ``grow`` metres larger on every side."""
        return rectangle(self.x, self.y, self.length + 2 * grow, self.width + 2 * grow, self.angle)


@dataclass(frozen=True)
class Tree:
    """A tree or bush: ``height`` and crown ``radius`` in metres."""

    x: float
    y: float
    species: str
    height: float
    radius: float


@dataclass(frozen=True)
class Car:
    """A place where a car may stand on a given day, ``share`` of the days."""

    x: float
    y: float
    angle: float
    share: float


@dataclass(frozen=True)
class Barrier:
    """A hedge, wall or fence along a line."""

    start: tuple[float, float]
    end: tuple[float, float]
    height: float
    width: float
    kind: str


@dataclass(frozen=True)
class Post:
    """A lamp or a pole; ``angle`` is where its arm points. ``next`` the place of the pole that its wires lead to."""

    x: float
    y: float
    angle: float
    kind: str
    height: float
    next: tuple[float, float, float] | None = None


@dataclass
class Contents:
    """Everything of a city; filled by streets and blocks."""

    patches: list[Patch] = field(default_factory=list)
    lines: list[tuple[NDArray[np.float64], str]] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    cars: list[Car] = field(default_factory=list)
    barriers: list[Barrier] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)

    def free(self, shape: Any) -> bool:
        """True where no building stands yet."""
        x, y = shape.centroid.x, shape.centroid.y
        reach = 0.6 * (shape.bounds[2] - shape.bounds[0] + shape.bounds[3] - shape.bounds[1])
        return not any(
            abs(b.x - x) + abs(b.y - y) < reach + b.length + b.width and b.outline(0.3).intersects(shape)
            for b in self.buildings
        )


def rectangle(x: float, y: float, length: float, width: float, angle: float) -> Any:
    """A rectangle around (x, y), ``length`` along ``angle``."""
    c, s = np.cos(angle), np.sin(angle)
    a, b = length / 2, width / 2
    corners = np.array([(-a, -b), (a, -b), (a, b), (-a, b)])
    return shapely.Polygon(corners @ np.array([[c, s], [-s, c]]) + (x, y))


def scattered(rng: np.random.Generator, shape: Any, spacing: float, share: float = 1.0) -> NDArray[np.float64]:
    """Places (n, 2) in ``shape`` about ``spacing`` apart: a jittered lattice, of which ``share`` is kept."""
    if shape.is_empty:
        return np.zeros((0, 2))
    west, south, east, north = shape.bounds
    xs, ys = np.arange(west, east, spacing), np.arange(south, north, spacing)
    places = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    places = places + rng.uniform(0, spacing * 0.95, places.shape)
    keep = rng.random(len(places)) < share
    return places[keep & shapely.contains_xy(shape, places[:, 0], places[:, 1])]


def xy(place: Any) -> tuple[float, float]:
    """A place (2,) as two numbers."""
    return float(place[0]), float(place[1])

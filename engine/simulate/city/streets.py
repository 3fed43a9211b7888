"""The street network: centre lines on a warped grid or on cells, with widths, lines, pavements and roundabouts.

Metres, x east, y north, (0, 0) the south-west corner of the city's square.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Voronoi

from engine.simulate.city.character import MARGIN_M, Brief
from engine.simulate.city.dice import Dice, dice

Points = NDArray[np.float64]
STEP_M = 4.0


@dataclass(frozen=True)
class Street:
    """One street between two junctions: ``line`` (n, 2) its centre, widths in metres.

    ``trims``: how far from either end its own markings begin, the rest belongs to the junction (0: a dead end).
    """

    line: Points
    width: float
    pavement: float
    verge: float
    marking: str
    median: float
    surface: str
    parking: bool
    crossing: tuple[bool, bool]
    trims: tuple[float, float]

    @property
    def length(self) -> float:
        """Metres along the centre line."""
        return float(self.stations[-1])

    @property
    def stations(self) -> NDArray[np.float64]:
        """Metres along the line at each of its points."""
        steps = np.hypot(*np.diff(self.line, axis=0).T)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def reach(self) -> float:
        """Half of everything that belongs to the street, metres."""
        return self.width / 2 + self.verge + self.pavement

    def at(self, station: Any, offset: Any = 0.0) -> tuple[Points, Points]:
        """Places (n, 2) at ``station`` metres along, ``offset`` to the left, and the unit direction there (n, 2)."""
        s = np.atleast_1d(np.asarray(station, np.float64))
        along = self.stations
        place = np.stack([np.interp(s, along, self.line[:, k]) for k in (0, 1)], axis=-1)
        index = np.clip(np.searchsorted(along, s, side="right") - 1, 0, len(along) - 2)
        step = self.line[index + 1] - self.line[index]
        direction = step / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
        left = np.stack([-direction[:, 1], direction[:, 0]], axis=-1)
        return place + left * np.broadcast_to(offset, s.shape)[:, None], direction


@dataclass(frozen=True)
class Junction:
    """Where streets meet. ``radius`` of the roundabout's outer edge in metres, 0 for an ordinary junction."""

    place: tuple[float, float]
    degree: int
    radius: float


@dataclass(frozen=True)
class Network:
    """All streets and junctions."""

    streets: tuple[Street, ...]
    junctions: tuple[Junction, ...]


def network_of(seed: int, brief: Brief, size_m: float) -> Network:
    """The streets of the city; deterministic in its arguments."""
    rng = dice(seed, "streets")
    nodes, edges = (_grid if brief.pattern == "grid" else _cells)(rng, brief, size_m)
    nodes, edges = _merged(nodes, edges, 28.0)
    keep = rng.random(len(edges)) >= brief.removed
    edges = edges[keep | (np.arange(len(edges)) < 3)]
    warp = _Warp(rng, brief)
    degree = np.bincount(edges.ravel(), minlength=len(nodes))
    main = rng.random(len(edges)) < 0.3
    wide = np.zeros(len(nodes))
    widths = np.where(main, rng.uniform(*brief.width, len(edges)) + 1.5, rng.uniform(*brief.width, len(edges)))
    for (a, b), width in zip(edges, widths, strict=True):
        wide[a], wide[b] = max(wide[a], width), max(wide[b], width)
    rings = (rng.random(len(nodes)) < 0.12) & (degree >= 3) & (brief.character != "centre")
    radius = np.where(rings, wide / 2 + rng.uniform(7, 11, len(nodes)), 0.0)
    streets = [
        _street(rng, brief, warp, nodes, edge, float(width), bool(m), degree, wide, radius)
        for edge, width, m in zip(edges, widths, main, strict=True)
    ]
    placed = warp(nodes)
    junctions = [
        Junction((float(x), float(y)), int(d), float(r))
        for (x, y), d, r in zip(placed, degree, radius, strict=True)
        if d
    ]
    return Network(tuple(streets), tuple(junctions))


def _street(
    rng: Dice,
    brief: Brief,
    warp: _Warp,
    nodes: Points,
    edge: NDArray[np.int64],
    width: float,
    main: bool,
    degree: NDArray[np.int64],
    wide: NDArray[np.float64],
    radius: NDArray[np.float64],
) -> Street:
    ends = nodes[edge]
    count = max(2, int(np.hypot(*(ends[1] - ends[0])) / STEP_M) + 1)
    t = np.linspace(0, 1, count)[:, None]
    line = warp(ends[0] * (1 - t) + ends[1] * t)
    rural = brief.character == "rural"
    track = rural and not main and rng.random() < 0.35
    lines = "none" if track else _marking(rng, brief, main)
    pavement, verge = float(rng.uniform(*brief.pavement)), float(rng.uniform(*brief.verge))
    trims = [0.0, 0.0]
    for k, node in enumerate(edge):
        if degree[node] >= 3 or (degree[node] == 2 and radius[node] > 0):
            trims[k] = max(float(wide[node]) / 2 + 3.5, float(radius[node]) + 1.5)
    crossing = [bool(rng.random() < 0.45) and not rural and trims[k] > 0 for k in (0, 1)]
    median = float(rng.uniform(1.5, 4.0)) if main and width > 10.5 and rng.random() < 0.6 else 0.0
    return Street(
        line=line,
        width=width + median if not track else 4.0,
        pavement=pavement,
        verge=verge,
        marking=lines,
        median=median,
        surface="track" if track else "worn" if rng.random() < 0.4 else "asphalt",
        parking=not rural and not median and width > 6.8 and bool(rng.random() < 0.7),
        crossing=(crossing[0], crossing[1]),
        trims=(trims[0], trims[1]),
    )


def _marking(rng: Dice, brief: Brief, main: bool) -> str:
    if brief.character == "rural":
        return ("double" if rng.random() < 0.6 else "solid") if rng.random() < 0.6 else "dashed"
    if main:
        return "dashed" if rng.random() < 0.6 else "double"
    return "dashed" if rng.random() < (0.25 if brief.character == "suburb" else 0.5) else "none"


class _Warp:
    """A smooth displacement of the plane that bends straight streets: a sum of three waves."""

    def __init__(self, rng: Dice, brief: Brief) -> None:
        longest = 420.0 if brief.character == "rural" else 300.0
        self.length = rng.uniform(0.55, 1.0, 3) * longest
        angle = rng.uniform(0, 2 * np.pi, 3)
        self.wave = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * (2 * np.pi / self.length)[:, None]
        self.phase = rng.uniform(0, 2 * np.pi, 3)
        strength = float(rng.choice([0.02, 0.3, 0.55, 0.75], p=[0.25, 0.3, 0.25, 0.2]))
        turn = rng.uniform(0, 2 * np.pi, 3)
        self.push = (
            np.stack([np.cos(turn), np.sin(turn)], axis=-1) * (strength * self.length / (2 * np.pi) / 2)[:, None]
        )

    def __call__(self, places: Points) -> Points:
        return places + np.sin(places @ self.wave.T + self.phase) @ self.push


def _turned(places: Points, angle: float, middle: float) -> Points:
    c, s = np.cos(angle), np.sin(angle)
    return (places - middle) @ np.array([[c, s], [-s, c]]) + middle


def _grid(rng: Dice, brief: Brief, size_m: float) -> tuple[Points, NDArray[np.int64]]:
    reach = size_m + 2 * MARGIN_M
    half = 0.8 * reach
    axes = []
    for spacing in brief.spacing:
        count = int(2 * half / spacing) + 2
        steps = spacing * rng.uniform(0.7, 1.3, count)
        axes.append(np.cumsum(steps) - half - rng.uniform(0, spacing))
    xs, ys = axes
    jitter = rng.choice([0.0, 0.05, 0.12]) * min(brief.spacing)
    grid = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = grid + rng.normal(0, 1, grid.shape) * jitter
    number = np.arange(len(xs) * len(ys)).reshape(len(xs), len(ys))
    across = np.stack([number[:-1].ravel(), number[1:].ravel()], axis=-1)
    up = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=-1)
    places = _turned(grid + size_m / 2, float(rng.uniform(0, np.pi / 2)), size_m / 2)
    return _near(places, np.concatenate([across, up]), size_m)


def _cells(rng: Dice, brief: Brief, size_m: float) -> tuple[Points, NDArray[np.int64]]:
    spacing = float(np.mean(brief.spacing)) * 1.05
    half = (size_m / 2 + MARGIN_M) * 1.5 + 2 * spacing
    ticks = np.arange(-half, half, spacing)
    seeds = np.stack(np.meshgrid(ticks, ticks * 0.9, indexing="ij"), axis=-1)
    seeds[1::2, :, 1] += spacing * 0.45
    jittered = seeds.reshape(-1, 2) + rng.normal(0, 1, (seeds.size // 2, 2)) * spacing * rng.uniform(0.12, 0.3)
    cells = Voronoi(_turned(jittered + size_m / 2, float(rng.uniform(0, np.pi)), size_m / 2))
    ridges = np.asarray([r for r in cells.ridge_vertices if min(r) >= 0], np.int64).reshape(-1, 2)
    return _near(np.asarray(cells.vertices, np.float64), ridges, size_m)


def _near(places: Points, edges: NDArray[np.int64], size_m: float) -> tuple[Points, NDArray[np.int64]]:
    """Edges that touch the built square, and the nodes that they use."""
    low, high = -MARGIN_M - 40, size_m + MARGIN_M + 40
    middles = places[edges].mean(axis=1)
    inside = ((middles > low) & (middles < high)).all(axis=1)
    edges = edges[inside]
    used, renumbered = np.unique(edges, return_inverse=True)
    return places[used], renumbered.reshape(-1, 2).astype(np.int64)


def _merged(places: Points, edges: NDArray[np.int64], shortest: float) -> tuple[Points, NDArray[np.int64]]:
    """Nodes joined by an edge under ``shortest`` metres become one, so that junctions stand clear of each other."""
    root = np.arange(len(places))
    for _ in range(4):
        lengths = np.hypot(*(places[edges[:, 0]] - places[edges[:, 1]]).T)
        short = edges[lengths < shortest]
        if not len(short):
            break
        root = np.arange(len(places))
        for a, b in short:
            if root[a] == a and root[b] == b:
                root[b] = a
                places[a] = (places[a] + places[b]) / 2
        edges = root[edges]
        edges = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1), axis=0)
    used, renumbered = np.unique(edges, return_inverse=True)
    return places[used], renumbered.reshape(-1, 2).astype(np.int64)

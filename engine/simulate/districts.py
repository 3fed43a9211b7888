"""Districts and an area of interest for a simulated scene."""

from __future__ import annotations

import numpy as np
from shapely import Polygon, voronoi_polygons
from shapely.geometry import LineString, MultiPoint
from shapely.ops import polygonize, unary_union

from engine.raster.grid import Grid
from engine.simulate.noise import derive, hash_integers

_NAMES = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Hazel", "Ivy", "Juniper")


def districts(seed: int, grid: Grid, *, count: int = 7) -> list[tuple[str, Polygon]]:
    """``count`` districts (name, polygon in the grid's CRS) with ragged borders that cover the scene without gaps."""
    share = hash_integers(derive(seed, "districts"), np.arange(count)[:, None], np.arange(2)[None, :]) / 2.0**32
    points = MultiPoint([_at(grid, 0.08 + 0.84 * r, 0.08 + 0.84 * c) for r, c in share])
    frame = Polygon([_at(grid, *corner) for corner in ((0, 0), (0, 1), (1, 1), (1, 0))])
    lines = [frame.exterior]
    for number, cell in enumerate(voronoi_polygons(points, extend_to=frame, only_edges=True).geoms):
        lines.append(_ragged(cell, derive(seed, "border", number), grid))
    pieces = [
        piece for piece in polygonize(unary_union(lines)) if frame.buffer(1e-9).contains(piece.representative_point())
    ]
    # Small leftovers join the district that they touch most.
    pieces.sort(key=lambda p: -p.area)
    kept = [p for p in pieces if p.area > 0.01 * frame.area]
    for crumb in pieces[len(kept) :]:
        best = max(range(len(kept)), key=lambda i: kept[i].intersection(crumb).length)
        kept[best] = kept[best].union(crumb)
    kept.sort(key=lambda p: (-p.centroid.y, p.centroid.x))
    return [(f"{_NAMES[i % len(_NAMES)]} {i + 1}", piece) for i, piece in enumerate(kept)]


def area_of_interest(seed: int, grid: Grid) -> Polygon:
    """A rounded area inside the scene that leaves out its corners."""
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    share = hash_integers(derive(seed, "aoi"), np.arange(3)) / 2.0**32
    radius = 0.42 + 0.03 * np.sin(3 * turns + 6 * share[0]) + 0.02 * np.sin(5 * turns + 6 * share[1])
    return Polygon([_at(grid, 0.5 + r * np.sin(t), 0.5 + r * np.cos(t)) for r, t in zip(radius, turns, strict=True)])


def _at(grid: Grid, down: float, right: float) -> tuple[float, float]:
    x, y = grid.transform @ (right * grid.width, down * grid.height)
    return float(x), float(y)


def _ragged(line: LineString, seed: int, grid: Grid) -> LineString:
    """The line with its inner points moved sideways, ends kept."""
    ends = np.asarray(line.coords)
    steps = 24
    t = np.linspace(0, 1, steps + 1)[:, None]
    points = ends[0] * (1 - t) + ends[-1] * t
    along = ends[-1] - ends[0]
    side = np.array([-along[1], along[0]])
    noise = hash_integers(seed, np.arange(steps + 1)) / 2.0**32 - 0.5
    wander = np.convolve(noise, np.ones(5) / 5, mode="same") * np.sin(np.pi * t[:, 0])
    limit = 0.05 * max(grid.height * abs(grid.transform.e), grid.width * abs(grid.transform.a))
    length = float(np.hypot(*along)) or 1.0
    return LineString(points + (side / length)[None, :] * (wander * min(limit, 0.3 * length) * 3)[:, None])

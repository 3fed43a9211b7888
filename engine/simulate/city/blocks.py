"""Blocks between the streets, and what each is used for."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from engine.simulate.city import built, land
from engine.simulate.city.character import MARGIN_M, Brief
from engine.simulate.city.contents import Contents
from engine.simulate.city.dice import dice, pick

_FILL = {
    "houses": built.houses,
    "perimeter": built.perimeter,
    "slabs": built.slabs,
    "towers": built.towers,
    "commercial": built.commercial,
    "field": land.field,
    "pasture": land.pasture,
    "forest": land.forest,
    "scrub": land.scrub,
    "park": land.park,
    "plaza": land.plaza,
}


def build_blocks(seed: int, brief: Brief, size_m: float, streets: Any, contents: Contents) -> None:
    """Fill ``contents`` with what lies in the blocks that ``streets`` leave of the built square."""
    area = shapely.box(-MARGIN_M, -MARGIN_M, size_m + MARGIN_M, size_m + MARGIN_M)
    left = shapely.get_parts(area.difference(streets))
    blocks = sorted(
        (b for b in left if b.geom_type == "Polygon" and b.area > 60),
        key=lambda b: (round(b.bounds[0], 3), round(b.bounds[1], 3)),
    )
    for number, block in enumerate(blocks):
        rng = dice(seed, "block", number)
        # Thin rests are grass; wide country blocks hold several fields.
        for part in _parts(rng, block, 130.0 if brief.character == "rural" else 190.0):
            room = part.buffer(-4.0)
            use = pick(rng, brief.uses) if not room.is_empty and part.area > 300 else "rest"
            if use == "rest":
                land.rest(rng, part, brief, contents)
            else:
                _FILL[use](rng, part, brief, contents)
    contents.trees = _clear_of_buildings(contents)


def _parts(rng: np.random.Generator, block: Any, longest: float) -> list[Any]:
    """The block cut across its long side until no piece is longer than ``longest``."""
    box = block.minimum_rotated_rectangle
    if box.geom_type != "Polygon":
        return [block]
    corners = np.asarray(box.exterior.coords)[:4]
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    k = int(np.argmax(sides))
    if sides[k] < longest * 1.35:
        return [block]
    a, b, c, d = (corners[(k + j) % 4] for j in range(4))
    t = rng.uniform(0.38, 0.62)
    p, q = a + (b - a) * t, d + (c - d) * t
    over = (p - q) * 0.1
    first = shapely.Polygon([a + over - (b - a), p + over, q - over, d - over - (b - a)])
    pieces = [block.intersection(first), block.difference(first)]
    out: list[Any] = []
    for piece in pieces:
        for part in shapely.get_parts(piece):
            if part.geom_type == "Polygon" and part.area > 20:
                out += _parts(rng, part, longest)
    return out


def _clear_of_buildings(contents: Contents) -> list[Any]:
    """The trees whose trunk stands outside every building and whose crown does not swallow a wall."""
    if not contents.trees or not contents.buildings:
        return contents.trees
    walls = shapely.STRtree([b.outline() for b in contents.buildings])
    spots = shapely.buffer(
        shapely.points([(t.x, t.y) for t in contents.trees]), np.array([0.5 * t.radius for t in contents.trees])
    )
    hit = set(walls.query(spots, predicate="intersects")[0].tolist())
    return [t for k, t in enumerate(contents.trees) if k not in hit]

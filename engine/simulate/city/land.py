"""Blocks without streets of houses: fields, pastures, woods, scrub, parks with paths and ponds, squares."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import shapely

from engine.simulate.city.built import HOUSE, SHED
from engine.simulate.city.character import Brief
from engine.simulate.city.colors import roof_color, wall_color
from engine.simulate.city.contents import Barrier, Building, Contents, Patch, Tree, scattered
from engine.simulate.city.dice import Dice

_SLIM = {"round": 0.35, "oval": 0.26, "poplar": 0.11, "conifer": 0.19, "pine": 0.25, "bush": 0.6}


def _grow(rng: Dice, contents: Contents, places: Any, species: tuple[str, ...], low: float, high: float) -> None:
    for x, y in places:
        kind = species[int(rng.integers(len(species)))]
        height = float(rng.uniform(1.0, 2.8) if kind == "bush" else rng.uniform(low, high))
        contents.trees.append(
            Tree(float(x), float(y), kind, height, height * _SLIM[kind] * float(rng.uniform(0.8, 1.25)))
        )


def _mixed(rng: Dice) -> tuple[str, ...]:
    choices = (
        ("round", "oval"),
        ("conifer",),
        ("pine", "conifer"),
        ("round", "pine", "bush"),
        ("oval", "round", "poplar"),
    )
    return choices[int(rng.integers(len(choices)))]


def field(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """One crop or bare soil in rows, now and then a farm, trees along its edge."""
    kind = str(rng.choice(["crop", "ploughed", "meadow"], p=[0.5, 0.3, 0.2]))
    edge = np.asarray(block.minimum_rotated_rectangle.exterior.coords)
    angle = float(np.arctan2(*(edge[1] - edge[0])[::-1]))
    contents.patches += [Patch(block, "verge"), Patch(block.buffer(-2.5), kind, float(rng.uniform(0.7, 1.4)), angle)]
    if rng.random() < 0.3:
        _farm(rng, block, brief, contents)
    _edged(rng, block, contents)


def pasture(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """Grass with single trees, a fence and bare patches."""
    contents.patches.append(Patch(block, "meadow" if rng.random() < 0.6 else "grass", float(rng.uniform(0.8, 1.3))))
    for x, y in scattered(rng, block, 45, 0.4):
        contents.patches.append(Patch(_blob(rng, x, y, rng.uniform(3, 14)).intersection(block), "dirt", 1.1))
    _grow(rng, contents, scattered(rng, block.buffer(-2), 24, float(rng.uniform(0.02, 0.35))), _mixed(rng), 4, 14)
    corners = np.asarray(shapely.Polygon(block.exterior).buffer(-1.5).simplify(2).exterior.coords)
    if rng.random() < 0.5:
        for a, b in pairwise(corners):
            contents.barriers.append(Barrier((a[0], a[1]), (b[0], b[1]), 1.1, 0.08, "fence"))
    if rng.random() < 0.35:
        _farm(rng, block, brief, contents)
    _edged(rng, block, contents)


def _edged(rng: Dice, block: Any, contents: Contents) -> None:
    if rng.random() < 0.55:
        line = shapely.Polygon(block.exterior).buffer(-3.5)
        ring = line.difference(line.buffer(-4))
        part = shapely.box(*block.bounds)
        west, south, east, north = block.bounds
        if rng.random() < 0.7:
            east, north = ((west + east) / 2, north) if rng.random() < 0.5 else (east, (south + north) / 2)
            part = shapely.box(west, south, east, north)
        places = scattered(rng, ring.intersection(part), 5.0, float(rng.uniform(0.3, 1.0)))
        _grow(rng, contents, places, _mixed(rng), 4, 13)


def _farm(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """A yard with a house and barns near the edge of the block."""
    ring = block.buffer(-16).exterior if block.buffer(-16).geom_type == "Polygon" else None
    if ring is None or ring.is_empty:
        return
    spot = ring.interpolate(rng.uniform(0, ring.length))
    yard = _blob(rng, spot.x, spot.y, rng.uniform(16, 28)).intersection(block)
    contents.patches += [
        Patch(yard.buffer(8).intersection(block), "lawn"),
        Patch(yard, "gravel" if rng.random() < 0.5 else "yard"),
    ]
    nearest = block.exterior.interpolate(block.exterior.project(spot))
    contents.patches.append(Patch(shapely.LineString([spot, nearest]).buffer(2.2), "gravel"))
    turn = float(rng.uniform(0, np.pi))
    for k in range(int(rng.integers(2, 5))):
        x, y = np.array([spot.x, spot.y]) + rng.normal(0, 13, 2)
        house = k == 0
        length, width = (
            (float(rng.uniform(10, 16)), 8.5) if house else (float(rng.uniform(10, 28)), float(rng.uniform(8, 14)))
        )
        roof = "gable" if rng.random() < 0.8 else "flat"
        turned = turn + np.pi / 2 * int(rng.integers(2))
        wall = wall_color(rng, "timber" if rng.random() < 0.6 else brief.palette)
        building = Building(
            float(x), float(y), length, width, turned, float(rng.uniform(3, 5.5)), roof,
            width * float(rng.uniform(0.2, 0.4)) if roof == "gable" else 0.4, wall,
            roof_color(rng, rng.random() < 0.4), HOUSE if house else SHED,
        )  # fmt: skip
        if block.contains(building.outline(1)) and contents.free(building.outline(1.5)):
            contents.buildings.append(building)
    _grow(
        rng,
        contents,
        scattered(rng, yard.buffer(6).difference(yard).intersection(block), 8, 0.5),
        ("round", "oval", "bush"),
        4,
        11,
    )


def forest(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """Trees close together, with clearings."""
    contents.patches.append(Patch(block, "forest", float(rng.uniform(0.8, 1.2))))
    spacing = float(rng.uniform(4.5, 7.0))
    room = block.buffer(-1.5)
    for x, y in scattered(rng, block, 60, 0.35):
        room = room.difference(_blob(rng, x, y, rng.uniform(6, 18)))
    _grow(rng, contents, scattered(rng, room, spacing, 0.85), _mixed(rng), 7, 17)
    edge = block.difference(block.buffer(-5))
    _grow(rng, contents, scattered(rng, edge, 4.0, 0.4), ("bush",), 1, 3)


def scrub(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """Dry open ground with bushes and small trees."""
    contents.patches.append(Patch(block, "scrub" if rng.random() < 0.6 else "verge", float(rng.uniform(0.8, 1.25))))
    for x, y in scattered(rng, block, 22, 0.5):
        kind = "dirt" if rng.random() < 0.6 else "meadow"
        contents.patches.append(
            Patch(_blob(rng, x, y, rng.uniform(2, 9)).intersection(block), kind, float(rng.uniform(0.85, 1.2)))
        )
    _grow(
        rng,
        contents,
        scattered(rng, block.buffer(-1), 6.5, float(rng.uniform(0.1, 0.6))),
        ("bush", "bush", "round", "pine"),
        3,
        8,
    )
    _path(rng, block, contents, "dirt")


def park(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """Grass, groups of trees, winding paths, sometimes a pond or a playing field."""
    contents.patches.append(Patch(block, "grass", float(rng.uniform(0.85, 1.2))))
    room = block.buffer(-6)
    open_ground = block
    if rng.random() < 0.45 and not room.is_empty:
        spot = _inside(rng, room)
        pond = _blob(rng, spot[0], spot[1], rng.uniform(7, 24)).intersection(room)
        contents.patches += [Patch(pond.buffer(1.2), "dirt" if rng.random() < 0.5 else "meadow"), Patch(pond, "water")]
        open_ground = open_ground.difference(pond.buffer(1.5))
    for _ in range(int(rng.integers(1, 4))):
        path = _path(rng, block, contents, str(rng.choice(["gravel", "worn", "dirt", "slabs"])))
        open_ground = open_ground.difference(path.buffer(1.0))
    for x, y in scattered(rng, block, 18, 0.3):
        contents.patches.append(
            Patch(
                _blob(rng, x, y, rng.uniform(1.5, 6)).intersection(open_ground),
                "meadow" if rng.random() < 0.6 else "bed",
            )
        )
    for x, y in scattered(rng, block, 34, 0.6):
        clump = _blob(rng, x, y, rng.uniform(6, 14)).intersection(open_ground)
        _grow(rng, contents, scattered(rng, clump, 6.5, 0.7), _mixed(rng), 5, 15)
    _grow(rng, contents, scattered(rng, open_ground, 20, 0.3), ("round", "oval", "bush"), 5, 13)


def plaza(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """A paved square with bands, beds and trees in a grid."""
    edge = np.asarray(block.minimum_rotated_rectangle.exterior.coords)
    angle = float(np.arctan2(*(edge[1] - edge[0])[::-1]))
    contents.patches.append(
        Patch(block, str(rng.choice(["slabs", "concrete", "brick"])), float(rng.uniform(0.85, 1.2)), angle)
    )
    for x, y in scattered(rng, block.buffer(-4), 22, 0.4):
        shape = _blob(rng, x, y, rng.uniform(2.5, 6))
        contents.patches += [Patch(shape.buffer(0.4), "kerb"), Patch(shape, "bed" if rng.random() < 0.5 else "lawn")]
    if rng.random() < 0.4:
        spot = _inside(rng, block.buffer(-6))
        pool = shapely.Point(spot).buffer(float(rng.uniform(3, 7)))
        contents.patches += [Patch(pool.buffer(0.5), "kerb"), Patch(pool, "water")]
    _grow(rng, contents, scattered(rng, block.buffer(-3), 9, 0.4), ("round", "oval"), 5, 9)


def rest(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """What is too narrow for anything: grass, verge or paving, a few bushes."""
    kind = "verge" if brief.character in ("rural", "suburb") else str(rng.choice(["grass", "slabs", "concrete"]))
    contents.patches.append(Patch(block, kind, float(rng.uniform(0.85, 1.2))))
    _grow(rng, contents, scattered(rng, block.buffer(-1), 7, 0.25), ("bush", "round"), 3, 8)


def _inside(rng: Dice, shape: Any) -> tuple[float, float]:
    places = scattered(rng, shape, 5.0)
    if not len(places):
        point = shape.representative_point() if not shape.is_empty else shapely.Point(0, 0)
        return float(point.x), float(point.y)
    x, y = places[int(rng.integers(len(places)))]
    return float(x), float(y)


def _blob(rng: Dice, x: float, y: float, radius: float) -> Any:
    """A rounded shape around a place."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    wave = 1 + sum(rng.uniform(0, 0.25) * np.sin(k * angle + rng.uniform(0, 7)) for k in (2, 3, 4)) * 0.8
    stretch = rng.uniform(0.7, 1.4)
    turn = rng.uniform(0, np.pi)
    px, py = np.cos(angle) * wave * radius * stretch, np.sin(angle) * wave * radius / stretch
    return shapely.Polygon(
        np.stack([x + px * np.cos(turn) - py * np.sin(turn), y + px * np.sin(turn) + py * np.cos(turn)], -1)
    ).buffer(0)


def _path(rng: Dice, block: Any, contents: Contents, kind: str) -> Any:
    """A winding path across the block."""
    ring = block.exterior
    a = ring.interpolate(rng.uniform(0, ring.length))
    b = ring.interpolate((ring.project(a) + ring.length * rng.uniform(0.35, 0.65)) % ring.length)
    t = np.linspace(0, 1, 14)
    start, end = np.array([a.x, a.y]), np.array([b.x, b.y])
    step = end - start
    normal = np.array([-step[1], step[0]])
    bend = np.sin(np.pi * t) * rng.uniform(-0.25, 0.25) + np.sin(2 * np.pi * t) * rng.uniform(-0.1, 0.1)
    line = start + np.outer(t, step) + np.outer(bend, normal)
    path = shapely.LineString(line).buffer(float(rng.uniform(0.7, 1.6)))
    clipped = path.intersection(block)
    contents.patches.append(Patch(clipped, kind, float(rng.uniform(0.85, 1.15))))
    return clipped

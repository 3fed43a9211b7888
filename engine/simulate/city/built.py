"""Blocks with buildings: houses with gardens, closed street fronts, slabs, towers, shops with car parks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import shapely

from engine.simulate.city.character import Brief
from engine.simulate.city.colors import Color, roof_color, wall_color
from engine.simulate.city.contents import Barrier, Building, Car, Contents, Patch, Tree, rectangle, scattered, xy
from engine.simulate.city.dice import Dice

HOUSE, SHOPS, SLAB, GLASS, SHED = range(5)


def _fronts(block: Any, shortest: float) -> Iterator[tuple[Any, Any, float]]:
    """The outer edges of a block: start, unit direction along it (interior to the left), length."""
    ring = shapely.Polygon(block.exterior).simplify(2.0)
    if ring.is_empty or ring.geom_type != "Polygon":
        return
    corners = np.asarray(shapely.geometry.polygon.orient(ring).exterior.coords)
    for a, b in pairwise(corners):
        length = float(np.hypot(*(b - a)))
        if length >= shortest:
            yield a, (b - a) / length, length


def _roof(rng: Dice, width: float, kinds: tuple[str, ...], shares: tuple[float, ...]) -> tuple[str, float]:
    roof = str(rng.choice(kinds, p=shares))
    rise = width / 2 * float(rng.uniform(0.4, 0.95)) if roof != "flat" else float(rng.uniform(0.2, 0.9))
    return roof, rise


def _put(rng: Dice, contents: Contents, block: Any, building: Building, gap: float = 0.0) -> bool:
    outline = building.outline(gap)
    if not block.contains(outline) or not contents.free(outline):
        return False
    contents.buildings.append(building)
    return True


def houses(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """Detached houses, some with a wing, a garage, drives, hedges and trees."""
    contents.patches.append(Patch(block, "lawn" if rng.random() < 0.7 else "grass", float(rng.uniform(0.85, 1.2))))
    timber = "timber" if rng.random() < 0.35 else brief.palette
    roofs = (("gable", "hip", "flat"), ((0.6, 0.3, 0.1) if rng.random() < 0.7 else (0.25, 0.65, 0.1)))
    plot = float(rng.uniform(14, 26)) * (1.8 if brief.character == "rural" else 1)
    setback = float(rng.uniform(3.5, 10))
    hedged, kept = rng.random() < 0.6, float(rng.uniform(0.75, 1.0))
    storeys = int(rng.integers(1, 3))
    for start, along, length in _fronts(block, 12):
        inward = np.array([-along[1], along[0]])
        angle = float(np.arctan2(along[1], along[0]))
        count = max(1, int(length // plot))
        each = length / count
        for k in range(count):
            if rng.random() > kept:
                continue
            middle = start + along * each * (k + 0.5)
            deep = float(rng.uniform(7.5, 11))
            wide = float(min(rng.uniform(8, 15), each - 3.5))
            if wide < 6:
                continue
            centre = middle + inward * (setback + rng.uniform(0, 2) + deep / 2) + along * rng.uniform(-0.6, 0.6)
            roof, rise = _roof(rng, deep, *roofs)
            wall, tiles = wall_color(rng, timber), roof_color(rng, roof == "flat")
            height = 2.9 * (storeys if rng.random() < 0.8 else 3 - storeys) + float(rng.uniform(0.1, 0.8))
            house = Building(*xy(centre), wide, deep, angle, height, roof, rise, wall, tiles, HOUSE)
            if not _put(rng, contents, block, house):
                continue
            garden = rectangle(*xy(middle + inward * (setback + deep)), each, 2 * (setback + deep), angle)
            tone = float(rng.uniform(0.75, 1.3))
            contents.patches.append(Patch(garden.intersection(block), "lawn" if rng.random() < 0.75 else "bed", tone))
            if rng.random() < 0.4:
                _wing(rng, contents, block, house, along, inward)
            side = float(rng.choice([-1, 1])) * (wide / 2 + 1.6)
            drive = rectangle(*xy(middle + along * side + inward * (setback / 2 + 1)), 2.8, setback + 5, angle)
            contents.patches.append(Patch(drive, str(rng.choice(["concrete", "worn", "brick", "gravel"])), tone))
            contents.patches.append(
                Patch(rectangle(*xy(middle + inward * setback / 2), 1.2, setback + 1, angle), "slabs", tone)
            )
            spot = middle + along * side + inward * (setback / 2 + 0.5)
            contents.cars.append(Car(*xy(spot), angle + np.pi / 2, 0.5))
            if hedged:
                _hedges(rng, contents, middle, along, inward, each, setback)
            _garden(rng, contents, block, middle, along, inward, each, setback, deep)
    yard = block.buffer(-(setback + 14))
    for x, y in scattered(rng, yard, 11, 0.55):
        contents.trees.append(_garden_tree(rng, x, y))


def _wing(rng: Dice, contents: Contents, block: Any, house: Building, along: Any, inward: Any) -> None:
    """A wing or a garage, so that plans are L and T too."""
    length, width = float(rng.uniform(4.5, 7)), float(rng.uniform(3.5, 6.5))
    shift = float(rng.choice([-1, 1])) * (house.length / 2 - width / 2 - rng.uniform(0, 1))
    back = house.width / 2 + length / 2 - 0.05
    centre = np.array([house.x, house.y]) + along * shift + inward * back * float(rng.choice([1, -1], p=[0.75, 0.25]))
    height = house.height if rng.random() < 0.6 else 2.6
    rise = min(house.rise, width * 0.4) if house.roof != "flat" else 0.3
    wing = Building(
        *xy(centre),
        length,
        width,
        house.angle + np.pi / 2,
        height,
        house.roof,
        rise,
        house.wall,
        house.tiles,
        HOUSE,
    )
    if block.contains(wing.outline()):
        contents.buildings.append(wing)


def _hedges(rng: Dice, contents: Contents, middle: Any, along: Any, inward: Any, each: float, setback: float) -> None:
    kind = str(rng.choice(["hedge", "fence", "wall"], p=[0.55, 0.25, 0.2]))
    height = {"hedge": rng.uniform(0.8, 2.0), "fence": rng.uniform(0.9, 1.6), "wall": rng.uniform(0.5, 1.2)}[kind]
    width = 0.7 if kind == "hedge" else 0.15
    left, right = middle - along * each / 2, middle + along * each / 2

    def add(a: Any, b: Any) -> None:
        contents.barriers.append(
            Barrier((float(a[0]), float(a[1])), (float(b[0]), float(b[1])), float(height), width, kind)
        )

    add(left + inward * 1.0, left + inward * (setback + 16))
    if rng.random() < 0.5:
        add(left + inward * 0.6, middle - along * 1.5 + inward * 0.6)
        add(middle + along * (each / 2 - 3.4 if each > 12 else 1.5) + inward * 0.6, right + inward * 0.6)


def _garden_tree(rng: Dice, x: float, y: float) -> Tree:
    species = str(
        rng.choice(["round", "oval", "conifer", "bush", "pine", "poplar"], p=[0.36, 0.18, 0.12, 0.2, 0.1, 0.04])
    )
    height = float(rng.uniform(1.2, 3.0) if species == "bush" else rng.uniform(5, 16))
    slim = {"round": 0.35, "oval": 0.27, "poplar": 0.12, "conifer": 0.2, "pine": 0.26, "bush": 0.6}[species]
    return Tree(float(x), float(y), species, height, height * slim * float(rng.uniform(0.8, 1.25)))


def _garden(
    rng: Dice,
    contents: Contents,
    block: Any,
    middle: Any,
    along: Any,
    inward: Any,
    each: float,
    setback: float,
    deep: float,
) -> None:
    for _ in range(rng.poisson(1.6)):
        x, y = middle + along * rng.uniform(-0.45, 0.45) * each + inward * rng.uniform(1, max(setback - 0.5, 1.2))
        contents.trees.append(_garden_tree(rng, x, y))
    for _ in range(rng.poisson(1.8)):
        x, y = middle + along * rng.uniform(-0.45, 0.45) * each + inward * (setback + deep + rng.uniform(2, 12))
        if shapely.contains_xy(block, x, y):
            contents.trees.append(_garden_tree(rng, x, y))


def perimeter(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """A closed front of houses along the street around a court."""
    contents.patches.append(
        Patch(block, str(rng.choice(["slabs", "worn", "lawn", "yard"])), float(rng.uniform(0.8, 1.2)))
    )
    centre = brief.character == "centre"
    floors = rng.integers(3, 8) if centre else rng.integers(2, 6)
    for start, along, length in _fronts(block, 9):
        inward = np.array([-along[1], along[0]])
        angle = float(np.arctan2(along[1], along[0]))
        at = 0.0
        while at < length - 7:
            front = float(min(rng.uniform(9, 24), length - at))
            deep = float(rng.uniform(10, 14))
            storeys = max(2, int(floors + rng.integers(-1, 2)))
            spot = start + along * (at + front / 2) + inward * (deep / 2 + 0.3)
            roof, rise = _roof(rng, deep, ("gable", "flat", "hip"), (0.45, 0.45, 0.1) if centre else (0.6, 0.3, 0.1))
            glass = centre and rng.random() < 0.2
            front_house = Building(
                *xy(spot), front - 0.02, deep, angle, 1.0 + 3.1 * storeys, roof, rise * 0.8,
                wall_color(rng, "modern" if glass or rng.random() < 0.2 else brief.palette),
                roof_color(rng, roof == "flat"), GLASS if glass else SHOPS,
            )  # fmt: skip
            if rng.random() < 0.93:
                _put(rng, contents, block.buffer(0.5), front_house, -0.3)
            at += front
    court = block.buffer(-16)
    for x, y in scattered(rng, court, 9, 0.5):
        contents.trees.append(_garden_tree(rng, x, y))


def slabs(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """Long blocks of flats in rows on lawns, with paths and car parks."""
    contents.patches.append(Patch(block, "lawn", float(rng.uniform(0.85, 1.2))))
    room = block.buffer(-5)
    box = block.minimum_rotated_rectangle
    corners = np.asarray(box.exterior.coords)
    edge = corners[1] - corners[0]
    angle = float(np.arctan2(edge[1], edge[0])) + (np.pi / 2 if rng.random() < 0.5 else 0)
    length, deep = float(rng.uniform(25, 55)), float(rng.uniform(10, 14))
    gap, floors = float(rng.uniform(18, 30)), int(rng.integers(3, 10))
    wall, roof = wall_color(rng, "modern" if rng.random() < 0.5 else brief.palette), roof_color(rng, True)
    centre = np.array([block.centroid.x, block.centroid.y])
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    for i in range(-6, 7):
        for j in range(-3, 4):
            spot = centre + across * i * (deep + gap) + along * j * (length + 12)
            slab = Building(*xy(spot), length, deep, angle, 2.9 * floors + 1, "flat", 0.6, wall, roof, SLAB)
            if _put(rng, contents, room, slab):
                path = rectangle(*xy(spot - across * (deep / 2 + 2.5)), length + 10, 1.8, angle)
                contents.patches.append(Patch(path.intersection(block), "slabs"))
                if rng.random() < 0.5:
                    _car_park(rng, contents, room, spot + across * (deep / 2 + 9), along, across, length, 1)
    for x, y in scattered(rng, block.buffer(-2), 10, 0.45):
        contents.trees.append(_garden_tree(rng, x, y))


def towers(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """A few high buildings on paving."""
    contents.patches.append(Patch(block, "slabs", float(rng.uniform(0.8, 1.2))))
    edge = np.asarray(block.minimum_rotated_rectangle.exterior.coords)
    angle = float(np.arctan2(*(edge[1] - edge[0])[::-1]))
    for x, y in scattered(rng, block.buffer(-14), 32, 0.9):
        wide, deep, floors = rng.uniform(18, 34), rng.uniform(16, 28), int(rng.integers(7, 22))
        facade = GLASS if rng.random() < 0.55 else SLAB
        tower = Building(
            float(x), float(y), float(wide), float(deep), angle, 3.3 * floors, "flat", 1.2, wall_color(rng, "modern"),
            roof_color(rng, True), facade,
        )  # fmt: skip
        _put(rng, contents, block.buffer(-1), tower, 3)
    for x, y in scattered(rng, block.buffer(-2), 9, 0.25):
        contents.trees.append(_garden_tree(rng, x, y))


def commercial(rng: Dice, block: Any, brief: Brief, contents: Contents) -> None:
    """Halls and shops with flat roofs and marked car parks."""
    contents.patches.append(Patch(block, "worn" if rng.random() < 0.5 else "asphalt", float(rng.uniform(0.85, 1.25))))
    edge = np.asarray(block.minimum_rotated_rectangle.exterior.coords)
    angle = float(np.arctan2(*(edge[1] - edge[0])[::-1]))
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    room = block.buffer(-6)
    wall: Color = wall_color(rng, "modern")
    for _ in range(14):
        west, south, east, north = block.bounds
        x, y = rng.uniform(west, east), rng.uniform(south, north)
        size = rng.uniform(14, 55), rng.uniform(12, 36)
        hall = Building(
            float(x), float(y), float(size[0]), float(size[1]), angle, float(rng.uniform(4.5, 10)), "flat", 0.8, wall,
            roof_color(rng, True), SHED if rng.random() < 0.6 else SHOPS,
        )  # fmt: skip
        if (
            len(contents.buildings)
            and sum(room.contains(shapely.Point(b.x, b.y)) for b in contents.buildings[-8:]) >= 3
        ):
            break
        _put(rng, contents, room, hall, 7)
    centre = np.array([block.centroid.x, block.centroid.y])
    for i in range(-8, 9):
        for j in range(-6, 7):
            _car_park(rng, contents, room, centre + across * i * 17.5 + along * j * 22, along, across, 20.0, 2)
    ring = block.difference(block.buffer(-3.0))
    contents.patches.append(Patch(ring, "verge" if rng.random() < 0.7 else "bed"))
    for x, y in scattered(rng, ring, 9, 0.5):
        contents.trees.append(_garden_tree(rng, x, y))


def _car_park(
    rng: Dice, contents: Contents, room: Any, spot: Any, along: Any, across: Any, length: float, rows: int
) -> None:
    """Bays of 2.5 by 5 m in one or two rows, where there is room."""
    angle = float(np.arctan2(along[1], along[0]))
    ground = rectangle(*xy(spot), length, 5.4 * rows + (0 if rows == 2 else 5.5), angle)
    if not room.contains(ground) or not contents.free(ground):
        return
    if rows == 1:
        contents.patches.append(Patch(ground, "worn"))
    share = float(rng.uniform(0.2, 0.8))
    bays = np.arange(-length / 2 + 0.3, length / 2, 2.5)
    for row in range(rows):
        middle = spot + across * (5.2 * (row - (rows - 1) / 2) - (2.6 if rows == 1 else 0))
        quads = []
        for b in bays:
            base = middle + along * b
            p, q = across * 2.5, along * 0.06
            quads.append([base - p - q, base + p - q, base + p + q, base - p + q])
        contents.lines.append((np.array(quads), "white"))
        for b in bays[:-1]:
            x, y = middle + along * (b + 1.25)
            contents.cars.append(Car(float(x), float(y), angle + np.pi / 2, share))

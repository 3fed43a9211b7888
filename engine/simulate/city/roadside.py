"""Streets become ground, lines, trees, lamps, poles and places for cars."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.simulate.city.character import MARGIN_M, Brief
from engine.simulate.city.contents import Car, Contents, Patch, Post, Tree, rectangle, xy
from engine.simulate.city.dice import Dice, dice
from engine.simulate.city.streets import Network, Street


def build_streets(seed: int, brief: Brief, network: Network, size_m: float, contents: Contents) -> Any:
    """Fill ``contents`` with everything on and beside the streets; gives the ground that they take up."""
    area = shapely.box(-MARGIN_M, -MARGIN_M, size_m + MARGIN_M, size_m + MARGIN_M)
    lines = [shapely.LineString(s.line) for s in network.streets]
    rng = dice(seed, "street ground")
    rounds = [shapely.Point(j.place).buffer(j.radius) for j in network.junctions if j.radius]
    reach = [line.buffer(s.reach + brief.shoulder) for line, s in zip(lines, network.streets, strict=True)]
    pavements = [
        line.buffer(s.width / 2 + s.verge + s.pavement) for line, s in zip(lines, network.streets, strict=True)
    ]
    verges = [line.buffer(s.width / 2 + s.verge) for line, s in zip(lines, network.streets, strict=True) if s.verge]
    total = _rounded(shapely.union_all(reach + [r.buffer(3 + brief.shoulder) for r in rounds]), 6).intersection(area)
    paved = "concrete" if rng.random() < 0.5 else "slabs" if rng.random() < 0.7 else "brick"
    if brief.character == "rural":
        contents.patches.append(
            Patch(total, "gravel" if rng.random() < 0.4 else "verge" if rng.random() < 0.6 else "dirt")
        )
    else:
        walk = _rounded(shapely.union_all(pavements + [r.buffer(2.5) for r in rounds]), 5).intersection(area)
        contents.patches.append(Patch(walk, paved, float(rng.uniform(0.85, 1.15))))
        contents.patches.append(Patch(shapely.union_all(verges).intersection(area), "verge"))
    roads: dict[str, list[Any]] = {}
    for line, street in zip(lines, network.streets, strict=True):
        roads.setdefault(street.surface, []).append(line.buffer(street.width / 2))
    for name in [n for n in ("track", "worn", "asphalt") if n in roads]:
        shapes = roads[name] + (rounds if name == "asphalt" or "asphalt" not in roads else [])
        surface = _rounded(shapely.union_all(shapes), 4.5).intersection(area)
        if name != "track" and brief.character != "rural":
            contents.patches.append(Patch(surface.buffer(0.18), "kerb"))
        kind = "dirt" if name == "track" else name
        contents.patches.append(Patch(surface, kind, float(rng.uniform(0.85, 1.2))))
    for street in network.streets:
        _repairs(rng, street, contents)
        _median(rng, street, contents)
        _markings(street, brief, contents)
    for junction in (j for j in network.junctions if j.radius):
        island = shapely.Point(junction.place).buffer(max(2.0, junction.radius - 6.5))
        contents.patches += [Patch(island.buffer(0.4), "kerb"), Patch(island, "grass" if rng.random() < 0.7 else "bed")]
        if rng.random() < 0.6:
            contents.trees.append(_tree(rng, *junction.place, "round"))
    for number, street in enumerate(network.streets):
        _planted(dice(seed, "street trees", number), street, brief, contents)
        _lit(dice(seed, "posts", number), street, brief, contents)
        _cars(dice(seed, "cars", number), street, brief, contents)
    return total


def _rounded(shape: Any, radius: float) -> Any:
    return shape.buffer(radius, quad_segs=4).buffer(-radius, quad_segs=4)


def _repairs(rng: Dice, street: Street, contents: Contents) -> None:
    """Patches of new asphalt: marks that ground and air both see."""
    for _ in range(rng.poisson(street.length / 70)):
        place, direction = street.at(rng.uniform(0, street.length), rng.uniform(-0.35, 0.35) * street.width)
        length, width = rng.uniform(1, 12), rng.uniform(0.6, 2.5)
        angle = float(np.arctan2(direction[0, 1], direction[0, 0]))
        if street.surface != "track":
            contents.patches.append(
                Patch(rectangle(*xy(place[0]), length, width, angle), "repair", float(rng.uniform(0.9, 1.6)))
            )


def _median(rng: Dice, street: Street, contents: Contents) -> None:
    start, stop = street.trims[0] + 2, street.length - street.trims[1] - 2
    if not street.median or stop - start < 10:
        return
    stations = np.arange(start, stop, 3.0)
    shape = shapely.LineString(street.at(stations)[0]).buffer(street.median / 2 - 0.1)
    contents.patches += [Patch(shape.buffer(0.2), "kerb"), Patch(shape, "grass" if street.median > 2 else "concrete")]
    if street.median > 2.2 and rng.random() < 0.6:
        for station in np.arange(start + 3, stop - 3, rng.uniform(8, 14)):
            place, _ = street.at(station)
            contents.trees.append(_tree(rng, *xy(place[0]), "round"))


def ribbon(
    street: Street, starts: NDArray[np.float64], stops: NDArray[np.float64], offset: float, width: float
) -> NDArray[np.float64]:
    """Quadrangles (n, 4, 2) of ``width`` along a street, ``offset`` metres left of its centre."""
    a, b = street.at(starts, offset - width / 2)[0], street.at(starts, offset + width / 2)[0]
    c, d = street.at(stops, offset + width / 2)[0], street.at(stops, offset - width / 2)[0]
    return np.stack([a, b, c, d], axis=1)


def _markings(street: Street, brief: Brief, contents: Contents) -> None:
    start, stop = street.trims[0], street.length - street.trims[1]
    color = "yellow" if brief.yellow_lines else "white"
    zebras = 3.6
    if street.crossing[0]:
        start += zebras
    if street.crossing[1]:
        stop -= zebras
    if stop - start < 8 or street.surface == "track":
        return
    whole = np.arange(start, stop - 3, 3.0)

    def solid(offset: float, width: float, paint: str) -> None:
        contents.lines.append((ribbon(street, whole, whole + 3.02, offset, width), paint))

    def dashed(offset: float, width: float, dash: float, gap: float, paint: str) -> None:
        starts = np.arange(start + 1, stop - dash, dash + gap)
        if len(starts):
            contents.lines.append((ribbon(street, starts, starts + dash, offset, width), paint))

    rural, half = brief.character == "rural", street.width / 2
    lane = street.median / 2 + (street.width - street.median) / 4 - (0.7 if street.parking else 0.0)
    for offset in (-lane - 0.75, -lane + 0.75, lane - 0.75, lane + 0.75):
        solid(offset, 0.55, "tyre")
    if not street.median:
        if street.marking == "double":
            solid(-0.17, 0.13, color)
            solid(0.17, 0.13, color)
        elif street.marking == "solid":
            solid(0.0, 0.14, color)
        elif street.marking == "dashed":
            dashed(0.0, 0.14, 3.0, 4.5 if not rural else 6.0, color if rural else "white")
        if rural and street.marking != "none":
            solid(half - 0.35, 0.14, "white")
            solid(-half + 0.35, 0.14, "white")
        elif street.width > 11 and street.marking != "none":
            for offset in (-half / 2, half / 2):
                dashed(offset, 0.13, 3.0, 4.0, "white")
    elif street.width - street.median > 9:
        for sign in (-1, 1):
            dashed(sign * (street.median / 2 + (half - street.median / 2) / 2), 0.13, 3.0, 4.0, "white")
    if street.parking:
        bays = np.arange(start + 4, stop - 4, 5.6)
        for offset in (half - 1.05, 1.05 - half):
            contents.lines.append((ribbon(street, bays, bays + 0.12, offset, 2.0), "white"))
    for end, crossed in enumerate(street.crossing):
        station = street.trims[0] + 0.2 if end == 0 else street.length - street.trims[1] - zebras + 0.4
        if crossed:
            stripes = np.arange(-half + 0.5, half - 0.3, 1.0)
            for offset in stripes:
                contents.lines.append(
                    (ribbon(street, np.array([station]), np.array([station + 3.0]), float(offset), 0.5), "white")
                )
        if street.trims[end] and street.marking != "none":
            line = station + 3.7 if end == 0 else station - 1.1
            side = half / 2 if end == 0 else -half / 2
            if not crossed:
                line = street.trims[0] + 0.4 if end == 0 else street.length - street.trims[1] - 0.8
            contents.lines.append((ribbon(street, np.array([line]), np.array([line + 0.4]), side, half - 0.5), "white"))


def _tree(rng: Dice, x: float, y: float, species: str, low: float = 5.0, high: float = 11.0) -> Tree:
    height = float(rng.uniform(low, high))
    slim = {"round": 0.35, "oval": 0.26, "poplar": 0.11, "conifer": 0.2, "pine": 0.25, "bush": 0.55, "palm": 0.22}[
        species
    ]
    return Tree(float(x), float(y), species, height, height * slim * float(rng.uniform(0.85, 1.25)))


def _planted(rng: Dice, street: Street, brief: Brief, contents: Contents) -> None:
    if street.length < 30:
        return
    species = str(rng.choice(["round", "oval", "poplar", "pine", "conifer"], p=[0.45, 0.3, 0.08, 0.09, 0.08]))
    rural = brief.character == "rural"
    offset = street.width / 2 + (rng.uniform(2.5, 5) if rural else max(0.8, street.verge / 2 if street.verge else 1.0))
    for side in (-1, 1):
        if rng.random() > brief.street_trees or (not rural and street.verge + street.pavement < 1.8):
            continue
        spacing = rng.uniform(7, 15)
        stations = np.arange(street.trims[0] + 4, street.length - street.trims[1] - 4, spacing)
        stations = stations[rng.random(len(stations)) < 0.85] + rng.normal(0, 0.4)
        high = 9.0 if brief.character == "centre" else 13.0
        for x, y in street.at(stations, side * offset)[0] if len(stations) else []:
            contents.trees.append(_tree(rng, x, y, species, 4.5, high))


def _lit(rng: Dice, street: Street, brief: Brief, contents: Contents) -> None:
    if street.length < 25:
        return
    if brief.lamps:
        side = int(rng.choice([-1, 1]))
        stations = np.arange(street.trims[0] + 2, street.length - street.trims[1], rng.uniform(24, 34))
        for k, station in enumerate(stations):
            turn = side if k % 2 == 0 or street.width < 10 else -side
            place, direction = street.at(station, turn * (street.width / 2 + 0.5))
            angle = float(np.arctan2(direction[0, 1], direction[0, 0])) - turn * np.pi / 2
            contents.posts.append(Post(*xy(place[0]), angle, "lamp", float(rng.uniform(6, 9))))
    if brief.poles and rng.random() < 0.6 and street.length > 60:
        side = int(rng.choice([-1, 1]))
        stations = np.arange(8, street.length - 4, rng.uniform(32, 45))
        places, directions = street.at(stations, side * (street.width / 2 + max(street.verge, brief.shoulder) + 1.2))
        angles = np.arctan2(directions[:, 1], directions[:, 0]) + np.pi / 2
        height = float(rng.uniform(8, 11))
        for k, (place, angle) in enumerate(zip(places, angles, strict=True)):
            follow = None
            if k + 1 < len(places):
                follow = (float(places[k + 1, 0]), float(places[k + 1, 1]), float(angles[k + 1]))
            contents.posts.append(Post(*xy(place), float(angle), "pole", height, follow))


def _cars(rng: Dice, street: Street, brief: Brief, contents: Contents) -> None:
    start, stop = street.trims[0] + 6, street.length - street.trims[1] - 6
    if stop - start < 8:
        return
    if street.parking:
        share = float(rng.uniform(0.15, 0.85))
        for side in (-1, 1):
            stations = np.arange(start, stop, 5.6) + 2.8
            places, directions = street.at(stations, side * (street.width / 2 - 1.1))
            for (x, y), d in zip(places, directions, strict=True):
                contents.cars.append(Car(float(x), float(y), float(np.arctan2(d[1], d[0])), share))
    gap = {"rural": 90, "suburb": 70, "town": 45, "centre": 28}[brief.character]
    for side in (-1, 1):
        stations = np.arange(start, stop, 9.0)
        lane = street.median / 2 + (street.width - street.median) / 4 - (0.9 if street.parking else 0.0)
        places, directions = street.at(stations, side * max(lane, 1.4))
        for (x, y), d in zip(places, directions, strict=True):
            # Traffic keeps right: left of the line drives against it.
            contents.cars.append(
                Car(float(x), float(y), float(np.arctan2(d[1], d[0])) + np.pi * (side > 0), 9.0 / gap / 2)
            )

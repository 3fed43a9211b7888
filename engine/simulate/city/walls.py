"""Buildings as triangles: walls with their own coordinates, roofs of four kinds, what stands on flat roofs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.simulate.city.contents import Building
from engine.simulate.city.dice import Dice, dice
from engine.simulate.city.mesh import FloatArray, Kind, MeshBuilder, box, placed, quads


@dataclass(frozen=True)
class WallTable:
    """One row a wall. ``starts`` (n, 2) one end, ``along`` (n, 2) unit from there, ``lengths`` and ``heights`` in
    metres, ``facades`` which manner, ``seeds`` for its windows."""

    starts: FloatArray
    along: FloatArray
    lengths: FloatArray
    heights: FloatArray
    facades: NDArray[np.int32]
    seeds: NDArray[np.uint32]


def build_houses(seed: int, buildings: list[Building], builder: MeshBuilder) -> WallTable:
    """Add ``buildings``; gives the table that the parts of their walls point into."""
    starts, along, lengths, heights, facades, seeds = [], [], [], [], [], []
    rng = dice(seed, "houses")
    panels, paint, roofs = [], [], _Batches()
    for number, house in enumerate(buildings):
        c, s = np.cos(house.angle), np.sin(house.angle)
        turn = np.array([[c, s], [-s, c]])
        a, b = house.length / 2, house.width / 2
        corners = np.array([(-a, -b), (a, -b), (a, b), (-a, b)]) @ turn + (house.x, house.y)
        parapet = house.rise if house.roof == "flat" else 0.0
        key = int(rng.integers(2**32))
        for k in range(4):
            p, q = corners[k], corners[(k + 1) % 4]
            span = float(np.hypot(*(q - p)))
            starts.append(p)
            along.append((q - p) / span)
            lengths.append(span)
            heights.append(house.height)
            facades.append(house.facade)
            seeds.append((key + 0x9E3779B1 * k) & 0xFFFFFFFF)
            top = house.height + parapet
            panels.append([[*p, house.base], [*q, house.base], [*q, top], [*p, top]])
            paint.append(house.wall)
        _roof(rng, house, corners, turn, number, roofs)
    if panels:
        rows = np.repeat(np.arange(len(panels)), 2)
        builder.add(quads(np.array(panels)), np.array(paint)[rows], Kind.WALL, rows)
    roofs.into(builder)
    return WallTable(
        np.array(starts, np.float32).reshape(-1, 2),
        np.array(along, np.float32).reshape(-1, 2),
        np.array(lengths, np.float32),
        np.array(heights, np.float32),
        np.array(facades, np.int32),
        np.array(seeds, np.uint32),
    )


class _Batches:
    """Small shapes of many houses, handed over at once."""

    def __init__(self) -> None:
        self._shapes: dict[Kind, list[tuple[FloatArray, Any, int]]] = {}

    def add(self, triangles: NDArray[np.floating], color: Any, kind: Kind, part: int) -> None:
        self._shapes.setdefault(kind, []).append((np.asarray(triangles, np.float32), color, part))

    def into(self, builder: MeshBuilder) -> None:
        for kind, shapes in self._shapes.items():
            counts = [len(t) for t, _, _ in shapes]
            colors = np.array([np.broadcast_to(c, 3) for _, c, _ in shapes], np.float32)
            parts = np.array([p for _, _, p in shapes])
            builder.add(
                np.concatenate([t for t, _, _ in shapes]),
                np.repeat(colors, counts, axis=0),
                kind,
                np.repeat(parts, counts),
            )


def _roof(
    rng: Dice, house: Building, corners: NDArray[np.float64], turn: NDArray[np.float64], number: int, builder: _Batches
) -> None:
    h = house.height
    if house.roof == "flat":
        level = np.concatenate([corners, np.full((4, 1), h)], axis=1)
        builder.add(quads(level[None]), house.tiles, Kind.FLAT_ROOF, number)
        for _ in range(int(rng.poisson(house.length * house.width / 130))):
            size = rng.uniform(0.8, 4.0, 2)
            if min(house.length, house.width) < 2 * max(size):
                continue
            spot = (rng.uniform(-0.4, 0.4, 2) * (house.length, house.width)) @ turn + (house.x, house.y)
            part = placed(
                box(size[0], size[1], h, h + rng.uniform(0.5, 2.4)), spot[:1], spot[1:], np.array([house.angle])
            )
            builder.add(part.reshape(-1, 3, 3), rng.uniform(0.15, 0.6), Kind.PLAIN, number)
        return
    over = 0.4
    a, b = house.length / 2 + over, house.width / 2 + over
    low = h - over * house.rise / (house.width / 2)
    top = h + house.rise
    ridge = a if house.roof == "gable" else max(a - b, 0.0)
    local = np.array(
        [(-a, -b, low), (a, -b, low), (a, b, low), (-a, b, low), (-ridge, 0, top), (ridge, 0, top)], np.float64
    )
    flat = local[:, :2] @ turn + (house.x, house.y)
    v = np.concatenate([flat, local[:, 2:]], axis=1)
    slopes = [quads(np.array([[v[0], v[1], v[5], v[4]], [v[2], v[3], v[4], v[5]]]))]
    if house.roof == "hip":
        slopes.append(np.array([[v[1], v[2], v[5]], [v[3], v[0], v[4]]], np.float32))
    else:
        inner = house.length / 2
        g = np.array(
            [
                (-inner, -b + over, h),
                (-inner, b - over, h),
                (-inner, 0, top),
                (inner, -b + over, h),
                (inner, b - over, h),
                (inner, 0, top),
            ]
        )
        gf = np.concatenate([g[:, :2] @ turn + (house.x, house.y), g[:, 2:]], axis=1)
        builder.add(np.array([[gf[1], gf[0], gf[2]], [gf[3], gf[4], gf[5]]]), house.wall, Kind.PLAIN, number)
    builder.add(np.concatenate(slopes), house.tiles, Kind.TILES, number)
    if house.facade == 0:  # a chimney
        spot = np.array([[ridge * 0.5, house.width * 0.12]]) @ turn + (house.x, house.y)
        stack = placed(box(0.9, 0.6, h, top + 0.7), spot[:, 0], spot[:, 1], np.array([house.angle]))
        builder.add(stack.reshape(-1, 3, 3), (0.2, 0.12, 0.09), Kind.PLAIN, number)

"""Cars, lamps, poles with wires, hedges, fences and walls as triangles."""

from __future__ import annotations

import numpy as np

from engine.simulate.city.colors import car_colors
from engine.simulate.city.contents import Barrier, Car, Post
from engine.simulate.city.day import Day
from engine.simulate.city.dice import dice
from engine.simulate.city.mesh import Kind, MeshBuilder, box, placed, quads

_METAL, _WOOD = (0.2, 0.21, 0.2), (0.12, 0.095, 0.075)


def parked(seed: int, cars: list[Car], day: Day) -> np.ndarray:
    """The cars that are there on that day: rows of x, y, angle (n, 3), and whether each is a van in a fourth column."""
    rng = dice(seed, "cars of", day.name)
    if not cars:
        return np.zeros((0, 4))
    table = np.array([(c.x, c.y, c.angle, c.share) for c in cars])
    there = rng.random(len(table)) < table[:, 3]
    table[:, 2] += rng.normal(0, 0.02, len(table)) + np.pi * (rng.random(len(table)) < 0.1)
    table[:, :2] += rng.normal(0, 0.12, (len(table), 2))
    table[:, 3] = rng.random(len(table)) < 0.1
    return table[there]


def build_cars(seed: int, cars: np.ndarray, day: Day, builder: MeshBuilder) -> None:
    """Add ``cars`` of :func:`parked`: body, glass, roof, wheels."""
    for van in (False, True):
        own = cars[cars[:, 3] == van]
        if not len(own):
            continue
        rng = dice(seed, "paint", day.name, int(van))
        paint = car_colors(rng, len(own))
        length, width, waist, roof = (5.2, 1.95, 1.15, 2.15) if van else (4.4, 1.78, 0.92, 1.47)
        scale = np.stack(
            [rng.uniform(0.9, 1.12, len(own)), np.ones(len(own)), rng.uniform(0.95, 1.12, len(own))], axis=-1
        )
        body = (
            box(length, width, 0.28, waist * 0.8, (length * 0.99, width)),
            box(length * 0.99, width, waist * 0.8, waist, (length * 0.93, width * 0.92)),
        )
        cabin = box(
            length * (0.86 if van else 0.62), width * 0.9, waist, roof, (length * (0.78 if van else 0.42), width * 0.74)
        )
        cabin[..., 0] += 0.0 if van else -0.2
        wheels = np.concatenate(
            [
                _shifted(box(0.62, 0.2, 0.0, 0.6), x, y)
                for x in (-length * 0.3, length * 0.31)
                for y in (-width / 2 + 0.08, width / 2 - 0.08)
            ]
        )
        lights = np.concatenate(
            [_shifted(box(0.06, 0.35, 0.55, 0.72), x, y) for x in (-length / 2 - 0.01,) for y in (-0.6, 0.6)]
        )
        for part, color, kind in (
            (body[0], paint, Kind.PLAIN),
            (body[1], paint, Kind.PLAIN),
            (cabin[:8], None, Kind.GLASS),
            (cabin[8:], paint, Kind.PLAIN),
            (wheels, np.full((len(own), 3), 0.02), Kind.PLAIN),
            (lights, np.tile([0.3, 0.02, 0.02], (len(own), 1)), Kind.PLAIN),
        ):
            shape = placed(part, own[:, 0], own[:, 1], own[:, 2], scale)
            colors = np.full((len(own), 3), 0.03) if color is None else color
            builder.add(shape.reshape(-1, 3, 3), np.repeat(colors, len(part), axis=0), kind)


def _shifted(shape: np.ndarray, x: float, y: float) -> np.ndarray:
    return shape + np.array([x, y, 0], np.float32)


def build_posts(posts: list[Post], builder: MeshBuilder) -> None:
    """Add lamp posts with an arm, and poles with a cross bar and wires to the next."""
    for kind in ("lamp", "pole"):
        own = [p for p in posts if p.kind == kind]
        if not own:
            continue
        x, y, angle = (np.array([getattr(p, f) for p in own]) for f in ("x", "y", "angle"))
        height = np.array([(1, 1, p.height) for p in own], np.float32)
        if kind == "lamp":
            parts = [
                box(0.16, 0.16, 0, 1, (0.1, 0.1)),
                _shifted(box(1.7, 0.08, 0.985, 1.0), 0.8, 0),
                _shifted(box(0.7, 0.3, 0.975, 1.0), 1.6, 0),
            ]
        else:
            parts = [box(0.28, 0.28, 0, 1, (0.2, 0.2)), box(2.2, 0.12, 0.93, 0.95)]
        shape = np.concatenate(parts)
        builder.add(
            placed(shape, x, y, angle, height).reshape(-1, 3, 3), _METAL if kind == "lamp" else _WOOD, Kind.PLAIN
        )
    wires = []
    for post in posts:
        if post.next is None:
            continue
        for off in (-0.95, 0.0, 0.95):
            a = np.array([post.x + off * np.cos(post.angle), post.y + off * np.sin(post.angle)])
            b = np.array([post.next[0] + off * np.cos(post.next[2]), post.next[1] + off * np.sin(post.next[2])])
            t = np.linspace(0, 1, 7)
            line = a + (b - a) * t[:, None]
            z = post.height * 0.95 - 1.1 * 4 * t * (1 - t)
            thick = 0.018
            low = np.concatenate([line, z[:, None] - thick], axis=1)
            high = np.concatenate([line, z[:, None] + thick], axis=1)
            wires.append(np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1))
    if wires:
        builder.add(quads(np.concatenate(wires)), (0.03, 0.03, 0.03), Kind.WIRE)  # too thin to cast a shadow


def build_barriers(seed: int, barriers: list[Barrier], builder: MeshBuilder) -> None:
    """Add hedges, walls and fences."""
    rng = dice(seed, "barriers")
    for kind in ("hedge", "wall", "fence"):
        own = [b for b in barriers if b.kind == kind]
        if not own:
            continue
        a, b = (np.array([getattr(o, f) for o in own], np.float64) for f in ("start", "end"))
        middle, step = (a + b) / 2, b - a
        scale = np.stack([np.hypot(*step.T), [o.width for o in own], [o.height for o in own]], axis=-1).astype(
            np.float32
        )
        shape = placed(box(1, 1, 0, 1), middle[:, 0], middle[:, 1], np.arctan2(step[:, 1], step[:, 0]), scale)
        base = {"hedge": (0.045, 0.075, 0.025), "wall": (0.3, 0.27, 0.22), "fence": (0.2, 0.15, 0.1)}[kind]
        color = np.array(base) * rng.uniform(0.75, 1.3, (len(own), 1))
        builder.add(
            shape.reshape(-1, 3, 3),
            np.repeat(color, shape.shape[1], axis=0),
            Kind.LEAF if kind == "hedge" else Kind.PLAIN,
        )

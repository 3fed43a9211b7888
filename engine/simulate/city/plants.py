"""Trees and bushes as triangles: a crown of leaf cards that light and sight pass between, a trunk and boughs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.simulate.city.contents import Tree
from engine.simulate.city.day import Day
from engine.simulate.city.dice import Dice, dice
from engine.simulate.city.mesh import FloatArray, Kind, MeshBuilder, placed

EVERGREEN = frozenset({"conifer", "pine", "palm"})
_VARIANTS = 3
_GREENS = {
    "round": (0.055, 0.095, 0.025),
    "oval": (0.065, 0.1, 0.03),
    "poplar": (0.07, 0.1, 0.035),
    "conifer": (0.028, 0.052, 0.024),
    "pine": (0.045, 0.068, 0.032),
    "bush": (0.06, 0.09, 0.03),
}
_AUTUMN = np.array([(0.2, 0.1, 0.025), (0.22, 0.16, 0.04), (0.17, 0.06, 0.025), (0.12, 0.095, 0.035)], np.float32)
_BARK = (0.11, 0.085, 0.065)


def build_trees(seed: int, trees: list[Tree], day: Day, dryness: float, builder: MeshBuilder) -> None:
    """Add ``trees`` as they are on that day. Where there are very many, each has fewer and larger cards."""
    dense = len(trees) > 600
    groups: dict[tuple[str, int], list[int]] = {}
    for number, tree in enumerate(trees):
        groups.setdefault((tree.species, number % _VARIANTS), []).append(number)
    for (species, variant), members in groups.items():
        rng = dice(seed, "trees", species, variant)
        crown, normals = _crown(rng, species, dense)
        wood = _wood(rng, species, boughs=14)
        twigs = _twigs(rng, species, 100 if dense else 220)
        own = [trees[m] for m in members]
        x, y = np.array([t.x for t in own]), np.array([t.y for t in own])
        scale = np.array([(t.radius, t.radius, t.height) for t in own], np.float32)
        turn = rng.uniform(0, 2 * np.pi, len(own))
        tint = rng.uniform(0.75, 1.25, (len(own), 1, 1)) * (1 + rng.normal(0, 0.08, (len(own), 1, 3)))
        ripe = np.clip(rng.normal(day.autumn, 0.25, len(own)), 0, 1)[:, None, None] * (day.autumn > 0.15)
        kind = _AUTUMN[rng.integers(len(_AUTUMN), size=len(own))][:, None, :]
        carried = day.leaves(species in EVERGREEN)
        builder.add(placed(wood, x, y, turn, scale).reshape(-1, 3, 3), _BARK, Kind.PLAIN)
        if carried > 0.02:
            kept = max(1, round(len(crown) * min(1.0, carried + 0.12)))
            order = rng.permutation(len(crown))[:kept]
            leaves = placed(crown[order], x, y, turn, scale)
            dry = (
                np.array(_GREENS[species], np.float32) * (1 - 0.45 * dryness)
                + np.array((0.13, 0.115, 0.06), np.float32) * 0.45 * dryness
            )
            fresh = np.array((1.15, 1.2, 0.9), np.float32) * day.spring + 1 * (1 - day.spring)
            green = dry * fresh
            color = (green if species in EVERGREEN else green * (1 - ripe) + kind * ripe) * tint
            card = rng.uniform(0.7, 1.3, (1, kept, 1))
            # Inner and lower leaves see less sky.
            depth = np.linalg.norm((crown[order].mean(axis=1) - (0, 0, 0.55)) * (1, 1, 1.4), axis=1)
            color = np.broadcast_to(
                color * card * (0.5 + 0.55 * np.clip(depth, 0, 1))[None, :, None], (*leaves.shape[:2], 3)
            )
            c, s = np.cos(turn).astype(np.float32)[:, None], np.sin(turn).astype(np.float32)[:, None]
            n = normals[order]
            round_ = np.stack(
                [c * n[:, 0] - s * n[:, 1], s * n[:, 0] + c * n[:, 1], np.broadcast_to(n[:, 2], (len(own), kept))],
                axis=-1,
            )
            builder.add(leaves.reshape(-1, 3, 3), color.reshape(-1, 3), Kind.LEAF, 0, round_.reshape(-1, 3))
        if carried < 0.7 and species not in EVERGREEN:
            bare = placed(twigs, x, y, turn, scale)
            builder.add(bare.reshape(-1, 3, 3), np.array((0.12, 0.095, 0.075)), Kind.PLAIN)


def _lobes(rng: Dice, species: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Balls that make up a crown of radius 1 and height 1: middles (n, 3) and half sizes (n, 3)."""
    if species == "conifer":
        z = np.linspace(0.16, 0.93, 6)
        wide = 0.95 * (1 - (z - 0.1) / 0.95) ** 0.9 + 0.06
        middle = np.stack([rng.normal(0, 0.05, 6), rng.normal(0, 0.05, 6), z], axis=-1)
        return middle, np.stack([wide, wide, np.full(6, 0.115)], axis=-1)
    if species == "poplar":
        z = np.linspace(0.22, 0.86, 4)
        wide = np.array([0.75, 0.95, 0.85, 0.55])
        middle = np.stack([rng.normal(0, 0.1, 4), rng.normal(0, 0.1, 4), z], axis=-1)
        return middle, np.stack([wide, wide, np.full(4, 0.16)], axis=-1)
    count = {"round": 7, "oval": 6, "pine": 5, "bush": 4}[species]
    base = {"round": 0.62, "oval": 0.58, "pine": 0.78, "bush": 0.4}[species]
    tall = {"round": 0.4, "oval": 0.45, "pine": 0.2, "bush": 0.5}[species]
    unit = rng.normal(0, 1, (count, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    unit *= rng.uniform(0.35, 0.6, (count, 1))
    size = rng.uniform(0.38, 0.58, (count, 1)) * np.ones(3)
    return unit * (1, 1, tall) + (0, 0, base), size * (1, 1, tall)


def _ball(rng: Dice, fine: bool) -> FloatArray:
    """A lumpy ball (n, 3, 3): an octahedron halved once or twice, its corners pushed in and out."""
    axes = np.array([(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0)], np.float64)
    top, low = np.array((0.0, 0, 1)), np.array((0.0, 0, -1))
    faces = np.array(
        [[axes[k], axes[(k + 1) % 4], top] for k in range(4)] + [[axes[(k + 1) % 4], axes[k], low] for k in range(4)]
    )
    for _ in range(2 if fine else 1):
        a, b, c = faces[:, 0], faces[:, 1], faces[:, 2]
        ab, bc, ca = a + b, b + c, c + a
        faces = np.concatenate([np.stack(f, axis=1) for f in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
        faces /= np.linalg.norm(faces, axis=2, keepdims=True)
    wave = rng.normal(0, 2.6, (3, 3))
    return (faces * (1 + 0.16 * np.sin(faces @ wave.T + rng.uniform(0, 6, 3)).sum(axis=2, keepdims=True) / 1.5)).astype(
        np.float32
    )


def _shape(rng: Dice, species: str, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (n, 3) on and just inside the lobes of a crown, and the outward directions there."""
    middle, half = _lobes(rng, species)
    direction = rng.normal(0, 1, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    owner = rng.integers(len(middle), size=count)
    places = middle[owner] + direction * half[owner] * rng.uniform(0.8, 1.08, (count, 1))
    away = places - (0, 0, middle[:, 2].mean())
    outward = direction * 0.7 + away * (0.5, 0.5, 1.0)
    return places, outward / np.linalg.norm(outward, axis=1, keepdims=True)


def _crown(rng: Dice, species: str, dense: bool) -> tuple[FloatArray, FloatArray]:
    """Triangles (n, 3, 3) of a crown, lumpy balls and loose leaves, and normals (n, 3) that round it off."""
    count = 36 if dense else 90
    middle, half = _lobes(rng, species)
    balls = np.concatenate(
        [_ball(rng, not dense and species != "bush") * (h * 0.9) + m for m, h in zip(middle, half, strict=True)]
    )
    centre = np.array((0, 0, middle[:, 2].mean()))
    ball_owner = np.repeat(np.arange(len(middle)), len(balls) // len(middle))
    ball_out = (balls.mean(axis=1) - middle[ball_owner]) / half[ball_owner]
    ball_out = 0.75 * ball_out + (balls.mean(axis=1) - centre) * (0.45, 0.45, 0.9)
    owner = rng.integers(len(middle), size=count)
    direction = rng.normal(0, 1, (count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    places = middle[owner] + direction * half[owner] * rng.uniform(0.85, 1.12, (count, 1))
    corners = rng.normal(0, 1, (count, 3, 3))
    corners /= np.linalg.norm(corners, axis=2, keepdims=True)
    size = 0.2 if dense else 0.15
    squash = {"round": 0.36, "oval": 0.28, "pine": 0.3, "bush": 0.6, "conifer": 0.2, "poplar": 0.14}[species]
    cards = places[:, None] + corners * size * (1, 1, squash)
    outward = 0.75 * direction + (places - centre) * (0.45, 0.45, 0.9)
    normals = np.concatenate([ball_out, outward])
    normals += rng.normal(0, 0.2, normals.shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    shape = np.concatenate([balls, cards])
    shape[..., 2] = np.maximum(shape[..., 2], 0.03)
    return shape.astype(np.float32), normals.astype(np.float32)


def _limb(a: NDArray[np.floating], b: NDArray[np.floating], thick: float, thin: float) -> FloatArray:
    """Two crossed slivers from ``a`` to ``b``."""
    axis = b - a
    side = np.cross(axis, (0.31, 0.87, 0.39))
    side /= max(float(np.linalg.norm(side)), 1e-6)
    other = np.cross(axis, side)
    other /= max(float(np.linalg.norm(other)), 1e-6)
    out = []
    for s in (side, other):
        out += [[a - s * thick, a + s * thick, b + s * thin], [a - s * thick, b + s * thin, b - s * thin]]
    return np.array(out, np.float32)


def _wood(rng: Dice, species: str, boughs: int) -> FloatArray:
    """Trunk and boughs in units of crown radius and tree height."""
    if species == "bush":
        return _limb(np.zeros(3), np.array([0, 0, 0.5]), 0.06, 0.03)
    top = 0.95 if species in ("conifer", "poplar") else 0.7
    parts = [_limb(np.zeros(3), np.array([0, 0, top]), 0.075, 0.03)]
    if species not in ("conifer", "poplar"):
        for _ in range(boughs):
            low = rng.uniform(0.3, 0.6)
            angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.8)
            end = np.array([reach * np.cos(angle), reach * np.sin(angle), low + rng.uniform(0.1, 0.3)])
            parts.append(_limb(np.array([0, 0, low]), end, 0.03, 0.012))
    return np.concatenate(parts)


def _twigs(rng: Dice, species: str, count: int) -> FloatArray:
    """Bare twigs of winter in the place of leaves: slivers that reach outward."""
    centres, outward = _shape(rng, species, count)
    length = 0.13
    side = np.cross(outward, rng.normal(0, 1, outward.shape))
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    squash = np.array((1, 1, 0.4))
    a = centres - outward * length * squash
    b = centres + outward * length * squash
    wide = 0.011
    twigs = np.stack([a - side * wide, a + side * wide, b], axis=1)
    twigs[..., 2] = np.maximum(twigs[..., 2], 0.03)
    return twigs.astype(np.float32)

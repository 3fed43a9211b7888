"""Triangles with what shading needs to know of each; gathered part by part, then frozen as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class Kind(IntEnum):
    """How a triangle is shaded."""

    GROUND = 0
    WALL = 1
    TILES = 2
    FLAT_ROOF = 3
    LEAF = 4
    PLAIN = 5
    GLASS = 6
    WIRE = 7
    SKY = 8


@dataclass
class Mesh:
    """``triangles`` (n, 3, 3) metres; ``normals`` (n, 3) unit; ``colors`` (n, 3) albedo 0..1.

    ``kinds`` (n,) and ``parts`` (n,): the row of the wall table for walls, else any number that tells neighbours apart.
    """

    triangles: FloatArray
    normals: FloatArray
    colors: FloatArray
    kinds: NDArray[np.uint8]
    parts: NDArray[np.int32]


@dataclass
class MeshBuilder:
    """Collects triangles."""

    _triangles: list[FloatArray] = field(default_factory=list)
    _normals: list[FloatArray] = field(default_factory=list)
    _colors: list[FloatArray] = field(default_factory=list)
    _kinds: list[NDArray[np.uint8]] = field(default_factory=list)
    _parts: list[NDArray[np.int32]] = field(default_factory=list)

    def add(
        self,
        triangles: NDArray[np.floating],
        colors: object,
        kind: int | NDArray[np.integer],
        part: int | NDArray[np.integer] = 0,
        normals: NDArray[np.floating] | None = None,
    ) -> None:
        """Add ``triangles`` (n, 3, 3); the rest is broadcast to n. Normals default to those of the triangles."""
        t = np.asarray(triangles, np.float32).reshape(-1, 3, 3)
        n = len(t)
        if normals is None:
            normals = np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])
            normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        self._triangles.append(t)
        self._normals.append(np.asarray(normals, np.float32).reshape(n, 3))
        self._colors.append(np.broadcast_to(np.asarray(colors, np.float32), (n, 3)))
        self._kinds.append(np.broadcast_to(np.asarray(kind, np.uint8), (n,)))
        self._parts.append(np.broadcast_to(np.asarray(part, np.int32), (n,)))

    def mesh(self) -> Mesh:
        """All of it."""
        if not self._triangles:
            empty = np.zeros((0, 3), np.float32)
            return Mesh(np.zeros((0, 3, 3), np.float32), empty, empty, np.zeros(0, np.uint8), np.zeros(0, np.int32))
        return Mesh(
            np.concatenate(self._triangles),
            np.concatenate(self._normals),
            np.concatenate(self._colors),
            np.concatenate(self._kinds),
            np.concatenate(self._parts),
        )


def joined(*meshes: Mesh) -> Mesh:
    """One mesh of several, in order."""
    return Mesh(
        np.concatenate([m.triangles for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.colors for m in meshes]),
        np.concatenate([m.kinds for m in meshes]),
        np.concatenate([m.parts for m in meshes]),
    )


def quads(corners: NDArray[np.floating]) -> FloatArray:
    """(n, 4, 3) corners in order → (2 n, 3, 3) triangles."""
    c = np.asarray(corners, np.float32).reshape(-1, 4, 3)
    return np.ascontiguousarray(c[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3))


def box(length: float, width: float, low: float, high: float, top: tuple[float, float] | None = None) -> FloatArray:
    """(10, 3, 3): sides and top of a box around the z axis, x along ``length``; ``top`` its (length, width) above."""
    a, b = length / 2, width / 2
    c, d = (a, b) if top is None else (top[0] / 2, top[1] / 2)
    foot = [(-a, -b, low), (a, -b, low), (a, b, low), (-a, b, low)]
    head = [(-c, -d, high), (c, -d, high), (c, d, high), (-c, d, high)]
    sides = [[foot[i], foot[(i + 1) % 4], head[(i + 1) % 4], head[i]] for i in range(4)]
    return quads(np.array([*sides, head], np.float32))


def placed(
    template: FloatArray,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    angle: NDArray[np.floating],
    scale: object = 1.0,
) -> FloatArray:
    """A template (m, 3, 3) at each of n places, turned by ``angle`` (radians, counter-clockwise): (n, m, 3, 3).

    ``scale``: one number, (n, 1) or (n, 3).
    """
    factor = np.asarray(scale, np.float32)
    if factor.ndim:
        factor = factor[:, None, None, :]
    t = template[None] * factor
    c, s = (np.asarray(f(angle), np.float32)[:, None, None] for f in (np.cos, np.sin))
    out = np.empty((len(np.atleast_1d(x)), *template.shape), np.float32)
    out[..., 0] = c * t[..., 0] - s * t[..., 1] + np.asarray(x, np.float32)[:, None, None]
    out[..., 1] = s * t[..., 0] + c * t[..., 1] + np.asarray(y, np.float32)[:, None, None]
    out[..., 2] = t[..., 2]
    return out

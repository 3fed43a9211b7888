"""The ray tracer: Embree through the package ``embreex``, which is asked for only when a picture is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import MissingExtraError
from engine.simulate.city.mesh import FloatArray

FAR_M = 1e5


class Tracer:
    """Nearest hits and shadows among triangles (n, 3, 3), metres.

    Raises MissingExtraError where ``embreex`` is not installed.
    """

    def __init__(self, triangles: FloatArray) -> None:
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as error:
            raise MissingExtraError(
                "Simulated cities need the ray tracer embreex, which is not installed.",
                remedy="Install it with: pip install 'samescene[cities]' (or pip install embreex).",
            ) from error
        self._scene: Any = EmbreeScene()
        self._mesh: Any = TriangleMesh(self._scene, np.ascontiguousarray(triangles, np.float32))

    def first(self, origins: FloatArray, directions: FloatArray) -> tuple[NDArray[np.int32], FloatArray]:
        """The triangle that each ray (n, 3) meets first, -1 for none, and how far away, in lengths of its direction."""
        if not len(origins):
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        hit = self._scene.run(
            np.ascontiguousarray(origins), np.ascontiguousarray(directions), query="INTERSECT", output=True
        )
        return hit["primID"], hit["tfar"]

    def blocker(self, origins: FloatArray, to_light: FloatArray) -> NDArray[np.int32]:
        """The triangle between the places (n, 3) and a light far away in direction ``to_light`` (3,), -1 for none."""
        if not len(origins):
            return np.zeros(0, np.int32)
        directions = np.ascontiguousarray(np.broadcast_to(np.asarray(to_light, np.float32), origins.shape))
        found: NDArray[np.int32] = self._scene.run(np.ascontiguousarray(origins), directions, query="INTERSECT")
        return found

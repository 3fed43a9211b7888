"""How large the reference's pixels are on the ground, and which scales of crops they serve. Numbers only, no pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from engine.crossview.cells import METRES_PER_DEGREE, Degrees
from engine.errors import GridError
from engine.raster.crs import WGS84, Transformation

if TYPE_CHECKING:
    from engine.raster.grid import Grid

COARSER = 1.15
"""How many times a crop's scale the reference's pixels may be at most."""


class GridPlace:
    """Where points on Earth lie in ``grid``. Raises GridError where no transformation to its CRS is known."""

    def __init__(self, grid: Grid) -> None:
        self._from_degrees = Transformation(WGS84, grid.crs)
        self._inverse = ~grid.transform
        # One turn of longitude in source units, for points on the other side of the antimeridian.
        self._turn = 360.0 if grid.geographic else 0.0
        self._middle = (grid.transform @ (grid.width / 2, grid.height / 2))[0]

    def pixels(self, lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
        """Fractional columns and rows of points in degrees; NaN where a point has no image in the grid's CRS."""
        x, y = self._from_degrees(lon, lat)
        if self._turn:
            x = x + self._turn * np.rint((self._middle - x) / self._turn)
        t = self._inverse
        return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f

    def gsd_m(self, lon: float, lat: float) -> float:
        """Metres of a pixel at a point: the longer side; infinite where the point has no image."""
        east, north = np.array([[0.0, 1.0, 0.0]]), np.array([[0.0, 0.0, 1.0]])
        cols, rows = self.pixels(*moved(np.array([lon]), np.array([lat]), east, north))
        jacobian = np.array(
            [[cols[0, 1] - cols[0, 0], cols[0, 2] - cols[0, 0]], [rows[0, 1] - rows[0, 0], rows[0, 2] - rows[0, 0]]]
        )
        if not np.isfinite(jacobian).all():
            return math.inf
        least = float(np.linalg.svd(jacobian, compute_uv=False)[-1])
        return math.inf if least == 0 else 1.0 / least


def moved(lon: Degrees, lat: Degrees, east: Degrees, north: Degrees) -> tuple[Degrees, Degrees]:
    """(N, M) degrees of the points ``east``, ``north`` metres from each of N centres."""
    wide = METRES_PER_DEGREE * np.cos(np.radians(lat))
    return lon[:, None] + east / wide[:, None], lat[:, None] + north / METRES_PER_DEGREE


def served_scales(finest_m: float, wanted: tuple[float, ...], *, name: str) -> tuple[float, ...]:
    """Those of the ``wanted`` metres a pixel that a reference with pixels of ``finest_m`` serves: 15 % coarser at most.

    Raises GridError with the resolution that is needed where it serves none.
    """
    served = tuple(scale for scale in sorted(wanted) if finest_m <= scale * COARSER)
    if not served:
        raise GridError(
            f"{name}: the reference has pixels of {finest_m:.3g} m in the region; expected {max(wanted):g} m or finer.",
            remedy=f"Give imagery with pixels of at most {max(wanted) * COARSER:.3g} m; aerial photos have 0.1 to 1 m.",
        )
    return served

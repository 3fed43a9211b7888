"""Coordinate reference systems as pyproj sees them, and transformations between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from engine.errors import GridError

WGS84 = "EPSG:4326"


def pyproj_crs(crs: Any) -> pyproj.CRS:
    """``crs`` (of rasterio, pyproj, or a text such as ``EPSG:4326``) as a two-dimensional pyproj CRS.

    Raises GridError when PROJ does not understand it.
    """
    try:
        if isinstance(crs, pyproj.CRS):
            found = crs
        elif hasattr(crs, "to_wkt"):
            found = pyproj.CRS.from_wkt(crs.to_wkt())
        else:
            found = pyproj.CRS.from_user_input(crs)
        if found.is_compound:
            found = next(part for part in found.sub_crs_list if not part.is_vertical)
        return found.to_2d() if len(found.axis_info) == 3 else found
    except (ProjError, StopIteration) as error:
        raise GridError(
            f"The coordinate reference system {str(crs)[:120]} is not understood: {error}.",
            remedy="Assign a standard one, for example EPSG:4326.",
        ) from error


def same_crs(one: Any, other: Any) -> bool:
    """True when both are the same system, however written, or both None. Axis order does not matter: x, y always."""
    if one is None or other is None:
        return one is other
    if one == other:
        return True
    return bool(pyproj_crs(one).equals(pyproj_crs(other), ignore_axis_order=True))


class Transformation:
    """x, y of one CRS to x, y (longitude, latitude) of another; points that have no image become NaN."""

    def __init__(self, source: Any, target: Any) -> None:
        try:
            self._transformer = pyproj.Transformer.from_crs(pyproj_crs(source), pyproj_crs(target), always_xy=True)
        except ProjError as error:
            raise GridError(
                f"No transformation is known from {str(source)[:80]} to {str(target)[:80]}: {error}.",
                remedy="Bring both data sets into one coordinate reference system first.",
            ) from error

    def __call__(self, x: Any, y: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Transformed copies of ``x`` and ``y`` (arrays of one shape)."""
        shape = np.shape(x)
        xs, ys = self._transformer.transform(np.array(x, float).ravel(), np.array(y, float).ravel())
        out_x, out_y = np.asarray(xs, float).reshape(shape), np.asarray(ys, float).reshape(shape)
        lost = ~(np.isfinite(out_x) & np.isfinite(out_y))
        if lost.any():
            out_x[lost] = out_y[lost] = np.nan
        return out_x, out_y


def crs_name(crs: Any) -> str:
    """A short name for messages: ``EPSG:32633``, else the CRS's own name, else "no CRS"."""
    if crs is None:
        return "no CRS"
    code = crs.to_epsg() if hasattr(crs, "to_epsg") else None
    return f"EPSG:{code}" if code else (pyproj_crs(crs).name or "unnamed CRS")

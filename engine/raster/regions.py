"""Areas of interest and zones: polygons from any vector file, or a box in degrees, in the scene's system."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
import shapely.affinity
from numpy.typing import NDArray

from engine.errors import DamagedFileError, MissingFileError, RegionError
from engine.raster.crs import WGS84, Transformation, pyproj_crs, same_crs
from engine.raster.gdal import is_url, shown
from engine.raster.grid import Bounds, Grid

_NUMBER = r"\s*([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*"
_BOX = re.compile(f"^{','.join([_NUMBER] * 4)}$")
_LIKE_A_BOX = re.compile(r"^[-+\d.,;\seE]+$")
# Edges are cut into at least this many pieces across the layer before they are bent by a transformation, and into
# pieces of at most about 1 km, as long as the layer does not grow beyond a million points.
_PIECES = 100
_PIECE_DEG = 0.01
_MAX_POINTS = 1_000_000


@dataclass(frozen=True)
class Regions:
    """Polygons and multipolygons in ``crs``: ``geometries`` valid and not empty, ``ids`` as text, ``fields`` by name.

    ``bounds`` is (west, south, east, north) of all of them; ``path`` is for messages.
    """

    path: str
    crs: Any
    geometries: NDArray[Any]
    ids: tuple[str, ...]
    fields: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def bounds(self) -> Bounds:
        """The box around all geometries."""
        return Bounds(*(float(v) for v in shapely.total_bounds(self.geometries)))

    def __len__(self) -> int:
        return len(self.geometries)


def read_regions(
    source: str | os.PathLike[str],
    *,
    crs: Any,
    what: str = "region",
    id_field: str | None = None,
    grid: Grid | None = None,
) -> Regions:
    """Polygons of a vector file (any driver and CRS), or of a box ``W,S,E,N`` in degrees, in ``crs``.

    ``source`` may end in ``|layername=NAME`` to name a layer; the first is taken otherwise. A box with W > E crosses
    the antimeridian. ``id_field`` names the field of :attr:`Regions.ids`; default: the feature ids. ``grid`` (in
    ``crs``) decides, where that is in degrees, by which turn of longitude the geometries are given.

    Raises RegionError: nothing in it, no CRS, not polygons, an unknown field or layer, ``crs`` None, or a box out of
    range. MissingFileError and DamagedFileError for the file.
    """
    text = os.fspath(source)
    if crs is None:
        raise RegionError(
            f"{shown(text)}: the {what} cannot be placed: the scene has no coordinate reference system.",
            remedy="Georeference the scene, or leave the option out.",
        )
    name = shown(text)
    box = _BOX.match(text)
    ids: tuple[str, ...] = ("1",)
    fields: dict[str, NDArray[Any]] = {}
    if box or (_LIKE_A_BOX.match(text) and not Path(text).exists()):
        corners = [float(v) for v in box.groups()] if box else []
        geometries, own = np.array([_box(text, corners)], object), WGS84
    else:
        geometries, ids, fields, own = _read_file(text, what, id_field)
    placed = transformed(geometries, own, crs, name, what)
    if grid is not None:
        placed = np.array([turned(g, grid) for g in placed], object)
    return Regions(path=name, crs=crs, geometries=placed, ids=ids, fields=fields)


def _box(text: str, corners: Sequence[float]) -> Any:
    west, south, east, north = corners or (np.nan,) * 4
    if not (-90 <= south < north <= 90 and -180 <= west <= 360 and -180 <= east <= 360) or west == east:
        raise RegionError(
            f"The box {text} is not W,S,E,N in degrees: expected south < north within -90 to 90, west and east within "
            "-180 to 360.",
            remedy="Write for example 14.2,50.1,14.9,50.4.",
        )
    return shapely.box(west, south, east + 360 if east < west else east, north)


@dataclass(frozen=True)
class Features:
    """A layer as it lies in its file: ``geometries`` (some may be missing, empty or invalid), ``ids``, ``fields`` by
    name, ``crs`` (None where the layer has none); ``name`` is the file for messages."""

    name: str
    geometries: NDArray[Any]
    ids: NDArray[Any]
    fields: dict[str, NDArray[Any]]
    crs: Any


def read_features(text: str, what: str, *, expected: str = "polygon layer") -> Features:
    """All features of a layer of a vector file; ``text`` may end in ``|layername=NAME``, the first is taken otherwise.

    Raises MissingFileError, DamagedFileError, and RegionError where there is no such layer, or none with geometries.
    """
    path, _, rest = text.partition("|")
    layer = next((p.partition("=")[2] for p in rest.split("|") if p.lower().startswith("layername=")), None)
    name = shown(text)
    if not is_url(path) and not path.startswith("/vsi") and not Path(path).exists():
        raise MissingFileError(f"{name}: the {what} does not exist.", remedy="Check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [str(row[0]) for row in pyogrio.list_layers(path) if row[1] is not None]
            if layer is not None and layer not in found:
                raise RegionError(
                    f"{name}: the {what} has no layer {layer}; found {', '.join(found[:8]) or 'none'}.",
                    remedy="Name one of these layers.",
                )
            if not found:
                raise RegionError(f"{name}: the {what} has no layer with geometries.", remedy=f"Give a {expected}.")
            meta, fids, wkb, columns = pyogrio.raw.read(path, layer=layer or found[0], return_fids=True, force_2d=True)
            geometries = shapely.from_wkb(wkb, on_invalid="raise")
    except RegionError:
        raise
    except Exception as error:  # pyogrio, shapely and their GDAL raise many kinds for what a damaged file can hold
        raise DamagedFileError(
            f"{name}: the {what} cannot be read as a vector layer ({' '.join(str(error).split())[:200]}).",
            remedy=f"Give a {expected} that OGR reads, for example GeoPackage or GeoJSON.",
        ) from error
    fields = dict(zip((str(f) for f in meta["fields"]), columns, strict=True))
    return Features(name, geometries, fids, fields, meta["crs"] or None)


def _read_file(
    text: str, what: str, id_field: str | None
) -> tuple[NDArray[Any], tuple[str, ...], dict[str, NDArray[Any]], Any]:
    found = read_features(text, what)
    name, fields = found.name, found.fields
    if id_field is not None and id_field not in fields:
        raise RegionError(
            f"{name}: the {what} has no field {id_field}; found {', '.join(fields) or 'no fields'}.",
            remedy="Name one of these fields.",
        )
    keep, polygons = _polygons(found.geometries, name, what)
    if found.crs is None:
        raise RegionError(
            f"{name}: the {what} has no coordinate reference system.", remedy="Assign one in QGIS (Define projection)."
        )
    values = fields[id_field] if id_field is not None else found.ids
    ids = tuple("" if v is None else str(v) for v in np.asarray(values)[keep])
    return polygons, ids, {key: column[keep] for key, column in fields.items()}, found.crs


def _polygons(geometries: NDArray[Any], name: str, what: str) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Which features have polygons, and these made valid."""
    present = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    if not present.any():
        raise RegionError(f"{name}: the {what} is empty.", remedy="Give a layer with at least one polygon.")
    clean = [_valid_polygon(g) if there else None for g, there in zip(geometries, present, strict=True)]
    keep = np.array([g is not None for g in clean])
    if not keep.any():
        kinds = sorted({g.geom_type for g in geometries[present]})
        if all(kind.endswith("Polygon") for kind in kinds):
            raise RegionError(f"{name}: the polygons of the {what} have no area.", remedy="Draw the polygons again.")
        raise RegionError(
            f"{name}: the {what} holds {', '.join(kinds)}; expected polygons.", remedy="Give a polygon layer."
        )
    return keep, np.array([g for g in clean if g is not None], object)


def _valid_polygon(geometry: Any) -> Any:
    """The polygon or multipolygon in a geometry, valid; None when there is none."""
    if not geometry.is_valid:
        geometry = shapely.make_valid(geometry)
    parts = [p for p in shapely.get_parts(shapely.get_parts(geometry)) if p.geom_type == "Polygon" and not p.is_empty]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def transformed(geometries: NDArray[Any], source: Any, target: Any, name: str, what: str) -> NDArray[Any]:
    """The geometries in the system ``target``: edges are cut finely before they are bent, polygons stay valid.

    Raises RegionError where a point has no image in ``target``.
    """
    if same_crs(source, target):
        return geometries
    system = pyproj_crs(source)
    bounds = shapely.bounds(geometries)
    extent = max(float(np.max(bounds[:, 2:] - bounds[:, :2])), 1e-12)
    piece = _PIECE_DEG if system.is_geographic else 1000.0
    length = float(shapely.length(geometries).sum())
    step = max(min(extent / _PIECES, piece), length / _MAX_POINTS)
    transformation = Transformation(source, target)
    fine = shapely.segmentize(geometries, step)
    geographic = pyproj_crs(target).is_geographic

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = transformation(points[:, 0], points[:, 1])
        if geographic and len(x) and np.ptp(x) > 180:
            x = np.where(x < 0, x + 360, x)  # on both sides of the antimeridian
        return np.column_stack([x, y])

    moved = np.array([shapely.transform(geometry, move) for geometry in fine], object)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise RegionError(
            f"{name}: the {what} reaches beyond what the scene's coordinate reference system can show.",
            remedy="Cut it to the surroundings of the scene.",
        )
    return np.array([_valid_polygon(g) or g for g in moved], object)


def turned(geometry: Any, grid: Grid) -> Any:
    """The geometry (degrees) moved by whole turns of longitude to where it overlaps ``grid``, if it can."""
    if not grid.geographic:
        return geometry
    west, _, east, _ = geometry.bounds
    frame = grid.bounds
    turns = [turn for turn in (0.0, 360.0, -360.0) if east + turn > frame.west and west + turn < frame.east]
    parts = [shapely.affinity.translate(geometry, turn) for turn in turns]
    if not parts:
        return geometry
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def parts_in(geometries: Sequence[Any], box: Bounds) -> list[Any]:
    """The polygons' parts inside a box."""
    cut = shapely.clip_by_rect(np.asarray(geometries, object), box.west, box.south, box.east, box.north)
    parts = shapely.get_parts(shapely.get_parts(cut))
    return [p for p in parts if p.geom_type == "Polygon" and not p.is_empty]

"""A layer of labels: features with a class, from any vector file, in the system of a scene."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from engine.errors import GridError, RegionError
from engine.raster.crs import crs_name
from engine.raster.grid import Grid
from engine.raster.regions import Features, read_features, transformed, turned

Value = int | str
WHAT = "label layer"
_SHOWN = 8


@dataclass(frozen=True)
class LabelLayer:
    """Labelled features in the CRS of a grid: for each its ``shapes`` (polygons and points, valid, not empty), its
    class ``values`` as in the field and its ``ids`` in the file. ``notes`` tell what was left out, one line each."""

    path: str
    field: str
    shapes: tuple[tuple[Any, ...], ...]
    values: tuple[Value, ...]
    ids: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)


def read_labels(source: str, class_field: str | None, grid: Grid) -> LabelLayer:
    """The features of ``source`` (``FILE`` or ``FILE|layername=NAME``; any driver and CRS) with their class.

    ``class_field`` holds whole numbers or texts; None: the only field, or the one called class, label, landcover or
    code. Polygons and points count, in collections too; lines do not. Invalid polygons are mended. Features without a
    class, without a geometry or of lines only are left out and told in ``notes``.

    Raises RegionError: no such layer, no CRS, class field missing or not of classes, no feature left; GridError when
    the scene has no CRS; MissingFileError and DamagedFileError for the file.
    """
    if grid.crs is None:
        raise GridError(
            "The scene has no coordinate reference system: labels cannot be laid on it.",
            remedy="Georeference the scene, for example with gdal_edit.py -a_srs EPSG:32633 FILE.",
        )
    found = read_features(source, WHAT, expected="layer of polygons or points")
    if len(found.geometries) == 0:
        raise RegionError(f"{found.name}: the {WHAT} is empty.", remedy="Draw polygons or points with a class.")
    if found.crs is None:
        raise RegionError(
            f"{found.name}: the {WHAT} has no coordinate reference system.",
            remedy="Assign one in QGIS (Define projection).",
        )
    field = _class_field(found, class_field)
    values = [_value(v, found, field) for v in found.fields[field].tolist()]
    mended = 0
    kept: list[tuple[Any, Value, str]] = []
    dropped: Counter[str] = Counter()
    for geometry, value, fid in zip(found.geometries, values, found.ids.tolist(), strict=True):
        if value is None:
            dropped["no class"] += 1
            continue
        if geometry is None or geometry.is_empty:
            dropped["no geometry"] += 1
            continue
        if not geometry.is_valid:
            mended += 1
        parts = _usable(geometry)
        if not parts:
            dropped["neither polygons nor points"] += 1
            continue
        kept.append((shapely.geometrycollections(parts), value, str(fid)))
    if not kept:
        why = ", ".join(f"{count} with {reason}" for reason, count in sorted(dropped.items()))
        raise RegionError(
            f"{found.name}: no feature of the {WHAT} can be used: {why}; expected polygons or points with a class in "
            f"the field {field}.",
            remedy="Fill the class field, or give another layer.",
        )
    notes = [f"{found.name}: {count} features left out: {why}." for why, count in sorted(dropped.items())]
    if mended:
        notes.append(f"{found.name}: {mended} invalid polygons were mended (crossing edges, open rings).")
    shapes = _placed([geometry for geometry, _, _ in kept], found, grid)
    return LabelLayer(
        path=found.name,
        field=field,
        shapes=tuple(shapes),
        values=tuple(value for _, value, _ in kept),
        ids=tuple(fid for _, _, fid in kept),
        notes=tuple(notes),
    )


def _class_field(found: Features, wanted: str | None) -> str:
    names = list(found.fields)
    if wanted is not None:
        if wanted not in names:
            raise RegionError(
                f"{found.name}: the {WHAT} has no field {wanted}; found {', '.join(names) or 'no fields'}.",
                remedy="Name one of these fields (--class-field).",
            )
        return wanted
    usual = [name for name in names if name.lower() in ("class", "label", "landcover", "land_cover", "code")]
    choice = usual if usual else names
    if len(choice) != 1:
        raise RegionError(
            f"{found.name}: it is not clear which field of the {WHAT} holds the class; found "
            f"{', '.join(names) or 'no fields'}.",
            remedy="Name it with --class-field.",
        )
    return choice[0]


def _value(raw: Any, found: Features, field: str) -> Value | None:
    """A class as an int or a text; None where the field is empty."""
    if raw is None or (isinstance(raw, float) and math.isnan(raw)):
        return None
    if isinstance(raw, (bool, int)):
        return int(raw)
    if isinstance(raw, float):
        if raw.is_integer():
            return int(raw)
        raise RegionError(
            f"{found.name}: the field {field} holds {raw:g}; expected whole numbers or names of classes.",
            remedy="Choose the field of the classes with --class-field.",
        )
    if isinstance(raw, str):
        text = " ".join(raw.split())
        if not text:
            return None
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text
    raise RegionError(
        f"{found.name}: the field {field} holds {type(raw).__name__} values; expected whole numbers or names.",
        remedy="Choose the field of the classes with --class-field.",
    )


def _usable(geometry: Any) -> list[Any]:
    """The polygons (mended) and points in a geometry."""
    valid = geometry if geometry.is_valid else shapely.make_valid(geometry)
    parts = shapely.get_parts(shapely.get_parts(shapely.get_parts(valid)))
    return [p for p in parts if p.geom_type in ("Polygon", "Point") and not p.is_empty]


def _placed(geometries: list[Any], found: Features, grid: Grid) -> list[tuple[Any, ...]]:
    """Polygons and points of each feature in the grid's system."""
    each = [list(shapely.get_parts(g)) for g in geometries]
    flat = np.empty(sum(map(len, each)), object)
    flat[:] = [part for parts in each for part in parts]
    moved = transformed(flat, found.crs, grid.crs, found.name, WHAT)
    placed = iter(turned(geometry, grid) for geometry in moved)
    return [tuple(next(placed) for _ in parts) for parts in each]


def outside_error(layer: LabelLayer, grid: Grid, scene: str) -> RegionError:
    """The error for labels none of which lies in the scene; both extents are named, in the scene's system."""
    boxes: NDArray[np.float64] = np.asarray(shapely.total_bounds([part for parts in layer.shapes for part in parts]))
    digits = 5 if grid.geographic else 0

    def told(box: Any) -> str:
        return " to ".join(f"{x:.{digits}f}, {y:.{digits}f}" for x, y in (box[:2], box[2:]))

    return RegionError(
        f"{layer.path}: no label lies in the scene {scene}: the labels reach from {told(boxes)}, the scene from "
        f"{told(tuple(grid.bounds))} ({crs_name(grid.crs)}).",
        remedy="Give labels that lie in the scene, or check both coordinate reference systems.",
    )

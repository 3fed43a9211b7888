"""The points of a sample as a layer: written without the map's class, read back with labels from any vector file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from engine.assess.drawing import DrawnPoints
from engine.errors import DamagedFileError, GridError, InputError, MissingFileError
from engine.raster.gdal import is_url, shown
from engine.raster.grid import Grid
from engine.raster.vector import write_layer

LAYER = "points"


def write_points(path: Path, points: DrawnPoints, grid: Grid) -> None:
    """Layer ``points``: points at pixel centres in the grid's CRS, in the order given, with empty labels.

    Fields: ``point_id`` from 1, ``label`` (integer), ``confident`` (yes or no), ``note``, ``labelled_by`` (text),
    ``labelled_at`` (date and time, UTC). Neither stratum nor map class: a labeller shall not see them.
    """
    n = len(points)
    t = grid.transform
    col, row = points.col + 0.5, points.row + 0.5
    shapes = shapely.points(t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f)
    empty = np.ones(n, bool)
    fields: dict[str, Any] = {
        "point_id": np.arange(1, n + 1, dtype=np.int32),
        "label": np.ma.MaskedArray(np.zeros(n, np.int32), empty),
        "confident": np.ma.MaskedArray(np.zeros(n, bool), empty),
        "note": [None] * n,
        "labelled_by": [None] * n,
        "labelled_at": np.full(n, np.datetime64("NaT"), "datetime64[ms]"),
    }
    write_layer(path, LAYER, shapes, fields, crs=grid.crs, geometry_type="Point")


@dataclass(frozen=True)
class LabelledPoints:
    """A layer of points: ``x``, ``y`` in ``crs``, ``fields`` by name; ``path`` for messages."""

    path: str
    crs: Any
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    fields: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.x)

    def labels(self, field: str, names: dict[int, str]) -> NDArray[np.int64]:
        """Class codes of the field, −1 where it is empty. A text is a code, or one of ``names`` in any case.

        Raises InputError for a field that is not there (those that are there are listed), or a text that is neither.
        """
        if field not in self.fields:
            raise InputError(
                f"{self.path}: the points have no field {field!r}; found {', '.join(self.fields) or 'no fields'}.",
                remedy="Name the field of the labels with --label-field.",
            )
        column = self.fields[field]
        by_name = {name.strip().lower(): code for code, name in names.items()}
        out = np.full(len(column), -1, np.int64)
        for index, value in enumerate(column):
            code = _code(value, by_name)
            if code is None:
                raise InputError(
                    f"{self.path}: field {field!r} holds {str(value)[:60]!r} (feature {index + 1}); expected a class "
                    "code, or the name of a class.",
                    remedy=f"Classes: {', '.join(f'{c} {n}' for c, n in list(names.items())[:20]) or 'codes only'}.",
                )
            out[index] = code
        return out


def _code(value: Any, by_name: dict[str, int]) -> int | None:
    """The code in a field's value, −1 for an empty one, None for what is no code."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return -1
    if isinstance(value, (str, bytes)):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        text = text.strip()
        if not text:
            return -1
        if text.lower() in by_name:
            return by_name[text.lower()]
        value = text
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number == int(number) and number >= 0 else None


def read_points(source: str) -> LabelledPoints:
    """Points of a vector file (any driver); ``|layername=NAME`` names a layer, else ``points`` or the first is taken.

    Raises MissingFileError, DamagedFileError, GridError without a CRS, InputError where geometries are no points.
    """
    path, _, rest = source.partition("|")
    layer = next((p.partition("=")[2] for p in rest.split("|") if p.lower().startswith("layername=")), None)
    name = shown(source)
    if not is_url(path) and not path.startswith("/vsi") and not Path(path).exists():
        raise MissingFileError(f"{name}: the layer of points does not exist.", remedy="Check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [str(row[0]) for row in pyogrio.list_layers(path) if row[1] is not None]
            chosen = layer or (LAYER if LAYER in found else found[0] if found else None)
            if chosen is None or chosen not in found:
                raise InputError(
                    f"{name}: there is no layer {layer or 'with geometries'}; found {', '.join(found[:8]) or 'none'}.",
                    remedy="Give a layer of points.",
                )
            meta, _, wkb, columns = pyogrio.raw.read(path, layer=chosen, force_2d=True)
            geometries = shapely.from_wkb(wkb, on_invalid="raise")
    except InputError:
        raise
    except Exception as error:  # pyogrio, shapely and their GDAL raise many kinds for what a damaged file can hold
        raise DamagedFileError(
            f"{name}: the points cannot be read as a vector layer ({' '.join(str(error).split())[:200]}).",
            remedy="Give a point layer that OGR reads, for example GeoPackage or GeoJSON.",
        ) from error
    if not meta["crs"]:
        raise GridError(
            f"{name}: the points have no coordinate reference system.", remedy="Assign one in QGIS (Define projection)."
        )
    there = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    kinds = {g.geom_type for g in geometries[there]}
    if kinds - {"Point"} and not all(
        g.geom_type == "Point" or len(g.geoms) == 1 for g in _points(geometries[there], name)
    ):
        raise InputError(f"{name}: a multipoint holds several points.", remedy="Split it into single points.")
    x, y = np.full(len(geometries), np.nan), np.full(len(geometries), np.nan)
    single = shapely.centroid(geometries[there])
    x[there], y[there] = shapely.get_x(single), shapely.get_y(single)
    fields = dict(zip((str(f) for f in meta["fields"]), columns, strict=True))
    return LabelledPoints(name, meta["crs"], x, y, fields)


def _points(geometries: NDArray[Any], name: str) -> NDArray[Any]:
    kinds = sorted({g.geom_type for g in geometries})
    if set(kinds) - {"Point", "MultiPoint"}:
        raise InputError(f"{name}: the layer holds {', '.join(kinds)}; expected points.", remedy="Give a point layer.")
    return geometries

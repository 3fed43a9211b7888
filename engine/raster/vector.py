"""Vector data beside rasters: layers of a GeoPackage, polygons burnt into pixels, polygons of class rasters.

Reading is in :mod:`engine.raster.regions`, the outlines of class regions in :mod:`engine.raster.polygons`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyogrio
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray

from engine.errors import OutputError
from engine.outputs import explain_os_error
from engine.raster.acquired import parse_time
from engine.raster.gdal import gdal_options
from engine.raster.grid import Bounds, Grid, Window
from engine.raster.polygons import PolygonBatch, RegionOutlines
from engine.raster.regions import Regions, parts_in, read_regions

__all__ = [
    "PolygonBatch",
    "RegionOutlines",
    "Regions",
    "StripPolygons",
    "ZoneLayers",
    "burn",
    "read_regions",
    "write_layer",
]

_BATCH = 50_000
# The GDAL of QGIS 3.22 (3.6) does not know GeoPackage 1.4.
_GPKG_VERSION = "1.2"


class StripPolygons:
    """Writes the polygons of a class raster that comes strip by strip to a layer of a GeoPackage, as they are closed.

    Fields: ``class`` (``class_names`` of the code), ``area_m2`` (geodesic), ``mean_probability`` (0–100), and
    ``observed_at`` (date and time, empty where not known). ``class_names`` also says which codes become polygons.
    The layer is made even when there is no polygon. With ``sink`` the batches go there and nothing is written.
    See :class:`engine.raster.polygons.RegionOutlines` for what a polygon is. Raises OutputError.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        path: str | os.PathLike[str] | None = None,
        sink: Callable[[PolygonBatch], None] | None = None,
        layer: str = "polygons",
        class_names: Mapping[int, str] | None = None,
        observed_at: str | datetime | None = None,
    ) -> None:
        if (path is None) == (sink is None):
            raise ValueError("Give a path or a sink.")
        self._names = dict(class_names or {1: "reference water", 2: "flood", 3: "water (no reference)"})
        self._path, self._layer, self._grid = path, layer, grid
        self._when = _moment(observed_at)
        self._waiting: list[PolygonBatch] = []
        self._written = False
        self._outlines = RegionOutlines(grid, sink=sink or self._take, codes=sorted(self._names))

    def add(self, window: Window, codes: NDArray[np.uint8], probability: NDArray[np.uint8] | None = None) -> None:
        """The next full-width strip from the top: codes and per cent probability (above 100: unknown)."""
        self._outlines.add(window, codes, probability)

    def finish(self) -> None:
        """Close and write what is left; the strips must have reached the last row."""
        self._outlines.finish()
        if self._path is not None and (self._waiting or not self._written):
            self._flush()

    def __enter__(self) -> StripPolygons:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = []

    def _take(self, batch: PolygonBatch) -> None:
        self._waiting.append(batch)
        if sum(map(len, self._waiting)) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        batches, self._waiting = self._waiting, []

        def joined(name: str, dtype: Any) -> NDArray[Any]:
            return np.concatenate([np.zeros(0, dtype), *(getattr(b, name) for b in batches)])

        geometries = joined("geometries", object)
        fields = {
            "class": np.array([self._names[int(c)] for c in joined("codes", np.uint8)], object),
            "area_m2": joined("area_m2", np.float64),
            "mean_probability": joined("mean_probability", np.float64),
            "observed_at": np.full(len(geometries), self._when, "datetime64[ms]"),
        }
        write_layer(
            self._path or "",
            self._layer,
            geometries,
            fields,
            crs=self._grid.crs,
            geometry_type="Polygon",
            append=self._written,
        )
        self._written = True


class ZoneLayers:
    """Which zone a pixel belongs to, strip by strip; zones that overlap are kept apart in several layers.

    ``geometries`` in the grid's CRS. A pixel belongs to a zone when its centre lies in it.
    """

    def __init__(self, geometries: Sequence[Any], grid: Grid) -> None:
        self._grid = grid
        self._geometries = np.asarray(geometries, object)
        self._layers: list[list[int]] = []
        tree = shapely.STRtree(self._geometries)
        placed: dict[int, int] = {}
        for index, geometry in enumerate(self._geometries):
            rivals = [int(i) for i in tree.query(geometry, predicate="intersects") if i in placed]
            taken = {placed[i] for i in rivals if shapely.area(shapely.intersection(geometry, self._geometries[i])) > 0}
            layer = next(n for n in range(len(placed) + 1) if n not in taken)
            placed[index] = layer
            if layer == len(self._layers):
                self._layers.append([])
            self._layers[layer].append(index)

    @property
    def count(self) -> int:
        """Number of layers: 1 where no zones overlap."""
        return len(self._layers)

    def read(self, window: Window) -> NDArray[np.int32]:
        """int32 (layers, rows, columns): index of the zone, −1 outside of all zones of that layer."""
        out = np.full((self.count, *window.shape), -1, np.int32)
        for layer, members in enumerate(self._layers):
            shapes = [
                (part, index + 1)
                for index in members
                for part in _in_pixels([self._geometries[index]], self._grid, window)
            ]
            if shapes:
                out[layer] = _rasterize(shapes, window, np.int32) - 1
        return out


def burn(geometries: Sequence[Any], grid: Grid, window: Window, *, all_touched: bool = False) -> NDArray[np.bool_]:
    """bool (rows, columns) of ``window``: pixels whose centre lies in one of the polygons (in the grid's CRS).

    With ``all_touched`` every pixel that a polygon touches. Rotated and south-up grids are the same to it.
    """
    parts = _in_pixels(geometries, grid, window)
    if not parts or window.empty:
        return np.zeros(window.shape, bool)
    return _rasterize([(part, 1) for part in parts], window, np.uint8, all_touched=all_touched).astype(bool)


def write_layer(
    path: str | os.PathLike[str],
    layer: str,
    geometries: Sequence[Any] | NDArray[Any] | None,
    fields: Mapping[str, Sequence[Any] | NDArray[Any]],
    *,
    crs: Any,
    geometry_type: str = "Polygon",
    append: bool = False,
) -> None:
    """Write a layer of a GeoPackage; other layers of the file stay. With ``append`` features are added to the layer.

    ``fields`` are columns as long as ``geometries``; text, numbers, booleans, None (empty) and datetime64 (UTC); a
    masked array keeps its type though all of it be empty. ``geometry_type`` Polygon, MultiPolygon or Point; single
    parts become multi parts where that is asked for. ``geometries`` None makes a table without geometry. Raises
    OutputError.
    """
    target = Path(path)
    shapes = np.array(list(geometries), object) if geometries is not None else None
    if shapes is not None and geometry_type.startswith("Multi"):
        shapes = np.array([_multi(g) for g in shapes], object)
    _write(target, layer, shapes, fields, crs=crs, geometry_type=geometry_type, append=append)


def write_table(path: str | os.PathLike[str], layer: str, fields: Mapping[str, Sequence[Any] | NDArray[Any]]) -> None:
    """Write a table without geometry to a GeoPackage; other layers of the file stay. See :func:`write_layer`."""
    _write(Path(path), layer, None, fields, crs=None, geometry_type=None, append=False)


def _write(
    target: Path,
    layer: str,
    shapes: NDArray[Any] | None,
    fields: Mapping[str, Sequence[Any] | NDArray[Any]],
    *,
    crs: Any,
    geometry_type: str | None,
    append: bool,
) -> None:
    columns, masks, offsets = [], [], {}
    for name, values in fields.items():
        column, mask = _column(values)
        if column.dtype.kind == "M":
            offsets[name] = np.full(len(column), 100, np.int8)  # 100 is UTC
        columns.append(column)
        masks.append(mask)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyogrio.raw.write(
                os.fspath(target),
                None if shapes is None else shapely.to_wkb(shapes) if len(shapes) else np.zeros(0, object),
                columns,
                list(fields),
                field_mask=masks,
                layer=layer,
                driver="GPKG",
                geometry_type=geometry_type if shapes is not None else None,
                crs=crs.to_wkt() if crs is not None and shapes is not None else None,
                append=append,
                gdal_tz_offsets=offsets,
                dataset_options={"VERSION": _GPKG_VERSION} if not target.exists() else None,
            )
    except OSError as error:
        raise explain_os_error(error, target) from error
    except (RuntimeError, ValueError) as error:
        raise OutputError(
            f"{target}: layer {layer} cannot be written ({' '.join(str(error).split())[:200]}).",
            remedy="Check free space and permissions of the folder.",
        ) from error


def _in_pixels(geometries: Sequence[Any], grid: Grid, window: Window) -> list[Any]:
    """Parts of the polygons near a window, in columns and rows of the window."""
    inverse = ~grid.transform
    a, b, d, e = inverse.a, inverse.b, inverse.d, inverse.e
    x0, y0 = inverse.c - window.col, inverse.f - window.row
    corner = grid.crop(window.grow(2)).bounds
    reach = (corner.east - corner.west, corner.north - corner.south)
    near = Bounds(corner.west - reach[0], corner.south - reach[1], corner.east + reach[0], corner.north + reach[1])
    parts = []
    for geometry in geometries:
        if geometry is None or geometry.is_empty:
            continue
        west, south, east, north = geometry.bounds
        if west > corner.east or east < corner.west or south > corner.north or north < corner.south:
            continue
        # Filling costs (rows x points): what lies far away is cut off first, well outside of the window.
        parts += parts_in([geometry], near)

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = xy[:, 0], xy[:, 1]
        return np.column_stack([a * x + b * y + x0, d * x + e * y + y0])

    return [shapely.transform(part, move) for part in parts]


def _rasterize(shapes: list[tuple[Any, int]], window: Window, dtype: Any, *, all_touched: bool = False) -> NDArray[Any]:
    with gdal_options():
        return np.asarray(
            rasterio.features.rasterize(
                shapes,
                out_shape=window.shape,
                transform=Affine.identity(),
                fill=0,
                dtype=np.dtype(dtype).name,
                all_touched=all_touched,
            )
        )


def _multi(geometry: Any) -> Any:
    if geometry is None or geometry.geom_type.startswith("Multi"):
        return geometry
    return getattr(shapely, f"Multi{geometry.geom_type}")([geometry])


def _column(values: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """A field as pyogrio takes it, and where it is empty."""
    if isinstance(values, np.ma.MaskedArray):  # the type of a field that may be empty in every feature
        mask = np.ma.getmaskarray(values)
        return np.asarray(values.data), mask if mask.any() else None
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufbM":
        missing = np.isnan(values) if values.dtype.kind == "f" else None
        return values, missing if missing is not None and missing.any() else None
    listed = list(values)
    empty = np.array([v is None or (isinstance(v, float) and np.isnan(v)) for v in listed], bool)
    there = [v for v in listed if v is not None]
    if there and all(isinstance(v, (bool, np.bool_)) for v in there):
        column = np.array([bool(v) for v in listed])
    elif there and all(isinstance(v, (int, np.integer)) for v in there):
        column = np.array([0 if v is None else int(v) for v in listed], np.int64)
    elif there and all(isinstance(v, (int, float, np.integer, np.floating)) for v in there):
        column = np.array([np.nan if v is None else float(v) for v in listed], np.float64)
    else:
        column = np.array([None if v is None else str(v) for v in listed], object)
    return column, empty if empty.any() else None


def _moment(when: str | datetime | None) -> np.datetime64:
    """UTC, in milliseconds; NaT when not known."""
    if isinstance(when, str):
        found = parse_time(when)
        when = found.moment if found else None
    if when is None:
        return np.datetime64("NaT", "ms")
    if when.tzinfo is not None:
        when = when.astimezone(timezone.utc).replace(tzinfo=None)
    return np.datetime64(when, "ms")

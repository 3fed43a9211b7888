"""Writing rasters: cloud-optimised GeoTIFFs that appear whole under their final name, or not at all.

Windows go to a flat file beside the target as they come, in any order; its space is reserved at the start, so that a
full disk tells before the work and not after. Closing turns it into a COG with overviews, makes sure that it reached
the disk and moves it into place. Memory does not depend on the number of rows.
"""

from __future__ import annotations

import contextlib
import html
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import DTypeLike, NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from engine.errors import GridError, OutputError
from engine.outputs import explain_os_error, sync
from engine.raster.gdal import gdal_options, no_georeference_is_fine, silence_libtiff, thread_count
from engine.raster.grid import Grid, Window
from engine.raster.overviews import OverviewResampling, make_overview, overview_shapes
from engine.raster.rawfile import RawFile
from engine.raster.read import reason

Color = tuple[int, int, int, int]
_BLOCK = 512
_CACHE_BYTES = (16 * 1024 * 1024, 96 * 1024 * 1024)
_GDAL_TYPES = {
    "uint8": "Byte",
    "uint16": "UInt16",
    "int16": "Int16",
    "uint32": "UInt32",
    "int32": "Int32",
    "float32": "Float32",
    "float64": "Float64",
}


class CogWriter:
    """Writes one raster. Use it as a context manager: leaving by an exception leaves nothing behind.

    ``dtype`` of the pixels, ``nodata`` declared and filled in where nothing is written (None: 0 is there and means 0),
    ``band_names`` one a band, ``colors`` {value: (red, green, blue, alpha)} and ``class_names`` {value: name} for
    uint8 classes (the names go to a side file ``NAME.aux.xml`` that QGIS and GDAL read, and to tags), ``tags`` of the
    file. Overviews are made by ``overview_resampling``; classes take mode or nearest.

    Raises OutputError when the disk is full, the folder read-only or missing; GridError for a grid without pixels.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        grid: Grid,
        *,
        dtype: DTypeLike,
        nodata: float | None = None,
        band_names: Sequence[str],
        colors: Mapping[int, Color] | None = None,
        class_names: Mapping[int, str] | None = None,
        tags: Mapping[str, str] | None = None,
        overview_resampling: OverviewResampling = "nearest",
    ) -> None:
        self.path, self.grid, self.dtype = Path(path), grid, np.dtype(dtype)
        if grid.height < 1 or grid.width < 1:
            raise GridError(
                f"{self.path}: a raster of {grid.width} x {grid.height} pixels cannot be written.",
                remedy="Choose an area that overlaps the scene.",
            )
        if self.dtype.name not in _GDAL_TYPES:
            raise ValueError(f"{self.dtype} cannot be written; expected one of {', '.join(_GDAL_TYPES)}.")
        if (colors or class_names) and (self.dtype != np.uint8 or len(band_names) != 1):
            raise ValueError("Colours and class names need one band of uint8.")
        if colors and overview_resampling == "average":
            raise ValueError("The average of classes means nothing: use mode or nearest.")
        self._names, self._colors, self._classes = tuple(band_names), dict(colors or {}), dict(class_names or {})
        self._tags, self._nodata, self._resampling = dict(tags or {}), nodata, overview_resampling
        key = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._raw = self.path.with_name(f".{self.path.name}.partial-{key}.raw")
        self._cog = self.path.with_name(f".{self.path.name}.partial-{key}.tif")
        self._view = self.path.with_name(f".{self.path.name}.partial-{key}.vrt")
        self._levels = list(overview_shapes(grid.height, grid.width, smallest=_BLOCK))
        self._file: RawFile | None = None
        with self._reporting():
            fill = 0 if nodata is None else nodata
            self._file = RawFile(self._raw, (len(self._names), *grid.shape), self.dtype, fill=fill)

    def write(self, window: Window, array: NDArray[Any]) -> None:
        """Write ``array`` (rows, columns) or (bands, rows, columns) at ``window``, which lies inside the grid.

        Windows come in any order and do not overlap; full-width strips from the top are fastest. Float values are not
        converted to integers here: the dtype must be the writer's.
        """
        values = array[None] if array.ndim == 2 else array
        if values.shape != (len(self._names), *window.shape):
            raise ValueError(f"An array of {values.shape} does not fit {len(self._names)} bands of {window.shape}.")
        if values.dtype != self.dtype:
            raise ValueError(f"The writer of {self.path.name} takes {self.dtype}, not {values.dtype}.")
        window.within(self.grid.window)
        if window.empty:
            return
        if self._file is None:
            raise ValueError(f"The writer of {self.path.name} is closed.")
        with self._reporting():
            self._file.write(window, values)

    def close(self) -> None:
        """Make the COG and move it to its final name."""
        if self._file is None:
            return
        try:
            with self._reporting():
                self._file.close()
                silence_libtiff()
                self._write_views()
                options: dict[str, Any] = {
                    "GDAL_VRT_RAWRASTERBAND_ALLOWED_SOURCE": "ALL",
                    "GDAL_CACHEMAX": self._cache_bytes(),
                }
                with gdal_options(**options), no_georeference_is_fine():
                    rasterio.shutil.copy(self._view, self._cog, driver="COG", **self._cog_options())
                self._check_whole()
                if self._classes:
                    self._side(self._cog).write_text(self._side_text(), encoding="utf-8")
                    sync(self._side(self._cog))
                    self._side(self._cog).replace(self._side(self.path))
                sync(self._cog)
                self._cog.replace(self.path)
                sync(self.path.parent)
        finally:
            self.discard()

    def discard(self) -> None:
        """Give up: close and remove everything that is not under its final name."""
        if self._file is not None:
            self._file.close(fill=False)
            self._file = None
        for file in (self._raw, self._view, self._cog, self._side(self._cog), *self._leftovers()):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)

    def __enter__(self) -> CogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    def _write_views(self) -> None:
        """The overview levels, and the raw files as GDAL sees them, with everything that the COG shall hold."""
        source, shape = self._raw, (len(self._names), *self.grid.shape)
        for i in range(len(self._levels)):
            target = self._level(i)
            shape = make_overview(source, shape, target, dtype=self.dtype, nodata=self._nodata, how=self._resampling)
            bands = [self._raw_band(target.name, band, shape[1:], []) for band in range(shape[0])]
            text = f'<VRTDataset rasterXSize="{shape[2]}" rasterYSize="{shape[1]}">{"".join(bands)}</VRTDataset>'
            target.with_suffix(".vrt").write_text(text, encoding="utf-8")
            source = target
        self._view.write_text(self._vrt(), encoding="utf-8")

    def _vrt(self) -> str:
        grid, t = self.grid, self.grid.transform
        parts = [f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">']
        if grid.crs is not None:
            parts.append(f'<SRS dataAxisToSRSAxisMapping="1,2">{html.escape(grid.crs.to_wkt())}</SRS>')
        if grid.crs is not None or not t.is_identity:
            parts.append(f"<GeoTransform>{', '.join(repr(float(v)) for v in t.to_gdal())}</GeoTransform>")
        parts.append(_metadata(self._tags))
        for band, name in enumerate(self._names):
            more = []
            if band == 0:
                more.append(_metadata({f"CLASS_{value}": text for value, text in sorted(self._classes.items())}))
            more.append(f"<Description>{html.escape(name)}</Description>")
            if self._colors:
                table = {**dict.fromkeys(range(256), (0, 0, 0, 0)), **self._colors}
                entries = "".join(
                    f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="{a}" />' for _, (r, g, b, a) in sorted(table.items())
                )
                more.append(f"<ColorInterp>Palette</ColorInterp><ColorTable>{entries}</ColorTable>")
            more += [
                f'<Overview><SourceFilename relativeToVRT="1">{html.escape(self._level(i).with_suffix(".vrt").name)}'
                f"</SourceFilename><SourceBand>{band + 1}</SourceBand></Overview>"
                for i in range(len(self._levels))
            ]
            parts.append(self._raw_band(self._raw.name, band, grid.shape, more))
        return "".join([*parts, "</VRTDataset>"])

    def _raw_band(self, file: str, band: int, shape: tuple[int, int], more: Sequence[str]) -> str:
        size, line = self.dtype.itemsize, shape[1] * self.dtype.itemsize
        nodata = "" if self._nodata is None else f"<NoDataValue>{float(self._nodata)!r}</NoDataValue>"
        return (
            f'<VRTRasterBand dataType="{_GDAL_TYPES[self.dtype.name]}" band="{band + 1}" subClass="VRTRawRasterBand">'
            f"{''.join(more)}{nodata}"
            f'<SourceFilename relativeToVRT="1">{html.escape(file)}</SourceFilename>'
            f"<ImageOffset>{band * line * shape[0]}</ImageOffset><PixelOffset>{size}</PixelOffset>"
            f"<LineOffset>{line}</LineOffset><ByteOrder>{'LSB' if np.little_endian else 'MSB'}</ByteOrder>"
            "</VRTRasterBand>"
        )

    def _level(self, index: int) -> Path:
        return self._raw.with_name(f"{self._raw.stem}.level{index}.raw")

    def _leftovers(self) -> Iterator[Path]:
        """The levels, and temporary files that the COG driver leaves beside its target when it is interrupted."""
        for i in range(len(self._levels)):
            yield self._level(i)
            yield self._level(i).with_suffix(".vrt")
        if self._cog.parent.is_dir():
            yield from list(self._cog.parent.glob(f"{self._cog.name}.*"))

    def _cache_bytes(self) -> int:
        """A row of the COG's blocks and a half, within limits: what more GDAL takes, it keeps."""
        least, most = _CACHE_BYTES
        return min(most, max(least, 3 * self.grid.width * _BLOCK * self.dtype.itemsize // 2))

    def _cog_options(self) -> dict[str, str]:
        # Prediction helps smooth values; classes and whole per cent, bytes both, compress better without. The higher
        # levels take up to six times as long for class maps a fifth to a quarter smaller (docs/benchmarks.md).
        predictor = "NO" if self.dtype.itemsize == 1 else "YES"
        return {
            "COMPRESS": "DEFLATE",
            "LEVEL": "1",
            "PREDICTOR": predictor,
            "BLOCKSIZE": str(_BLOCK),
            "BIGTIFF": "IF_SAFER",
            "OVERVIEWS": "FORCE_USE_EXISTING" if self._levels else "NONE",
            "OVERVIEW_RESAMPLING": self._resampling.upper(),
            "NUM_THREADS": str(thread_count()),
        }

    def _check_whole(self) -> None:
        """The COG must open with the grid that was asked for, to the bit."""
        with gdal_options(), no_georeference_is_fine(), rasterio.open(self._cog) as made:
            found = Grid(made.height, made.width, made.transform, made.crs)
            if found.shape != self.grid.shape or found.transform != self.grid.transform:
                raise OutputError(
                    f"{self.path}: the georeference was not kept: expected {tuple(self.grid.transform[:6])}, "
                    f"found {tuple(found.transform[:6])}.",
                    remedy="Please report this with the input's gdalinfo.",
                )

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turn every failure inside, those that GDAL only logs included, into one OutputError."""
        try:
            with _gdal_failures() as logged:
                yield
            if logged:
                raise self._failure(logged[0])
        except (RasterioError, CPLE_BaseError, SystemError) as error:
            raise self._failure(reason(error)) from error
        except OSError as error:
            raise explain_os_error(error, self.path) from error

    def _failure(self, words: str) -> OutputError:
        folder = self.path.parent
        if not folder.is_dir():
            return OutputError(f"{self.path}: the folder does not exist.", remedy="Choose another folder.")
        with contextlib.suppress(OSError):
            if shutil.disk_usage(folder).free < 4 * 1024 * 1024:
                return OutputError(
                    f"{self.path}: cannot be written: the disk is full.",
                    remedy="Free some space, or choose another folder.",
                )
        return OutputError(
            f"{self.path}: cannot be written ({words}).", remedy="Check free space and permissions of the folder."
        )

    @staticmethod
    def _side(path: Path) -> Path:
        return path.with_name(path.name + ".aux.xml")

    def _side_text(self) -> str:
        """GDAL's side file with class names and a raster attribute table (value, class, colour)."""
        names = "".join(
            f"<Category>{html.escape(self._classes.get(value, ''))}</Category>"
            for value in range(max(self._classes) + 1)
        )
        fields = (("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8), ("Alpha", 0, 9))
        heads = "".join(
            f'<FieldDefn index="{i}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>'
            for i, (name, kind, usage) in enumerate(fields)
        )
        rows = []
        for i, (value, name) in enumerate(sorted(self._classes.items())):
            cells = (value, html.escape(name), *self._colors.get(value, (0, 0, 0, 0)))
            rows.append(f'<Row index="{i}">' + "".join(f"<F>{cell}</F>" for cell in cells) + "</Row>")
        table = f'<GDALRasterAttributeTable tableType="thematic">{heads}{"".join(rows)}</GDALRasterAttributeTable>'
        return (
            '<PAMDataset><PAMRasterBand band="1">'
            f"<CategoryNames>{names}</CategoryNames>{table}</PAMRasterBand></PAMDataset>\n"
        )


def _metadata(tags: Mapping[str, str]) -> str:
    items = "".join(f'<MDI key="{html.escape(key)}">{html.escape(value)}</MDI>' for key, value in tags.items())
    return f"<Metadata>{items}</Metadata>" if items else ""


class _Collector(logging.Handler):
    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        self._into.append(" ".join(record.getMessage().split())[:300])


@contextmanager
def _gdal_failures() -> Iterator[list[str]]:
    """What GDAL reported as failures inside: a block that a full disk refuses is only logged, at some later flush."""
    found: list[str] = []
    logger = logging.getLogger("rasterio._err")
    other = logging.getLogger("rasterio._env")
    handler = _Collector(found)
    logger.addHandler(handler)
    other.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        other.removeHandler(handler)

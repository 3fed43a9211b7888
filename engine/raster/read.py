"""Reading rasters: float32 arrays in which everything that is not a valid value is NaN.

One file is opened once and read by windows. Whatever way a file marks missing values (a nodata value of any kind, NaN,
infinity, a mask band, an alpha band, a band of its own), the reader gives NaN, also beyond the edges, so that nothing
above this floor needs to know.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError

from engine.errors import BandError, DamagedFileError, EngineError, GridError, InputError, MissingFileError
from engine.raster.acquired import Acquired, find_acquired, is_measurement
from engine.raster.gdal import gdal_options, is_url, no_georeference_is_fine, shown
from engine.raster.grid import Grid, Window

if TYPE_CHECKING:
    from typing_extensions import Self

FloatArray = NDArray[np.float32]
Resampling = Literal["nearest", "bilinear", "average"]
# The ground at 1 m is 40 million pixels around: a larger side is a damaged header, and would ask for endless memory.
MAX_SIDE = 50_000_000
MAX_BANDS = 4096
_SMALL = tuple(np.dtype(name) for name in ("uint8", "int8", "uint16", "int16"))
_CLOSE_WAIT_S = 0.5
_BAND_NAME_TAGS = ("BandName", "band_name", "BAND_NAME", "long_name", "NETCDF_VARNAME", "POLARISATION", "POLARIZATION")
_FAILURES = (RasterioError, CPLE_BaseError, OSError, ValueError, MemoryError, OverflowError)


class Raster:
    """An open raster. Use it as a context manager; made by :func:`open_raster` or :meth:`onto`.

    ``path`` as given (an address is shown without keys), ``grid``, ``names`` (band descriptions, None where a band has
    none), ``dtype`` of the file, ``nodata`` per band (None where not declared), ``tags`` of the file and ``block``
    (rows, columns) in which it is stored; ``paletted``: pixels are indices of a colour table. A trailing alpha band is
    the mask and not one of the bands.
    """

    def __init__(
        self,
        *,
        path: str,
        what: str,
        grid: Grid,
        names: tuple[str | None, ...],
        dtype: str,
        nodata: tuple[float | None, ...],
        tags: dict[str, str],
        block: tuple[int, int],
        remote: bool,
        georeference_note: str = "",
        paletted: bool = False,
    ) -> None:
        self.path, self.what, self.grid, self.names, self.dtype = path, what, grid, names, dtype
        self.nodata, self.tags, self.block, self.remote = nodata, tags, block, remote
        self.paletted = paletted
        self._georeference_note = georeference_note
        self._acquired: Acquired | None = find_acquired(tags, path)

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.names)

    @property
    def acquired(self) -> datetime | None:
        """When the image was taken (UTC), from tags or the name of a Sentinel product; None where nothing tells."""
        return self._acquired.moment if self._acquired else None

    @property
    def acquired_date_only(self) -> bool:
        """True when only the day of :attr:`acquired` is known; its time is then 00:00."""
        return bool(self._acquired and self._acquired.date_only)

    def require_crs(self) -> None:
        """Raise GridError when the raster has no CRS, or ground control points only."""
        if self.grid.crs is None:
            raise GridError(
                f"{self.path}: the {self.what} has no coordinate reference system{self._georeference_note}.",
                remedy=(
                    "Use a terrain-corrected product (for example Sentinel-1 RTC), or geocode this one first."
                    if self._georeference_note
                    else "Assign one, for example with gdal_edit.py -a_srs EPSG:32633 FILE."
                ),
            )

    def read(self, window: Window, bands: Sequence[int] | None = None) -> FloatArray:
        """float32 (bands, rows, columns) of ``window``; NaN where a value is not valid and beyond the raster's edges.

        ``bands`` are 1-based (default: all). Scale and offset that the file declares are applied. Raises BandError for
        a band that is not there and DamagedFileError, which names file, bands and window, for a block that cannot be
        read.
        """
        wanted = tuple(range(1, self.count + 1)) if bands is None else tuple(int(b) for b in bands)
        for band in wanted:
            if not 1 <= band <= self.count:
                raise BandError(
                    f"{self.path}: the {self.what} has no band {band}; found {self.count}.",
                    remedy="Give a number between 1 and the number of bands.",
                )
        inside = window.intersect(self.grid.window)
        if inside == window and not window.empty and wanted:
            return self._read(inside, wanted)
        out = np.full((len(wanted), *window.shape), np.nan, dtype=np.float32)
        if wanted and not inside.empty:
            rows, cols = inside.within(window)
            out[:, rows, cols] = self._read(inside, wanted)
        return out

    def read_valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """bool (bands, rows, columns): where :meth:`read` gives a number."""
        return np.isfinite(self.read(window, bands))

    def onto(self, grid: Grid, *, resampling: Resampling = "nearest") -> Raster:
        """This raster seen on another grid, computed as it is read; see :mod:`engine.raster.resample`.

        Raises GridError when one of the two has no CRS and the grids differ, or no transformation between them exists.
        The view reads through this raster, which must stay open.
        """
        from engine.raster.resample import ResampledRaster

        return ResampledRaster(self, grid, resampling=resampling)

    def close(self) -> None:
        """Close the file; reading afterwards is an error."""

    def _read(self, window: Window, bands: tuple[int, ...]) -> FloatArray:
        """The values of a window inside the grid."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileRaster(Raster):
    """A raster in a file, VRT or behind an address."""

    def __init__(self, source: Any, *, path: str, what: str, remote: bool) -> None:
        count = source.count
        # GDAL itself takes an alpha band for a mask only beside one or three bands.
        self._alpha = count if count > 1 and source.colorinterp[-1] == ColorInterp.alpha else None
        if self._alpha:
            count -= 1
        names = tuple(_band_name(source, b) for b in range(1, count + 1))
        note = ""
        crs = source.crs or None
        if crs is None and source.gcps[0]:
            note = f", only {len(source.gcps[0])} ground control points (a product in radar geometry)"
        elif crs is None and source.rpcs is not None:
            note = ", only a sensor model (RPC)"
        elif crs is None and is_measurement(path):
            note = " (a Sentinel-1 measurement in radar geometry)"
        super().__init__(
            path=path,
            what=what,
            grid=Grid(source.height, source.width, source.transform, crs),
            names=names,
            dtype=source.dtypes[0],
            nodata=tuple(source.nodatavals[:count]),
            tags={**source.tags(ns="IMAGERY"), **source.tags()},
            block=_block(source),
            remote=remote,
            georeference_note=note,
            paletted=source.colorinterp[0] == ColorInterp.palette,
        )
        self._source = source
        self._dtypes = tuple(np.dtype(_numpy_name(name)) for name in source.dtypes)
        # Inference reads ahead in a thread of its own; a file closed in the middle of a read ends the process.
        self._reading = threading.Lock()
        self._given_up = False
        self._scales, self._offsets = tuple(source.scales), tuple(source.offsets)
        self._masked = tuple(
            MaskFlags.per_dataset in source.mask_flag_enums[b] and MaskFlags.alpha not in source.mask_flag_enums[b]
            for b in range(count)
        )

    def close(self) -> None:
        if not self._reading.acquire(timeout=_CLOSE_WAIT_S):
            self._given_up = True  # a cancelled read that hangs in the network: it closes the file when it returns
            return
        try:
            self._close()
        finally:
            self._reading.release()

    def _close(self) -> None:
        # The whole was read or a failure was reported by then: GDAL's complaints on closing tell nothing new.
        with gdal_options(remote=self.remote), contextlib.suppress(RasterioError, CPLE_BaseError):
            self._source.close()

    def _read(self, window: Window, bands: tuple[int, ...]) -> FloatArray:
        place = rasterio.windows.Window(window.col, window.row, window.width, window.height)
        masked = [band for band in bands if self._masked[band - 1]]
        # Small whole numbers are exact as float32: GDAL converts them as it copies them out of its blocks.
        small = all(self._dtypes[band - 1] in _SMALL for band in bands)
        try:
            with self._reading, gdal_options(remote=self.remote):
                raw = self._source.read(list(bands), window=place, out_dtype="float32" if small else None)
                masks = self._source.read_masks(masked, window=place) if masked else None
                alpha = self._source.read(self._alpha, window=place) if self._alpha else None
        except _FAILURES as error:
            raise self._unreadable(window, bands, error) from error
        finally:
            if self._given_up:
                self._close()
        out = np.empty(raw.shape, np.float32) if raw.dtype != np.float32 else raw
        for i, band in enumerate(bands):
            self._fill(out[i], raw[i], band, None if masks is None or band not in masked else masks[masked.index(band)])
        if alpha is not None:
            out[:, alpha == 0] = np.nan
        return out

    def _fill(self, out: FloatArray, raw: NDArray[Any], band: int, mask: NDArray[np.uint8] | None) -> None:
        """``out`` becomes the values of one band: NaN where invalid, scaled; ``raw`` may be ``out`` itself."""
        dtype = self._dtypes[band - 1] if raw.dtype == np.float32 else raw.dtype
        nodata = _as_dtype(self.nodata[band - 1], dtype)
        invalid = None if nodata is None else raw == nodata
        if mask is not None:
            invalid = mask == 0 if invalid is None else invalid | (mask == 0)
        scale, offset = self._scales[band - 1], self._offsets[band - 1]
        if (scale, offset) != (1.0, 0.0):
            with np.errstate(over="ignore", invalid="ignore"):
                out[...] = raw * np.float64(scale) + offset
        elif out is not raw and not np.shares_memory(out, raw):
            with np.errstate(over="ignore", invalid="ignore"):
                out[...] = raw
        if invalid is not None:
            out[invalid] = np.nan
        if dtype.kind == "f" or not math.isfinite(scale * offset):
            out[np.isinf(out)] = np.nan

    def _unreadable(self, window: Window, bands: tuple[int, ...], error: BaseException) -> EngineError:
        numbers = ", ".join(str(b) for b in bands)
        why = "the connection failed or the file is damaged" if self.remote else "the file is truncated or damaged"
        return DamagedFileError(
            f"{self.path}: band {numbers}, rows {window.row} to {window.row_stop - 1}, columns {window.col} to "
            f"{window.col_stop - 1} cannot be read: {why} ({reason(error)}).",
            remedy="Try again, or download the file first." if self.remote else "Copy or download the file again.",
        )


def open_raster(path: str | os.PathLike[str], *, what: str = "raster") -> Raster:
    """Open a raster file, VRT or http(s) address; ``what`` names its role in messages ("scene", "DEM").

    Raises MissingFileError when nothing is there or the address does not answer, DamagedFileError when it is not a
    readable raster, GridError when its transform is unusable, InputError when its values are complex numbers.
    """
    text, name, remote = os.fspath(path), shown(path), is_url(path)
    local = Path(text)
    plain = not remote and "://" not in text and not text.startswith("/vsi")
    subdataset = plain and not local.exists() and text.count(":") >= 2  # NETCDF:"file.nc":band
    if plain and not subdataset:
        _check_local(local, name, what)
    try:
        with gdal_options(remote=remote, **_fresh(text, remote)), no_georeference_is_fine():
            # A plain file by its absolute path: names such as "a:b.tif" are no schemes.
            source = rasterio.open(
                f"/vsicurl/{text}" if remote else str(local.absolute()) if plain and not subdataset else text
            )
            try:
                _check_header(source, name, what)
                return FileRaster(source, path=name, what=what, remote=remote)
            except BaseException:
                source.close()
                raise
    except _FAILURES as error:
        if isinstance(error, EngineError):
            raise
        if remote and _answers_nothing(error, text):
            raise MissingFileError(
                f"{name}: the {what} cannot be reached ({reason(error)}).",
                remedy="Check the address and the network connection.",
            ) from error
        raise DamagedFileError(
            f"{name}: the {what} cannot be opened as a raster ({reason(error)}).",
            remedy="Give a raster that GDAL reads, for example GeoTIFF, or copy the file again if it is damaged.",
        ) from error


def reason(error: BaseException) -> str:
    """GDAL's own words for a failure, as one line without the final full stop."""
    deepest: BaseException = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    words = " ".join(str(deepest).split()).rstrip(".")
    return words[:300] or type(deepest).__name__


def _check_local(path: Path, name: str, what: str) -> None:
    try:
        exists, file = path.exists(), path.is_file()
        size = path.stat().st_size if file else -1
        if file:
            with path.open("rb"):
                pass
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise MissingFileError(f"{name}: the {what} cannot be opened: {why}.", remedy="Check the path.") from error
    if not exists:
        raise MissingFileError(f"{name}: the {what} does not exist.", remedy="Check the path.")
    if size == 0:
        raise DamagedFileError(f"{name}: the {what} is an empty file.", remedy="Copy or download the file again.")


def _check_header(source: Any, name: str, what: str) -> None:
    """Refuse what opens but cannot be a usable raster."""
    if source.count == 0:
        inner = ", ".join(source.subdatasets[:3])
        raise DamagedFileError(
            f"{name}: the {what} has no bands.",
            remedy=f"Give one of its parts, for example {inner}." if inner else "Give a raster with bands.",
        )
    if not (0 < source.width <= MAX_SIDE and 0 < source.height <= MAX_SIDE and source.count <= MAX_BANDS):
        raise DamagedFileError(
            f"{name}: the {what} claims to have {source.width} x {source.height} pixels and {source.count} bands, "
            f"more than {MAX_SIDE} on a side or {MAX_BANDS} bands: its header is damaged.",
            remedy="Copy or download the file again.",
        )
    if any(np.dtype(_numpy_name(d)).kind == "c" for d in source.dtypes):
        raise InputError(
            f"{name}: the {what} holds complex numbers ({source.dtypes[0]}), as single-look complex products do; "
            "expected detected values.",
            remedy="Use a GRD or RTC product, or take the squared magnitude first.",
        )
    transform = source.transform
    if not all(map(math.isfinite, transform[:6])) or transform.determinant == 0:
        raise GridError(
            f"{name}: the {what} has an unusable georeference (transform {tuple(transform[:6])}).",
            remedy="Assign a georeference again, for example with gdal_edit.py -a_ullr.",
        )


def _fresh(text: str, remote: bool) -> dict[str, str]:
    # A long-lived worker must see a file that was put there, or replaced, after an earlier attempt.
    return {"CPL_VSIL_CURL_NON_CACHED": f"/vsicurl/{text.partition('?')[0]}"} if remote else {}


def _answers_nothing(error: BaseException, address: str) -> bool:
    words = f"{error} {reason(error)}".replace(address, "").lower()
    return any(
        w in words for w in ("http", "curl error", "does not exist", "resolve", "connect", "timed out", "timeout")
    )


def _numpy_name(dtype: str) -> str:
    return "complex64" if dtype.startswith("complex") else dtype


def _band_name(source: Any, band: int) -> str | None:
    description = source.descriptions[band - 1]
    if description:
        return str(description)
    tags = source.tags(band)
    return next((tags[key] for key in _BAND_NAME_TAGS if tags.get(key)), None)


def _block(source: Any) -> tuple[int, int]:
    rows, cols = source.block_shapes[0]
    return max(1, min(int(rows), source.height)), max(1, min(int(cols), source.width))


def _as_dtype(nodata: float | None, dtype: np.dtype[Any]) -> Any:
    """The declared nodata value as pixels of ``dtype`` hold it; None when none can (NaN, inf are found anyway)."""
    if nodata is None or not math.isfinite(nodata):
        return None
    if dtype.kind == "f":
        # Written as decimal text, the most negative float32 may come back a little beyond the range.
        limit = np.finfo(dtype).max
        return dtype.type(min(max(nodata, float(-limit)), float(limit)))
    info = np.iinfo(dtype)
    if nodata != int(nodata) or not info.min <= int(nodata) <= info.max:
        return None
    return dtype.type(int(nodata))

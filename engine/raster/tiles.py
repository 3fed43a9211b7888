"""Map tiles as a raster: the whole world at one zoom, of which the tiles that are read are fetched.

Red, green and blue, 0 to 255; where there is no tile, or it is transparent, the values are missing like those beyond
the edge of a file. Everything above this floor reads a tile server and a file by the same calls.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from engine.errors import MissingFileError, ParameterError
from engine.raster.gdal import gdal_options, no_georeference_is_fine
from engine.raster.grid import Window
from engine.raster.read import FloatArray, Raster
from engine.raster.tilecache import TileCache
from engine.raster.tilefetch import Manners, TileCounts, TileFetcher
from engine.raster.xyz import TileTemplate, zoom_for

# Nothing else is opened: what a server sends must not be taken for a format that names other files.
_DRIVERS = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WEBP"}
_SIZES = (256, 512)


class TileRaster(Raster):
    """Tiles of ``template`` at ``zoom``; made by :func:`open_tiles`."""

    def __init__(self, fetcher: TileFetcher, *, zoom: int, tile_px: int, what: str, connections: int) -> None:
        template = fetcher.template
        super().__init__(
            path=template.name(),
            what=what,
            grid=template.grid(zoom, tile_px),
            names=("red", "green", "blue"),
            dtype="uint8",
            nodata=(None, None, None),
            tags={},
            block=(tile_px, tile_px),
            remote=not template.local,
        )
        self.zoom, self.tile_px = zoom, tile_px
        self._fetcher = fetcher
        self._workers = ThreadPoolExecutor(connections, thread_name_prefix="tiles")

    @property
    def counts(self) -> TileCounts:
        """What became of the tiles so far."""
        return self._fetcher.counts

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._fetcher.close()

    def _read(self, window: Window, bands: tuple[int, ...]) -> FloatArray:
        size = self.tile_px
        out = np.full((3, *window.shape), np.nan, np.float32)
        tiles = [
            (x, y)
            for y in range(window.row // size, -(-window.row_stop // size))
            for x in range(window.col // size, -(-window.col_stop // size))
        ]
        for (x, y), picture in zip(tiles, self._workers.map(self._picture, tiles), strict=True):
            if picture is None:
                continue
            place = Window(y * size, x * size, size, size)
            common = place.intersect(window)
            out[(slice(None), *common.within(window))] = picture[(slice(None), *common.within(place))]
        return out[[band - 1 for band in bands]]

    def _picture(self, tile: tuple[int, int]) -> FloatArray | None:
        content = self._fetcher.get(self.zoom, *tile)
        if content is None:
            return None
        picture = decode_tile(content)
        if picture is None or picture.shape[1:] != (self.tile_px, self.tile_px):
            self._fetcher.damaged()
            return None
        return picture


def open_tiles(
    template: TileTemplate,
    *,
    gsd_m: float,
    lon: float,
    lat: float,
    what: str = "reference",
    cache: TileCache | None = None,
    manners: Manners | None = None,
) -> TileRaster:
    """The tiles at the zoom that shows ``gsd_m`` metres at (``lon``, ``lat``), where one tile is fetched to learn the
    tiles' size; the highest zoom of the template where that is coarser.

    Raises MissingFileError when there is no tile there or no server answers, InputError when it refuses,
    ParameterError for tiles of another size than 256 or 512.
    """
    manners = manners or Manners()
    fetcher = TileFetcher(template, cache=cache, manners=manners)
    try:
        zoom = min(max(zoom_for(gsd_m, lat, 256), template.zoom_min), template.zoom_max)
        side = _tile_side(fetcher, zoom, lon, lat)
        if side == 512:
            zoom = min(max(zoom_for(gsd_m, lat, 512), template.zoom_min), template.zoom_max)
        return TileRaster(fetcher, zoom=zoom, tile_px=side, what=what, connections=manners.connections)
    except BaseException:
        fetcher.close()
        raise


def _tile_side(fetcher: TileFetcher, zoom: int, lon: float, lat: float) -> int:
    name = fetcher.template.name()
    column, row = tile_at(zoom, lon, lat)
    last = (1 << zoom) - 1
    for right, down in ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (2, 2), (-2, -2), (4, 0), (0, 4)):
        content = fetcher.get(zoom, min(max(column + right, 0), last), min(max(row + down, 0), last))
        picture = decode_tile(content) if content else None
        if picture is not None:
            height, width = picture.shape[1:]
            if height != width or width not in _SIZES:
                raise ParameterError(
                    f"{name}: its tiles have {width} x {height} pixels; expected 256 x 256 or 512 x 512.",
                    remedy="Use another address of the provider.",
                )
            return int(width)
        if content:
            fetcher.damaged()
    counts = fetcher.counts
    why = f"{counts.missing} missing, {counts.damaged} that are no PNG, JPEG or WebP picture, {counts.failed} failed"
    raise MissingFileError(
        f"{name}: no tile was found in the region at zoom {zoom} ({why}).",
        remedy="Check the address, whether rows count from the south ({-y}), and the highest zoom (--max-zoom).",
    )


def tile_at(zoom: int, lon: float, lat: float) -> tuple[int, int]:
    """Column and row (from the north) of the tile that holds a point."""
    x = (lon + 180) / 360 % 1.0
    y = 0.5 - math.log(math.tan(math.pi / 4 + math.radians(lat) / 2)) / (2 * math.pi)
    last = (1 << zoom) - 1
    return min(int(x * (1 << zoom)), last), min(max(int(y * (1 << zoom)), 0), last)


def decode_tile(content: bytes) -> FloatArray | None:
    """float32 (3, rows, columns) of a PNG, JPEG or WebP, NaN where it is transparent; None where it is none of them."""
    driver = next((name for magic, name in _DRIVERS.items() if content.startswith(magic)), None)
    if driver is None:
        return None
    try:
        with (
            gdal_options(GDAL_NUM_THREADS="1", GDAL_PAM_ENABLED="NO"),
            no_georeference_is_fine(),
            MemoryFile(content) as memory,
            rasterio.open(memory.name, driver=driver) as source,
        ):
            values = source.read()
            kinds = source.colorinterp
            table = source.colormap(1) if kinds[0] == ColorInterp.palette else None
    except (RasterioError, CPLE_BaseError, OSError, ValueError):
        return None
    if values.dtype == np.uint16:
        values = (values >> 8).astype(np.uint8)
    if values.dtype != np.uint8:
        return None
    if table is not None:
        colors = np.zeros((256, 4), np.uint8)
        for index, color in table.items():
            if index < 256:
                colors[index] = color
        values = np.moveaxis(colors[values[0]], -1, 0)
    return _with_alpha(values, alpha=len(values) in (2, 4))


def _with_alpha(values: NDArray[np.uint8], *, alpha: bool) -> FloatArray:
    color = values[:-1] if alpha else values
    picture = np.empty((3, *values.shape[1:]), np.float32)
    picture[...] = color[:1] if len(color) < 3 else color[:3]
    if alpha:
        picture[:, values[-1] < 128] = np.nan
    return picture

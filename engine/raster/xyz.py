"""Addresses of map tiles: XYZ and TMS templates of the web-mercator tile pyramid. Values only; nothing is fetched here.

A tile of zoom z is 1/2^z of the world's square in EPSG:3857; x counts from 180° west, y from the north (XYZ) or from
the south (TMS, written ``{-y}``). The square is 2π · 6,378,137 m wide and ends at ±85.0511°.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from affine import Affine
from rasterio.crs import CRS

from engine.errors import ParameterError
from engine.raster.gdal import shown
from engine.raster.grid import Grid

HALF_M = math.pi * 6_378_137.0
"""Half the width of the world in EPSG:3857."""
MAX_ZOOM = 24
_FIELDS = re.compile(r"\{([^{}]*)\}")
_KNOWN = {"x", "y", "-y", "z", "q"}
_EXAMPLE = "Write for example https://example.org/tiles/{z}/{x}/{y}.jpg, with {-y} where rows count from the south."


@dataclass(frozen=True)
class TileTemplate:
    """``address`` with the fields {z}, {x} and {y}, {-y} or {q} (quadkey); http, https, or a local folder."""

    address: str
    zoom_min: int = 0
    zoom_max: int = 19

    @property
    def local(self) -> bool:
        """True where the tiles lie in a folder."""
        return not self.address.lower().startswith(("http://", "https://"))

    @property
    def tms(self) -> bool:
        """True where rows count from the south."""
        return "{-y}" in self.address

    @property
    def host(self) -> str:
        """Who serves the tiles; for messages and notes."""
        return "this machine" if self.local else (urlsplit(self.address).hostname or "an unnamed server")

    @property
    def key(self) -> str:
        """A short digest of the address: the name of its folder in a cache."""
        return hashlib.sha256(self.address.encode("utf-8")).hexdigest()[:20]

    def name(self) -> str:
        """The address as messages may show it: without user name and keys."""
        return shown(self.address)

    def tile(self, z: int, x: int, y: int) -> str:
        """Address or path of a tile; y counts from the north whatever the template does."""
        values = {"z": str(z), "x": str(x), "y": str(y), "-y": str((1 << z) - 1 - y), "q": _quadkey(z, x, y)}
        return _FIELDS.sub(lambda found: values[found[1]], self.address)

    def grid(self, zoom: int, tile_px: int) -> Grid:
        """The whole world at a zoom, EPSG:3857, in pixels of tiles of ``tile_px``."""
        side = tile_px << zoom
        size = 2 * HALF_M / side
        return Grid(side, side, Affine(size, 0, -HALF_M, 0, -size, HALF_M), CRS.from_epsg(3857))


def is_template(text: str) -> bool:
    """Is this a tile address (or QGIS's ``type=xyz&url=…``) and not a file?"""
    return _of_qgis(text) or all(f in text for f in ("{z}", "{x}")) or "{q}" in text


def parse_template(text: str, *, tms: bool = False, zoom_max: int | None = None) -> TileTemplate:
    """The template in ``text``: an address, a path, ``file://…``, or what QGIS writes for an XYZ layer.

    ``tms``: rows count from the south though the address says {y}. Raises ParameterError for unknown or missing fields,
    zooms out of range, and addresses that are neither http, https nor local.
    """
    address, low, high = text, 0, 19
    if _of_qgis(text):
        fields = parse_qs(text, keep_blank_values=True)
        address = fields.get("url", [""])[0]
        address = address if "{" in address else unquote(address)
        low, high = _whole(fields.get("zmin"), 0), _whole(fields.get("zmax"), 19)
    if address.lower().startswith("file://"):
        path = unquote(address[7:])
        address = path[1:] if re.match(r"/[A-Za-z]:", path) else path  # file:///C:/… of Windows
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    if scheme not in ("", "http", "https"):
        raise ParameterError(
            f"{shown(address)}: tiles are fetched by http and https, or read from a folder; found {scheme}://.",
            remedy=_EXAMPLE,
        )
    if scheme and not urlsplit(address).hostname:
        raise ParameterError(f"{shown(address)}: the tile address names no server.", remedy=_EXAMPLE)
    found = _FIELDS.findall(address)
    strange = [f for f in found if f not in _KNOWN]
    if strange:
        raise ParameterError(
            f"{shown(address)}: the tile address has an unknown field {{{strange[0]}}}; known are {{z}}, {{x}}, {{y}}, "
            "{-y} and {q}.",
            remedy=_EXAMPLE,
        )
    if "q" not in found and not ({"z", "x"} <= set(found) and ({"y"} <= set(found) or {"-y"} <= set(found))):
        raise ParameterError(
            f"{shown(address)}: the tile address lacks a field; needed are {{z}}, {{x}} and {{y}} (or {{-y}}).",
            remedy=_EXAMPLE,
        )
    high = high if zoom_max is None else zoom_max
    if not 0 <= low <= high <= MAX_ZOOM:
        raise ParameterError(
            f"{shown(address)}: zooms {low} to {high} are out of range; expected 0 to {MAX_ZOOM}.",
            remedy="Give the highest zoom that the server has.",
        )
    if not scheme and not Path(address.split("{")[0]).parent.is_dir():
        raise ParameterError(f"{address}: the folder of the tiles does not exist.", remedy="Check the path.")
    return TileTemplate(address.replace("{y}", "{-y}") if tms else address, low, high)


def zoom_for(gsd_m: float, lat: float, tile_px: int) -> int:
    """The lowest zoom whose pixels are no larger than ``gsd_m`` metres on the ground at ``lat`` (5 % larger at
    most)."""
    widest = 2 * HALF_M * math.cos(math.radians(lat)) / tile_px
    return max(0, math.ceil(math.log2(widest / (gsd_m * 1.05))))


def gsd_at(zoom: int, lat: float, tile_px: int) -> float:
    """Metres on the ground of a pixel at ``lat``."""
    return 2 * HALF_M * math.cos(math.radians(lat)) / (tile_px << zoom)


def _of_qgis(text: str) -> bool:
    return text.startswith("type=xyz") or "&type=xyz" in text


def _quadkey(z: int, x: int, y: int) -> str:
    return "".join(str(((x >> bit) & 1) | (((y >> bit) & 1) << 1)) for bit in range(z - 1, -1, -1))


def _whole(values: list[str] | None, default: int) -> int:
    try:
        return int((values or [str(default)])[0])
    except ValueError:
        return -1

"""What a layer is to the engine as imagery seen from above: a file, map tiles, or pictures that QGIS must draw."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from qgis.core import QgsMapLayer, QgsProviderRegistry, QgsRasterLayer

from ..compat import scoped

FILE, TILES, DRAWN = "file", "tiles", "drawn"
_TILE_KEYS = {"type", "url", "path", "zmin", "zmax", "crs", "tilePixelRatio", "format", "styles", "layers", "referer"}
"""Parts of an XYZ layer's source without which the engine fetches the same tiles."""
_ENCODED = re.compile(r"(https?|file)(%3A|%3a)(//|%2F%2F|%2f%2f)")


@dataclass(frozen=True)
class ReferenceSource:
    """``kind``: :data:`FILE` (``address`` is empty: it is handed over like any raster), :data:`TILES` (``address`` with
    {z}, {x} and {y}, ``max_zoom`` where it is known), or :data:`DRAWN`. ``host``: whose server it is, else empty."""

    kind: str
    address: str = ""
    max_zoom: int | None = None
    host: str = ""


def is_tiles(text: Any) -> bool:
    """Whether a text is an address of map tiles, or what QGIS writes for an XYZ layer."""
    if not isinstance(text, str):
        return False
    return "{z}" in text or "{q}" in text or text.startswith("type=xyz") or "&type=xyz" in text


def tiles_of(text: str) -> ReferenceSource:
    """The tiles that a text (see :func:`is_tiles`) names."""
    if "type=xyz" not in text:
        return ReferenceSource(TILES, text, None, host_of(text))
    parts = dict(QgsProviderRegistry.instance().decodeUri("wms", text))
    address = address_in(parts)
    return ReferenceSource(TILES, address, _zoom(parts.get("zmax")), host_of(address))


def source_of(layer: QgsRasterLayer) -> ReferenceSource:
    """How the engine gets the imagery of a layer.

    A file stays a file, but for one with a colour table, whose pixels are no colours. An XYZ layer is its address, but
    for one that QGIS reads with a login or headers of its own. All else is drawn.
    """
    kind = layer.providerType()
    if kind == "gdal":
        renderer = layer.renderer()
        table = layer.bandCount() == 1 and renderer is not None and renderer.type() == "paletted"
        return ReferenceSource(DRAWN if table else FILE)
    parts = dict(QgsProviderRegistry.instance().decodeUri(kind, layer.source()))
    address = address_in(parts)
    if kind == "wms" and parts.get("type") == "xyz" and _plain_tiles(parts, address):
        return ReferenceSource(TILES, address, _zoom(parts.get("zmax")), host_of(address))
    return ReferenceSource(DRAWN, host=host_of(address))


def address_in(parts: dict[str, Any]) -> str:
    """The address or path in the parts of a layer's source; scripts write it in percent signs all through."""
    address = str(parts.get("url") or parts.get("path") or "")
    return unquote(address) if _ENCODED.match(address) else address


def attribution_of(layer: QgsMapLayer) -> str:
    """Whom the layer says to name, in one line; empty where it says nothing."""
    said = scoped((layer.serverProperties(), "attribution"), (layer, "attribution"))()  # the former from QGIS 3.38 on
    rights = " ".join(part.strip() for part in layer.metadata().rights() if part.strip())
    return " ".join((said or rights).split())


def host_of(address: str) -> str:
    """The server of an address; empty of a file's."""
    return (urlsplit(address).hostname or "") if address.lower().startswith(("http://", "https://")) else ""


def licence_line(host: str, attribution: str) -> str:
    """What must be said of imagery that comes from somebody's server."""
    ask = f"Attribution: {attribution}." if attribution else "Give the attribution that they ask for."
    return (
        f"The imagery comes from {host}: its provider's terms apply to it and to what is made from it; see that they "
        f"allow this use. {ask}"
    )


def _plain_tiles(parts: dict[str, Any], address: str) -> bool:
    said = {key for key, value in parts.items() if value not in (None, "", [], {})}
    scheme = address.partition("://")[0].lower() if "://" in address else ""
    ratio = str(parts.get("tilePixelRatio") or "0")
    return said <= _TILE_KEYS and "referer" not in said and scheme in ("", "http", "https", "file") and ratio in "01"


def _zoom(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None

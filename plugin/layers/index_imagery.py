"""The imagery that an index was made from, as a layer: a raster file, or map tiles by their address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote

from qgis.core import (
    Qgis,
    QgsBilinearRasterResampler,
    QgsContrastEnhancement,
    QgsMultiBandColorRenderer,
    QgsRasterLayer,
)

CARD = "card.json"


class ImageryError(Exception):
    """The imagery of an index cannot be told or opened; one line."""


@dataclass(frozen=True)
class IndexImagery:
    """``path``: a raster file or an address with {z}, {x}, {y}. ``stretch``: values that became black and white where
    the pixels are deeper than 8 bits. ``date`` and ``attribution`` are empty where nobody told them."""

    path: str
    stretch: tuple[float, float]
    date: str
    attribution: str

    @property
    def shown(self) -> str:
        """The path, or the address as it may be shown and passed on: without user name, key and query."""
        address = self.path
        if address.startswith("type=xyz"):
            address = parse_qs(address).get("url", [""])[0]
        scheme, there, rest = address.partition("://")
        if not there:
            return address
        host, slash, tail = rest.partition("?")[0].partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{tail}"


def read_imagery(index: str | Path) -> list[IndexImagery]:
    """What the card of an index says of its imagery, each file once: an index may grow from file to file. Raises
    ImageryError."""
    path = Path(index) / CARD
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["imagery"]
        first = _told(listed[0])
        return list({first.path: first, **{str(facts["path"]): _told(facts) for facts in listed[1:]}}.values())
    except OSError as error:
        raise ImageryError(f"{path}: the index cannot be read ({error.strerror or error}).") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ImageryError(f"{path}: this is not the card of an index.") from error


def _told(facts: dict) -> IndexImagery:
    low, high = (float(value) for value in facts["stretch"])
    return IndexImagery(
        path=str(facts["path"]),
        stretch=(low, high),
        date=str(facts.get("imagery_date") or ""),
        attribution=str(facts.get("attribution") or ""),
    )


def tile_source(address: str) -> str:
    """The source of QGIS's layer of map tiles for an address of the engine; a QGIS address stays as it is."""
    if address.startswith("type=xyz"):
        return address
    url = address if "://" in address else Path(address).absolute().as_posix()
    if url.startswith("/"):
        url = f"file://{url}"
    return f"type=xyz&zmin=0&zmax=22&url={quote(url, safe=':/{}')}"


def is_tiles(path: str) -> bool:
    """Whether the imagery is map tiles: their address names column and row, or is one of QGIS's own."""
    return path.startswith("type=xyz") or "{x}" in path or "{q}" in path


def open_imagery(imagery: IndexImagery) -> QgsRasterLayer:
    """The layer, outside any project, smoothed between pixels. Opens a file: call it in a task and move the layer to
    the main thread. Raises ImageryError."""
    if is_tiles(imagery.path):
        layer = QgsRasterLayer(tile_source(imagery.path), "imagery", "wms")
    else:
        if not Path(imagery.path).exists():
            raise ImageryError(f"{imagery.shown}: the imagery of the index is not there any more. Choose a map layer.")
        layer = QgsRasterLayer(imagery.path, "imagery", "gdal")
    if not layer.isValid():
        raise ImageryError(f"{imagery.shown}: the imagery of the index cannot be opened. Choose a map layer.")
    _stretch(layer, imagery.stretch)
    if layer.resampleFilter() is not None:
        layer.resampleFilter().setZoomedInResampler(QgsBilinearRasterResampler())
        layer.resampleFilter().setZoomedOutResampler(QgsBilinearRasterResampler())
    return layer


def _stretch(layer: QgsRasterLayer, stretch: tuple[float, float]) -> None:
    """Show deep pixels as the engine saw them: the same values black and white in every band."""
    provider = layer.dataProvider()
    renderer = layer.renderer()
    if not isinstance(renderer, QgsMultiBandColorRenderer) or provider.dataType(1) == Qgis.DataType.Byte:
        return
    for band, put in (
        (renderer.redBand(), renderer.setRedContrastEnhancement),
        (renderer.greenBand(), renderer.setGreenContrastEnhancement),
        (renderer.blueBand(), renderer.setBlueContrastEnhancement),
    ):
        if band > 0:
            enhancement = QgsContrastEnhancement(provider.dataType(band))
            enhancement.setMinimumValue(stretch[0])
            enhancement.setMaximumValue(stretch[1])
            enhancement.setContrastEnhancementAlgorithm(
                QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
            )
            put(enhancement)

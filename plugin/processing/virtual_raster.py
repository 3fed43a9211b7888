"""A GDAL virtual raster (VRT) around a layer, for what QGIS knows and the file does not: CRS, names, open options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from qgis.core import Qgis, QgsRasterDataProvider, QgsRasterLayer

from ..compat import scoped

_TYPES = (
    "Byte",
    "UInt16",
    "Int16",
    "UInt32",
    "Int32",
    "Float32",
    "Float64",
    "CInt16",
    "CInt32",
    "CFloat32",
    "CFloat64",
)


def band_descriptions(layer: QgsRasterLayer) -> list[str]:
    """The names of the bands as the file gives them, empty where it gives none (QGIS shows ``Band 1: VV``)."""
    names = [layer.bandName(number) for number in range(1, layer.bandCount() + 1)]
    return [match.group(1).strip() if (match := re.match(r"^\D*\d+\s*[:=]\s*(.*)$", name)) else "" for name in names]


def virtual_raster(
    layer: QgsRasterLayer, *, source: str, options: Sequence[str], descriptions: Sequence[str] | None = None
) -> str:
    """The VRT document: every band of ``source`` (opened with ``options``, ``KEY=VALUE`` each) in the layer's CRS.

    Size, placement, types, nodata values and, unless given, band names are the layer's.
    """
    provider = layer.dataProvider()
    extent, width, height = provider.extent(), provider.xSize(), provider.ySize()
    step_x, step_y = extent.width() / width, extent.height() / height
    numbers = (extent.xMinimum(), step_x, 0.0, extent.yMaximum(), 0.0, -step_y)
    names = band_descriptions(layer) if descriptions is None else list(descriptions)
    bands = "".join(
        _band(provider, number, names[number - 1], source, options) for number in range(1, provider.bandCount() + 1)
    )
    metadata = "".join(
        f'<MDI key="{escape(key)}">{escape(value)}</MDI>' for key, value in _file_tags(layer) if key != "AREA_OR_POINT"
    )
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
        f"<SRS>{escape(_wkt(layer))}</SRS>"
        f"<GeoTransform>{', '.join(repr(n) for n in numbers)}</GeoTransform>"
        f"<Metadata>{metadata}</Metadata>{bands}</VRTDataset>\n"
    )


def _band(provider: QgsRasterDataProvider, number: int, name: str, source: str, options: Sequence[str]) -> str:
    pairs = (option.partition("=") for option in options)
    opened = "".join(f'<OOI key="{escape(key)}">{escape(value)}</OOI>' for key, _, value in pairs)
    nodata = (
        f"<NoDataValue>{provider.sourceNoDataValue(number)!r}</NoDataValue>"
        if provider.sourceHasNoDataValue(number)
        else ""
    )
    return (
        f'<VRTRasterBand dataType="{_type_name(provider, number)}" band="{number}">'
        f"<Description>{escape(name)}</Description>{nodata}"
        f'<SimpleSource><SourceFilename relativeToVRT="0">{escape(source)}</SourceFilename>'
        f"<OpenOptions>{opened}</OpenOptions><SourceBand>{number}</SourceBand></SimpleSource></VRTRasterBand>"
    )


def _type_name(provider: QgsRasterDataProvider, number: int) -> str:
    kind = provider.sourceDataType(number)
    for name in _TYPES:
        if scoped((Qgis, f"DataType.{name}")) == kind:
            return name
    return "Float64"


def _wkt(layer: QgsRasterLayer) -> str:
    crs = layer.crs()
    variant = scoped((Qgis, "CrsWktVariant.Preferred"), (type(crs), "WktVariant.WKT_PREFERRED"))
    return crs.toWkt(variant)


def _file_tags(layer: QgsRasterLayer) -> list[tuple[str, str]]:
    """``KEY=VALUE`` tags of the file as the provider lists them in its HTML, so that units and times are not lost."""
    found = re.findall(r"<li>([A-Za-z_][\w.-]*)=([^<]*)</li>", layer.dataProvider().htmlMetadata())
    return [(key, _unescape(value)) for key, value in found if not key.startswith("STATISTICS_")]


def _unescape(text: str) -> str:
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&")):
        text = text.replace(entity, char)
    return text

"""From a layer of QGIS to a file that the engine can open, the same pixels and features that QGIS shows.

Most layers are a file as they stand. Where QGIS knows more than the file (a filter, a selection, edits, joins, an
assigned CRS, open options) or there is no file (memory, database), a copy is made in Processing's temporary folder
and the log says so. Must run in the thread that the layer belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsProcessingFeatureSourceDefinition,
    QgsProviderRegistry,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsVectorLayer,
)

from ..compat import scoped
from .virtual_raster import band_descriptions, virtual_raster

PICTURE_PROVIDERS = {
    "wms": "a web map (WMS, WMTS or XYZ tiles)",
    "arcgismapserver": "an ArcGIS map service",
    "vectortile": "vector tiles",
}
"""Raster providers that give pictures: colours, from which no measured value can be had back."""

STYLES_TABLE = "layer_styles"
"""Where QGIS saves styles in a GeoPackage."""

TempName = Callable[[str], str]
"""A fresh path in the temporary folder for a file name."""


class LayerFault(Exception):  # noqa: N818 - said to the user as an input at fault
    """A layer cannot be handed to the engine; the message says which, why, and what to do."""


@dataclass(frozen=True)
class EngineFile:
    """``path``: what the engine is given; ``note``: one line for the log when it is a copy, else empty."""

    path: str
    note: str = ""


def raster_fault(layer: QgsRasterLayer | None, *, what: str) -> str:
    """Why the layer cannot be used as a raster of values, or the empty string."""
    if layer is None:
        return f"{what}: the layer or file cannot be opened as a raster. Check that it exists and is not damaged."
    name = layer.name()
    if not layer.isValid():
        return f"{what}: the layer '{name}' is not valid (moved or deleted?). Repair its data source, then run again."
    kind = PICTURE_PROVIDERS.get(layer.providerType())
    if kind:
        return (
            f"{what}: the layer '{name}' is {kind}, which gives pictures and no measured values. Choose a raster file."
        )
    return ""


def raster_for_engine(layer: QgsRasterLayer, *, what: str, temp: TempName) -> EngineFile:
    """The file of a raster layer; raises LayerFault when there is none and none can be made."""
    fault = raster_fault(layer, what=what)
    if fault:
        raise LayerFault(fault)
    if layer.providerType() != "gdal":
        return _export_raster(layer, what=what, temp=temp)
    parts = _uri_parts(layer)
    if parts.get("authcfg") or parts.get("credentialOptions"):
        raise LayerFault(
            f"{what}: the layer '{layer.name()}' is read with credentials that QGIS keeps to itself. "
            "Save it to a file (Export ▸ Save As), then use that."
        )
    options = [str(option) for option in parts.get("openOptions") or []]
    source = layer.source().split("|option:")[0]
    assigned = layer.crs().isValid() and layer.crs() != layer.dataProvider().crs()
    if assigned or options:
        path = temp(f"{_stem(layer)}.vrt")
        Path(path).write_text(virtual_raster(layer, source=source, options=options), encoding="utf-8")
        why = f"the CRS assigned in QGIS ({layer.crs().authid() or 'custom'})" if assigned else "its open options"
        return EngineFile(path, f"{what}: '{layer.name()}' is handed over with {why} as {path}.")
    return EngineFile(_plain(source))


def ignored_settings(layer: QgsRasterLayer, *, what: str) -> str:
    """One line when the layer hides values in QGIS by settings that the engine does not see, else empty."""
    provider = layer.dataProvider()
    bands = range(1, provider.bandCount() + 1)
    hidden = [b for b in bands if provider.userNoDataValues(b)]
    shown = [b for b in bands if provider.sourceHasNoDataValue(b) and not provider.useSourceNoDataValue(b)]
    if not hidden and not shown:
        return ""
    return (
        f"{what}: the no-data settings of the layer '{layer.name()}' in QGIS are not used; the engine goes by the "
        "file. Save the layer to a file with them if they matter."
    )


def vector_needs_copy(layer: QgsVectorLayer, value: Any, *, field: str = "") -> str:
    """Why the polygons that ``value`` means are not simply the layer's file, or the empty string."""
    if isinstance(value, QgsProcessingFeatureSourceDefinition):
        if value.selectedFeaturesOnly:
            return "selected features only"
        if value.featureLimit >= 0 or getattr(value, "filterExpression", ""):
            return "a filter"
    if layer.providerType() != "ogr":
        return "a layer without a file"
    if layer.subsetString():
        return "the layer's filter"
    if layer.isEditable() and layer.isModified():
        return "unsaved edits"
    if layer.vectorJoins():
        return "joined fields"
    if field and layer.fields().lookupField(field) >= layer.dataProvider().fields().count():
        return f"the virtual field {field}"
    if layer.crs() != layer.dataProvider().crs():
        return "the CRS assigned in QGIS"
    parts = {key: part for key, part in _uri_parts(layer).items() if part not in (None, "", [], {})}
    path = Path(str(parts.get("path", "")))
    if set(parts) - {"path", "layerName", "layerId"} or not path.exists():
        return "a source that is not a plain file"
    if not parts.get("layerName") and _layers_in_file(layer) > 1:
        return f"one of several layers of {path.name}"
    return ""


def _layers_in_file(layer: QgsVectorLayer) -> int:
    """How many layers the file holds, but for the table of styles that QGIS itself keeps there.

    The layer's own provider knows it; QgsProviderRegistry.querySublayers() would have every provider open the file.
    """
    provider = layer.dataProvider()
    if provider.subLayerCount() <= 1:
        return int(provider.subLayerCount())
    names = [str(entry).split(provider.sublayerSeparator())[1] for entry in provider.subLayers()]
    return sum(name != STYLES_TABLE for name in names)


def vector_file(layer: QgsVectorLayer) -> str:
    """What the engine is given for a layer for which :func:`vector_needs_copy` has no reason."""
    parts = _uri_parts(layer)
    return f"{parts['path']}|layername={parts['layerName']}" if parts.get("layerName") else str(parts["path"])


def _uri_parts(layer: QgsMapLayer) -> dict[str, Any]:
    return dict(QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source()))


def _plain(source: str) -> str:
    return source[len("/vsicurl/") :] if source.startswith("/vsicurl/http") else source


def _stem(layer: QgsMapLayer) -> str:
    kept = "".join(c if c.isalnum() or c in "-_ ." else "_" for c in layer.name()).strip(" .")
    return kept[:60] or "layer"


def _export_raster(layer: QgsRasterLayer, *, what: str, temp: TempName) -> EngineFile:
    path = temp(f"{_stem(layer)}.tif")
    writer = QgsRasterFileWriter(path)
    writer.setOutputFormat("GTiff")
    writer.setCreateOptions(["TILED=YES", "BIGTIFF=IF_SAFER"])
    provider = layer.dataProvider().clone()
    pipe = QgsRasterPipe()
    crs: QgsCoordinateReferenceSystem = layer.crs()
    done = scoped((Qgis, "RasterFileWriterResult.Success"), (QgsRasterFileWriter, "WriterError.NoError"))
    failed = (
        not pipe.set(provider)
        or writer.writeRaster(pipe, layer.width(), layer.height(), layer.extent(), crs, layer.transformContext())
        != done
    )
    if failed:
        raise LayerFault(
            f"{what}: the layer '{layer.name()}' ({layer.providerType()}) could not be saved to a file. "
            "Save it yourself (Export ▸ Save As), then use that."
        )
    copy = QgsRasterLayer(path, layer.name(), "gdal")
    wrapped = temp(f"{_stem(layer)}.vrt")
    text = virtual_raster(copy, source=path, options=[], descriptions=band_descriptions(layer))
    Path(wrapped).write_text(text, encoding="utf-8")
    return EngineFile(wrapped, f"{what}: '{layer.name()}' ({layer.providerType()}) was copied to {path}.")

"""What a result layer says about itself: metadata with provenance, time range, notes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis import core
from qgis.core import (
    Qgis,
    QgsDateTimeRange,
    QgsLayerMetadata,
    QgsLayerNotesUtils,
    QgsMapLayer,
    QgsRasterLayer,
    QgsRasterLayerTemporalProperties,
    QgsVectorLayerTemporalProperties,
)
from qgis.PyQt.QtCore import QDateTime, Qt, QTimeZone

from ..compat import scoped
from .names import input_items, observed_times
from .products import product_of

ATTRIBUTION = "Contains modified Copernicus Sentinel data"


def describe_layer(layer: QgsMapLayer, role: str, result: dict[str, Any], folder: str | Path) -> None:
    """Set metadata, notes and the fixed time range (where the acquisition time is known) of a result layer."""
    when = result_time(result)
    _set_time(layer, when)
    layer.setMetadata(layer_metadata(layer, role, result, folder, when))
    notes = [f"<p><b>{_escape(layer.name())}</b>. {_abstract(role, result)}</p>"]
    warnings = result.get("warnings") or []
    if warnings:
        notes.append("<ul>" + "".join(f"<li>{_escape(w)}</li>" for w in warnings) + "</ul>")
    QgsLayerNotesUtils.setLayerNotes(layer, "".join(notes))


def time_range(text: str) -> QgsDateTimeRange | None:
    """When the scene was taken, in UTC: an instant of an ISO 8601 time, the whole day of a date, None of anything else.

    A time without zone is UTC.
    """
    moment = QDateTime.fromString(text, Qt.DateFormat.ISODateWithMs) if text else QDateTime()
    if not moment.isValid():
        return None
    if moment.timeSpec() == Qt.TimeSpec.LocalTime:
        moment.setTimeZone(QTimeZone.utc())
    moment = moment.toUTC()
    if len(text) == len("2019-09-17"):
        return QgsDateTimeRange(moment, moment.addDays(1), True, False)
    return QgsDateTimeRange(moment, moment)


def layer_metadata(
    layer: QgsMapLayer, role: str, result: dict[str, Any], folder: str | Path, when: QgsDateTimeRange | None
) -> QgsLayerMetadata:
    """Title, abstract, extent, CRS, time, licence, and the history: engine, inputs, command."""
    metadata = QgsLayerMetadata()
    metadata.setIdentifier(str(Path(folder) / "result.json"))
    metadata.setTitle(layer.name())
    metadata.setType("dataset")
    metadata.setLanguage("ENG")
    product = product_of(result)
    simulated = is_simulated(result, folder)
    start = "Made from a simulated scene. " if simulated else ""
    metadata.setAbstract(f"{start}{_abstract(role, result)}{_method(result)}")
    if product is not None:
        found = sensors(result) if product.attributed else []
        words = [*product.keywords, *found, role]
        metadata.setKeywords({"gmd:topicCategory": [product.topic], "SameScene": words})
    metadata.setCrs(layer.crs())
    if product is not None and product.attributed and not simulated:
        metadata.setRights([ATTRIBUTION + (f" {when.begin().date().year()}" if when else "")])
    attribution = result.get("figures", {}).get("attribution") or result.get("parameters", {}).get("attribution")
    if attribution:  # of imagery that a job read from elsewhere
        metadata.setRights([str(attribution)])
    metadata.setHistory(history(result))
    extent = QgsLayerMetadata.Extent()
    if layer.crs().isValid():
        spatial = QgsLayerMetadata.SpatialExtent()
        spatial.extentCrs = layer.crs()
        spatial.bounds = _box3d()(layer.extent())
        extent.setSpatialExtents([spatial])
    if when is not None:
        extent.setTemporalExtents([when])
    metadata.setExtent(extent)
    return metadata


def sensors(result: dict[str, Any]) -> list[str]:
    """Titles of the sensors whose images were mapped from; results from before Sentinel-2 name none: Sentinel-1."""
    titles = {"s1": "Sentinel-1", "s2": "Sentinel-2"}
    found = {titles[item["sensor"]] for _, item in input_items(result) if item.get("sensor") in titles}
    return sorted(found) or ["Sentinel-1"]


def history(result: dict[str, Any]) -> list[str]:
    """How the layer came about, one line a fact: engine, inputs with checksums, model, command."""
    lines = [f"Made by SameScene engine {result.get('engine_version', '')}".strip()]
    for name, item in input_items(result):
        acquired = f", acquired {item['acquired']}" if item.get("acquired") else ""
        digest = f", sha256 {item['sha256']}" if item.get("sha256") else ""
        lines.append(f"Input {name}: {item.get('path')}{acquired}{digest}")
    if result.get("model"):
        lines.append(f"Model: {result['model'].get('name')}")
    if result.get("command"):
        lines.append(f"Command: {result['command']}")
    return lines


def is_simulated(result: dict[str, Any], folder: str | Path) -> bool:
    """Whether the map of a result folder carries the tag of a simulated scene."""
    product = product_of(result)
    if product is None or not product.raster:
        return False
    layer = QgsRasterLayer(str(Path(folder) / product.raster), "", "gdal")
    return layer.isValid() and "SIMULATED=yes" in layer.dataProvider().htmlMetadata()


def result_time(result: dict[str, Any]) -> QgsDateTimeRange | None:
    """When the result holds: the acquisition, or from the earlier to the later of two; None where it is not known."""
    ranges = [when for when in (time_range(text) for text in observed_times(result)) if when is not None]
    if len(ranges) < 2:
        return ranges[0] if ranges else None
    return QgsDateTimeRange(min(r.begin() for r in ranges), max(r.end() for r in ranges))


def _abstract(role: str, result: dict[str, Any]) -> str:
    product = product_of(result)
    return product.role(role, result).abstract if product is not None else ""


def _method(result: dict[str, Any]) -> str:
    method = result.get("figures", {}).get("method") or result.get("parameters", {}).get("method") or ""
    if not method and result.get("model"):
        method = f"model {result['model'].get('name')}"
    return f" Method: {method}." if method else ""


def _set_time(layer: QgsMapLayer, when: QgsDateTimeRange | None) -> None:
    if when is None:
        return
    properties = layer.temporalProperties()
    if isinstance(layer, QgsRasterLayer):
        fixed = scoped(
            (Qgis, "RasterTemporalMode.FixedTemporalRange"),
            (QgsRasterLayerTemporalProperties, "TemporalMode.ModeFixedTemporalRange"),
        )
    else:
        fixed = scoped(
            (Qgis, "VectorTemporalMode.FixedTemporalRange"),
            (QgsVectorLayerTemporalProperties, "TemporalMode.ModeFixedTemporalRange"),
        )
    properties.setMode(fixed)
    properties.setFixedTemporalRange(when)
    properties.setIsActive(True)


def _box3d() -> type:
    return scoped((core, "QgsBox3D"), (core, "QgsBox3d"))


def _escape(text: str) -> str:
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

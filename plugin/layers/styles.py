"""Styles of result layers by their role, and the default styles saved beside the files so that they open alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qgis.core import QgsMapLayer

from .product import Result
from .products import product_of

if TYPE_CHECKING:
    from .results import LayerToLoad


def style_layer(layer: QgsMapLayer, role: str, result: Result) -> None:
    """Give a result layer of ``role`` its style; nothing of the project is touched."""
    product = product_of(result)
    if product is not None:
        product.role(role, result).style(layer, result)


def save_default_styles(items: list[LayerToLoad], result: Result) -> list[str]:
    """Save the style of each result beside its file (``flood.qml``) or in its GeoPackage, as the default.

    Opened alone in another project or another QGIS, the files then look the same. Returns one line for each style
    that could not be saved (a read-only folder); a missing style is no failure of a run.
    """
    faults = []
    for item in items:
        layer = item.open()
        if not layer.isValid():
            faults.append(f"{item.source}: it cannot be opened to save its style.")
            continue
        style_layer(layer, item.role, result)
        if item.vector and ".gpkg" in item.source:
            fault = layer.saveStyleToDatabase("default", "SameScene", True, "")
        else:
            message, saved = layer.saveNamedStyle(str(Path(item.source.split("|")[0]).with_suffix(".qml")))
            fault = "" if saved else message
        if fault:
            faults.append(f"{item.source}: its default style cannot be saved ({' '.join(fault.split())}).")
    return faults

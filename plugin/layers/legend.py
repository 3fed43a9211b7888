"""Which rows of a raster's legend are shown: those that tell something."""

from __future__ import annotations

from qgis.core import (
    QgsLayerTreeLayer,
    QgsMapLayer,
    QgsMapLayerLegendUtils,
    QgsPalettedRasterRenderer,
    QgsSingleBandPseudoColorRenderer,
)


def choose_legend_rows(layer: QgsMapLayer, node: QgsLayerTreeLayer) -> None:
    """Leave out the band's name, classes that are hidden or share another's name, and what is below the threshold.

    A raster's legend has the band's name as row 0 and the classes from row 1. Other layers stay as they are.
    """
    renderer = layer.renderer()
    if isinstance(renderer, QgsPalettedRasterRenderer):
        rows = [row for row, entry in enumerate(renderer.classes(), 1) if entry.color.alpha() > 0 and entry.label]
    elif isinstance(renderer, QgsSingleBandPseudoColorRenderer):
        shader = renderer.shader()
        items = shader.rasterShaderFunction().colorRampItemList() if shader is not None else []
        rows = [row for row, item in enumerate(items, 1) if item.color.alpha() > 0]
    else:
        return
    QgsMapLayerLegendUtils.setLegendNodeOrder(node, rows)
    layer.legendChanged.emit()

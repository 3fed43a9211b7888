"""The live probability threshold: restyles a finished run without running it again.

At the run's own threshold the flood map is shown as the engine made it (grown, small areas removed). At any other, the
water classes that depend on the threshold are hidden in the flood map and the probability layer below shows
probability ≥ threshold in their colour; reference water and what was set aside stay on top in both.
"""

from __future__ import annotations

from qgis.core import (
    QgsColorRampShader,
    QgsLayerTree,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

from .legend import choose_legend_rows
from .names import FLOOD, FLOOD_CLASSES, WATER

LIVE_CLASSES = (FLOOD, WATER)


def threshold_renderer(layer: QgsRasterLayer, percent: int, color: str) -> QgsSingleBandPseudoColorRenderer:
    """A renderer of a per cent layer: transparent below ``percent`` (0–100) and where nodata, else ``color``."""
    ramp = QgsColorRampShader(0, 100, None, QgsColorRampShader.Type.Discrete)
    below = QgsColorRampShader.ColorRampItem(percent - 0.5, QColor(0, 0, 0, 0), f"below {percent} %")
    above = QgsColorRampShader.ColorRampItem(float("inf"), QColor(color), f"{percent} % and more")
    ramp.setColorRampItemList([below, above])
    shader = QgsRasterShader(0, 100)
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(0)
    renderer.setClassificationMax(100)
    return renderer


def layer_threshold(layer: QgsRasterLayer) -> int | None:
    """The threshold (per cent) that a probability layer shows, or None when its style was changed to another kind."""
    renderer = layer.renderer()
    shader = renderer.shader() if isinstance(renderer, QgsSingleBandPseudoColorRenderer) else None
    ramp = shader.rasterShaderFunction() if shader is not None else None
    if not isinstance(ramp, QgsColorRampShader):
        return None
    items = ramp.colorRampItemList()
    return round(items[0].value + 0.5) if len(items) == 2 else None


class ThresholdView:
    """The two layers of one run that the slider restyles. Layers that were removed meanwhile are left out."""

    def __init__(self, *, flood_id: str, probability_id: str, run_percent: int) -> None:
        self._flood_id, self._probability_id, self.run_percent = flood_id, probability_id, run_percent

    @property
    def flood(self) -> QgsRasterLayer | None:
        """The flood map, while it is in the project."""
        return QgsProject.instance().mapLayer(self._flood_id)

    @property
    def probability(self) -> QgsRasterLayer | None:
        """The probability layer, while it is in the project."""
        return QgsProject.instance().mapLayer(self._probability_id)

    def percent(self) -> int:
        """The threshold that the map shows now."""
        layer = self.probability
        shown = layer is not None and self._node_visible(layer)
        found = layer_threshold(layer) if shown else None
        return self.run_percent if found is None else found

    def set_percent(self, percent: int) -> None:
        """Show water at probability ≥ ``percent`` (0–100)."""
        live = percent != self.run_percent
        flood, probability = self.flood, self.probability
        if flood is not None:
            _hide_classes(flood, LIVE_CLASSES if live else ())
        if probability is not None:
            probability.setRenderer(threshold_renderer(probability, percent, self._color()))
            self._set_visible(probability, live)
            _repaint(probability)

    def _color(self) -> str:
        present = {c.value for c in self.flood.renderer().classes()} if self._paletted() else {FLOOD}
        wanted = WATER if WATER in present and FLOOD not in present else FLOOD
        return next(c.color for c in FLOOD_CLASSES if c.value == wanted)

    def _paletted(self) -> bool:
        return self.flood is not None and isinstance(self.flood.renderer(), QgsPalettedRasterRenderer)

    @staticmethod
    def _node(layer: QgsRasterLayer):
        return QgsProject.instance().layerTreeRoot().findLayer(layer.id())

    def _node_visible(self, layer: QgsRasterLayer) -> bool:
        node = self._node(layer)
        return node is not None and node.itemVisibilityChecked()

    def _set_visible(self, layer: QgsRasterLayer, visible: bool) -> None:
        node = self._node(layer)
        if node is None or not QgsLayerTree.isLayer(node):
            return
        if visible:
            node.setItemVisibilityCheckedParentRecursive(True)
        else:
            node.setItemVisibilityChecked(False)


def _hide_classes(layer: QgsRasterLayer, values: tuple[int, ...]) -> None:
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return
    classes = renderer.classes()
    changed = False
    for entry in classes:
        if int(entry.value) not in LIVE_CLASSES:
            continue
        alpha = 0 if int(entry.value) in values else 255
        if entry.color.alpha() != alpha:
            entry.color = QColor(entry.color.red(), entry.color.green(), entry.color.blue(), alpha)
            changed = True
    if changed:
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
        _repaint(layer)


def _repaint(layer: QgsRasterLayer) -> None:
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    if node is not None:
        choose_legend_rows(layer, node)
    layer.triggerRepaint()
    layer.emitStyleChanged()

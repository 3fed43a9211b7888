"""Hides a map, what was made of it, and the sample's own marks while points are labelled, and shows them again."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsLayerTreeLayer, QgsMapLayer, QgsProject

from ..layers.results import RUN_PROPERTY


class BlindMap:
    """:meth:`hide` and :meth:`restore`; between them :meth:`visible` tells what was switched on again by hand."""

    def __init__(self) -> None:
        self._hidden: dict[str, bool] = {}

    def hide(self, map_path: str, sample_path: str) -> None:
        """Hide the layers of the map's file and of every SameScene result; and the points, whose marks would cover the
        very pixel that is asked about."""
        for node in (*self._nodes(map_path, sample_path), *self._points(sample_path)):
            self._hidden.setdefault(node.layerId(), node.itemVisibilityChecked())
            node.setItemVisibilityChecked(False)

    def visible(self, map_path: str, sample_path: str) -> list[str]:
        """Names of layers that tell, or might tell, the map's class and are drawn now."""
        return [node.name() for node in self._nodes(map_path, sample_path) if node.isVisible()]

    def restore(self) -> None:
        """As it was before :meth:`hide`, for layers that are still there."""
        root = QgsProject.instance().layerTreeRoot()
        for layer_id, visible in self._hidden.items():
            node = root.findLayer(layer_id)
            if node is not None:
                node.setItemVisibilityChecked(visible)
        self._hidden.clear()

    @staticmethod
    def _points(sample_path: str) -> list[QgsLayerTreeLayer]:
        nodes = QgsProject.instance().layerTreeRoot().findLayers()
        return [n for n in nodes if n.layer() is not None and _same(n.layer().source().split("|")[0], sample_path)]

    @staticmethod
    def _nodes(map_path: str, sample_path: str) -> list[QgsLayerTreeLayer]:
        nodes = QgsProject.instance().layerTreeRoot().findLayers()
        return [n for n in nodes if n.layer() is not None and _tells(n.layer(), map_path, sample_path)]


def _tells(layer: QgsMapLayer, map_path: str, sample_path: str) -> bool:
    file = layer.source().split("|")[0]
    if _same(file, sample_path):
        return False
    return bool(layer.customProperty(RUN_PROPERTY)) or (bool(map_path) and _same(file, map_path))


def _same(first: str, second: str) -> bool:
    return bool(first) and bool(second) and Path(first).absolute() == Path(second).absolute()

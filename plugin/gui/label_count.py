"""Counts the labels of each class in the background: a layer may have hundreds of thousands of features."""

from __future__ import annotations

from qgis.core import NULL, QgsFeatureRequest, QgsTask, QgsVectorLayer, QgsVectorLayerFeatureSource

from ..compat import quiet_task
from ..processing.label_classes import value_text


class LabelCount(QgsTask):
    """:attr:`counts`: value of the class field as text → features; :attr:`without`: features without a value."""

    def __init__(self, layer: QgsVectorLayer, field: str) -> None:
        super().__init__("SameScene: labels by class", quiet_task())
        self._source = QgsVectorLayerFeatureSource(layer)
        self._at = layer.fields().lookupField(field)
        self.counts: dict[str, int] = {}
        self.without = 0
        self.done = False

    def run(self) -> bool:
        """In the task's thread."""
        request = QgsFeatureRequest().setSubsetOfAttributes([self._at])
        for feature in self._source.getFeatures(request):
            if self.isCanceled():
                return False
            value = feature.attribute(self._at)
            if value in (None, NULL, "") or not feature.hasGeometry():
                self.without += 1
            else:
                key = value_text(value)
                self.counts[key] = self.counts.get(key, 0) + 1
        self.done = True
        return True
